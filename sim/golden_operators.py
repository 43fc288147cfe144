"""The golden operators that have several inputs or only move values, on arrays of (samples, *shape of the tensor).

What has no arithmetic of its own, and what sw computes by the reference kernels' steps, is weft.sw.host_operators.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from weft.rtl.isa import Rounding
from weft.sw.graph import ONNX, Add, MeanPool2D, Multiply, Operator, Quantize, Subtract, Tensor
from weft.sw.host import elementwise
from weft.sw.host import operators as host_operators
from weft.sw.host import real as host
from weft.sw.host.elementwise import Level

from . import golden
from .numerics import exact_multiplier, integers

Array = NDArray[Any]


def apply(
    operator: Operator, inputs: Sequence[Array], sources: Sequence[Tensor], target: Tensor, samples: int
) -> Array:
    """The result of one operator on all samples.

    Raises
    ------
    UserError
        For an operator that is not one of the graph's.
    """
    match operator:
        case Quantize() if operator.rounding != ONNX and target.dtype == "int8":
            return quantize_half_away(inputs[0], target.scale, target.zero_point)
        case Add() | Subtract() | Multiply():
            return _binary(operator, inputs, sources, target)
        case MeanPool2D():
            return _sums(
                operator, inputs[0].reshape(samples * sources[0].shape[0], *sources[0].shape[1:]), sources, target
            )
    return host_operators.apply(operator, inputs, sources, target, samples)


def _binary(
    operator: Add | Subtract | Multiply, inputs: Sequence[Array], sources: Sequence[Tensor], target: Tensor
) -> Array:
    a, b = host_operators.aligned(inputs, target)
    levels = Level.of(sources[0]), Level.of(sources[1]), Level.of(target)
    limits = operator.minimum, operator.maximum
    match operator:
        case Add() | Subtract() if operator.rounding == ONNX:
            return add_real(a, b, levels, *limits, sign=-1 if isinstance(operator, Subtract) else 1)
        case Multiply() if operator.rounding == ONNX:
            products = (integers(a) - levels[0].zero_point) * (integers(b) - levels[1].zero_point)
            real = np.float32(levels[0].scale) * np.float32(levels[1].scale) / np.float32(levels[2].scale)
            place = (levels[2].zero_point, *limits)
            return golden.requantize(products, 0, *exact_multiplier(real), Rounding.NEAREST_EVEN, *place)
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
    with as many fraction bits as a sum of 27 bits leaves, then rounded to the nearest integer, ties to even."""
    values = np.arange(-128, 128, dtype=np.int8)
    terms = [host.dequantize(values, level.scale, level.zero_point).astype(np.float64) for level in levels[:2]]
    terms = [term / np.float64(np.float32(levels[2].scale)) for term in terms]
    places = 26 - int(np.frexp(sum(np.abs(term).max() for term in terms))[1])
    first, second = (np.rint(term * 2.0**places).astype(np.int64) for term in terms)
    sums = first[a.astype(np.intp) + 128] + sign * second[b.astype(np.intp) + 128]
    # Numbers of 27 bits over a power of two are exact in float64, and so is rint.
    return golden.clamp(np.rint(sums * 2.0**-places).astype(np.int64) + levels[2].zero_point, minimum, maximum)


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
    """Sums of (x - zero_point) * weights of a transposed convolution, (N, *size, Cout): a convolution, by the weights
    turned around, of the pixels `stride` apart with zeros between them.

    x is (N, H, W, Cin), weights (Cout, KH, KW, Cin); `before` is what is cut off at the top and left.
    """
    samples, height, width, channels = x.shape
    (down, right), (top, left), kernel = stride, before, weights.shape[1:3]
    spread = np.zeros((samples, (height - 1) * down + 1, (width - 1) * right + 1, channels), np.int64)
    spread[:, ::down, ::right] = integers(x) - zero_point
    # So much padding that no product is left out, then zeros up to the size.
    margin = (kernel[0] - 1, kernel[1] - 1, kernel[0] - 1 + size[0], kernel[1] - 1 + size[1])
    sums = golden.conv2d(spread, weights[:, ::-1, ::-1], 0, padding=margin)
    return sums[:, top : top + size[0], left : left + size[1]]


def quantize_half_away(x: NDArray[np.float32], scale: float, zero_point: int) -> NDArray[np.int8]:
    """float32 to int8, ties of x / scale away from zero. Source: TFLite reference/quantize.h, AffineQuantize."""
    with np.errstate(over="ignore"):
        quotient = (x / np.float32(scale)).astype(np.float64)
    rounded = np.copysign(np.floor(np.abs(quotient) + 0.5), quotient)
    limited: NDArray[np.float64] = np.clip(rounded, -128 - zero_point, 127 - zero_point) + zero_point
    return limited.astype(np.int8)
