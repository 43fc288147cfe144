"""A board's bitstream by the real programs."""

from weft.fpga.board_build import board_design
from weft.fpga.boards import BOARDS
from weft.fpga.flow import NETLIST, best, synthesize
from weft.fpga.pll import MHZ
from weft.fpga.report import Report

BOARD = BOARDS["icebreaker"]
PREAMBLE = bytes.fromhex("7eaa997e")
"""Lattice FPGA-TN-02001, iCE40 programming and configuration: begins what the device reads."""


def test_the_icebreaker_fits_and_is_as_fast_as_its_clock(tmp_path):
    made = board_design(BOARD)
    build, _ = best(made, BOARD.device, frequency=BOARD.clock_hz / MHZ, seeds=range(1, 4), stop_when_met=True)
    report = build.report
    assert report.met
    assert report.fmax >= 20
    kinds = ("LUT with FF", "DSP", "block RAM", "SPRAM")
    assert all(0 < report.used(kind).used <= report.used(kind).available for kind in kinds)
    assert report.used("DSP").used == 8
    # test_emulation_netlist.py runs LeNet on this netlist.
    assert build.netlist == synthesize(made, BOARD.device) / NETLIST
    files = {file.name for file in build.export(tmp_path, BOARD.name)}
    logs = {"yosys.log", "nextpnr-ice40.log", "icepack.log"}
    assert files == {f"icebreaker{end}" for end in (".v", ".json", ".svg", "_netlist.v", ".bin")} | logs
    assert PREAMBLE in (tmp_path / "icebreaker.bin").read_bytes()
    assert Report.from_json((tmp_path / "icebreaker.json").read_text()) == report
