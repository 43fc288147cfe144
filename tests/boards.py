"""The board that tests simulate: one of those that are known, with the smallest NPU that runs all of LeNet. One build
for all."""

from weft.fpga.boards import BOARDS
from weft.fpga.emulation import rtl_board
from weft.sim.serial_board import SerialBoard

BOARD = BOARDS["tang-primer-20k"]
CONFIG, MEMORY_BYTES, CLOCK_HZ = BOARD.config, BOARD.memory_bytes, BOARD.clock_hz


def board() -> SerialBoard:
    return rtl_board(BOARD)
