"""`weft emulate`."""

from typing import Annotated

import typer

from .options import ConfigFile, Preset, Settings
from .shared import adapted_board


def emulate(
    board: Annotated[str, typer.Argument(metavar="BOARD", help="See `weft boards`.")],
    netlist: Annotated[
        bool, typer.Option("--netlist", help="Simulate what synthesis made of it, in the device's cells.")
    ] = False,
    preset: Preset = None,
    config: ConfigFile = None,
    settings: Settings = None,
) -> None:
    """Simulate a board, serial pins included, behind a pseudo-terminal, until interrupted."""
    import signal

    chosen = adapted_board(board, preset, config, settings)
    from weft.fpga.emulation import netlist_board, rtl_board

    from .progress import Steps

    what = "netlist" if netlist else "RTL"
    with Steps(lines=True).step(f"Compiling the {what} of {chosen.title}"):
        simulated = netlist_board(chosen) if netlist else rtl_board(chosen)
    # Blocked before a thread is started, they wait for sigwait, even where a shell in the background ignores SIGINT.
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with simulated.terminal() as name:
        print(name, flush=True)
        signal.sigwait(ends)
