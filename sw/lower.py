"""From operators to layers: every operator of the device is a convolution whose sums the drain pools, adds, requantizes
and looks up.

A product is a 1x1 convolution of one row of pixels. Pooling and functions of single values are convolutions with the
identity matrix, averages have ones on the diagonal. Zero points are folded into the bias.
"""

from dataclasses import replace

import numpy as np
from weft.rtl.config import Config

from .boundary import Boundary
from .errors import UserError
from .graph import (
    Add,
    AveragePool2D,
    Clamp,
    Conv2D,
    FullyConnected,
    Graph,
    Lookup,
    MaxPool2D,
    MeanPool2D,
    Operator,
    Requantize,
    Subtract,
)
from .layers import Layer
from .lower_elementwise import clamp, lookup, requantize, total
from .lower_linear import conv, fully_connected
from .lower_pool import average_pool, max_pool, mean_pool


def lower(graph: Graph, boundary: Boundary, config: Config) -> tuple[Layer, ...]:
    """The layers in order, pooling and tables put behind the convolutions where that is the same.

    Raises
    ------
    UserError
        Names the operator and what is supported instead.
    """
    layers: list[Layer] = []
    for operator in boundary.operators:
        try:
            layers += _lower(operator, graph, boundary, config)
        except UserError as error:
            raise UserError(f"{graph.name}: {type(operator).__name__} {operator.name!r} {error}") from None
    return share_drains(tuple(layers), boundary.outputs)


def share_drains(layers: tuple[Layer, ...], outputs: tuple[str, ...]) -> tuple[Layer, ...]:
    """Let a layer pool its own sums, or look up its own results, where a layer that does just this is all that reads
    them."""
    found: list[Layer] = []
    for layer in layers:
        makers = [one for one in found if one.target == layer.source]
        readers = sum(layer.source in one.sources for one in layers)
        joined = None
        if len(makers) == 1 and readers == 1 and layer.source not in outputs:
            joined = _joined(makers[0], layer)
        if joined is None:
            found.append(layer)
        else:
            found[found.index(makers[0])] = joined
    return tuple(found)


def _joined(maker: Layer, layer: Layer) -> Layer | None:
    """Both layers in one, None if that is not the same.

    Requantization with positive multipliers is monotone, so the largest sum gives the largest result; so it does where
    a table that does not fall comes between.
    """
    if not (layer.passes_values and maker.whole and maker.target_bytes == layer.input_bytes):
        return None
    joined = replace(maker, op=f"{maker.op}+{layer.op}", target=layer.target)
    if layer.window.pools:
        same_image = (maker.output_size, maker.output_channels) == (layer.input_size, layer.input_channels)
        rises = maker.result_table is None or bool(np.all(np.diff(maker.result_table.astype(np.int16)) >= 0))
        if maker.window.pools or maker.operands > 1 or not same_image or not rises:
            return None
        joined = replace(joined, window=layer.window, output_size=layer.output_size, place=layer.place)
    elif not layer.whole:
        return None
    before = np.arange(-128, 128, dtype=np.int16) if maker.result_table is None else maker.result_table.astype(np.int16)
    after = np.clip(before, layer.minimum, layer.maximum)
    if layer.result_table is not None:
        after = layer.result_table[after + 128].astype(np.int16)
    if np.array_equal(before, after):
        return joined
    if layer.result_table is None and maker.result_table is None:
        return None
    return replace(joined, result_table=after.astype(np.int8))


def _lower(operator: Operator, graph: Graph, boundary: Boundary, config: Config) -> list[Layer]:
    sources, target = [graph.tensors[name] for name in operator.inputs], graph.tensors[operator.output]
    for tensor in (*sources, target):
        if tensor.dtype != "int8":
            raise UserError(f"has the activation {tensor.name!r} of type {tensor.dtype}, supported is int8")
    match operator:
        case Conv2D():
            layers = conv(operator, sources[0], target, config)
        case FullyConnected():
            layers = fully_connected(operator, sources[0], target)
        case MaxPool2D():
            layers = max_pool(operator, sources[0], target)
        case AveragePool2D():
            layers = average_pool(operator, sources[0], target)
        case MeanPool2D():
            layers = mean_pool(operator, sources[0], target)
        case Requantize():
            layers = requantize(operator, sources[0], target, config)
        case Clamp():
            layers = clamp(operator, sources[0], target, config)
        case Lookup():
            layers = lookup(operator, sources[0], target, config)
        case Add() | Subtract():
            layers = total(operator, sources[0], sources[1], target, config)
        case _:
            raise UserError("is not supported on the device")
    return [replace(one, sources=tuple(boundary.buffers.get(name, name) for name in one.sources)) for one in layers]
