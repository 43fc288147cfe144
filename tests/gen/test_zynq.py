# amaranth: UnusedElaboratable=no

import re

import pytest
from weft.gen.zynq import CORE, package
from weft.rtl.config import Config


def test_files_are_the_same_every_time(tmp_path):
    one, other = (package(Config(), tmp_path / name) for name in ("one", "other"))
    assert [file.name for file in one] == ["component.xml", "build.tcl", f"{CORE}.v", "npu.json", "npu.h"]
    assert [file.read_bytes() for file in one] == [file.read_bytes() for file in other]
    assert f"module {CORE}(" in one[2].read_text()
    script = one[1].read_text()
    assert f"weft:npu:{CORE}:1.0" in script
    assert "CONFIG.PCW_S_AXI_HP0_DATA_WIDTH {32}" in script
    for opening, closing in ("{}", "[]"):
        assert script.count(opening) == script.count(closing)


def test_every_pin_in_the_script_is_the_cores(tmp_path):
    files = package(Config(), tmp_path)
    names = re.findall(r"<spirit:name>(\w+)</spirit:name>", files[0].read_text())
    used = set(re.findall(r"npu/(\w+)", files[1].read_text()))
    assert used == {"clk", "rst", "interrupt", "s_axil", "m_axi"}
    assert used <= set(names)


def test_a_bus_that_is_too_wide(tmp_path):
    with pytest.raises(
        ValueError, match=r"^a Zynq's port to memory has 64 bits: axi_width must be at most that, not 128$"
    ):
        package(Config(axi_width=128), tmp_path / "out")
    assert not (tmp_path / "out").exists()
