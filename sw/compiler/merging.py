"""Layers computed side by side: those with more to do for the drain than for the array take turns, tile by tile, with
the layer before them, whose drain is idle most of the time."""

from collections.abc import Iterator, Mapping, Sequence

from weft.rtl.config import Config

from ..cycles.estimate import drain_cycles
from ..cycles.playing import Order, Work, work_of
from ..errors import UserError
from ..lowering.layers import Layer
from .allocate import buffers_of, place
from .constants import agree
from .tiling import Frame, Plan, even, frames
from .ways import Way, fastest_way, fewest_cycles

MOST_LAYERS = 4
"""In a group."""

SMALL_TILES = (1, 2, 4, 8)
"""Rows of the small tiles of the first layer, behind which tiles of the others come."""


def one_by_one(layers: Sequence[Layer]) -> tuple[range, ...]:
    """Each layer by itself."""
    return tuple(range(index, index + 1) for index in range(len(layers)))


def groups_of(
    layers: Sequence[Layer], sizes: Mapping[str, int], inputs: Sequence[str], outputs: Sequence[str], config: Config
) -> tuple[range, ...]:
    """All layers, in groups that may be computed side by side: the first one has time to spare on the drain, the others
    need it, and all their buffers fit on the chip at once."""
    found: list[range] = []
    spare = 0
    for index, layer in enumerate(layers):
        array, drain = fewest_cycles(layer, config), drained(layer, config)
        group = range(found[-1].start, index + 1) if found else range(0)
        joins = found and spare > 0 and 4 * drain >= 3 * array and len(group) <= MOST_LAYERS
        if (
            joins
            and not layers[group.start].product
            and _fits(layers, [*found[:-1], group], sizes, inputs, outputs, config)
        ):
            found[-1] = group
            spare += array - drain
        else:
            found.append(range(index, index + 1))
            spare = array - drain
    return tuple(found)


def drained(layer: Layer, config: Config) -> int:
    """Cycles of a whole layer in the drain."""
    window = layer.window.size[0] * layer.window.size[1] * layer.operands
    return drain_cycles(config, layer.output_size[0] * layer.output_size[1], layer.output_channels, window)


def steps_of(groups: Sequence[range]) -> list[int]:
    """Per layer, the number of its group; the first one's is 1."""
    return [step for step, group in enumerate(groups, 1) for _ in group]


def _fits(
    layers: Sequence[Layer],
    groups: Sequence[range],
    sizes: Mapping[str, int],
    inputs: Sequence[str],
    outputs: Sequence[str],
    config: Config,
) -> bool:
    """There is room for the buffers, and for the constants of the last group."""
    group = groups[-1]
    if not agree([layers[index] for index in group], layers, config):
        return False
    rest = [range(index, index + 1) for index in range(group.stop, len(layers))]
    try:
        place(buffers_of(layers, sizes, inputs, outputs, steps_of([*groups, *rest])), config)
    except UserError:
        return False
    return True


def side_by_side(layers: Sequence[Layer], config: Config) -> Iterator[tuple[tuple[Plan, ...], tuple[Work, ...], Order]]:
    """Ways to compute the layers of a group in turns that are worth a thought.

    With two halves of the accumulator a tile of the first layer that comes behind a tile of another waits for the drain
    of the tile before that; so large tiles, whose drain the other tile hides, and small ones, whose drain is short,
    take turns, and the others come behind the small ones.
    """
    chosen = [fastest_way(layer, config) for layer in layers]
    firsts = [next(frames(layer, way, config), None) for layer, way in zip(layers, chosen, strict=True)]
    if any(frame is None for frame in firsts):
        return
    main, *others = [frame for frame in firsts if frame is not None]
    rest = [_made(layer, way, frame, config) for layer, way, frame in zip(layers[1:], chosen[1:], others, strict=True)]
    for down in _turns(main):
        plan = Plan(chosen[0], main.tiles(down))
        work = work_of(layers[0], plan, config)
        pieces = len(plan.tiles) // len(down)
        behind = {(index + 1) * pieces - 1 for index, rows in enumerate(down) if rows == min(down)}
        for choice in range(max(map(len, rest))):
            some = [made[min(choice, len(made) - 1)] for made in rest]
            works = (work, *(one for _, one in some))
            for lag in (1, 2):
                yield (plan, *(one for one, _ in some)), works, _mixed(works, behind, lag * pieces)


def _made(layer: Layer, way: Way, frame: Frame, config: Config) -> list[tuple[Plan, Work]]:
    """A layer in the fewest even pieces that fit, and in more."""
    fewest = -(-frame.height // frame.tall)
    plans = [
        Plan(way, frame.tiles(even(frame.height, count, 1)))
        for count in sorted({min(fewest * more, frame.height) for more in (1, 2, 4)} | {min(fewest + 1, frame.height)})
    ]
    return [(plan, work_of(layer, plan, config)) for plan in plans]


def _turns(frame: Frame) -> list[tuple[int, ...]]:
    """The rows in large and small pieces by turns."""
    found = set()
    for large in {-(-frame.tall * part // 4) for part in (1, 2, 3, 4)}:
        for small in SMALL_TILES:
            count = -(-frame.height // (large + small))
            rest = frame.height - small * count
            if rest >= count and max(small, -(-rest // count)) <= frame.tall:
                found.add(tuple(piece for one in even(rest, count, 1) for piece in (one, small)))
    return sorted(found)


def _mixed(works: Sequence[Work], behind: set[int], lag: int) -> Order:
    """Tiles of the first work, and behind these of them some of the others: as many as keep pace, of which all that
    they need has been made at least `lag` tiles before."""
    main = works[0]
    waiting = [(number, tile) for number, work in enumerate(works) for tile in range(len(work.tasks)) if number]
    order: list[tuple[int, int]] = []
    taken = 0
    for tile in range(len(main.tasks)):
        order.append((0, tile))
        if tile not in behind:
            continue
        there = main.tasks[tile - lag].complete if tile >= lag else 0
        pace = len(waiting) * (tile + 1) // len(main.tasks)
        while taken < pace and _needs(works, waiting[taken]) <= there:
            order.append(waiting[taken])
            taken += 1
    return (*order, *waiting[taken:])


def _needs(works: Sequence[Work], which: tuple[int, int]) -> int:
    """How much of the first work's target a tile needs."""
    work = works[which[0]]
    steps = work.tasks[which[1]].steps
    return max((step.needs for step in steps if work.sources[step.operand] == works[0].target), default=0)
