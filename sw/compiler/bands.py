"""Layers in bands: the part of a layer that makes some rows of its output is a layer of its own."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import Config

from ..lowering.elementwise import passing
from ..lowering.layers import Layer, Pair, Place
from .mapping import Span
from .tiling import sums_of


@dataclass(frozen=True)
class Held:
    """Some bytes of a tensor that lie in a buffer."""

    buffer: str
    first: int
    """Byte of the tensor that is the buffer's first one."""


def row_bytes(layers: Sequence[Layer], inputs: Mapping[str, int]) -> dict[str, int]:
    """Bytes of a row of each tensor, by which it is cut into bands; `inputs` has the rows of the graph's inputs."""
    pitches = dict(inputs)
    for layer in layers:
        pitch = pitches[layer.source] if layer.elementwise else layer.place.row_pitch
        pitches[layer.target] = pitch if layer.target_bytes % pitch == 0 else layer.target_bytes
    return pitches


def by_rows(layer: Layer, pitch: int, config: Config) -> Layer:
    """An elementwise layer as an image with rows of `pitch` bytes; other layers as they are."""
    if not layer.elementwise:
        return layer
    block = config.cols if config.depthwise else min(config.rows, config.cols)
    channels = max(count for count in range(1, block + 1) if pitch % count == 0)
    size = (layer.target_bytes // pitch, pitch // channels)
    return replace(
        layer,
        input_size=size,
        input_channels=channels,
        sums_size=size,
        output_size=size,
        output_channels=channels,
        groups=channels,
        weights=_spread(layer.weights, channels),
        bias=_spread(layer.bias, channels),
        multiplier=_spread(layer.multiplier, channels),
        shift=_spread(layer.shift, channels),
        place=Place(size, channels),
    )


def _spread(values: NDArray[Any], count: int) -> NDArray[Any]:
    return np.repeat(values[:1], count, axis=0)


def subsampled(layers: Sequence[Layer], config: Config) -> Iterator[Layer]:
    """The layers; one that reads every other pixel with more weights than fit on the chip finds them side by side, so
    that fewer bands, which load the weights anew, hold what it reads."""
    store = config.weight_tiles * config.rows * config.cols
    for layer in layers:
        if layer.kernel != (1, 1) or layer.stride == (1, 1) or layer.weights.size <= store or any(layer.before):
            yield layer
            continue
        name = f"{layer.name}.pixels"
        copy = passing(name, "copy", layer.source, name, layer.input_size, layer.input_channels)
        size = layer.sums_size
        yield replace(
            copy, sums_size=size, output_size=size, stride=layer.stride, place=Place(size, layer.input_channels)
        )
        yield replace(layer, sources=(name,), input_size=size, stride=(1, 1))


def rows_read(layer: Layer, rows: Span) -> Span:
    """The rows of the input that some rows of the output depend on."""
    sums = sums_of(layer.window, 0, rows, layer.sums_size[0])
    first = sums[0] * layer.stride[0] - layer.before[0]
    stop = first + (sums[1] - 1) * layer.stride[0] + (layer.kernel[0] - 1) * layer.dilation[0] + 1
    height = layer.input_size[0]
    # A band that meets nothing but padding still needs a row to point at.
    first, stop = min(max(first, 0), height - 1), max(min(stop, height), 1)
    return first, max(stop - first, 1)


def part(layer: Layer, rows: Span, sources: Sequence[Held], target: Held) -> Layer:
    """The layer that makes these rows of the output, from and to what the buffers hold of the tensors."""
    read = rows_read(layer, rows)
    sums = sums_of(layer.window, 0, rows, layer.sums_size[0])
    pitch = layer.input_size[1] * layer.input_channels
    size: Pair = (rows[1], layer.output_size[1])
    window = layer.window
    above = sums[0] - (rows[0] * window.stride[0] - window.before[0])
    if layer.whole:
        place = Place(size, layer.output_channels)
        offset = rows[0] * layer.place.row_pitch - target.first
    else:
        origin = (layer.place.origin[0] + rows[0] * layer.place.step[0], layer.place.origin[1])
        place, offset = replace(layer.place, origin=origin), -target.first
    return replace(
        layer,
        sources=tuple(held.buffer for held in sources),
        source_offsets=tuple(read[0] * pitch - held.first for held in sources),
        target=target.buffer,
        target_offset=offset,
        input_size=(read[1], layer.input_size[1]),
        sums_size=(sums[1], layer.sums_size[1]),
        output_size=size,
        before=(layer.before[0] - sums[0] * layer.stride[0] + read[0], layer.before[1]),
        window=replace(window, before=(above, window.before[1])),
        place=place,
    )
