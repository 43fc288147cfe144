"""Buffers that take over each other's bytes while a layer is computed: each byte is alive from the tile that writes it
until the last tile that reads it, so that a layer's output can grow into what its input has left."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..cycles.playing import Order, Work

UNITS = 512
"""Lifetimes are known per unit, of which the scratchpad has so many, or as many as it has words."""

BEFORE = -1
"""What is loaded is alive from the start."""

BEHIND = 1 << 40
"""What is stored is alive to the end."""


@dataclass(frozen=True)
class Life:
    """When each unit of a buffer is alive. A tile's reads come in step 2 n, its writes in step 2 n + 1."""

    name: str
    born: NDArray[np.int64]
    """First step, per unit."""
    died: NDArray[np.int64]
    """Last step, per unit."""


def lives_of(
    works: Sequence[Work], order: Order, sizes: Mapping[str, int], kept: Collection[str], unit: int
) -> list[Life]:
    """The lives of all buffers that these works read or write, in units of so many bytes. Those that none of them
    writes are alive from the start, those in `kept` to the end."""
    place = {one: index for index, one in enumerate(order)}
    found = []
    for name in dict.fromkeys(name for work in works for name in (*work.sources, work.target)):
        start = np.arange(0, sizes[name], unit)
        stop = np.minimum(start + unit, sizes[name])
        made = any(work.target == name for work in works)
        born = np.full(start.size, BEHIND if made else BEFORE)
        died = np.full(start.size, BEFORE)
        for number, work in enumerate(works):
            if work.target == name:
                for tile, task in enumerate(work.tasks):
                    step, written = 2 * place[number, tile] + 1, (start < task.touched[1]) & (stop > task.touched[0])
                    born[written] = np.minimum(born[written], step)
                    died[written] = np.maximum(died[written], step)
            if name in work.sources:
                for tile, task in enumerate(work.tasks):
                    reading = stop > task.passed
                    died[reading] = np.maximum(died[reading], 2 * place[number, tile])
        if name in kept:
            died[:] = BEHIND
        found.append(Life(name, born, died))
    return found


def peak(lives: Sequence[Life], steps: int) -> int:
    """Most units that are alive at once, of a program of so many steps."""
    change = np.zeros(steps + 2, np.int64)
    for life in lives:
        np.add.at(change, np.maximum(life.born, 0), 1)
        np.add.at(change, np.minimum(life.died, steps) + 1, -1)
    return int(change.cumsum().max(initial=0))


def pack_lives(lives: Sequence[Life], units: int) -> dict[str, int] | None:
    """A unit for each buffer to start at, so that no two have the same unit at once, in a scratchpad of so many; None
    if they do not all find room. The largest choose first, each the lowest place."""
    starts: dict[str, int] = {}
    placed: list[Life] = []
    for life in sorted(lives, key=lambda one: (-one.born.size, int(one.born.min()), one.name)):
        others = [one for one in placed if one.born.min() <= life.died.max() and life.born.min() <= one.died.max()]
        place = next(
            (
                start
                for start in range(units - life.born.size + 1)
                if not any(_meet(life, start, other, starts[other.name]) for other in others)
            ),
            None,
        )
        if place is None:
            return None
        starts[life.name] = place
        placed.append(life)
    return starts


def _meet(one: Life, start: int, other: Life, other_start: int) -> bool:
    """Both are alive in a unit at once."""
    first = max(start, other_start)
    stop = min(start + one.born.size, other_start + other.born.size)
    if stop <= first:
        return False
    mine, theirs = slice(first - start, stop - start), slice(first - other_start, stop - other_start)
    return bool(((one.born[mine] <= other.died[theirs]) & (other.born[theirs] <= one.died[mine])).any())
