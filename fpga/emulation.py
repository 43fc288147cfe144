"""A board in simulation: its RTL, or the netlist that synthesis made of it, behind a line."""

from collections.abc import Mapping

from weft.rtl.link_protocol import DEFAULT_BAUD
from weft.rtl.serial_top import divisor_of
from weft.sim.library import TOP as SIMULATION
from weft.sim.library import compile_library
from weft.sim.serial_board import HARNESS, SerialBoard, board_library

from .board_build import board_design
from .board_top import board_pins
from .boards import Board
from .cells import cell_models
from .flow import NETLIST_VERILOG, synthesize
from .pins import Pin


def rtl_board(board: Board, baud: int = DEFAULT_BAUD) -> SerialBoard:
    """The board's RTL, compiled."""
    library = board_library(board.config, board.memory_bytes, board.clock_hz, baud)
    return SerialBoard(library, divisor_of(board.clock_hz, baud))


def netlist_board(board: Board, baud: int = DEFAULT_BAUD) -> SerialBoard:
    """The netlist after synthesis, compiled with models of the device's cells: what place and route is given."""
    design = board_design(board, baud)
    netlist = (synthesize(design, board.device) / NETLIST_VERILOG).read_text(encoding="utf-8")
    parts = (cell_models(board.device.family), netlist, adapter(board_pins(board), design.top))
    library = compile_library("\n".join(parts), HARNESS)
    return SerialBoard(library, divisor_of(board.clock_hz, baud))


def adapter(pins: Mapping[str, Pin], name: str) -> str:
    """Verilog of the module that the harness drives, around a board's top."""
    busy = "1'b0"
    ports = [".clock(clk)", ".receive(receive_q)", ".transmit(transmit)"]
    if "busy" in pins:
        ports.append(".busy(lamp)")
        busy = "~lamp" if pins["busy"].inverted else "lamp"
    return "\n".join(
        [
            f"module {SIMULATION}(input clk, input rst, input receive, output transmit, output busy);",
            "reg receive_q = 1; always @(posedge clk) receive_q <= receive;",
            "wire lamp;",
            f"assign busy = {busy};",
            f"{name} board({', '.join(ports)});",
            "endmodule",
            "",
        ]
    )
