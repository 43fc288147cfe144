"""Softmax from int8 to int8 in TFLite's fixed-point arithmetic."""

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from .fixed_point import EXP_INTEGER_BITS, divide_by_power, exp_on_negative_values, factor, high_mul, reciprocal

SCALE, ZERO_POINT = 1 / 256, -128
"""Of every result."""

SUM_INTEGER_BITS = 12
LONGEST_ROW = (1 << SUM_INTEGER_BITS) - 1
"""The sum of more exponentials may not fit."""


def softmax_int8(x: NDArray[np.int8], scale: float, beta: float) -> NDArray[np.int8]:
    """exp(beta * scale * x) / sum(exp(beta * scale * x)) along the last axis; the result has SCALE and ZERO_POINT.

    Source: TFLite reference/softmax.h for int8, PreprocessSoftmaxScaling and CalculateInputRadius. Where the sum of a
    row reaches 512 the source shifts by 32 places, which C++ leaves undefined; here every value is then 0, the nearest.

    Raises
    ------
    UserError
        For a last axis of more than LONGEST_ROW, or a factor beta * scale of 2^-26 or less.
    """
    if x.shape[-1] > LONGEST_ROW:
        raise UserError(f"softmax over {x.shape[-1]} values may overflow, supported are up to {LONGEST_ROW}")
    fraction_bits = 31 - EXP_INTEGER_BITS
    real = min(beta * scale * (1 << fraction_bits), (1 << 31) - 1.0)
    if not real > 1:
        raise UserError(
            f"softmax has beta {beta:g} and scale {scale:g}, whose product must be above 2^-{fraction_bits}"
        )
    multiplier, shift = factor(real)
    lowest = -int(((1 << EXP_INTEGER_BITS) - 1) * (1 << fraction_bits) / (1 << shift))

    values = x.astype(np.int64)
    difference = values - values.max(axis=-1, keepdims=True)
    counts = difference >= lowest
    rescaled = high_mul(np.maximum(difference, lowest) << shift, multiplier)
    exponentials = np.where(counts, exp_on_negative_values(rescaled), 0)
    total = divide_by_power(exponentials, SUM_INTEGER_BITS).sum(axis=-1, keepdims=True)
    inverse, places = reciprocal(total, SUM_INTEGER_BITS)
    result = divide_by_power(high_mul(exponentials, inverse), places + 31 - 8)
    return (np.minimum(result, 255) + ZERO_POINT).astype(np.int8)
