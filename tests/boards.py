"""The board that tests simulate: the smallest NPU that runs all of LeNet, with 64 KB of memory. One build for all."""

from weft.rtl.config import Config
from weft.rtl.link_protocol import DEFAULT_BAUD
from weft.sim.serial_board import SerialBoard, board_library

CONFIG = Config(axi=False, axi_outstanding=1)
MEMORY_BYTES = 1 << 16
CLOCK_HZ = 12_000_000
DIVISOR = CLOCK_HZ // DEFAULT_BAUD


def library():
    return board_library(CONFIG, MEMORY_BYTES, CLOCK_HZ, DEFAULT_BAUD)


def board() -> SerialBoard:
    return SerialBoard(library(), DIVISOR)
