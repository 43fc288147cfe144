"""The golden operators that have several inputs or only move values, on arrays of (samples, *shape of the tensor)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from weft.rtl.isa import Rounding
from weft.sw import elementwise, host
from weft.sw.elementwise import Level
from weft.sw.errors import UserError
from weft.sw.graph import (
    ONNX,
    Add,
    Concat,
    Constant,
    Lookup,
    MeanPool2D,
    Multiply,
    Operator,
    Pad,
    ResizeBilinear,
    ResizeNearest,
    Slice,
    SoftmaxInt8,
    Subtract,
    Tensor,
)
from weft.sw.softmax import softmax_int8

from . import golden
from .numerics import integers

Array = NDArray[Any]

OPERATORS = (
    Add,
    Concat,
    Constant,
    Lookup,
    Multiply,
    Pad,
    ResizeBilinear,
    ResizeNearest,
    Slice,
    SoftmaxInt8,
    Subtract,
    MeanPool2D,
)
"""What `apply` takes."""


def apply(
    operator: Operator, inputs: Sequence[Array], sources: Sequence[Tensor], target: Tensor, samples: int
) -> Array:
    """The result of one operator on all samples.

    Raises
    ------
    UserError
        For an operator that is not one of OPERATORS.
    """
    shape = (samples, *target.shape)
    match operator:
        case Constant():
            return np.broadcast_to(operator.value, shape)
        case Add() | Subtract() | Multiply():
            return _binary(operator, inputs, sources, target)
        case Lookup():
            return lookup(inputs[0], operator.table)
        case Concat():
            return np.concatenate(inputs, axis=operator.axis + 1)
        case Pad():
            return np.pad(inputs[0], ((0, 0), *operator.padding), constant_values=operator.value)
        case Slice():
            sections = zip(operator.start, operator.step, target.shape, strict=True)
            return inputs[0][(slice(None), *(slice(a, a + (n - 1) * s + 1, s) for a, s, n in sections))]
        case ResizeNearest():
            return inputs[0][:, :, list(operator.rows)][:, :, :, list(operator.columns)]
        case ResizeBilinear():
            return resize_bilinear(inputs[0], operator.rows, operator.columns)
        case SoftmaxInt8():
            return softmax_int8(inputs[0], sources[0].scale, operator.beta)
        case MeanPool2D():
            return _sums(
                operator, inputs[0].reshape(samples * sources[0].shape[0], *sources[0].shape[1:]), sources, target
            )
    raise UserError(f"{operator.name!r} has no golden operator")


def _binary(
    operator: Add | Subtract | Multiply, inputs: Sequence[Array], sources: Sequence[Tensor], target: Tensor
) -> Array:
    # Axes of samples come first, those that broadcasting adds behind them.
    rank = len(target.shape)
    a, b = (x.reshape(x.shape[0], *(1,) * (rank + 1 - x.ndim), *x.shape[1:]) for x in inputs)
    levels = Level.of(sources[0]), Level.of(sources[1]), Level.of(target)
    limits = operator.minimum, operator.maximum
    match operator:
        case Add() | Subtract() if operator.rounding == ONNX:
            return add_real(a, b, levels, *limits, sign=-1 if isinstance(operator, Subtract) else 1)
        case Add():
            places = [(level.scale, level.zero_point) for level in levels]
            return golden.add(a, *places[0], b, *places[1], *places[2], *limits)
        case Subtract():
            return elementwise.subtract(a, b, levels, *limits)
    return elementwise.multiply(a, b, levels, *limits)


def add_real(
    a: NDArray[np.int8],
    b: NDArray[np.int8],
    levels: tuple[Level, Level, Level],
    minimum: int = -128,
    maximum: int = 127,
    sign: int = 1,
) -> NDArray[np.int8]:
    """a + sign * b between ONNX's DequantizeLinear and QuantizeLinear: each real value in units of the result's scale
    with as many fraction bits as a sum of 31 bits leaves, then rounded to the nearest integer, ties to even."""
    values = np.arange(-128, 128, dtype=np.int8)
    terms = [host.dequantize(values, level.scale, level.zero_point).astype(np.float64) for level in levels[:2]]
    terms = [term / np.float64(np.float32(levels[2].scale)) for term in terms]
    places = 30 - int(np.frexp(sum(np.abs(term).max() for term in terms))[1])
    first, second = (np.rint(term * 2.0**places).astype(np.int64) for term in terms)
    sums = first[a.astype(np.intp) + 128] + sign * second[b.astype(np.intp) + 128]
    # Numbers of 31 bits over a power of two are exact in float64, and so is rint.
    return golden.clamp(np.rint(sums * 2.0**-places).astype(np.int64) + levels[2].zero_point, minimum, maximum)


def lookup(x: NDArray[np.int8], table: NDArray[np.int8]) -> NDArray[np.int8]:
    """table[x + 128], or table[c, x + 128] for channel c on the last axis."""
    places = x.astype(np.intp) + 128
    return table[places] if table.ndim == 1 else table[np.arange(x.shape[-1]), places]


def _sums(operator: MeanPool2D, x: Array, sources: Sequence[Tensor], target: Tensor) -> Array:
    channels = x.shape[3]
    ones = np.ones((channels, *operator.window, 1), np.int8)
    sums = golden.conv2d(x, ones, sources[0].zero_point, operator.stride, groups=channels)
    limits = target.zero_point, operator.minimum, operator.maximum
    return golden.requantize(sums, 0, operator.multiplier, operator.shift, Rounding.DOUBLE, *limits)


def transpose_conv2d(
    x: NDArray[np.int8],
    weights: NDArray[np.int8],
    zero_point: int,
    stride: tuple[int, int],
    before: tuple[int, int],
    size: tuple[int, int],
) -> NDArray[np.int32]:
    """Sums of a transposed convolution, (N, *size, Cout): input pixel (y, x) adds its products with weights[:, i, j] to
    output pixel (y * stride + i - top, x * stride + j - left).

    x is (N, H, W, Cin), weights (Cout, KH, KW, Cin). Source: TFLite reference/transpose_conv.h.
    """
    outputs, height, width, _ = weights.shape
    centred = (integers(x) - zero_point).astype(np.float64)
    count, rows, columns = x.shape[:3]
    reach = [
        max((n - 1) * s + k, b + m)
        for n, s, k, b, m in zip((rows, columns), stride, (height, width), before, size, strict=True)
    ]
    sums = np.zeros((count, *reach, outputs))
    for i in range(height):
        for j in range(width):
            place = sums[
                :, i : i + (rows - 1) * stride[0] + 1 : stride[0], j : j + (columns - 1) * stride[1] + 1 : stride[1]
            ]
            place += centred @ weights[:, i, j].astype(np.float64).T
    top, left = before
    return sums[:, top : top + size[0], left : left + size[1]].astype(np.int64).astype(np.int32)


def resize_bilinear(x: NDArray[np.int8], rows: NDArray[np.int32], columns: NDArray[np.int32]) -> NDArray[np.int8]:
    """Weighted means of four pixels; x is (samples, 1, H, W, C). Source: TFLite reference/resize_bilinear.h."""

    def mixed(values: Array, axis: int, places: NDArray[np.int32]) -> Array:
        weight = places[:, 2].astype(np.int64).reshape([-1 if i == axis else 1 for i in range(values.ndim)])
        first, second = (np.take(values, places[:, i], axis) for i in range(2))
        return first * (1024 - weight) + second * weight

    sums = mixed(mixed(integers(x), 2, rows), 3, columns)
    means: Array = np.sign(sums) * ((np.abs(sums) + (1 << 19)) >> 20)
    return means.astype(np.int8)


def quantize_half_away(x: NDArray[np.float32], scale: float, zero_point: int) -> NDArray[np.int8]:
    """float32 to int8, ties of x / scale away from zero. Source: TFLite reference/quantize.h, AffineQuantize."""
    with np.errstate(over="ignore"):
        quotient = (x / np.float32(scale)).astype(np.float64)
    rounded = np.copysign(np.floor(np.abs(quotient) + 0.5), quotient)
    limited: NDArray[np.float64] = np.clip(rounded, -128 - zero_point, 127 - zero_point) + zero_point
    return limited.astype(np.int8)
