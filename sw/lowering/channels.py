"""Layers of more channels than have parameters on the chip: several, side by side in what they make."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from weft.rtl.config import Config

from .elementwise import numbered
from .layers import Layer


def narrowed(layers: Sequence[Layer], config: Config) -> list[Layer]:
    """The layers; dense ones, all of whose outputs read the same, in parts whose parameters fit."""
    return [part for layer in layers for part in numbered(list(_parts(layer, config)))]


def _parts(layer: Layer, config: Config) -> Iterator[Layer]:
    most, total = config.parameter_channels, layer.output_channels
    if layer.groups > 1 or total <= most:
        yield layer
        return
    count = -(-total // most)
    # Whole column tiles, where that leaves as few parts.
    size = -(-total // count)
    rounded = -(-size // config.cols) * config.cols
    size = rounded if rounded <= most else size
    for first in range(0, total, size):
        some = slice(first, min(first + size, total))
        outputs = some.stop - first
        yield replace(
            layer,
            output_channels=outputs,
            weights=layer.weights[some],
            bias=layer.bias[some],
            multiplier=layer.multiplier[some],
            shift=layer.shift[some],
            macs=layer.macs * outputs // total,
            place=replace(layer.place, channel=layer.place.channel + first),
        )
