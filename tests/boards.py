"""The boards that tests simulate: one of those that are known, with the smallest NPU that runs all of LeNet, and a
small one with all registers of an ECP5. One build for all."""

from dataclasses import replace

from weft.fpga.board_build import adapted
from weft.fpga.boards import BOARDS
from weft.fpga.ecp5 import REGISTERED
from weft.fpga.emulation import rtl_board
from weft.fpga.pll import MHZ
from weft.gen.presets import TINY
from weft.sim.serial_board import SerialBoard

BOARD = BOARDS["tang-primer-20k"]
CONFIG, MEMORY_BYTES, CLOCK_HZ = BOARD.config, BOARD.memory_bytes, BOARD.clock_hz

REGISTERED_BOARD = replace(
    adapted(
        BOARDS["ulx3s"],
        TINY.replace(
            **{"weight_tiles": 3968, "scratchpad_bytes": 4096, "accumulators": 64, "parameter_channels": 256},
            **{"axi_outstanding": 1, "fences": True, "checks": True, "autopsy": True},
            **REGISTERED,
        ),
        50 * MHZ,
    ),
    memory_bytes=16 << 10,
)


def board() -> SerialBoard:
    return rtl_board(BOARD)


def registered_board() -> SerialBoard:
    return rtl_board(REGISTERED_BOARD)
