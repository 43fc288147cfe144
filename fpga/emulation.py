"""A board in simulation: its RTL, or the netlist that synthesis made of it, behind a line."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from weft.rtl.link_protocol import DEFAULT_BAUD
from weft.rtl.serial_top import divisor_of
from weft.sim.cache import cached
from weft.sim.library import TOP as SIMULATION
from weft.sim.library import compile_library
from weft.sim.serial_board import HARNESS, SerialBoard, board_library

from .board_build import board_design
from .board_top import board_pins
from .boards import Board
from .cells import cell_models
from .flow import NETLIST, synthesize
from .pins import Pin
from .tools import find, run

RENAMED = "renamed.v"
RENAME = (
    f"read_json {NETLIST}; splitnets; opt_clean -purge; rename -hide; rename -enumerate -pattern n%; "
    f"write_verilog -noattr {RENAMED}"
)
"""The same cells at the same wires, each of one bit, under short names: synthesis names them after all that they come
from, and compilers read that."""


def rtl_board(board: Board, baud: int = DEFAULT_BAUD) -> SerialBoard:
    """The board's RTL, compiled."""
    library = board_library(board.config, board.memory_bytes, board.clock_hz, baud)
    return SerialBoard(library, divisor_of(board.clock_hz, baud))


def netlist_board(board: Board, baud: int = DEFAULT_BAUD) -> SerialBoard:
    """The netlist after synthesis, compiled with models of the device's cells: what place and route is given."""
    design = board_design(board, baud)
    netlist = renamed(synthesize(design, board.device) / NETLIST)
    parts = (cell_models(board.device.family), netlist, adapter(board_pins(board), design.top))
    library = compile_library("\n".join(parts), HARNESS)
    return SerialBoard(library, divisor_of(board.clock_hz, baud))


def renamed(netlist: Path) -> str:
    """Verilog of a netlist, after RENAME.

    Raises
    ------
    UserError
        If Yosys is not there or fails.
    """
    yosys = find("yosys")
    text = netlist.read_bytes()
    key = hashlib.sha256(b"\0".join((yosys.identity.encode(), RENAME.encode(), text))).hexdigest()[:32]

    def build(folder: Path) -> None:
        (folder / NETLIST).write_bytes(text)
        run(yosys, ("-q", "-p", RENAME), folder, "the netlist could not be made ready for simulation")
        (folder / NETLIST).unlink()

    return (cached(f"renamed-{key}", build) / RENAMED).read_text(encoding="utf-8")


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
