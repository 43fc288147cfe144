"""What FPGAs make of designs: `python -m weft.fpga.bench` builds boards and arrays, and prints clocks, resources and
LeNet's time as a table; with `--docs` it puts them into pages, too."""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from weft.gen.presets import MEDIUM
from weft.rtl.array import Array
from weft.rtl.config import Config
from weft.sw.commands.figures import Sheet, insert
from weft.sw.commands.shared import LENET
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.errors import UserError
from weft.sw.files import replace_file
from weft.sw.onnx.reader import read_onnx

from .board_build import board_design
from .boards import BOARDS, Board
from .device import Device, ecp5
from .ecp5 import REGISTERED, Ecp5, array_sites
from .few_pins import FewPins
from .flow import Build, Design, best, design
from .pll import MHZ
from .report import Report

ULX3S = ecp5("85k", "CABGA381", 6)
"""The FPGA of a ULX3S with the largest chip, in the slowest speed grade."""

MARKS = ("<!-- fpga:begin -->", "<!-- fpga:end -->")
"""What stands before and behind the table in a page."""

HEADS = ("design", "clock", "of seeds", "bar", "LUT", "FF", "DSP", "block RAM", "LeNet-5", "limited by")
KINDS = (("LUT", "LUT with FF"), ("FF",), ("DSP", "9x9 multiplier", "18x18 multiplier"), ("block RAM",))
"""The resources that are shown, by the names that they have in the families' reports."""


@dataclass(frozen=True)
class Row:
    """One design to build.

    Attributes
    ----------
    frequency : that place and route is asked for, in MHz. bar : that is to be reached.
    config : of the NPU whose time for LeNet-5 is told; None for a part of one. seed : of the first placement.
    """

    name: str
    device: Device
    frequency: float
    bar: float
    design: Callable[[], Design]
    config: Config | None = None
    seed: int = 1


def board_row(board: Board, bar: float) -> Row:
    """The whole board."""
    frequency = board.clock_hz / MHZ
    return Row(board.title, board.device, frequency, bar, lambda: board_design(board), board.config, board.seed)


def array_row(name: str, config: Config, bar: float) -> Row:
    """The array alone, with few pins."""

    def made() -> Design:
        return design(FewPins(Array(config)), "top", technology=Ecp5(array_sites(config, ULX3S.size)))

    return Row(name, ULX3S, bar, bar, made)


WIDE = MEDIUM.replace(**REGISTERED)

ROWS = (
    board_row(BOARDS["ulx3s"], 100),
    array_row("ULX3S, array 16x8 alone", WIDE, 180),
    array_row("ULX3S, array 16x8 alone, no depthwise", WIDE.replace(depthwise=False), 180),
    board_row(BOARDS["icebreaker"], 20),
    board_row(BOARDS["tang-primer-20k"], BOARDS["tang-primer-20k"].clock_hz / MHZ),
)


def lenet_cycles(config: Config) -> int:
    """Cycles of LeNet-5 from start to done, as predicted; tests hold the prediction to the hardware."""
    network = compile_model(read_onnx(LENET), config)
    return sum(layer.predicted_cycles for layer in network.layers)


def resources(report: Report) -> list[str]:
    """How many of how many, of the four kinds that designs run out of."""
    kinds = [[one for name in names if (one := report.used(name)).available] for names in KINDS]
    return [", ".join(f"{one.used:,} of {one.available:,}" for one in found) for found in kinds]


def path(report: Report) -> str:
    """What limits the clock, in one line, and what it leaves out."""
    said = []
    if report.paths:
        longest = max(report.paths, key=lambda one: one.delay)
        said.append(
            f"{_unit(longest.start)} to {_unit(longest.end)}: {longest.delay:.2f} ns, {longest.routing:.2f} of them "
            f"routing, {longest.hops} cells between"
        )
    if report.untimed:
        said.append(f"not timed: {report.untimed}")
    return "; ".join(said)


def _unit(cell: str) -> str:
    """The module of a cell, by the last two names on the way to it."""
    return ".".join(cell.split(".")[-3:-1]) or cell


def measure(row: Row, seeds: int, console: Console) -> tuple[Build, list[Report]]:
    """Build a row with some seeds."""
    with console.status(f"{row.name}: synthesis"):
        made = row.design()
    with console.status(f"{row.name}: place and route, {seeds} seeds"):
        return best(made, row.device, frequency=row.frequency, seeds=range(row.seed, row.seed + seeds))


def cells(row: Row, build: Build, reports: list[Report]) -> list[str]:
    """A line of the table."""
    fmax = build.report.fmax
    time = ""
    if row.config is not None:
        cycles = lenet_cycles(row.config)
        time = f"{cycles:,} cycles, {cycles / fmax:,.1f} us"
    spread = ", ".join(f"{report.seed}: {report.fmax:.1f}" for report in reports)
    return [row.name, f"{fmax:.1f} MHz", spread, f"{row.bar:g} MHz", *resources(build.report), time, path(build.report)]


def sheet(lines: Sequence[list[str]]) -> Sheet:
    """The table."""
    return Sheet("Designs, placed and routed", HEADS, lines)


def inserted(text: str, lines: Sequence[list[str]], where: str) -> str:
    """A page with the lines in its table; lines of other designs stay as they are. `where` names the page in errors.

    Raises
    ------
    UserError
        If the page has no place for it.
    """
    order = [row.name for row in ROWS]
    inside = text.partition(MARKS[0])[2].partition(MARKS[1])[0]
    old = [[cell.strip() for cell in line.strip("|").split("|")] for line in inside.splitlines() if line[:1] == "|"]
    known = {line[0]: line for line in [*old, *lines] if line[0] in order}
    return insert(text, [sheet([known[name] for name in order if name in known])], where, MARKS)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m weft.fpga.bench", description=__doc__)
    parser.add_argument("--seeds", type=int, default=8, help="placements to try of each design")
    parser.add_argument("--only", default="", help="designs whose name holds this text")
    parser.add_argument("--docs", type=Path, nargs="*", default=(), help="pages whose tables get the lines")
    options = parser.parse_args(arguments)
    console = Console()
    try:
        if options.seeds < 1:
            raise UserError(f"--seeds must be at least 1, not {options.seeds}")
        rows = [row for row in ROWS if options.only in row.name]
        if not rows:
            names = ", ".join(row.name for row in ROWS)
            raise UserError(f"no design's name holds {options.only}; the designs are {names}")
        lines = [cells(row, *measure(row, options.seeds, console)) for row in rows]
        for page in options.docs:
            replace_file(page, inserted(page.read_text(encoding="utf-8"), lines, str(page)).encode())
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    console.print(sheet(lines).terminal())
    return 0


if __name__ == "__main__":
    sys.exit(main())
