"""Layers in parts that have some of the channels each: of more channels than have parameters on the chip, and means of
whole images that are larger than the scratchpad."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from weft.rtl.config import Config

from ..graph import Slice, Tensor
from .elementwise import numbered
from .images import image_of
from .layers import Layer
from .movement import slice_


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


def means_in_parts(layers: list[Layer], source: Tensor, config: Config) -> list[Layer]:
    """The layers; one that sums up a whole image, which no band of rows can do, finds a few channels of it at a time
    where the image does not fit."""
    if (
        len(layers) > 1
        or layers[0].sums_size != (1, 1)
        or source.size + layers[0].target_bytes <= config.scratchpad_bytes
    ):
        return layers
    layer, (size, channels) = layers[0], image_of(source)
    pixels = size[0] * size[1]
    fitting = [n for n in range(1, channels) if channels % n == 0 and 2 * pixels * n <= config.scratchpad_bytes]
    if not fitting:
        return layers
    count = fitting[-1]
    image = replace(source, shape=(1, *size, channels))
    found: list[Layer] = []
    for first in range(0, channels, count):
        name = f"{layer.name}.{first // count}"
        part = replace(image, name=f"{name}.channels", shape=(1, *size, count))
        taking = Slice(part.name, (source.name,), part.name, start=(0, 0, 0, first), step=(1, 1, 1, 1))
        found += numbered(slice_(taking, image, part, config))
        some = slice(first, first + count)
        found.append(
            replace(
                layer,
                name=name,
                sources=(part.name,),
                input_channels=count,
                output_channels=count,
                groups=count,
                weights=layer.weights[some],
                bias=layer.bias[some],
                multiplier=layer.multiplier[some],
                shift=layer.shift[some],
                place=replace(layer.place, channel=first),
            )
        )
    return found
