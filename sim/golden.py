"""What the hardware must compute, in NumPy: one function per block and per operator, exact in every bit.

Tensors are NHWC, convolution weights OHWI (output channel, height, width, input channel), padding is
(top, left, bottom, right). Convolutions and products return int32 sums without bias, modulo 2^32;
`requantize` turns sums into int8.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from weft.rtl.isa import Rounding

from .numerics import (
    INT32_MAX,
    MAX_SHIFT,
    divide_half_away,
    divide_half_even,
    integers,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    wrap32,
)

Int8: TypeAlias = NDArray[np.int8]
Int32: TypeAlias = NDArray[np.int32]
Padding: TypeAlias = tuple[int, int, int, int]

NO_PADDING: Padding = (0, 0, 0, 0)


def requantize(
    value: ArrayLike,
    bias: ArrayLike,
    multiplier: ArrayLike,
    shift: ArrayLike,
    rounding: Rounding,
    zero_point: int,
    minimum: int,
    maximum: int,
) -> Int8:
    """Sums to int8: clamp(round((value + bias) * multiplier * 2^(shift - 31)) + zero_point).

    `value` is any int32 array; `bias`, `multiplier` and `shift` broadcast against it (one per channel, on the
    last axis). value + bias and its left shift wrap modulo 2^32. docs/numerics.md states each rounding.

    Raises
    ------
    ValueError
        For a multiplier outside 0 to 2^31 - 1 or a shift outside -31 to 31.
    """
    rounding = Rounding(rounding)
    multiplier, shift = integers(multiplier), integers(shift)
    if np.any((multiplier < 0) | (multiplier > INT32_MAX)):
        raise ValueError("a multiplier must be from 0 to 2^31 - 1")
    if np.any(np.abs(shift) > MAX_SHIFT):
        raise ValueError(f"a shift must be from {-MAX_SHIFT} to {MAX_SHIFT}")
    biased = wrap32(integers(value) + integers(bias))
    if rounding is Rounding.DOUBLE:
        rounded = multiply_by_quantized_multiplier(biased, multiplier, shift)
    else:
        product = wrap32(biased << np.maximum(shift, 0)) * multiplier
        divide = divide_half_even if rounding is Rounding.NEAREST_EVEN else divide_half_away
        rounded = divide(product, 31 + np.maximum(-shift, 0))
    return clamp(rounded + zero_point, minimum, maximum)


def clamp(value: ArrayLike, minimum: int, maximum: int) -> Int8:
    """Integers limited to minimum..maximum, as int8."""
    return np.minimum(np.maximum(integers(value), minimum), maximum).astype(np.int8)


def same_padding(size: int, window: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Padding before and after an axis so that it gives ceil(size / stride) outputs; the odd cell is after.

    Source: TFLite kernels/padding.h, SAME.
    """
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + (window - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def conv2d(
    x: NDArray[Any],
    weights: NDArray[Any],
    zero_point: int,
    strides: tuple[int, int] = (1, 1),
    padding: Padding = NO_PADDING,
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Int32:
    """Sums of (x - zero_point) * weights; padding counts as zero_point.

    x is (N, H, W, Cin), weights (Cout, KH, KW, Cin / groups), the result (N, OH, OW, Cout).

    Raises
    ------
    ValueError
        When the channels do not fit the weights and groups.
    """
    outputs, height, width, depth = weights.shape
    if x.shape[3] != depth * groups or outputs % groups:
        raise ValueError(f"{groups} groups of weights {weights.shape} do not fit {x.shape[3]} input channels")
    windows = _windows(_centred(x, zero_point), (height, width), strides, padding, dilation, 0.0)
    per_group = outputs // groups
    sums = [
        np.tensordot(
            windows[:, :, :, group * depth : (group + 1) * depth],
            weights[group * per_group : (group + 1) * per_group].astype(np.float64),
            axes=([3, 4, 5], [3, 1, 2]),
        )
        for group in range(groups)
    ]
    return _int32(np.concatenate(sums, axis=3))


def depthwise_conv2d(
    x: NDArray[Any],
    weights: NDArray[Any],
    zero_point: int,
    strides: tuple[int, int] = (1, 1),
    padding: Padding = NO_PADDING,
    dilation: tuple[int, int] = (1, 1),
) -> Int32:
    """Sums of (x - zero_point) * weights, each input channel with filters of its own.

    x is (N, H, W, C), weights (1, KH, KW, C * M) as TFLite stores them, the result (N, OH, OW, C * M) with
    channel c * M + m from input channel c.

    Raises
    ------
    ValueError
        When the weights' channels are not a multiple of the input's.
    """
    _, height, width, outputs = weights.shape
    channels = x.shape[3]
    if outputs % channels:
        raise ValueError(f"{outputs} channels of weights do not fit an input of {channels} channels")
    windows = _windows(_centred(x, zero_point), (height, width), strides, padding, dilation, 0.0)
    filters = weights.astype(np.float64).reshape(height, width, channels, outputs // channels)
    sums = np.einsum("nhwcij,ijcm->nhwcm", windows, filters)
    return _int32(sums.reshape(*sums.shape[:3], outputs))


def fully_connected(x: NDArray[Any], weights: NDArray[Any], zero_point: int) -> Int32:
    """Sums of (x - zero_point) * weights; x is (N, K), weights (O, K), the result (N, O)."""
    return matmul(x, weights.T, zero_point)


def matmul(a: NDArray[Any], b: NDArray[Any], a_zero_point: int = 0, b_zero_point: int = 0) -> Int32:
    """(a - a_zero_point) @ (b - b_zero_point); a is (..., M, K), b (..., K, N)."""
    return _int32(_centred(a, a_zero_point) @ _centred(b, b_zero_point))


def max_pool2d(
    x: NDArray[Any], window: tuple[int, int], strides: tuple[int, int], padding: Padding = NO_PADDING
) -> NDArray[Any]:
    """The largest value of each window without its padding; x is (N, H, W, C) of int8 or of int32 sums."""
    lowest = int(np.iinfo(x.dtype).min)
    pooled: NDArray[Any] = _windows(x, window, strides, padding, (1, 1), lowest).max(axis=(4, 5))
    return pooled


def average_pool2d(
    x: NDArray[np.int8],
    window: tuple[int, int],
    strides: tuple[int, int],
    padding: Padding = NO_PADDING,
    minimum: int = -128,
    maximum: int = 127,
    origin: int = 0,
) -> Int8:
    """The mean of each window over its cells inside the image, ties rounded away from `origin`.

    x is (N, H, W, C); the result has its scale and zero point. Source: TFLite reference
    integer_ops/pooling.h, AveragePool; with origin -128 that of uint8, whose values are 128 higher.
    """
    values = integers(x) - origin
    sums = _windows(values, window, strides, padding, (1, 1), 0).sum(axis=(4, 5))
    count = _windows(np.ones_like(values), window, strides, padding, (1, 1), 0).sum(axis=(4, 5))
    return clamp(np.sign(sums) * ((np.abs(sums) + count // 2) // count) + origin, minimum, maximum)


def add(
    a: NDArray[np.int8],
    a_scale: float,
    a_zero_point: int,
    b: NDArray[np.int8],
    b_scale: float,
    b_zero_point: int,
    scale: float,
    zero_point: int,
    minimum: int = -128,
    maximum: int = 127,
) -> Int8:
    """a + b on their real values, broadcasting. Source: TFLite reference integer_ops/add.h, for 8 bits."""
    left_shift = 20
    twice_largest = 2 * max(a_scale, b_scale)
    rescaled = [
        multiply_by_quantized_multiplier(
            (integers(x) - x_zero_point) << left_shift, *quantize_multiplier(x_scale / twice_largest)
        )
        for x, x_scale, x_zero_point in ((a, a_scale, a_zero_point), (b, b_scale, b_zero_point))
    ]
    factor = quantize_multiplier(twice_largest / ((1 << left_shift) * scale))
    return clamp(multiply_by_quantized_multiplier(rescaled[0] + rescaled[1], *factor) + zero_point, minimum, maximum)


def fold_zero_point(bias: ArrayLike, weights: NDArray[Any], zero_point: int) -> Int32:
    """The bias with which sums of x * weights equal sums of (x - zero_point) * weights with `bias`.

    weights are (Cout, ...), the bias is (Cout,).
    """
    totals = integers(weights).reshape(weights.shape[0], -1).sum(axis=1)
    folded: Int32 = (integers(bias) - zero_point * totals).astype(np.int32)
    return folded


def _centred(x: NDArray[Any], zero_point: int) -> NDArray[np.float64]:
    # float64 takes the fast matrix product and is exact: sums of fewer than 2^36 products of 9-bit numbers.
    return (integers(x) - zero_point).astype(np.float64)


def _int32(sums: NDArray[np.float64]) -> Int32:
    return sums.astype(np.int64).astype(np.int32)


def _windows(
    x: NDArray[Any],
    window: tuple[int, int],
    strides: tuple[int, int],
    padding: Padding,
    dilation: tuple[int, int],
    fill: float,
) -> NDArray[Any]:
    """All windows of x, (N, OH, OW, C, KH, KW), a view of the padded x."""
    top, left, bottom, right = padding
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)
    spans = tuple((size - 1) * step + 1 for size, step in zip(window, dilation, strict=True))
    if padded.shape[1] < spans[0] or padded.shape[2] < spans[1]:
        raise ValueError(f"a window of {spans} cells does not fit a padded image of {padded.shape[1:3]}")
    views = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=(1, 2))
    return views[:, :: strides[0], :: strides[1], :, :: dilation[0], :: dilation[1]]
