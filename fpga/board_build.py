"""A board's bitstream."""

from collections.abc import Iterable
from dataclasses import replace

from weft.rtl.config import Config
from weft.rtl.link_protocol import DEFAULT_BAUD

from .board_top import TOP, BoardTop, check_board
from .boards import Board
from .ecp5 import Ecp5, array_sites
from .flow import Build, Design, best, design
from .gowin import Gowin
from .ice40 import Ice40
from .pll import MHZ
from .report import Report


def adapted(board: Board, config: Config | None = None, clock_hz: int | None = None) -> Board:
    """The board with another NPU, which is taken without AXI, or another clock."""
    config = board.config if config is None else config.replace(axi=False)
    return replace(board, config=config, clock_hz=clock_hz or board.clock_hz)


def technology_of(board: Board) -> object:
    """The primitives of the board's device, a new object for each design."""
    match board.device.family:
        case "ecp5":
            return Ecp5(array_sites(board.config, board.device.size))
        case "ice40":
            return Ice40()
        case "gowin":
            return Gowin()


def board_design(board: Board, baud: int = DEFAULT_BAUD) -> Design:
    """What is built for a board.

    Raises
    ------
    UserError, ValueError
        As check_board does.
    """
    check_board(board, baud)
    top = BoardTop(board, baud)
    return design(top, TOP, config=board.config, technology=technology_of(board), constraints=top.constraints)


def build_board(board: Board, seeds: Iterable[int] = (1,), baud: int = DEFAULT_BAUD) -> tuple[Build, list[Report]]:
    """The bitstream with the most margin, and what each seed achieved.

    Raises
    ------
    UserError
        As flow.build does.
    """
    return best(board_design(board, baud), board.device, frequency=board.clock_hz / MHZ, seeds=seeds)
