"""The flow with programs that stand in for the real ones: what is run, what is kept, what fails how."""

import json
from collections import Counter
from itertools import pairwise

import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import Component, In, Out
from weft.fpga import flow
from weft.fpga.device import ecp5
from weft.sw.errors import UserError

from tests.fpga.fake_tools import ECPPACK, NEXTPNR, YOSYS, install

DEVICE = ecp5("25k", "CABGA256", 6)
DESIGN = flow.Design("top", "module top(); endmodule", "LOCATE", ("-nodsp",))


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """A function that gives the calls so far."""
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path / "cache"))
    for name, body in (("yosys", YOSYS), ("nextpnr-ecp5", NEXTPNR), ("ecppack", ECPPACK)):
        log = install(tmp_path, monkeypatch, name, body)
    return lambda: [json.loads(line) for line in log.read_text().splitlines()]


def test_three_programs_make_a_bitstream(calls):
    build = flow.build(DESIGN, DEVICE.with_pack("--compress"), frequency=100, seed=2)
    yosys, nextpnr, ecppack = calls()
    assert yosys[-1] == (
        "read_verilog -sv top.v; synth_ecp5 -nodsp -top top -json netlist.json; write_verilog -noattr netlist.v"
    )
    options = dict(pairwise(nextpnr))
    assert (options["--freq"], options["--seed"], options["--lpf"]) == ("100", "2", "top.constraints")
    assert "--timing-allow-fail" in nextpnr
    assert ecppack[1] == "--compress"
    assert build.bitstream.read_text() == "bits of placed with 2"
    assert build.netlist.read_text() == "netlist of module top(); endmodule"
    assert build.report.fmax == 100
    assert "<svg" in build.floorplan


def test_same_design_is_built_once(calls):
    first, second = (flow.build(DESIGN, DEVICE, frequency=100) for _ in range(2))
    assert first == second
    assert len(calls()) == 3


def test_each_stage_runs_again_when_its_own_inputs_change(calls):
    for design, frequency, seed in (
        (DESIGN, 100, 1),
        (DESIGN, 100, 2),
        (DESIGN, 90, 2),
        (flow.Design("top", DESIGN.verilog, "LOCATE other", DESIGN.synthesis), 90, 2),
        (flow.Design("top", DESIGN.verilog + " ", "LOCATE", DESIGN.synthesis), 90, 2),
        (flow.Design("top", DESIGN.verilog, "LOCATE"), 90, 2),
    ):
        flow.build(design, DEVICE, frequency=frequency, seed=seed)
    counts = Counter(call[0] for call in calls())
    # What is placed the same is packed once, and what is synthesized the same is placed once.
    assert counts == {"yosys": 3, "nextpnr-ecp5": 5, "ecppack": 2}


def test_files_are_relative(calls, tmp_path):
    flow.build(DESIGN, DEVICE, frequency=100)
    assert all(str(tmp_path) not in argument for call in calls() for argument in call)


def test_best_of_seeds(calls):
    build, reports = flow.best(DESIGN, DEVICE, frequency=102, seeds=range(1, 5))
    assert [report.fmax for report in reports] == [95, 100, 105, 90]
    assert build.report == reports[2]
    assert [call[0] for call in calls()].count("ecppack") == 1


def test_failure_is_a_sentence_and_leaves_nothing(calls, tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "nextpnr-ecp5", "print('ERROR: no room'); sys.exit(1)")
    with pytest.raises(
        UserError, match=r"^top could not be placed on ECP5 25k .*: no room; all that .* is in .*\.log$"
    ):
        flow.build(DESIGN, DEVICE, frequency=100)
    assert not list((tmp_path / "cache").glob("placed*"))


def test_export(calls, tmp_path):
    build = flow.build(DESIGN, DEVICE, frequency=100)
    made = build.export(tmp_path / "out" / "deep", "board")
    assert sorted(path.name for path in made) == sorted(path.name for path in (tmp_path / "out" / "deep").iterdir())
    assert {path.name for path in made} == {
        *("board.v", "board.json", "board.svg", "board_netlist.v", "board.bit"),
        *("yosys.log", "nextpnr-ecp5.log", "ecppack.log"),
    }
    assert json.loads((tmp_path / "out" / "deep" / "board.json").read_text())["seed"] == 1


def test_component_brings_what_its_technology_asks_for():
    class Technology:
        synthesis = ("-nodsp",)

    class Wire(Component):
        i: In(1)
        o: Out(1)

        def elaborate(self, platform):
            m = Module()
            m.d.comb += self.o.eq(self.i)
            return m

    made = flow.design(Wire(), "wire_top", technology=Technology(), constraints="pins")
    assert "module wire_top" in made.verilog
    assert (made.top, made.constraints, made.synthesis) == ("wire_top", "pins", ("-nodsp",))
