"""gemmlowp's 32-bit fixed-point arithmetic, on int64 arrays: what TFLite's reference kernels are made of.

A number with n integer bits stands for raw / 2^(31 - n). Source of all functions: gemmlowp fixedpoint.h.
"""

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .multiplier import LONGEST_SHIFT, factors

Integers = NDArray[np.int64]

INT32_MAX = (1 << 31) - 1
INT32_MIN = -(1 << 31)

EXP_INTEGER_BITS = 5
"""Integer bits of the argument of `exp_on_negative_values`."""


class ScaleError(UserError):
    """Scales that cannot be brought together; the sentence names no operator yet."""


def factor(real: float) -> tuple[int, int]:
    """The multiplier and shift of one real factor, multiplier * 2^(shift - 31).

    Raises
    ------
    ScaleError
        For a factor that is not from 0 to below 2^31.
    """
    if not 0 <= real < 2.0**LONGEST_SHIFT - 1:
        raise ScaleError(f"has scales that give a factor of {real:g}, which must be from 0 to below 2^{LONGEST_SHIFT}")
    multiplier, shift = factors(np.array([real], np.float64))
    return int(multiplier[0]), int(shift[0])


def high_mul(a: Integers, b: Integers | int) -> Integers:
    """a * b / 2^31, ties up: SaturatingRoundingDoublingHighMul."""
    high: Integers = (a * b + (1 << 30)) >> 31
    return np.minimum(high, INT32_MAX)


def divide_by_power(x: Integers, exponent: Integers | int) -> Integers:
    """x / 2^exponent, ties away from zero: RoundingDivideByPOT."""
    half = (np.int64(1) << np.asarray(exponent, np.int64)) >> 1
    rounded: Integers = np.where(x < 0, -((-x + half) >> exponent), (x + half) >> exponent)
    return rounded


def multiply_by_power(x: Integers, exponent: int) -> Integers:
    """x * 2^exponent, saturated to 32 bits: SaturatingRoundingMultiplyByPOT."""
    wide: Integers = x << exponent
    return np.minimum(np.maximum(wide, INT32_MIN), INT32_MAX)


def scaled(x: Integers, multiplier: int, shift: int) -> Integers:
    """x times a factor, with two roundings. Source: TFLite, MultiplyByQuantizedMultiplier."""
    left = (x << max(shift, 0)).astype(np.int32).astype(np.int64)
    return divide_by_power(high_mul(left, multiplier), max(-shift, 0))


def exp_on_negative_values(raw: Integers) -> Integers:
    """exp(a) with 0 integer bits, for a <= 0 with 5 integer bits."""
    fraction_bits = 31 - EXP_INTEGER_BITS
    quarter = 1 << (fraction_bits - 2)
    below = (raw & (quarter - 1)) - quarter
    result = _exp_in_last_quarter(multiply_by_power(below, EXP_INTEGER_BITS))
    rest = below - raw
    # exp(-2^k) for k = -2 .. 4.
    for k, power in enumerate((1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242), -2):
        result = np.where(rest & (1 << (fraction_bits + k)), high_mul(result, power), result)
    return np.where(raw == 0, INT32_MAX, result)


def _exp_in_last_quarter(raw: Integers) -> Integers:
    """exp(a) for -1/4 <= a < 0, both with 0 integer bits: a Taylor series about -1/8."""
    exp_of_minus_eighth, third = 1895147668, 715827883
    x = raw + (1 << 28)
    x2 = high_mul(x, x)
    x3, x4 = high_mul(x2, x), high_mul(x2, x2)
    terms = divide_by_power(high_mul(divide_by_power(x4, 2) + x3, third) + x2, 1)
    return exp_of_minus_eighth + high_mul(x + terms, exp_of_minus_eighth)


def reciprocal(x: Integers, integer_bits: int) -> tuple[Integers, Integers]:
    """(raw, places) with 1 / x = raw / 2^31 / 2^places, for x > 0. Source: TFLite common.h, GetReciprocal."""
    headroom = 32 - np.frexp(x.astype(np.float64))[1].astype(np.int64)
    return _one_over_one_plus(((x << headroom) & 0xFFFFFFFF) - (1 << 31)), integer_bits - headroom


def _one_over_one_plus(raw: Integers) -> Integers:
    """1 / (1 + a) for 0 <= a <= 1, both with 0 integer bits: three steps of Newton-Raphson on numbers with 2."""
    half_denominator = (raw + INT32_MAX + 1) >> 1
    x = 1515870810 + high_mul(half_denominator, -1010580540)
    for _ in range(3):
        error = (1 << 29) - high_mul(half_denominator, x)
        x = x + multiply_by_power(high_mul(x, error), 2)
    return multiply_by_power(x, 1)
