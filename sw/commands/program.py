"""`weft program`."""

from pathlib import Path
from typing import Annotated

import typer


def program(
    board: Annotated[str, typer.Argument(metavar="BOARD", help="See `weft boards`.")],
    bitstream: Annotated[
        Path | None, typer.Option("--bitstream", metavar="FILE", help="As `weft build` wrote it; else it is built.")
    ] = None,
    flash: Annotated[bool, typer.Option("--flash", help="Keep it over a power cycle.")] = False,
) -> None:
    """Load a bitstream into a board, with openFPGALoader."""
    from weft.fpga.boards import board_named
    from weft.fpga.programmer import load

    from .progress import Steps

    chosen = board_named(board)
    steps = Steps(lines=True)
    if bitstream is None:
        from weft.fpga.board_build import build_board

        with steps.step(f"Building {chosen.title}"):
            made, _ = build_board(chosen)
        assert made.bitstream is not None
        bitstream = made.bitstream
    with steps.step(f"Loading {bitstream.name} into {chosen.title}"):
        load(chosen, bitstream, flash)
