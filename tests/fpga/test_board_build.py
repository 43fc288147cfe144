"""The tools themselves are faked here; tests of real bitstreams are in test_board_build_tools.py."""

from weft.fpga.board_build import TECHNOLOGIES, adapted, technology_of
from weft.fpga.boards import BOARDS
from weft.gen.presets import PRESETS

BOARD = BOARDS["tang-primer-20k"]


def test_adapted_boards():
    assert adapted(BOARD) == BOARD
    other = adapted(BOARD, PRESETS["small"], 54_000_000)
    assert (other.config, other.clock_hz) == (PRESETS["small"].replace(axi=False), 54_000_000)
    assert other.name == BOARD.name


def test_primitives_are_new_for_each_design_and_portable_forms_without():
    for board in BOARDS.values():
        one, other = technology_of(board), technology_of(board)
        assert (one is None) == (board.device.family not in TECHNOLOGIES)
        assert one is None or one is not other
