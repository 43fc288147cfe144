"""Sums of products on the host, and how sums become int8: for operators that the device cannot hold.

Images are (N, H, W, C), weights (outputs, kernel height, kernel width, inputs / groups). Sums are exact modulo 2^32, as
on the device; docs/numerics.md states the arithmetic.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from weft.rtl.isa import Rounding

from ..graph import Clamped, Conv2D, FullyConnected, Tensor, TransposeConv2D
from .fixed_point import Integers, divide_by_power, high_mul
from .multiplier import ROUNDING, combined_scales, factors

Array = NDArray[Any]
Pair = tuple[int, int]


def wrapped(x: Integers) -> Integers:
    """Integers modulo 2^32, as int32 has them."""
    return x.astype(np.int32).astype(np.int64)


def scaled_sums(sums: Integers, multiplier: Integers | int, shift: Integers | int, rounding: Rounding) -> Integers:
    """Sums times multiplier * 2^(shift - 31), which broadcast against them."""
    shift = np.asarray(shift, np.int64)
    left = wrapped(sums << np.maximum(shift, 0))
    places = np.maximum(-shift, 0)
    if rounding is Rounding.DOUBLE:
        return divide_by_power(high_mul(left, multiplier), places)
    product = left * multiplier
    if rounding is Rounding.HALF_AWAY:
        return divide_by_power(product, 31 + places)
    whole = np.int64(1) << (31 + places)
    quotient, twice = product >> (31 + places), (product & (whole - 1)) << 1
    rounded: Integers = quotient + ((twice > whole) | ((twice == whole) & (quotient % 2 == 1)))
    return rounded


def limited(x: Integers, operator: Clamped, zero_point: int) -> NDArray[np.int8]:
    """x plus the zero point, inside the operator's limits."""
    return np.minimum(np.maximum(x + zero_point, operator.minimum), operator.maximum).astype(np.int8)


def taps(
    x: Array, window: Pair, stride: Pair, before: Pair, dilation: Pair, size: Pair, fill: float
) -> Sequence[tuple[int, int, Array]]:
    """For each cell (i, j) of a window: what is under it in all `size` positions, (N, *size, C).

    `before` are cells of padding at the top and left; the other sides have as many as the last position reaches.
    """
    spans = [(n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(size, stride, window, dilation, strict=True)]
    behind = [max(span - b - n, 0) for span, b, n in zip(spans, before, x.shape[1:3], strict=True)]
    padded = np.pad(x, ((0, 0), *zip(before, behind, strict=True), (0, 0)), constant_values=fill)
    rows, columns = (
        [slice(i * d, i * d + (n - 1) * s + 1, s) for i in range(k)]
        for n, s, k, d in zip(size, stride, window, dilation, strict=True)
    )
    return [(i, j, padded[:, row, column]) for i, row in enumerate(rows) for j, column in enumerate(columns)]


def _centred(x: Array, zero_point: int) -> NDArray[np.float64]:
    # float64 takes the fast matrix product and is exact: sums stay far below 2^53.
    return (x.astype(np.int64) - zero_point).astype(np.float64)


def _requantized(
    operator: Conv2D | FullyConnected | TransposeConv2D, sums: NDArray[np.float64], source: Tensor, target: Tensor
) -> NDArray[np.int8]:
    """Sums of all output channels, on the last axis, as the target has them."""
    real = combined_scales(source.scale, operator.weight_scales, target.scale, operator.rounding)
    biased = wrapped(sums.astype(np.int64) + operator.bias)
    return limited(scaled_sums(biased, *factors(real), ROUNDING[operator.rounding]), operator, target.zero_point)


def conv2d(operator: Conv2D, x: Array, source: Tensor, target: Tensor) -> NDArray[np.int8]:
    """A convolution of (N, H, W, C), grouped or not."""
    outputs, *kernel, inputs = operator.weights.shape
    groups, size = operator.groups, (target.shape[1], target.shape[2])
    weights = operator.weights.astype(np.float64).reshape(groups, outputs // groups, *kernel, inputs)
    sums = np.zeros((len(x), *size, groups, outputs // groups))
    image = _centred(x, source.zero_point)
    window = (kernel[0], kernel[1])
    for i, j, cells in taps(image, window, operator.stride, operator.padding[:2], operator.dilation, size, 0.0):
        parts = cells.reshape(*cells.shape[:3], groups, inputs)
        sums += np.einsum("nyxgi,goi->nyxgo", parts, weights[:, :, i, j], optimize=True)
    return _requantized(operator, sums.reshape(len(x), *size, outputs), source, target)


def fully_connected(operator: FullyConnected, x: Array, source: Tensor, target: Tensor) -> NDArray[np.int8]:
    """Rows of features, (..., inputs), times a matrix."""
    sums = _centred(x, source.zero_point) @ operator.weights.astype(np.float64).T
    return _requantized(operator, sums, source, target)


def transpose_conv2d(operator: TransposeConv2D, x: Array, source: Tensor, target: Tensor) -> NDArray[np.int8]:
    """A transposed convolution of (N, H, W, C)."""
    size = (target.shape[1], target.shape[2])
    sums = scattered(_centred(x, source.zero_point), operator.weights, operator.stride, operator.before, size)
    return _requantized(operator, sums, source, target)


def scattered(
    x: NDArray[np.float64], weights: NDArray[np.int8], stride: Pair, before: Pair, size: Pair
) -> NDArray[np.float64]:
    """Sums of a transposed convolution, (N, *size, outputs): pixel (y, x) adds its products with weights[:, i, j] to
    pixel (y * stride + i - top, x * stride + j - left), where `before` is (top, left).

    Source: TFLite reference/transpose_conv.h.
    """
    outputs, *kernel, _ = weights.shape
    reach = [
        max((n - 1) * s + k, b + m) for n, s, k, b, m in zip(x.shape[1:3], stride, kernel, before, size, strict=True)
    ]
    sums = np.zeros((len(x), *reach, outputs))
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            rows, columns = (
                slice(k, k + (n - 1) * s + 1, s) for k, n, s in zip((i, j), x.shape[1:3], stride, strict=True)
            )
            sums[:, rows, columns] += x @ weights[:, i, j].astype(np.float64).T
    top, left = before
    return sums[:, top : top + size[0], left : left + size[1]]
