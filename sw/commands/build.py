"""`weft build`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import ConfigFile, Preset, Settings
from .shared import adapted_board

if TYPE_CHECKING:
    from rich.table import Table


def build(
    board: Annotated[str, typer.Argument(metavar="BOARD", help="See `weft boards`.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the bitstream and all else.")
    ],
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Placements to try; the best one is kept.")] = 1,
    clock: Annotated[float | None, typer.Option("--clock", metavar="MHZ", help="The NPU's clock.")] = None,
    baud: Annotated[int, typer.Option("--baud", help="Bits per second of the serial line.")] = 1_000_000,
    preset: Preset = None,
    config: ConfigFile = None,
    settings: Settings = None,
) -> None:
    """Build a board's bitstream (without a configuration: the board's own)."""
    chosen = adapted_board(board, preset, config, settings, clock)
    from weft.fpga.board_build import build_board

    from .progress import Steps, standard_output

    steps = Steps(lines=True)
    with steps.step(
        f"Building {chosen.title}: {chosen.config.rows}x{chosen.config.cols} at {chosen.clock_hz / 1e6:g} MHz"
    ):
        made, tried = build_board(chosen, range(chosen.seed, chosen.seed + seeds), baud)
    files = made.export(output, chosen.name)
    console = standard_output()
    console.print(table(made.report))
    if len(tried) > 1:
        console.print("seeds: " + ", ".join(f"{one.seed} {one.fmax:.1f} MHz" for one in tried))
    for file in files:
        print(file)


def table(report: Any) -> "Table":
    """What place and route achieved: a fpga.report.Report."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False)
    made.add_column(report.device)
    for head in ("achieved", "of"):
        made.add_column(head, justify="right")
    for clock in report.clocks:
        made.add_row(f"clock {clock.name}", f"{clock.achieved:.1f} MHz", f"{clock.target:.1f} MHz")
    if report.untimed:
        made.add_row(f"not timed: {report.untimed}")
    for used in report.utilization:
        made.add_row(used.kind, f"{used.used:,}", f"{used.available:,}")
    made.add_row("seed", str(report.seed))
    return made
