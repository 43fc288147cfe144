# amaranth: UnusedElaboratable=no

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console
from weft.fpga import bench
from weft.fpga.bench import (
    HEADS,
    MARKS,
    ROWS,
    ULX3S,
    array_row,
    cells,
    inserted,
    lenet_cycles,
    measure,
    path,
    resources,
    sheet,
)
from weft.fpga.boards import BOARDS
from weft.fpga.ecp5 import Ecp5
from weft.fpga.few_pins import FewPins
from weft.fpga.flow import design, synthesize
from weft.fpga.report import Used, read_report
from weft.fpga.tools import PACKAGES, variable
from weft.rtl.config import Config
from weft.rtl.npu import Npu
from weft.sw.errors import UserError

from tests.fpga.fake_tools import ECPPACK, NEXTPNR, REPORT, YOSYS, install

BEGIN, END = MARKS

SMALL = array_row("small", Config(rows=2, cols=2, weight_rows=2, weight_tiles=64, scratchpad_bytes=512), 90)


@pytest.fixture
def fakes(tmp_path, monkeypatch):
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path / "cache"))
    for name, body in (("yosys", YOSYS), ("nextpnr-ecp5", NEXTPNR), ("ecppack", ECPPACK)):
        install(tmp_path, monkeypatch, name, body)


def report():
    return read_report(json.dumps(REPORT), "ecp5", "a device", 1)


def test_resources_and_path_in_words():
    assert resources(report()) == ["3 of 10", "2 of 10", "0 of 4", ""]
    assert path(report()) == "a to c: 3.88 ns, 3.00 of them routing, 1 cells between"
    assert path(replace(report(), paths=())) == ""
    assert path(replace(report(), paths=(), untimed="the adders")) == "not timed: the adders"
    assert path(replace(report(), untimed="the adders")).endswith("1 cells between; not timed: the adders")
    both = (Used("9x9 multiplier", 16, 96), Used("18x18 multiplier", 4, 48))
    assert resources(replace(report(), utilization=both)) == ["", "", "16 of 96, 4 of 48", ""]


@pytest.mark.usefixtures("fakes")
def test_table_of_a_design():
    console = Console(file=io.StringIO(), width=300)
    build, reports = measure(SMALL, 3, console)
    assert build.report.fmax == 105
    line = cells(SMALL, build, reports)
    assert line[:5] == ["small", "105.0 MHz", "1: 95.0, 2: 100.0, 3: 105.0", "90 MHz", "3 of 10"]
    console.print(sheet([line]).terminal())
    assert all(cell in console.file.getvalue() for cell in line)
    with_network = cells(replace(SMALL, config=BOARDS["ulx3s"].config), build, reports)
    cycles = lenet_cycles(BOARDS["ulx3s"].config)
    assert with_network[8] == f"{cycles:,} cycles, {cycles / 105:,.1f} us"


def test_pages_keep_the_lines_of_other_designs():
    first, second = [[ROWS[index].name, *(str(index) for _ in HEADS[1:])] for index in (0, 1)]
    page = f"before\n{BEGIN}\n{END}\nafter\n"
    both = inserted(inserted(page, [second], "page"), [first], "page")
    assert both == inserted(page, [first, second], "page")
    assert both.startswith("before\n")
    assert both.endswith("\nafter\n")
    again = inserted(both, [[ROWS[1].name, *("new" for _ in HEADS[1:])]], "page")
    assert [line for line in again.splitlines() if line.startswith("| ULX3S")] == [
        f"| {' | '.join(first)} |",
        f"| {ROWS[1].name} |{' new |' * (len(HEADS) - 1)}",
    ]
    with pytest.raises(UserError) as caught:
        inserted("nothing", [], "page")
    assert str(caught.value) == f"page: the text must have one line {BEGIN} and behind it one line {END}"


@pytest.mark.usefixtures("fakes")
def test_command_line(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(bench, "ROWS", (SMALL,))
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}\n{END}\n")
    assert bench.main(["--seeds", "1", "--docs", str(page)]) == 0
    assert "small" in capsys.readouterr().out
    assert "| small | 95.0 MHz |" in page.read_text()
    assert bench.main(["--only", "large"]) == 2
    assert capsys.readouterr().err == "error: no design's name holds large; the designs are small\n"
    assert bench.main(["--seeds", "0"]) == 2
    assert capsys.readouterr().err == "error: --seeds must be at least 1, not 0\n"
    monkeypatch.setenv("NEXTPNR_ECP5", "nowhere")
    assert bench.main(["--seeds", "2"]) == 2
    assert capsys.readouterr().err == "error: NEXTPNR_ECP5 is 'nowhere', and there is no such program\n"


def test_lenet_stays_within_its_time():
    """100 microseconds at the clock that the whole design must reach, and all weights in block RAM."""
    assert lenet_cycles(BOARDS["ulx3s"].config) <= 6000
    assert ROWS[0].bar == 100


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
    made = design(FewPins(Npu(config)), "top", config=config, technology=Ecp5())
    folder = synthesize(made, ULX3S)
    netlist = (folder / "netlist.v").read_text()
    assert netlist.count("MULT18X18D #(") == 4 + 4
    # Two banks of the scratchpad and of the weights, two halves for two columns, and three for a parameter record.
    assert netlist.count("PDPW16KD #(") == 2 + 2 + 4 + 3
    assert " DP16KD #(" not in netlist
