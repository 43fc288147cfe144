"""Functional crosses: which combinations of shape, operator, stride, padding, remainder and stalls have run on the RTL.

    python -m tests.crosses [--rounds N] [SHAPE ...]

Random programs run on every shape of tests/configurations.py under every stall pattern, and memory must equal the
functional machine's. Each drained tile counts for one cell of the product of all dimensions. A round has PROGRAMS
programs under each pattern; there is another one until every cell has run, or until there were ROUNDS.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import product
from time import perf_counter
from typing import Annotated

import numpy as np
import typer
from weft.rtl.config import Config
from weft.rtl.isa import Combine, Instruction, Mode, Opcode
from weft.sim.fuzz import random_program
from weft.sim.library import npu_library
from weft.sim.machine import Machine
from weft.sim.verification import Row
from weft.sim.verilated import MemoryModel, VerilatedNpu
from weft.sw.commands.figures import Sheet
from weft.sw.commands.progress import standard_output
from weft.sw.transport import DeviceError, Job

from tests.configurations import CONFIGURATIONS

STALLS = {
    "never": MemoryModel(),
    "slow memory": MemoryModel(read_latency=60, write_latency=30),
    "some": MemoryModel(stalls=0.2, stall_seed=2),
    "many": MemoryModel(read_latency=25, stalls=0.7, stall_seed=3),
}
"""Pauses on all channels of the bus."""

STRIDES = (1, 2, 3)
WINDOWS = ("plain", "largest", "sum", "product")
PROGRAMS = 100
ROUNDS = 6
MEMORY_BYTES = 4 << 20

Cell = tuple[str, str, str, int, bool, bool, str]
"""Shape, mode of the array, window of the drain, stride, padding, a rest of rows or lanes, stalls."""


def cells(name: str) -> set[Cell]:
    """All that a shape can do."""
    config = CONFIGURATIONS[name]
    modes = ("dense", "columns") if config.depthwise else ("dense",)
    windows = WINDOWS if config.tables else WINDOWS[:-1]
    rest = (False, True) if config.rows > 1 or config.lanes > 1 else (False,)
    return {
        (name, mode, window, stride, padded, left, stalls)
        for mode, window, stride, padded, left, stalls in product(
            modes, windows, STRIDES, (False, True), rest, STALLS
        )
    }  # fmt: skip


def _window(one: Instruction) -> str:
    if one.combine == Combine.MULTIPLY.value:
        return "product"
    if one.window_height * one.window_width == 1:
        return "plain"
    return "sum" if one.combine == Combine.ADD.value else "largest"


def reached(name: str, stalls: str, program: Sequence[Instruction]) -> Iterator[Cell]:
    """The cells of a program: of each CONV that commits, with each DRAIN of its sums."""
    config: Config = CONFIGURATIONS[name]
    tiles: list[Instruction] = []
    for one in program:
        if one.opcode is Opcode.CONV:
            tiles = [one] if one.acquire else [*tiles, one]
        elif one.opcode is Opcode.DRAIN:
            for tile in tiles:
                columns = tile.mode == Mode.COLUMNS.value
                yield (
                    name,
                    "columns" if columns else "dense",
                    _window(one),
                    tile.y_step,
                    tile.x0 < 0 or tile.y0 < 0,
                    bool(tile.run % (config.cols if columns else config.rows) or one.channels % config.lanes),
                    stalls,
                )


def count(name: str, programs: int, first: int = 0) -> tuple[Counter[Cell], list[str]]:
    """How often each cell of a shape ran, and what went wrong."""
    config = CONFIGURATIONS[name]
    found: Counter[Cell] = Counter()
    failures = []
    for index, (stalls, model) in enumerate(STALLS.items()):
        npu = VerilatedNpu(config, MEMORY_BYTES, model, npu_library(config))
        for seed in range(first + index * programs, first + (index + 1) * programs):
            program = random_program(config, seed)
            machine = Machine(config, program.memory.copy())
            machine.run(0, program.bases)
            npu.reset()
            npu.write(0, program.memory)
            try:
                npu.run(Job(0, program.bases))
                if not np.array_equal(npu.memory[: len(machine.memory)], machine.memory):
                    failures.append(f"{name}, {stalls}, seed {seed}: memory differs from the machine's")
            except DeviceError as error:
                failures.append(f"{name}, {stalls}, seed {seed}: {error}")
            found.update(reached(name, stalls, program.program))
        npu.close()
    return found, failures


def rounds(name: str, most: int = ROUNDS) -> tuple[Counter[Cell], list[str], int]:
    """Cells of a shape, what went wrong, and how many programs: rounds until every cell has run."""
    wanted = cells(name)
    found: Counter[Cell] = Counter()
    failures: list[str] = []
    size = PROGRAMS * len(STALLS)
    for index in range(most):
        more, wrong = count(name, PROGRAMS, index * size)
        found += more
        failures += wrong
        if wanted <= set(found):
            break
    return found, failures, (index + 1) * size


def campaign(names: Sequence[str] = tuple(CONFIGURATIONS), most: int = ROUNDS) -> Iterator[Row]:
    """Programs that were compared, and cells that they reached, of which none may be missing."""
    for name in names:
        start = perf_counter()
        found, failures, programs = rounds(name, most)
        seeds = f"0 to {programs - 1}"
        least = PROGRAMS * len(STALLS)
        yield Row("random programs equal to the machine's", programs, failures, least, perf_counter() - start, seeds)
        wanted = cells(name)
        share = 100 * len(wanted & set(found)) / len(wanted)
        yield Row(f"crosses of {name} that ran", round(share, 1), [], 100, 0, seeds, "%")


def report(counts: Counter[Cell], wanted: set[Cell]) -> Sheet:
    """Per value of each dimension: cells reached, of all cells, and tiles."""
    rows = []
    for place, dimension in enumerate(("shape", "mode", "window", "stride", "padding", "rest", "stalls")):
        for value in dict.fromkeys(cell[place] for cell in sorted(wanted, key=str)):
            own = {cell for cell in wanted if cell[place] == value}
            tiles = sum(counts[cell] for cell in own)
            rows.append((f"{dimension}: {value}", f"{len(own & set(counts)):,}", f"{len(own):,}", f"{tiles:,}"))
    return Sheet("Functional crosses", ("dimension", "cells reached", "cells", "tiles"), rows)


def crosses(
    names: Annotated[list[str] | None, typer.Argument(metavar="SHAPE...", help="All by default.")] = None,
    most: Annotated[int, typer.Option("--rounds", min=1, help="At most so many, of 400 programs.")] = ROUNDS,
) -> None:
    """Run random programs on each shape, and show which combinations they reached; exit status 1 if one went wrong."""
    counts: Counter[Cell] = Counter()
    wanted: set[Cell] = set()
    failures: list[str] = []
    for name in names or CONFIGURATIONS:
        if name not in CONFIGURATIONS:
            typer.echo(f"weft: {name} is not a shape; the shapes are {', '.join(CONFIGURATIONS)}", err=True)
            raise typer.Exit(2)
        found, wrong, _ = rounds(name, most)
        counts += found
        wanted |= cells(name)
        failures += wrong
    standard_output().print(report(counts, wanted).terminal())
    for failure in failures:
        typer.echo(f"weft: {failure}", err=True)
    if failures:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(crosses)
