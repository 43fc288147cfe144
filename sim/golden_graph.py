"""A whole network by the golden operators: what a program must answer in every bit, found without the compiler."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from weft.rtl.isa import Rounding
from weft.sw.errors import UserError
from weft.sw.graph import (
    ONNX,
    TFLITE32,
    AveragePool2D,
    Clamp,
    Clamped,
    Conv2D,
    FullyConnected,
    Graph,
    MaxPool2D,
    Operator,
    Pool2D,
    Requantize,
    Tensor,
    TransposeConv2D,
)
from weft.sw.host import real as host

from . import golden, golden_operators
from .numerics import exact_multiplier, quantize_multiplier

Array = NDArray[Any]

CHUNK = 256
"""Most samples computed at once; what the largest windows take in memory grows with it."""

ELEMENTS = 1 << 22
"""Most elements of a tensor computed at once, but for one sample at least."""


def run_graph(graph: Graph, inputs: Sequence[Array], progress: Callable[[int, int], None] | None = None) -> list[Array]:
    """The graph's outputs, in order.

    Parameters
    ----------
    inputs
        In the graph's order, each (samples, *shape of one sample without its leading 1).
    progress
        Called with the number of samples done and that of all.

    Raises
    ------
    UserError
        For inputs of another number, shape or type.
    """
    if len(inputs) != len(graph.inputs):
        raise UserError(f"{graph.name} has {len(graph.inputs)} inputs, not {len(inputs)}")
    for name, array in zip(graph.inputs, inputs, strict=True):
        tensor = graph.tensors[name]
        if array.shape[1:] != tensor.shape[1:] or array.dtype != np.dtype(tensor.dtype):
            raise UserError(
                f"the input {name!r} must be {tensor.dtype} of shape {tensor.shape}, not {array.dtype} of {array.shape}"
            )
    samples = len(inputs[0])
    parts = []
    step = max(1, min(CHUNK, ELEMENTS // max(tensor.size for tensor in graph.tensors.values())))
    for start in range(0, samples, step):
        parts.append(_run(graph, [array[start : start + step] for array in inputs]))
        if progress is not None:
            progress(min(start + step, samples), samples)
    return [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]


def _run(graph: Graph, inputs: Sequence[Array]) -> list[Array]:
    # Samples are stacked on axis 0, which has the rows of one sample after those of the other where it has several.
    values = dict(zip(graph.inputs, inputs, strict=True))
    samples = len(inputs[0])
    for operator in graph.operators:
        sources, target = [graph.tensors[name] for name in operator.inputs], graph.tensors[operator.output]
        if isinstance(operator, IMAGES):
            made = _apply(operator, values[operator.inputs[0]], sources[0], target)
        else:
            arrays = [values[name].reshape(samples, *graph.tensors[name].shape) for name in operator.inputs]
            made = golden_operators.apply(operator, arrays, sources, target, samples)
        values[operator.output] = made.reshape(samples * target.shape[0], *target.shape[1:])
    return [values[name] for name in graph.outputs]


IMAGES = (Conv2D, FullyConnected, TransposeConv2D, MaxPool2D, AveragePool2D, Requantize, Clamp)
"""Operators on one tensor, to which the rows of several samples are like those of one."""


def _apply(operator: Operator, x: Array, source: Tensor, target: Tensor) -> Array:
    match operator:
        case Conv2D():
            place = (operator.stride, operator.padding, operator.dilation, operator.groups)
            sums = golden.conv2d(x, operator.weights, source.zero_point, *place)
            return _scaled(sums, operator, source, target, operator.weight_scales, operator.bias, operator.rounding)
        case FullyConnected():
            sums = golden.fully_connected(x.reshape(-1, x.shape[-1]), operator.weights, source.zero_point)
            return _scaled(sums, operator, source, target, operator.weight_scales, operator.bias, operator.rounding)
        case TransposeConv2D():
            size = (target.shape[1], target.shape[2])
            sums = golden_operators.transpose_conv2d(
                x, operator.weights, source.zero_point, operator.stride, operator.before, size
            )
            return _scaled(sums, operator, source, target, operator.weight_scales, operator.bias, operator.rounding)
        case MaxPool2D():
            pooled = golden.max_pool2d(x, operator.window, operator.stride, _reach(operator, source, target))
            return golden.clamp(pooled, operator.minimum, operator.maximum)
        case AveragePool2D():
            return _average(operator, x, source, target)
        case Requantize() if operator.rounding == ONNX:
            real = host.dequantize(x, source.scale, source.zero_point)
            again = host.quantize(real, target.scale, target.zero_point)
            return golden.clamp(again, operator.minimum, operator.maximum)
        case Requantize():
            centred = x.astype(np.int32) - source.zero_point
            return _scaled(centred, operator, source, target, np.float32(1), 0, operator.rounding)
        case Clamp():
            return golden.clamp(x, operator.minimum, operator.maximum)
    raise TypeError(f"{operator.name!r} is none of IMAGES")


def _scaled(
    sums: Array,
    operator: Clamped,
    source: Tensor,
    target: Tensor,
    scales: ArrayLike,
    bias: ArrayLike,
    rounding: str,
) -> Array:
    """Sums in units of source scale times `scales`, as the target has them; docs/numerics.md."""
    if rounding == ONNX:
        product = np.float32(source.scale) * np.asarray(scales, np.float32)
        factor, mode = exact_multiplier(product / np.float32(target.scale)), Rounding.NEAREST_EVEN
    elif rounding == TFLITE32:
        product = np.float32(source.scale) * np.asarray(scales, np.float32)
        factor, mode = quantize_multiplier(product.astype(np.float64) / np.float64(target.scale)), Rounding.DOUBLE
    else:
        real = np.float64(source.scale) * np.asarray(scales, np.float64) / np.float64(target.scale)
        factor, mode = quantize_multiplier(real), Rounding.DOUBLE
    limits = (target.zero_point, operator.minimum, operator.maximum)
    return golden.requantize(sums, bias, *factor, mode, *limits)


def _reach(operator: Pool2D, source: Tensor, target: Tensor) -> tuple[int, int, int, int]:
    """The padding with which there are as many windows as the target has positions."""
    top, left, *_ = operator.padding
    ends = [
        (target.shape[axis + 1] - 1) * operator.stride[axis] + operator.window[axis] - source.shape[axis + 1]
        for axis in range(2)
    ]
    # A negative end is rows that no window reaches.
    return top, left, max(ends[0] - top, 0), max(ends[1] - left, 0)


def _average(operator: AveragePool2D, x: Array, source: Tensor, target: Tensor) -> Array:
    padding = _reach(operator, source, target)
    if operator.rounding != ONNX:
        limits = (operator.minimum, operator.maximum, operator.origin)
        return golden.average_pool2d(x, operator.window, operator.stride, padding, *limits)
    channels = x.shape[3]
    ones = np.ones((channels, *operator.window, 1), np.int8)
    sums = golden.conv2d(x, ones, source.zero_point, operator.stride, padding, groups=channels)
    count = _cells(operator, source, padding)
    product = np.float32(target.scale) * count.astype(np.float32)
    factor = exact_multiplier(np.float32(source.scale) / product)
    mode = Rounding.NEAREST_EVEN
    return golden.requantize(sums, 0, *factor, mode, target.zero_point, operator.minimum, operator.maximum)


def _cells(operator: AveragePool2D, source: Tensor, padding: tuple[int, int, int, int]) -> Array:
    """The cells that each window's sum is divided by, (1, OH, OW, 1): those in the image, and those in the model's own
    padding where that counts."""
    inside = np.ones((1, *source.shape[1:3], 1), np.int8)
    before = padding
    if operator.counts_padding:
        own = [min(a, b) for a, b in zip(operator.padding, padding, strict=True)]
        inside = np.pad(inside, ((0, 0), (own[0], own[2]), (own[1], own[3]), (0, 0)), constant_values=1)
        before = (0, 0, padding[2] - own[2], padding[3] - own[3])
    return golden.conv2d(inside, np.ones((1, *operator.window, 1), np.int8), 0, operator.stride, before)
