"""Concatenation, padding and slices as layers that copy parts of images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd, prod

import numpy as np
from weft.rtl.config import Config

from ..errors import UserError
from ..graph import Concat, Graph, Pad, Slice, Tensor
from .elementwise import TALLEST, flat, passing, tall
from .images import MOST_SELECTED, constant_of, cost, filled, image_of, pixel_of, section, selected
from .layers import Layer, Pair, Place


@dataclass(frozen=True)
class Cut:
    """What becomes of one axis: `count` elements, number i of them is number `first` + i * `step` of the `size` that
    there are."""

    size: int
    first: int
    step: int
    count: int

    @property
    def moves(self) -> bool:
        """Anything is done at all."""
        return (self.first, self.count) != (0, self.size)

    @property
    def block(self) -> int:
        """The most neighbours that always stay together."""
        return gcd(self.size, self.first, self.count) if self.step == 1 else 1

    def of_blocks(self) -> "Cut":
        """The same of blocks."""
        block = self.block
        return Cut(self.size // block, self.first // block, self.step, self.count // block)


def untouched(size: int) -> Cut:
    """An axis that stays as it is."""
    return Cut(size, 0, 1, size)


def slice_(operator: Slice, source: Tensor, target: Tensor, config: Config) -> list[Layer]:
    """Every step-th element of each axis."""
    sections = zip(source.shape, operator.start, operator.step, target.shape, strict=True)
    cuts = [Cut(size, first, step if count > 1 else 1, count) for size, first, step, count in sections]
    return _cut(operator.name, "slice", source, target, cuts, 0, config)


def pad(operator: Pad, source: Tensor, target: Tensor, config: Config) -> list[Layer]:
    """Cells of one value around the input."""
    cuts = [
        Cut(size, -before, 1, before + size + after)
        for size, (before, after) in zip(source.shape, operator.padding, strict=True)
    ]
    return _cut(operator.name, "pad", source, target, cuts, operator.value, config)


def _cut(
    name: str, op: str, source: Tensor, target: Tensor, cuts: Sequence[Cut], value: int, config: Config
) -> list[Layer]:
    """All axes cut: the cheaper of layers that move pixels and of one that selects channels."""
    merged = _merged(cuts)
    start = passing(name, op, source.name, target.name, (1, 1), 1)
    if not any(cut.moves for cut in merged):
        size, channels = flat(target.size, config)
        return [_image(start, size, channels)]
    found: list[list[Layer]] = []
    refusals: list[UserError] = []
    for way in (_moved, _selected):
        try:
            found.append(way(start, merged, value, config))
        except UserError as error:
            refusals.append(error)
    if not found:
        raise refusals[0]
    return min(found, key=lambda layers: cost(layers, config))


def _merged(cuts: Sequence[Cut]) -> list[Cut]:
    """Neighbouring axes that stay as they are made one."""
    merged: list[Cut] = []
    for cut in cuts:
        if not cut.moves and merged and not merged[-1].moves:
            merged[-1] = Cut(merged[-1].size * cut.size, 0, 1, merged[-1].size * cut.size)
        elif cut.moves or cut.size > 1:
            merged.append(cut)
    return merged


def _image(layer: Layer, size: Pair, channels: int) -> Layer:
    return passing(layer.name, layer.op, layer.source, layer.target, size, channels)


def _apply(layer: Layer, rows: Cut, pixels: Cut, value: int) -> Layer:
    first, stride = (rows.first, pixels.first), (rows.step, pixels.step)
    return section(layer, (rows.count, pixels.count), first, stride, value)


def _moved(start: Layer, cuts: Sequence[Cut], value: int, config: Config) -> list[Layer]:
    """A layer for each axis that is cut, or one for the first two, as rows and pixels of an image."""
    layers: list[Layer] = []
    left = list(cuts)
    while any(cut.moves for cut in left):
        axis = next(index for index, cut in enumerate(left) if cut.moves)
        behind = prod(cut.size for cut in left[axis + 1 :])
        if axis == 0 and len(left) > 1:
            rows, pixels, last = left[0], left[1], 1
            channels = behind // pixels.size
            if not pixels.moves:
                channels = flat(behind, config)[1]
                pixels = untouched(behind // channels)
        else:
            rows, pixels, last = untouched(prod(cut.size for cut in left[:axis])), left[axis], axis
            channels = behind
        if channels == 1:
            pixels, channels = pixels.of_blocks(), pixels.block
        if layers:
            between = f"{start.name}.{len(layers)}"
            layers[-1] = replace(layers[-1], name=between, target=between)
            start = replace(start, sources=(between,))
        layers.append(_apply(_image(start, (rows.size, pixels.size), channels), rows, pixels, value))
        left[: last + 1] = [untouched(cut.count) for cut in left[: last + 1]]
        left = _merged(left)
    return layers


def _selected(start: Layer, cuts: Sequence[Cut], value: int, config: Config) -> list[Layer]:
    """One layer, whose weights select the channels."""
    *outer, channels = cuts
    if len(outer) > 2 or channels.size * channels.count > MOST_SELECTED:
        raise UserError(
            f"cuts {len(cuts)} axes, supported are up to three with so few channels that a layer selects them"
        )
    if len(outer) == 1 and not outer[0].moves:
        rows, pixels = (untouched(n) for n in tall(outer[0].size))
    else:
        rows, pixels = (*outer, untouched(1), untouched(1))[:2]
    layer = _image(start, (rows.size, pixels.size), channels.size)
    if channels.moves:
        layer = selected(layer, channels.first + channels.step * np.arange(channels.count), value)
    return [_apply(layer, rows, pixels, value)]


def concat(operator: Concat, sources: Sequence[Tensor], target: Tensor, graph: Graph, config: Config) -> list[Layer]:
    """A layer for each input, which writes its part of the target."""
    axis = operator.axis % len(target.shape)
    alive = next((one for one in sources if constant_of(graph, one.name) is None), None)
    if alive is None:
        raise UserError("joins constants alone")
    layers = []
    first = 0
    for number, source in enumerate(sources):
        name = f"{operator.name}.{number}"
        size, channels, place = _part(source, target, axis, first)
        layer = passing(name, "concat", source.name, target.name, size, channels)
        values = pixel_of(graph, source.name, channels, config)
        if values is not None:
            layers.append(filled(name, "concat", alive, target.name, values, size, place))
        else:
            layers.append(replace(layer, place=place))
        first += source.shape[axis]
    return layers


def joined_channels(operator: Concat, source: Tensor, target: Tensor) -> int:
    """Channels of the image that is copied for an input."""
    return _part(source, target, operator.axis % len(target.shape), 0)[1]


def _part(source: Tensor, target: Tensor, axis: int, first: int) -> tuple[Pair, int, Place]:
    """An input as an image, and where in the target it lies, from element `first` of the axis on."""
    size, channels = image_of(source)
    whole, wide = image_of(target)
    if axis == len(target.shape) - 1:
        return size, channels, Place(size, wide, channel=first)
    behind = prod(target.shape[axis + 1 :])
    if len(target.shape) == 4 and target.shape[0] == 1 and axis > 0:
        origin = (first, 0) if axis == 1 else (0, first)
        return size, channels, Place(whole, wide, origin)
    outer = prod(target.shape[:axis])
    if outer > TALLEST:
        raise UserError(f"joins {outer} pieces of each input, supported are up to {TALLEST}")
    return (outer, source.shape[axis]), behind, Place((outer, target.shape[axis]), behind, (0, first))
