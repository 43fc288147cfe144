"""Tiles of several layers in turns: a search for orders in which neither the array nor the drain waits.

Two things make a unit wait: a tile whose input is on its way, and a tile whose half of the accumulator is still in use,
since the array's work on one tile hides the drain of the one before, and no more. So a tile with much to do for the
array should follow one with much to do for the drain, and these are of different layers. Each layer has a date until
which it should be complete, so that those in front are not kept waiting for long.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from weft.rtl.config import Config

from ..cycles.estimate import HALVES, array_latency, drain_latency
from ..cycles.playing import Arrivals, Order, Task, Work, work_of
from ..lowering.layers import Layer
from .merging import allowed_cycles, drained
from .tiling import Plan, even, frames
from .ways import cycles, fastest_way

TILE_CYCLES = (150, 300, 500, 800, 1200, 2000)
"""Sizes of tiles that are tried: cycles in the array or in the drain, whichever is more."""

WEIGHTS = ((1, 1), (1, 0), (4, 1), (1, 2))
"""How much a cycle counts that the array waits, and one that the drain does."""

NEVER = 1 << 40
"""A date that does not matter."""

MOST_DATES = 3
"""So many layers less one may have dates while the others have none."""

MOST_CORRECTIONS = 4
"""Times that dates are brought forward for layers that come too late."""

MARGIN = 16
"""Cycles by which they are brought forward beyond what is missing."""

Choice = tuple[tuple[Plan, ...], tuple[Work, ...], Order]
"""Plans, what they give the units to do, and an order of their tiles."""

Shared = dict[tuple[Layer, int], tuple[Plan, Work] | None]
"""Plans of layers in tiles of so many cycles, and their work."""


def interleaved(
    layers: Sequence[Layer], config: Config, most: int, shared: Shared, arrivals: Mapping[str, Arrivals]
) -> Iterator[Choice]:
    """The `most` best ways found to compute some layers in turns, from when all before them are complete; `arrivals`
    has the buffers that are not there by then. `shared` keeps what is known of single layers."""
    found: dict[Order, tuple[int, int, Choice]] = {}
    seen = set()
    for size in TILE_CYCLES:
        made = [_worked(layer, size, config, shared) for layer in layers]
        if None in made:
            return iter(())
        some, works = zip(*(one for one in made if one is not None), strict=True)
        counts = tuple(len(work.tasks) for work in works)
        if counts in seen:
            continue
        seen.add(counts)
        for order, cost in _orders(works, config, arrivals):
            found.setdefault(order, (cost, len(found), (some, works, order)))
    best = sorted(found.values(), key=lambda one: one[:2])
    return (choice for _, _, choice in best[:most])


def _worked(layer: Layer, size: int, config: Config, shared: Shared) -> tuple[Plan, Work] | None:
    """The layer in tiles of about so many cycles."""
    if (layer, size) not in shared:
        plan = _cut(layer, size, config)
        shared[layer, size] = None if plan is None else (plan, work_of(layer, plan, config))
    return shared[layer, size]


def _cut(layer: Layer, size: int, config: Config) -> Plan | None:
    """The layer in the fastest way, in tiles of about so many cycles, as far as its rows allow it."""
    way = fastest_way(layer, config)
    frame = next(frames(layer, way, config), None)
    if frame is None:
        return None
    each = max(cycles(layer, way), drained(layer, config)) / frame.height / len(frame.across)
    rows = max(1, min(frame.tall, round(size / each)))
    return Plan(way, frame.tiles(even(frame.height, -(-frame.height // rows), 1)))


def _orders(works: Sequence[Work], config: Config, arrivals: Mapping[str, Arrivals]) -> Iterator[tuple[Order, int]]:
    """Orders of the tiles, and what they cost."""
    allowed = [allowed_cycles(work, config) for work in works]
    for weights in WEIGHTS:
        every = [sum(allowed[: index + 1]) for index in range(len(works))]
        # Where not all can be in time, the first ones can be at least.
        for count in range(min(MOST_DATES, len(works))):
            turns = Turns(works, config, weights, [*every[:count], *[NEVER] * (len(works) - count)], arrivals)
            yield turns.order, cost_of(turns.ends, allowed)
        dates = every
        for _ in range(MOST_CORRECTIONS):
            turns = Turns(works, config, weights, dates, arrivals)
            yield turns.order, cost_of(turns.ends, allowed)
            late = [max(one - most, 0) for one, most in zip(slices(turns.ends), allowed, strict=True)]
            if not any(late):
                break
            # What is finished earlier leaves those behind it more of what they are allowed.
            dates = [date - (one + MARGIN if one else 0) for date, one in zip(dates, late, strict=True)]


def slices(ends: Sequence[int], start: int = 0) -> list[int]:
    """Cycles of each layer: from when all before it are complete, but not before `start`, until it is, too."""
    found = []
    for end in ends:
        found.append(max(end - start, 0))
        start = max(start, end)
    return found


MOST_LATE = 5
"""A layer that takes longer than it is allowed counts as one that takes at most a fifth of that more."""


def lateness(took: int, allowed: int) -> int:
    """What a layer's delay counts, in cycles: how long it is matters less than that it is one."""
    return min(max(took - allowed, 0), allowed // MOST_LATE)


def cost_of(ends: Sequence[int], allowed: Sequence[int]) -> int:
    """Cycles until all is complete, and some for each layer that is late."""
    late = sum(lateness(one, most) for one, most in zip(slices(ends), allowed, strict=True))
    return max(ends) + late


@dataclass(frozen=True)
class _Next:
    """A tile that could be the next one."""

    number: int
    cycles: int
    start: int
    waits: int
    """Cycles that the array, or the drain, would wait for it, by weight."""


class Turns:
    """An order of tiles, made by always taking the one for which the units wait least.

    Parameters
    ----------
    weights : what a cycle counts that the array waits, and one that the drain does.
    dates : when each work should be complete. A tile of a later one is taken only if that leaves time enough.
    arrivals : of buffers that none of the works makes and that are not there at the start.

    Attributes
    ----------
    order : of all tiles. ends : when each work is complete.
    """

    def __init__(
        self,
        works: Sequence[Work],
        config: Config,
        weights: tuple[int, int],
        dates: Sequence[int],
        arrivals: Mapping[str, Arrivals],
    ) -> None:
        self.works = works
        self.arrivals = arrivals
        self.weights = weights
        self.dates = dates
        self.latency = array_latency(config)
        self.drain_latency = drain_latency(config)
        self.array = self.drain = 0
        self.halves = deque([0] * HALVES)
        self.makers = {work.target: number for number, work in enumerate(works)}
        self.made: list[list[tuple[int, int]]] = [[] for _ in works]
        self.ready: list[int | None] = [None] * len(works)
        """When the input of each one's next tile is there, where that is known."""
        self.place = [0] * len(works)
        self.left = [
            [sum(task.cycles for task in work.tasks), sum(task.emptying for task in work.tasks)] for work in works
        ]
        self.ends = [0] * len(works)
        order = []
        first = 0
        while first < len(works):
            if self.place[first] == len(works[first].tasks):
                first += 1
                continue
            one = self._next(first)
            order.append((one.number, self.place[one.number]))
            self._take(one)
        self.order: Order = tuple(order)

    def _next(self, first: int) -> _Next:
        """The best tile: no work before number `first` has any left."""
        best: _Next | None = None
        slack, array, drain = NEVER, self.array, self.drain
        for number in range(first, len(self.works)):
            tasks = self.works[number].tasks
            if self.place[number] < len(tasks):
                task = tasks[self.place[number]]
                ready = self.ready[number]
                if ready is None:
                    self.ready[number] = ready = self._ready(number, task)
                if ready is not None and task.cycles <= slack:
                    one = self._judged(number, task, ready)
                    # Of equal ones the last: the sooner what it reads is no longer needed, the better.
                    if best is None or one.waits <= best.waits:
                        best = one
                array += self.left[number][0]
                drain += self.left[number][1]
                slack = min(slack, self.dates[number] - max(array, drain))
        if best is None:
            raise AssertionError("the first tile of the first work needs nothing of the others")
        return best

    def _ready(self, number: int, task: Task) -> int | None:
        """When a tile's input is there; None if it is not made yet."""
        ready = 0
        for step in task.steps:
            source = self.works[number].sources[step.operand]
            maker = self.makers.get(source)
            made = self.arrivals.get(source) if maker is None else self.made[maker]
            if made is not None:
                index = bisect_left(made, step.needs, key=_bytes)
                if index == len(made):
                    return None
                ready = max(ready, made[index][1])
        return ready

    def _judged(self, number: int, task: Task, ready: int) -> _Next:
        free = max(self.array, self.halves[0])
        start = max(free, ready)
        end = start + task.cycles
        array = start - free + max(self.halves[1] - end, 0)
        drain = max(end + self.latency - self.drain, 0)
        return _Next(number, task.cycles, start, self.weights[0] * array + self.weights[1] * drain)

    def _take(self, one: _Next) -> None:
        number = one.number
        task = self.works[number].tasks[self.place[number]]
        self.halves.popleft()
        self.array = one.start + one.cycles
        self.drain = max(self.drain, self.array + self.latency) + task.emptying
        self.halves.append(self.drain)
        self.ends[number] = self.drain + self.drain_latency
        made = self.made[number]
        if task.complete > (made[-1][0] if made else 0):
            made.append((task.complete, self.ends[number]))
        self.place[number] += 1
        self.ready[number] = None
        self.left[number][0] -= one.cycles
        self.left[number][1] -= task.emptying


def _bytes(made: tuple[int, int]) -> int:
    return made[0]
