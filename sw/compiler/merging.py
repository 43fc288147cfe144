"""Which layers may be computed side by side: those with more to do for the drain than for the array, and their
neighbours, who have time to spare on the drain."""

from collections.abc import Sequence

from weft.rtl.config import Config

from ..cycles.estimate import drain_cycles
from ..cycles.playing import Work
from ..lowering.layers import Layer
from .constants import agree
from .ways import fewest_cycles

SIZES = (2, 3, 4, 6, 8)
"""Layers in a group."""

NEIGHBOURS = 2
"""Layers before and behind those that keep the drain busy that may join them."""


def one_by_one(layers: Sequence[Layer]) -> tuple[range, ...]:
    """Each layer by itself."""
    return tuple(range(index, index + 1) for index in range(len(layers)))


def drained(layer: Layer, config: Config) -> int:
    """Cycles of a whole layer in the drain."""
    window = layer.window.size[0] * layer.window.size[1] * layer.operands
    return drain_cycles(config, layer.output_size[0] * layer.output_size[1], layer.output_channels, window)


def allowed_cycles(work: Work, config: Config) -> int:
    """What a layer may take: 1.15 times its passes, and the way through the array and the drain."""
    passes = sum(task.cycles for task in work.tasks)
    return passes * 115 // 100 + int(config.rows + config.cols) + 24


def steps_of(groups: Sequence[range]) -> list[int]:
    """Per layer, the number of its group; the first one's is 1."""
    return [step for step, group in enumerate(groups, 1) for _ in group]


def groups_of(layers: Sequence[Layer], config: Config) -> list[range]:
    """Layers in a row that are worth a thought side by side: some keep the drain about as busy as the array, and they
    agree on the constants that they use."""
    if config.compact:
        # Its drain is slower than its array anyway, and it counts few tokens.
        return []
    busy = [4 * drained(layer, config) >= 3 * fewest_cycles(layer, config) for layer in layers]
    found = []
    for start in range(len(layers)):
        for stop in (start + size for size in SIZES if start + size <= len(layers)):
            group = range(start, stop)
            some = [layers[index] for index in group]
            if any(layer.product or not layer.whole for layer in some) or not agree(some, layers, config):
                break
            needing = [index for index in group[1:] if busy[index]]
            if needing and needing[0] - start <= NEIGHBOURS and stop - 1 - needing[-1] <= NEIGHBOURS:
                found.append(group)
    return found
