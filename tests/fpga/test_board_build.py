"""The tools themselves are faked here; tests of real bitstreams are in test_board_build_tools.py."""

from weft.fpga.board_build import adapted, technology_of
from weft.fpga.boards import BOARDS
from weft.fpga.ecp5 import Ecp5
from weft.fpga.gowin import Gowin
from weft.fpga.ice40 import Ice40
from weft.gen.presets import PRESETS

BOARD = BOARDS["tang-primer-20k"]


def test_adapted_boards():
    assert adapted(BOARD) == BOARD
    other = adapted(BOARD, PRESETS["small"], 54_000_000)
    assert (other.config, other.clock_hz) == (PRESETS["small"].replace(axi=False), 54_000_000)
    assert other.name == BOARD.name


def test_primitives_are_the_devices_and_new_for_each_design():
    kinds = {"ecp5": Ecp5, "ice40": Ice40, "gowin": Gowin}
    for board in BOARDS.values():
        one, other = technology_of(board), technology_of(board)
        assert type(one) is kinds[board.device.family]
        assert one is not other


def test_the_array_of_the_largest_chip_is_laid_out():
    board = BOARDS["ulx3s"]
    assert len(technology_of(board).sites) == board.config.macs_per_cycle
