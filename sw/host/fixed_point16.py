"""gemmlowp's 16-bit fixed-point functions: the logistic function and the hyperbolic tangent, as TFLite's LSTM has them.

A number with n integer bits stands for raw / 2^(15 - n). Arrays are int64. Source of all functions: gemmlowp
fixedpoint.h.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from .fixed_point import divide_by_power

Integers = NDArray[np.int64]

MAX, MIN = (1 << 15) - 1, -(1 << 15)

LOGISTIC_INTEGER_BITS = 3
"""Of the argument of `logistic`."""


def saturated(x: Integers) -> Integers:
    """Limited to 16 bits."""
    return np.minimum(np.maximum(x, MIN), MAX)


def _constant(raw: int) -> int:
    """A constant of 32 bits in 16."""
    return int(divide_by_power(np.array(raw, np.int64), 16))


def _high_mul(a: Integers, b: Integers | int) -> Integers:
    """a * b / 2^15, ties up: SaturatingRoundingDoublingHighMul."""
    high: Integers = (a * b + (1 << 14)) >> 15
    return np.minimum(high, MAX)


def _times_power(x: Integers, exponent: int) -> Integers:
    """x * 2^exponent, saturated: SaturatingRoundingMultiplyByPOT."""
    return saturated(x << exponent)


def _exp_on_negative_values(raw: Integers, integer_bits: int) -> Integers:
    """exp(a) with 0 integer bits, for a <= 0."""
    fraction_bits = 15 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    below = (raw & (quarter - 1)) - quarter
    result = _exp_in_last_quarter(_times_power(below, integer_bits))
    rest = below - raw
    # exp(-2^k) for k = -2 .. 4.
    for k, power in enumerate((1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242), -2):
        if integer_bits > k:
            result = np.where(rest & (1 << (fraction_bits + k)), _high_mul(result, _constant(power)), result)
    if integer_bits > 5:
        result = np.where(raw < -(1 << (36 - integer_bits - 16)), 0, result)
    return np.where(raw == 0, MAX, result)


def _exp_in_last_quarter(raw: Integers) -> Integers:
    """exp(a) for -1/4 <= a < 0, both with 0 integer bits: a Taylor series about -1/8."""
    exp_of_minus_eighth, third = _constant(1895147668), _constant(715827883)
    x = raw + (1 << 12)
    x2 = _high_mul(x, x)
    x3, x4 = _high_mul(x2, x), _high_mul(x2, x2)
    terms = divide_by_power(_high_mul(divide_by_power(x4, 2) + x3, third) + x2, 1)
    return saturated(exp_of_minus_eighth + _high_mul(x + terms, exp_of_minus_eighth))


def _half_denominator(raw: Integers) -> tuple[Integers, Integers]:
    """(1 + a) / 2 with 0 integer bits, for 0 <= a <= 1, and its inverse with 2: three steps of Newton-Raphson."""
    half = (raw + MAX + 1) >> 1
    x = _constant(1515870810) + _high_mul(half, _constant(-1010580540))
    for _ in range(3):
        error = (1 << 13) - _high_mul(half, x)
        x = x + _times_power(_high_mul(x, error), 2)
    return half, x


def _all_values() -> Integers:
    return np.arange(MIN, MAX + 1, dtype=np.int64)


@cache
def logistic_table() -> NDArray[np.int16]:
    """(65536,): 1 / (1 + exp(-a)) with 0 integer bits, for all a with 3, the lowest first."""
    raw = _all_values()
    _, inverse = _half_denominator(_exp_on_negative_values(-np.abs(raw), LOGISTIC_INTEGER_BITS))
    # The inverse of half the denominator is twice the result.
    above = _times_power(inverse, 1)
    result = np.where(raw > 0, above, MAX - above)
    return np.where(raw == 0, 1 << 14, result).astype(np.int16)


@cache
def tanh_table(integer_bits: int) -> NDArray[np.int16]:
    """(65536,): tanh(a) with 0 integer bits, for all a with `integer_bits`, 0 to 6, the lowest first."""
    raw = _all_values()
    # exp(2a): the same raw number with one more integer bit.
    _, inverse = _half_denominator(_exp_on_negative_values(-np.abs(raw), integer_bits + 1))
    below = _times_power(inverse - (1 << 13), 2)
    return np.where(raw == 0, 0, np.where(raw < 0, -below, below)).astype(np.int16)


def logistic(raw: Integers) -> Integers:
    """1 / (1 + exp(-a)) with 0 integer bits, for a with 3."""
    return logistic_table()[raw - MIN].astype(np.int64)


def tanh(raw: Integers, integer_bits: int) -> Integers:
    """tanh(a) with 0 integer bits."""
    return tanh_table(integer_bits)[raw - MIN].astype(np.int64)
