"""Random legal programs on the RTL and on the functional machine, until the time is up: `make soak MINUTES=10`.

    python -m weft.sim.campaigns.soak --minutes 10 [--seed 7] [--preset small]

A failure prints the seed that repeats it, with --count 1.
"""

from collections.abc import Iterator
from time import monotonic, process_time
from typing import Annotated

import numpy as np
import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from weft.gen.presets import PRESETS, SMALL, load_config
from weft.rtl.config import Config
from weft.sim.faulty import FaultyNpu
from weft.sim.fuzz import random_program
from weft.sim.machine import Machine
from weft.sim.verification import Row
from weft.sw.commands.progress import standard_output
from weft.sw.errors import UserError
from weft.sw.transport import DeviceError, Job

CYCLE_LIMIT = 500_000
STALLS = (0.0, 0.0, 0.2, 0.6)


def compare(npu: FaultyNpu, seed: int, tiles: int = 6) -> str:
    """One program on both, with random stalls; what is wrong, or nothing."""
    program = random_program(npu.config, seed, tiles)
    machine = Machine(npu.config, program.memory.copy())
    machine.run(0, program.bases)
    npu.memory[: len(program.memory)] = program.memory
    npu.stall(float(np.random.default_rng(seed).choice(STALLS)))
    try:
        npu.run(Job(0, program.bases, cycle_limit=CYCLE_LIMIT))
    except DeviceError as error:
        npu.power_cycle()
        return str(error)
    if not np.array_equal(npu.memory[: len(program.memory)], machine.memory):
        return "the RTL leaves another memory than the functional machine"
    return npu.misuse


def campaign(config: Config = SMALL, first: int = 0, count: int = 2000, tiles: int = 6) -> Iterator[Row]:
    """So many programs, one after the other on one NPU."""
    start = process_time()
    npu = FaultyNpu(config, 3 << 20)
    failures = []
    for seed in range(first, first + count):
        problem = compare(npu, seed, tiles)
        if problem:
            failures.append(f"seed {seed} on {config.rows}x{config.cols}: {problem}")
    seconds, seeds = process_time() - start, f"{first} to {first + count - 1}"
    yield Row("random legal programs, RTL and functional machine", count, failures, count, seconds, seeds)


def soak(
    minutes: Annotated[float, typer.Option(min=0, help="Stop after so many minutes.")] = 10,
    seed: Annotated[int | None, typer.Option(min=0, help="The first seed; random without it.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many programs, too.")] = None,
    preset: Annotated[str, typer.Option(metavar="NAME", help=f"One of {', '.join(PRESETS)}.")] = "small",
) -> None:
    """Run random legal programs on the RTL and on the functional machine; exit status 1 if they differ."""
    try:
        npu = FaultyNpu(load_config(preset), 3 << 20)
    except (UserError, ValueError) as error:
        typer.echo(f"weft: {error}", err=True)
        raise typer.Exit(2) from None
    first = int(np.random.default_rng().integers(1 << 31)) if seed is None else seed
    console = standard_output()
    console.print(f"Random programs on {preset}, from seed {first}, for {minutes:g} minutes", highlight=False)
    done, failures = 0, 0
    end = monotonic() + 60 * minutes
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("")
        while monotonic() < end and (count is None or done < count):
            problem = compare(npu, first + done)
            if problem:
                failures += 1
                typer.echo(f"weft: seed {first + done}: {problem}", err=True)
            done += 1
            progress.update(task, description=f"{done:,} programs, {failures:,} failures, {npu.cycle:,} cycles")
    console.print(
        f"{done:,} programs from seed {first} to {first + done - 1}, {npu.cycle:,} cycles: "
        f"{failures:,} {'failure' if failures == 1 else 'failures'}",
        highlight=False,
    )
    if failures:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(soak)
