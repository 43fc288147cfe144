# amaranth: UnusedElaboratable=no

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console
from weft.fpga import bench
from weft.fpga.bench import MEDIUM, ROWS, ULX3S, Row, lenet_cycles, measure, path, resources, table
from weft.fpga.flow import synthesize
from weft.fpga.report import read_report
from weft.fpga.tools import PACKAGES, variable
from weft.rtl.config import Config

from tests.fpga.fake_tools import ECPPACK, NEXTPNR, REPORT, YOSYS, install

SMALL = Row("small", Config(rows=2, cols=2, weight_rows=2, weight_tiles=64, scratchpad_bytes=512), True, 90)


@pytest.fixture
def fakes(tmp_path, monkeypatch):
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path / "cache"))
    for name, body in (("yosys", YOSYS), ("nextpnr-ecp5", NEXTPNR), ("ecppack", ECPPACK)):
        install(tmp_path, monkeypatch, name, body)


def report():
    return read_report(json.dumps(REPORT), "ecp5", "a device", 1)


def test_resources_and_path_in_words():
    assert resources(report()) == ["3 of 10", "2 of 10", "0 of 4", "0 of 0"]
    assert path(report()) == "a to c: 3.88 ns, 3.00 of them routing, 1 cells between"
    assert path(replace(report(), paths=())) == ""


@pytest.mark.usefixtures("fakes")
def test_table_of_a_design():
    console = Console(file=io.StringIO(), width=200)
    build, reports = measure(SMALL, ULX3S, 3, console)
    assert build.report.fmax == 105
    console.print(table([(SMALL, build, reports)], ULX3S))
    text = console.file.getvalue()
    for part in ("105.0 MHz", "95, 100, 105", "90 MHz", "3 of 10"):
        assert part in text


@pytest.mark.usefixtures("fakes")
def test_command_line(monkeypatch, capsys):
    monkeypatch.setattr(bench, "ROWS", (SMALL,))
    assert bench.main(["--seeds", "1"]) == 0
    assert "small is limited by a to c" in capsys.readouterr().out
    monkeypatch.setenv("NEXTPNR_ECP5", "nowhere")
    assert bench.main(["--seeds", "2"]) == 2
    assert capsys.readouterr().err == "error: NEXTPNR_ECP5 is 'nowhere', and there is no such program\n"


def test_lenet_stays_within_its_time():
    """100 microseconds at the clock that the whole design must reach, and all weights in block RAM."""
    assert lenet_cycles(MEDIUM) <= 6000
    assert ROWS[0].frequency == 100


def test_multipliers_and_memories_of_a_small_design_are_explicit(monkeypatch):
    """Real synthesis: every multiplier and memory is explicit, and nothing else became one."""
    for name in PACKAGES:
        monkeypatch.delenv(variable(name), raising=False)
    config = Config(
        rows=2,
        cols=2,
        weight_rows=2,
        weight_tiles=64,
        scratchpad_bytes=512,
        accumulators=16,
        parameter_channels=16,
        axi=False,
        **bench.REGISTERED,
    )
    folder = synthesize(Row("small", config, False, 50).design(), ULX3S)
    netlist = (folder / "netlist.v").read_text()
    assert netlist.count("MULT18X18D #(") == 4 + 4
    # Two banks of the scratchpad and of the weights, two halves for two columns, and three for a parameter record.
    assert netlist.count("PDPW16KD #(") == 2 + 2 + 4 + 3
    assert " DP16KD #(" not in netlist
