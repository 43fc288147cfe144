"""Planned layers played through the pipeline: what it has to do, tile by tile, and when each buffer is there."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from weft.rtl.config import Config

from ..compiler.tiling import (
    Plan,
    bytes_finished,
    bytes_needed,
    bytes_passed,
    bytes_touched,
    emptying_cycles,
    parts_of,
    portions_of,
    shape_of,
)
from ..lowering.layers import Layer
from .estimate import Pipeline, conv_cycles

Arrivals = Sequence[tuple[int, int]]
"""Bytes of a buffer, and the time when they are there; both rise."""

Order = tuple[tuple[int, int], ...]
"""Tiles as they follow each other: number of the layer, or piece, and of its tile."""


@dataclass(frozen=True)
class Course:
    """The plans of all layers, or pieces of them, and the tiles in the order of the program."""

    plans: tuple[Plan, ...]
    order: Order
    groups: tuple[range, ...] = ()
    """Layers whose tiles take turns; () for one layer after the other, or where slots say it."""


@dataclass(frozen=True)
class Step:
    """One CONV: its cycles, which operand it is for, what it needs of it, and which portion of the streamed weights."""

    cycles: int
    operand: int
    needs: int
    portion: int


@dataclass(frozen=True)
class Task:
    """One tile: its CONVs, and its DRAIN."""

    steps: tuple[Step, ...]
    short: int
    """Cycles by which the last pixel is issued before the end of its pass."""
    emptying: int
    """Cycles in the drain."""
    complete: int
    """Bytes of the target that are there behind it."""
    passed: int
    """Bytes of each source, from its start, that it does not read."""
    touched: tuple[int, int]
    """First byte of the target that it may write, and the one behind the last."""
    cycles: int
    """In the array."""


@dataclass(frozen=True)
class Work:
    """What a plan gives the units to do."""

    sources: tuple[str, ...]
    target: str
    tasks: tuple[Task, ...]
    portions: tuple[int, ...]
    """Memory words of the weights that come from memory, in order."""

    @property
    def instructions(self) -> int:
        """CONVs and DRAINs."""
        return sum(1 + len(task.steps) for task in self.tasks)


def work_of(layer: Layer, candidate: Plan, config: Config) -> Work:
    """The work of a plan."""
    portions = portions_of(candidate) if candidate.streamed else []
    tile_bytes = config.weight_steps * config.weight_line_bytes
    index = -1
    tasks = []
    for tile, complete in zip(candidate.tiles, bytes_finished(layer, candidate, config), strict=True):
        shape, mapping = shape_of(layer, candidate, tile, config), candidate.mappings[tile.block]
        steps = []
        for part in parts_of(layer, mapping, tile):
            if portions and (index < 0 or portions[index][0] != candidate.key(tile, part.number)):
                index += 1
            needs = bytes_needed(layer, mapping, shape, part.end)
            steps.append(Step(conv_cycles(config, part.passes, shape.positions), part.operand, needs, index))
        short = max(config.weight_steps - shape.positions, 0)
        emptying = emptying_cycles(layer, tile, shape, config)
        passed = 0 if any(layer.source_offsets) else bytes_passed(layer, shape)
        cycles = sum(step.cycles for step in steps)
        tasks.append(Task(tuple(steps), short, emptying, complete, passed, bytes_touched(layer, tile), cycles))
    words = tuple(-(-count * tile_bytes // config.memory_bytes) for _, count in portions)
    return Work(layer.sources, layer.target, tuple(tasks), words)


def in_order(works: Sequence[Work]) -> Order:
    """All tiles, one layer after the other."""
    return tuple((index, tile) for index, work in enumerate(works) for tile in range(len(work.tasks)))


def play(
    works: Sequence[Work], order: Iterable[tuple[int, int]], before: Pipeline, arrivals: dict[str, Arrivals]
) -> tuple[Pipeline, dict[str, Arrivals]]:
    """The pipeline behind the layers, and when buffers are there, those that they make among them."""
    pipeline = before.copy()
    arrivals = dict(arrivals)
    loads = [_Portions(pipeline, work.portions) for work in works]
    made: dict[str, list[tuple[int, int]]] = {work.target: [] for work in works}
    for number, tile in order:
        work = works[number]
        task = work.tasks[tile]
        last = len(task.steps) - 1
        for index, step in enumerate(task.steps):
            source = work.sources[step.operand]
            there = made[source] if source in made else arrivals[source]
            after = there[bisect_left(there, step.needs, key=_bytes)][1]
            if work.portions:
                after = max(after, loads[number].get(step.portion))
            done = pipeline.conv(step.cycles, task.short, index == 0, index == last, after).done
            if work.portions:
                loads[number].use(step.portion, done)
        done = pipeline.drain(task.emptying).done
        target = made[work.target]
        if task.complete > (target[-1][0] if target else 0):
            target.append((task.complete, done))
    return pipeline, arrivals | made


def _bytes(arrival: tuple[int, int]) -> int:
    return arrival[0]


class _Portions:
    """Weights that come from memory; there is room for two portions."""

    def __init__(self, pipeline: Pipeline, words: tuple[int, ...]) -> None:
        self.pipeline = pipeline
        self.words = words
        self.loaded: list[int] = []
        self.used: list[int] = []

    def get(self, index: int) -> int:
        """When a portion is there."""
        self._load(index)
        return self.loaded[index]

    def use(self, index: int, done: int) -> None:
        """A portion is used until then; meanwhile the next one may come."""
        self.used[index:] = [done]
        self._load(index + 1)

    def _load(self, until: int) -> None:
        while len(self.loaded) <= until < len(self.words):
            free = self.used[len(self.loaded) - 2] if len(self.loaded) >= 2 else 0
            self.loaded.append(self.pipeline.load(self.words[len(self.loaded)], after=free).done)
