"""Fixed-point arithmetic of requantization, on NumPy arrays of broadcastable shapes; see docs/numerics.md.

A real factor is a pair (multiplier, shift): multiplier * 2^(shift - 31), with a multiplier of 31 bits.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Integers: TypeAlias = NDArray[np.int64]

INT32_MIN = -(1 << 31)
INT32_MAX = (1 << 31) - 1
MAX_SHIFT = 31
MAX_AVERAGE_CELLS = 255 * 255


def integers(value: ArrayLike) -> Integers:
    """`value` as int64, which holds every product of int32 numbers.

    Raises
    ------
    ValueError
        For anything but integers.
    """
    array = np.asarray(value)
    if not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"the arithmetic is for integers, not {array.dtype}")
    return array.astype(np.int64)


def wrap32(value: ArrayLike) -> Integers:
    """`value` modulo 2^32, as the int32 that has the same low bits."""
    return integers(value).astype(np.int32).astype(np.int64)


def saturating_rounding_doubling_high_mul(a: ArrayLike, b: ArrayLike) -> Integers:
    """a * b / 2^31 to the nearest integer, ties up; saturates for the one pair that overflows.

    Source: gemmlowp fixedpoint.h, SaturatingRoundingDoublingHighMul.
    """
    high: Integers = (integers(a) * integers(b) + (1 << 30)) >> 31
    return np.minimum(high, INT32_MAX)


def rounding_divide_by_pot(x: ArrayLike, exponent: ArrayLike) -> Integers:
    """x / 2^exponent to the nearest integer, ties away from zero.

    Source: gemmlowp fixedpoint.h, RoundingDivideByPOT.
    """
    return divide_half_away(integers(x), integers(exponent))


def divide_half_away(x: Integers, exponent: ArrayLike) -> Integers:
    """x / 2^exponent of int64 to the nearest integer, ties away from zero; exponent from 0 to 62."""
    quotient, above, tie = _split(x, integers(exponent))
    rounded: Integers = quotient + (above | (tie & (x >= 0)))
    return rounded


def divide_half_even(x: Integers, exponent: ArrayLike) -> Integers:
    """x / 2^exponent of int64 to the nearest integer, ties to the even one; exponent from 0 to 62."""
    quotient, above, tie = _split(x, integers(exponent))
    rounded: Integers = quotient + (above | (tie & (quotient % 2 != 0)))
    return rounded


def _split(x: Integers, exponent: Integers) -> tuple[Integers, NDArray[np.bool_], NDArray[np.bool_]]:
    """floor(x / 2^exponent), and whether the remainder is above or at one half."""
    one = np.int64(1)
    twice = (x & ((one << exponent) - 1)) << 1
    return x >> exponent, twice > one << exponent, (twice == one << exponent)


def multiply_by_quantized_multiplier(x: ArrayLike, multiplier: ArrayLike, shift: ArrayLike) -> Integers:
    """x * multiplier * 2^(shift - 31) with TFLite's two roundings.

    Source: TFLite kernels/internal/common, MultiplyByQuantizedMultiplier without TFLITE_SINGLE_ROUNDING.
    """
    shift = integers(shift)
    left = wrap32(integers(x) << np.maximum(shift, 0))
    return rounding_divide_by_pot(saturating_rounding_doubling_high_mul(left, multiplier), np.maximum(-shift, 0))


def quantize_multiplier(real: ArrayLike) -> tuple[Integers, Integers]:
    """The multiplier and shift nearest to a real factor (float64), each in the shape of `real`.

    Factors below 2^-32 become zero, as in the source: TFLite quantization_util, QuantizeMultiplier.

    Raises
    ------
    ValueError
        For a factor that is negative, not finite, or 2^31 and more.
    """
    fraction, shift = _frexp(np.asarray(real, np.float64))
    multiplier = np.floor(fraction * 2.0**31 + 0.5).astype(np.int64)
    carry = multiplier == 1 << 31
    multiplier, shift = np.where(carry, multiplier >> 1, multiplier), shift + carry
    if np.any(shift > MAX_SHIFT):
        raise ValueError("a factor must be below 2^31")
    flush = (shift < -MAX_SHIFT) | (multiplier == 0)
    return np.where(flush, 0, multiplier), np.where(flush, 0, shift)


def exact_multiplier(scale: ArrayLike) -> tuple[Integers, Integers]:
    """The multiplier and shift that equal a float32 factor (ONNX); its 24 bits of mantissa fit unrounded.

    A factor below 2^-32 becomes zero: times any int32 it rounds to zero.

    Raises
    ------
    ValueError
        For a factor that is negative, not finite, 2^31 and more, or not a float32 number.
    """
    given = np.asarray(scale)
    single = given.astype(np.float32)
    if np.any(single != given):
        raise ValueError("a factor must be a float32 number")
    return quantize_multiplier(single.astype(np.float64))


def average_multiplier(count: int) -> tuple[int, int]:
    """The multiplier and shift that divide a sum of `count` int8 values by `count`, exactly under HALF_AWAY.

    The factor is ceil(2^k / count) / 2^k with the largest k that fits. It exceeds 1 / count by less than
    2^-k, so a mean is off by less than 128 * count / 2^k. That is below 1 / (2 * count), the least distance
    of a mean from a tie above it. Ties themselves move away from zero, where they belong.

    Raises
    ------
    ValueError
        For a count that is not from 1 to 255 * 255.
    """
    if not 1 <= count <= MAX_AVERAGE_CELLS:
        raise ValueError(f"an average is over 1 to {MAX_AVERAGE_CELLS} cells, not {count}")
    k = 30 + (count - 1).bit_length()
    return -(-(1 << k) // count), 31 - k


def _frexp(real: NDArray[np.float64]) -> tuple[NDArray[np.float64], Integers]:
    if not np.all(np.isfinite(real)) or np.any(real < 0):
        raise ValueError("a factor must be finite and not negative")
    fraction, shift = np.frexp(real)
    return fraction, shift.astype(np.int64)
