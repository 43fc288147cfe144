"""Bitstreams of boards by the real programs."""

from weft.fpga.board_build import board_design
from weft.fpga.boards import BOARDS
from weft.fpga.flow import NETLIST, build, synthesize
from weft.fpga.pll import MHZ
from weft.fpga.report import Report

from tests.boards import REGISTERED_BOARD

BOARD = BOARDS["icebreaker"]
PREAMBLE = bytes.fromhex("7eaa997e")
"""Lattice FPGA-TN-02001, iCE40 programming and configuration: begins what the device reads."""


def test_the_icebreaker_fits_and_is_as_fast_as_its_clock(tmp_path):
    made = board_design(BOARD)
    chosen = build(made, BOARD.device, frequency=BOARD.clock_hz / MHZ, seed=BOARD.seed)
    report = chosen.report
    assert report.met
    assert report.fmax >= 20
    kinds = ("LUT with FF", "DSP", "block RAM", "SPRAM")
    assert all(0 < report.used(kind).used <= report.used(kind).available for kind in kinds)
    assert report.used("DSP").used == 8
    # test_emulation_netlist.py runs LeNet on this netlist.
    assert chosen.netlist == synthesize(made, BOARD.device) / NETLIST
    files = {file.name for file in chosen.export(tmp_path, BOARD.name)}
    logs = {"yosys.log", "nextpnr-ice40.log", "icepack.log"}
    assert files == {f"icebreaker{end}" for end in (".v", ".json", ".svg", "_netlist.v", ".bin")} | logs
    assert PREAMBLE in (tmp_path / "icebreaker.bin").read_bytes()
    assert Report.from_json((tmp_path / "icebreaker.json").read_text()) == report


def test_a_small_ecp5_is_as_fast_as_its_clock():
    """4x4, with all registers of the device's primitives and all that finds faults."""
    board = REGISTERED_BOARD
    made = build(board_design(board), board.device, frequency=board.clock_hz / MHZ)
    assert made.report.met
    # Those of the array, and four and one of the requantizer's.
    assert made.report.used("DSP").used == board.config.macs_per_cycle + 4
    assert made.bitstream is not None
    assert b"LFE5U-85F" in made.bitstream.read_bytes()[:256]
