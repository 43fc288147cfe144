"""Tiles of layers in bands: all bands of a layer use the same weights in the same pieces, and layers of one slot take
turns, tile by tile, so that neither the array nor the drain waits."""

from collections import deque
from collections.abc import Iterator, Sequence

from weft.rtl.config import Config

from ..cycles.estimate import HALVES, array_latency, conv_cycles, drain_latency
from ..cycles.playing import Course
from ..errors import UserError
from ..lowering.layers import Layer
from .arrangement import Arrangement, Piece
from .tiling import Frame, Plan, Tile, emptying_cycles, even, frames, parts_of, pass_cycles, shape_of
from .ways import Way, cycles, ways, weight_tiles

PORTION = 8
"""A portion of the weights that come from memory takes at most this part of their store."""

FEW_TILES = 4
"""Weights of no more tiles than that always stay on the chip: sums and copies have them, and share them."""

MOST_WAYS = 3
"""The fastest ways that fit, of which one is chosen."""

TILE_CYCLES = 12
"""Roughly what a tile costs besides its passes."""


def plan_bands(arrangement: Arrangement, config: Config) -> Course:
    """A plan per piece, and the order of their tiles.

    Raises
    ------
    UserError
        If a layer does not fit into the accumulator, or its weights not in parts into the weight store.
    """
    tallest: dict[int, Piece] = {}
    for piece in arrangement.pieces:
        other = tallest.setdefault(piece.index, piece)
        if piece.layer.output_size[0] > other.layer.output_size[0]:
            tallest[piece.index] = piece
    chosen = {index: _chosen(piece.layer, None, config) for index, piece in tallest.items()}
    portions: dict[int, int | None] = dict.fromkeys(chosen)
    if sum(weight_tiles(way) for way, _ in chosen.values()) > config.weight_tiles:
        for index, (way, _) in chosen.items():
            if weight_tiles(way) > FEW_TILES:
                portions[index] = config.weight_tiles // PORTION
                chosen[index] = _chosen(tallest[index].layer, portions[index], config)
    shared: dict[tuple[object, ...], Plan] = {}
    plans = []
    for piece in arrangement.pieces:
        layer = piece.layer
        key = (piece.index, layer.output_size, layer.sums_size, layer.window.before)
        if key not in shared:
            shared[key] = _fitted(layer, *chosen[piece.index], portions[piece.index], config)
        plans.append(shared[key])
    return Course(tuple(plans), tuple(_ordered(arrangement, plans, config)))


def _chosen(layer: Layer, portion: int | None, config: Config) -> tuple[Way, Frame]:
    """The way and the frame of the fewest cycles."""
    found: list[tuple[int, int, Way, Frame]] = []
    fitting = 0
    for way in sorted(ways(layer, config), key=lambda one: cycles(layer, one)):
        before = len(found)
        for frame in frames(layer, way, config, portion):
            plan = Plan(way, _tiles(frame, frame.height))
            found.append((_cost(layer, plan, config), len(found), way, frame))
        fitting += len(found) > before
        if fitting == MOST_WAYS:
            break
    if not found:
        what = "does not fit into the accumulator" if portion is None else "has weights that do not fit in parts"
        raise UserError(f"{layer.op} {layer.name!r} {what} of the configuration")
    _, _, way, frame = min(found)
    return way, frame


def _cost(layer: Layer, plan: Plan, config: Config) -> int:
    """Array and drain take turns; the last tile's drain comes on top of the longer of both."""
    drains = [emptying_cycles(layer, tile, shape_of(layer, plan, tile, config), config) for tile in plan.tiles]
    return max(pass_cycles(layer, plan, config), sum(drains)) + TILE_CYCLES * len(plan.tiles) + max(drains) // 4


def _tiles(frame: Frame, height: int) -> tuple[Tile, ...]:
    return frame.tiles(even(height, -(-height // frame.tall), 1))


def _fitted(layer: Layer, way: Way, like: Frame, portion: int | None, config: Config) -> Plan:
    """The plan of a band that uses the weights as `like` does."""
    best = None
    for frame in frames(layer, way, config, portion):
        if (frame.spans, frame.ends) == (like.spans, like.ends):
            plan = Plan(way, _tiles(frame, frame.height), portion is not None)
            if best is None or _cost(layer, plan, config) < _cost(layer, best, config):
                best = plan
    if best is None:
        raise UserError(f"{layer.op} {layer.name!r} does not fit into the accumulator of the configuration")
    return best


class _Turns:
    """The array, the accumulator's halves and the drain while tiles go through them."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.array = 0
        self.drain = 0
        self.halves = deque([0] * HALVES)

    def idle(self, ready: int, passes: int) -> int:
        """Cycles that the array would wait for a tile whose input is there at `ready`, and then for the half of the one
        behind it."""
        start = max(self.halves[0], ready, self.array)
        return start - self.array + max(self.halves[1] - start - passes, 0)

    def add(self, ready: int, passes: int, emptying: int) -> int:
        """A tile takes its turn; when its results are there."""
        start = max(self.array, self.halves.popleft(), ready)
        self.array = start + passes
        self.drain = max(self.drain, self.array + array_latency(self.config)) + emptying
        self.halves.append(self.drain)
        return self.drain + drain_latency(self.config)


def _ordered(arrangement: Arrangement, plans: Sequence[Plan], config: Config) -> Iterator[tuple[int, int]]:
    """The tiles of each slot: always the one for which the array waits least, now and right after it, and of those the
    one whose drain takes longest beside its passes."""
    turns = _Turns(config)
    there: dict[str, int] = {}
    for slot in arrangement.slots:
        layers = {number: arrangement.pieces[number].layer for number in slot.pieces}
        waiting = {number: deque(_tasks(layer, plans[number], config)) for number, layer in layers.items()}
        done = dict.fromkeys(slot.pieces, 0)
        ready = {number: max(there.get(name, 0) for name in layer.sources) for number, layer in layers.items()}
        while waiting:
            number = min(
                waiting, key=lambda one: (turns.idle(ready[one], waiting[one][0][0]), -_weight(waiting[one][0]), one)
            )
            there[layers[number].target] = turns.add(ready[number], *waiting[number].popleft())
            yield number, done[number]
            done[number] += 1
            if not waiting[number]:
                del waiting[number]


def _weight(task: tuple[int, int]) -> float:
    return task[1] / task[0]


def _tasks(layer: Layer, plan: Plan, config: Config) -> Iterator[tuple[int, int]]:
    """Cycles in the array and in the drain, per tile."""
    for tile in plan.tiles:
        shape = shape_of(layer, plan, tile, config)
        parts = parts_of(layer, plan.mappings[tile.block], tile)
        passes = sum(conv_cycles(config, part.passes, shape.positions) for part in parts)
        yield passes, emptying_cycles(layer, tile, shape, config)
