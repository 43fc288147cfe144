"""Real factors as the drain takes them: a 31-bit multiplier and a shift, together multiplier * 2^(shift - 31)."""

import numpy as np
from numpy.typing import NDArray
from weft.rtl.isa import Rounding

from ..errors import UserError
from ..graph import ONNX, TFLITE32

LONGEST_SHIFT = 31

Factors = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Multipliers and shifts, one of each per channel."""

ROUNDING = {"onnx": Rounding.NEAREST_EVEN, "tflite": Rounding.DOUBLE, "tflite32": Rounding.DOUBLE}


def combined_scales(source: float, weights: NDArray[np.float32], target: float, rounding: str) -> NDArray[np.float64]:
    """source * weights / target per channel, in the precision and order of the framework.

    ONNX Runtime multiplies and divides in float32 (QLinearConv, QGemm); TFLite widens to float64 first, except for
    TFLITE32, where it multiplies in float32 and divides in float64.
    """
    if rounding in (ONNX, TFLITE32):
        product = np.float32(source) * weights.astype(np.float32)
        if rounding == TFLITE32:
            return product.astype(np.float64) / np.float64(target)
        return (product / np.float32(target)).astype(np.float64)
    return np.float64(source) * weights.astype(np.float64) / np.float64(target)


def factors(real: NDArray[np.float64]) -> Factors:
    """The nearest multipliers in 2^30..2^31-1, and shifts; exact for float32 values.

    Factors below 2^-32 become zero: they round every int32 to zero. Source of the rounding to 31 bits: TFLite
    quantization_util, QuantizeMultiplier.

    Raises
    ------
    UserError
        For a factor of 2^31 or more.
    """
    fraction, exponent = np.frexp(real)
    multiplier = np.floor(fraction * 2.0**31 + 0.5).astype(np.int64)
    shift = exponent.astype(np.int64)
    carry = multiplier == 1 << 31
    multiplier, shift = np.where(carry, multiplier >> 1, multiplier), np.where(carry, shift + 1, shift)
    if np.any(shift > LONGEST_SHIFT):
        raise UserError(f"scales give a factor of {np.max(real):g}, which must be below 2^31")
    vanishes = (shift < -LONGEST_SHIFT) | (multiplier == 0)
    return np.where(vanishes, 0, multiplier), np.where(vanishes, 0, shift)


def mean_factors(count: int, channels: int) -> Factors:
    """The factor that divides a sum of `count` int8 by `count`, exactly under Rounding.HALF_AWAY: ceil(2^k / count).

    It exceeds 1/count by less than 2^-k, too little to lift a mean to the next tie.
    """
    k = 30 + (count - 1).bit_length()
    return np.full(channels, -(-(1 << k) // count), np.int64), np.full(channels, 31 - k, np.int64)


def identity_factors(channels: int) -> Factors:
    """The factor 1."""
    return np.full(channels, 1 << 30, np.int64), np.ones(channels, np.int64)


def requantizing_factor(
    values: NDArray[np.int64], results: NDArray[np.int64], lowest: int, highest: int, quotient: float
) -> tuple[int, int] | None:
    """A factor with which `values` round (to nearest, ties to even) to `results`, limited to lowest..highest.

    ONNX Runtime requantizes an int8 by way of float32, with two roundings; on the few possible values a single rounding
    of another factor than the quotient of the scales can give the same. There is none where the quotient makes ties
    and float32 breaks them at random.
    """
    results = np.clip(results, lowest, highest)
    size, sign = np.abs(values[values != 0]), np.sign(values[values != 0])
    result = results[values != 0]
    bounded_below = np.where(sign > 0, result != lowest, result != highest)
    bounded_above = np.where(sign > 0, result != highest, result != lowest)
    low = np.max((sign * result - 0.5) / size, where=bounded_below, initial=0.0)
    high = np.min((sign * result + 0.5) / size, where=bounded_above, initial=2.0**LONGEST_SHIFT - 1)
    for real in (quotient, (low + high) / 2):
        multiplier, shift = (int(value[0]) for value in factors(np.array([real])))
        product = [_nearest_even(int(value) * multiplier, 31 - shift) for value in values]
        if np.array_equal(np.clip(product, lowest, highest), results):
            return multiplier, shift
    return None


def _nearest_even(value: int, places: int) -> int:
    """value / 2^places, ties to even."""
    quotient, rest = divmod(value, 1 << places)
    twice = 2 * rest
    return quotient + (twice > 1 << places or (twice == 1 << places and quotient % 2 == 1))
