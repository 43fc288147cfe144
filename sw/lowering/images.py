"""Tensors of any shape as images, and layers that copy parts of one image to parts of another."""

from collections.abc import Iterable
from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import Config

from ..compiler.ways import fewest_cycles
from ..cycles.estimate import drain_cycles
from ..errors import UserError
from ..graph import Constant, Graph, Reshape, Tensor
from .elementwise import TALLEST, TILE_CYCLES, passing, tall
from .layers import Layer, Pair, Place

MOST_SELECTED = 1 << 18
"""Weights of a layer that selects channels."""

WIDEST_STRIDE = 255
"""The field of a CONV for steps has 8 bits."""


def image_of(tensor: Tensor) -> tuple[Pair, int]:
    """Height and width, and channels; rows of features are a row of pixels."""
    shape = tensor.shape or (1,)
    if len(shape) == 4 and shape[0] == 1:
        return (shape[1], shape[2]), shape[3]
    rows = prod(shape[:-1])
    return (1, rows) if rows <= TALLEST else tall(rows), shape[-1]


def constant_of(graph: Graph, name: str) -> NDArray[np.int8] | None:
    """The values of a tensor that are known before the program runs, in its shape; None for any other."""
    maker = graph.producer(root_of(graph, name))
    return maker.value.reshape(graph.tensors[name].shape) if isinstance(maker, Constant) else None


def root_of(graph: Graph, name: str) -> str:
    """The tensor that has the elements of `name`, before they were reshaped."""
    maker = graph.producer(name)
    return root_of(graph, maker.inputs[0]) if isinstance(maker, Reshape) else name


def period_of(values: NDArray[np.int8], most: int) -> int | None:
    """After how many elements the values, in the order in which they are stored, begin to repeat; None for more than
    `most`."""
    flat = values.reshape(-1)
    periods = (n for n in range(1, min(flat.size, most) + 1) if flat.size % n == 0)
    return next((n for n in periods if np.all(flat.reshape(-1, n) == flat[:n])), None)


def pixel_of(graph: Graph, name: str, channels: int, config: Config) -> NDArray[np.int8] | None:
    """The pixel of so many channels that a constant repeats; None for other tensors, for constants that repeat none,
    and for more channels than have parameters on the chip."""
    values = constant_of(graph, name)
    if values is None or channels > config.parameter_channels:
        return None
    pixels = values.reshape(-1, channels)
    return pixels[0] if bool(np.all(pixels == pixels[:1])) else None


def section(
    layer: Layer, output: Pair, first: Pair = (0, 0), stride: Pair = (1, 1), value: int = 0, place: Place | None = None
) -> Layer:
    """A layer that passes on some pixels of its image, from pixel `first` on; outside of it are cells of `value`.

    Raises
    ------
    UserError
        If a number does not fit into an instruction.
    """
    if max(layer.input_size[0], output[0] + abs(first[0])) > TALLEST:
        raise UserError(f"is an image of {layer.input_size[0]} rows on the device, supported are up to {TALLEST}")
    if max(stride) > WIDEST_STRIDE:
        raise UserError(f"takes every element number {max(stride)}, supported are up to {WIDEST_STRIDE}")
    return replace(
        layer,
        before=(-first[0], -first[1]),
        stride=stride,
        padding_value=value,
        sums_size=output,
        output_size=output,
        place=Place(output, layer.output_channels) if place is None else place,
    )


def filled(
    name: str, op: str, source: Tensor, target: str, values: NDArray[np.int8], size: Pair, place: Place
) -> Layer:
    """A layer that writes the same values to all pixels; what it reads does not matter."""
    channels = len(values)
    layer = passing(name, op, source.name, target, size, channels)
    return replace(
        layer,
        input_size=(1, source.size),
        input_channels=1,
        stride=(0, 0),
        groups=1,
        weights=np.zeros((channels, 1, 1, 1), np.int8),
        bias=values.astype(np.int32),
        place=place,
    )


def selected(layer: Layer, sources: NDArray[np.int64], value: int) -> Layer:
    """The layer with other channels: number i is number sources[i] of the input, or `value` where there is none."""
    inputs, channels = layer.input_channels, len(sources)
    there = (sources >= 0) & (sources < inputs)
    weights = np.zeros((channels, 1, 1, inputs), np.int8)
    weights[there, 0, 0, sources[there]] = 1
    return replace(
        passing(layer.name, layer.op, layer.source, layer.target, layer.input_size, channels),
        input_channels=inputs,
        groups=1,
        weights=weights,
        bias=np.where(there, 0, value).astype(np.int32),
    )


def cost(layers: Iterable[Layer], config: Config) -> int:
    """Roughly the cycles of layers that pool and add nothing."""
    total = 0
    for one in layers:
        drained = drain_cycles(config, one.output_size[0] * one.output_size[1], one.output_channels, 1)
        total += max(fewest_cycles(one, config), drained) + TILE_CYCLES
    return total
