"""Convolutions and matrix products, from TFLite."""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..graph import TFLITE32, Conv2D, FullyConnected, TransposeConv2D
from .node import LARGEST_TENSOR, SAME, VALID, Activation, Geometry, Node, Weights, geometry, same_padding

CHANNELS_FIRST, CHANNELS_LAST = 0, 3
"""The axis of the output channels in the weights of convolutions, and in those of depthwise ones."""


def _dilation(node: Node) -> tuple[int, int]:
    return int(node.option("DilationHFactor")), int(node.option("DilationWFactor"))


def _kernel(node: Node, source: Activation) -> Weights:
    weights = node.weights(1, source)
    node.need(
        weights.values.ndim == 4 and weights.values.size > 0,
        f"has weights of shape {weights.values.shape}, expected four axes",
    )
    return weights


def _convolution(
    node: Node, source: Activation, weights: Weights, places: Geometry, channels_axis: int, groups: int
) -> None:
    """`weights` have (outputs, height, width, inputs / groups) by now; `channels_axis` is that of the file."""
    outputs = weights.values.shape[0]
    result = node.result((1, *places.count, outputs), source)
    wide, values = node.narrow(source, weights.values)
    node.add(
        Conv2D,
        [wide],
        result,
        weights=values,
        bias=node.bias(2, outputs),
        weight_scales=node.scales(weights, outputs, channels_axis, source, result),
        stride=places.stride,
        padding=places.padding,
        dilation=_dilation(node),
        groups=groups,
        rounding=node.rounding(weights, source),
        **node.limits(result.tensor),
    )
    node.finish(result)


def conv(node: Node) -> None:
    """CONV_2D: any kernel, stride, padding, dilation and groups; int8 or uint8."""
    source = node.image()
    weights = _kernel(node, source)
    _, height, width, inputs = weights.values.shape
    channels = source.shape[3]
    groups = channels // inputs
    node.need(
        groups * inputs == channels and weights.values.shape[0] % groups == 0,
        f"has weights of shape {weights.values.shape} for an input of {channels} channels",
    )
    _convolution(
        node, source, weights, geometry(node, source, (height, width), _dilation(node)), CHANNELS_FIRST, groups
    )


def depthwise_conv(node: Node) -> None:
    """DEPTHWISE_CONV_2D: any kernel, stride, padding, dilation and depth multiplier; int8 or uint8."""
    source = node.image()
    weights = _kernel(node, source)
    one, height, width, outputs = weights.values.shape
    channels = source.shape[3]
    node.need(
        one == 1 and outputs % channels == 0,
        f"has weights of shape {weights.values.shape} for an input of {channels} channels",
    )
    places = geometry(node, source, (height, width), _dilation(node))
    turned = Weights(weights.values.transpose(3, 1, 2, 0), weights.scale, weights.axis)
    _convolution(node, source, turned, places, CHANNELS_LAST, channels)


def transpose_conv(node: Node) -> None:
    """TRANSPOSE_CONV: any kernel, stride and padding, a constant output shape; int8 or uint8."""
    shape = node.integers(0, "output shape")
    source = node.image(2)
    weights = _kernel(node, source)
    outputs, height, width, inputs = weights.values.shape
    node.need(
        len(shape) == 4 and shape[0] == 1 and shape[3] == outputs and inputs == source.shape[3],
        f"makes {shape} of {source.shape} with weights of shape {weights.values.shape}",
    )
    stride = (int(node.option("StrideH")), int(node.option("StrideW")))
    padding = node.option("Padding")
    node.need(padding in (SAME, VALID) and min(stride) >= 1, f"has stride {stride} and padding scheme {padding}")
    before = []
    for axis, kernel in enumerate((height, width)):
        size = shape[axis + 1]
        counts = -(-size // stride[axis]) if padding == SAME else (size + stride[axis] - kernel) // stride[axis]
        node.need(counts == source.shape[axis + 1], f"makes {shape} of {source.shape}, which does not fit its stride")
        before.append(same_padding(size, kernel, stride[axis], counts, padding)[0])
    spread = prod((source.shape[axis + 1] - 1) * stride[axis] + (height, width)[axis] for axis in range(2))
    node.need(spread * outputs <= LARGEST_TENSOR, f"spreads its input over {spread} pixels")
    result = node.result(shape, source)
    wide, values = node.narrow(source, weights.values)
    node.add(
        TransposeConv2D,
        [wide],
        result,
        weights=values,
        bias=node.bias(3, outputs),
        weight_scales=node.scales(weights, outputs, CHANNELS_FIRST, source, result),
        stride=stride,
        before=(before[0], before[1]),
        rounding=node.rounding(weights, source),
        **node.limits(result.tensor),
    )
    node.finish(result)


def fully_connected(node: Node) -> None:
    """FULLY_CONNECTED: constant weights in the default format; int8 or uint8."""
    source = node.activation()
    weights = node.weights(1, source)
    node.need(node.option("WeightsFormat") == 0, "has shuffled weights, supported is the default format")
    node.need(
        weights.values.ndim == 2 and weights.values.size > 0 and source.tensor.size % weights.values.shape[1] == 0,
        f"has weights of shape {weights.values.shape} for an input of shape {source.shape}",
    )
    outputs, inputs = weights.values.shape
    rows = source.tensor.size // inputs
    shape: tuple[int, ...] = (rows, outputs)
    if node.option("KeepNumDims"):
        node.need(source.shape[-1:] == (inputs,), f"has weights for {inputs} inputs, and its input has {source.shape}")
        shape = (*source.shape[:-1], outputs)
    result = node.result(shape, source)
    _product(node, source, weights, rows, result, node.bias(2, outputs), node.limits(result.tensor))


def batch_matmul(node: Node) -> None:
    """BATCH_MATMUL: an activation times one constant matrix."""
    source = node.activation()
    weights = node.weights(1, source)
    shape = weights.values.shape
    node.need(not node.option("AdjX"), "transposes its first input, which is not supported")
    node.need(
        len(shape) >= 2 and weights.values.size > 0 and prod(shape[:-2]) == 1,
        f"multiplies by a constant of shape {shape}, supported is one matrix",
    )
    matrix: NDArray[Any] = weights.values.reshape(shape[-2], shape[-1])
    matrix = matrix if node.option("AdjY") else matrix.T
    outputs, inputs = matrix.shape
    node.need(
        len(source.shape) >= 2 and source.shape[-1] == inputs and len(source.shape) >= len(shape),
        f"multiplies {source.shape} by {shape}",
    )
    node.need(len(weights.scale) == 1, f"has {len(weights.scale)} weight scales, supported is one")
    turned = Weights(matrix, weights.scale, 0)
    result = node.result((*source.shape[:-1], outputs), source)
    _product(node, source, turned, prod(source.shape[:-1]), result, np.zeros(outputs, np.int32), {})


def _product(
    node: Node,
    source: Activation,
    weights: Weights,
    rows: int,
    result: Activation,
    bias: NDArray[np.int32],
    limits: dict[str, int],
) -> None:
    """`rows` of the input times weights of (outputs, inputs)."""
    outputs, inputs = weights.values.shape
    row = result
    if result.shape != (rows, outputs):
        row = node.reader.derived(result, f"{result.tensor.name}.rows", (rows, outputs))
    wide, values = node.narrow(node.reader.reshaped(source, (rows, inputs), node), weights.values)
    node.add(
        FullyConnected,
        [wide],
        row,
        weights=values,
        bias=bias,
        weight_scales=node.scales(weights, outputs, CHANNELS_FIRST, source, result),
        rounding=node.rounding(weights, source, TFLITE32),
        **limits,
    )
    if row is not result:
        node.reader.reshape_to(row, result, node)
    node.finish(result)
