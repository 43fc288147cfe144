"""Functions of one int8 as tables of 256 results, as TFLite's reference kernels compute them.

All take what levels stand for before and behind, and give int8 (256,), the result for -128 first. Where the kernel
works on float32 numbers, the last bit of exp, tanh and erf is the C library's affair; here they are rounded correctly.
"""

from collections.abc import Callable
from math import erfc, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..host.elementwise import Level, add, multiply, subtract
from ..host.fixed_point import Integers, divide_by_power, factor, scaled

Table = NDArray[np.int8]
Floats = NDArray[np.float32]

INPUTS = np.arange(-128, 128)

RELU_0_TO_1 = -1
"""Beside the numbers of the schema, as no operator fuses it."""


def round_half_away(x: NDArray[Any]) -> NDArray[np.float64]:
    """To the nearest integer, ties away from zero. Source: TFLite, TfLiteRound."""
    wide = x.astype(np.float64)
    return np.copysign(np.floor(np.abs(wide) + 0.5), wide)


def limits(activation: int, result: Level) -> tuple[int, int]:
    """The int8 range of a fused activation, by the schema's number. Source: TFLite, CalculateActivationRangeQuantized.

    Raises
    ------
    KeyError
        For TANH and SIGN_BIT, which no quantized kernel fuses.
    """
    low, high = {0: (-np.inf, np.inf), 1: (0, np.inf), 2: (-1, 1), 3: (0, 6), RELU_0_TO_1: (0, 1)}[activation]
    with np.errstate(over="ignore"):
        bounds = round_half_away(np.array([low, high], np.float32) / np.float32(result.scale)) + result.zero_point
    return int(max(bounds[0], -128)), int(min(bounds[1], 127))


def _clipped(x: Integers, minimum: int = -128, maximum: int = 127) -> Table:
    return np.minimum(np.maximum(x, minimum), maximum).astype(np.int8)


def _quotient(source: Level, result: Level) -> np.float32:
    return np.float32(source.scale) / np.float32(result.scale)


def relu(source: Level, result: Level, activation: int) -> Table:
    """Another scale, and limits. Source: TFLite activations.cc, QuantizedReluX."""
    x = scaled(INPUTS - source.zero_point, *factor(float(_quotient(source, result))))
    return _clipped(x + result.zero_point, *limits(activation, result))


def leaky_relu(source: Level, result: Level, alpha: float) -> Table:
    """x where it is positive, else alpha * x, for alpha >= 0. Source: TFLite reference/leaky_relu.h."""
    x = INPUTS - source.zero_point
    slope = np.float32(source.scale) * np.float32(alpha) / np.float32(result.scale)
    values = np.where(x >= 0, scaled(x, *factor(float(_quotient(source, result)))), scaled(x, *factor(float(slope))))
    return _clipped(values + result.zero_point)


def prelu(source: Level, result: Level, alpha: Level, values: NDArray[np.int8]) -> Table:
    """x where it is positive, else alpha * x, per channel; (channels, 256). Source: TFLite reference/prelu.h."""
    x = (INPUTS - source.zero_point)[None, :]
    slopes = values.astype(np.int64)[:, None] - alpha.zero_point
    product = np.float32(source.scale) * np.float32(alpha.scale) / np.float32(result.scale)
    below = scaled(x * slopes, *factor(float(product)))
    above = scaled(x, *factor(float(_quotient(source, result))))
    return _clipped(np.where(x >= 0, above, below) + result.zero_point)


def absolute(source: Level, result: Level) -> Table:
    """|x|. Source: TFLite elementwise.cc, AbsEvalQuantized."""
    x = np.abs(INPUTS - source.zero_point)
    if source.scale != result.scale:
        x = scaled(x, *factor(float(_quotient(source, result))))
    return _clipped(x + result.zero_point)


def requantized(source: Level, result: Level) -> Table:
    """Another scale, in float32, as CONCATENATION on uint8 does it. Source: TFLite reference/concatenation.h."""
    scale = np.float32(source.scale) * (np.float32(1) / np.float32(result.scale))
    bias = np.float32(-source.zero_point - 128) * scale
    values = round_half_away((INPUTS + 128).astype(np.float32) * scale + bias)
    return _clipped(values.astype(np.int64) + result.zero_point)


def of_function(function: Callable[[Floats], Floats], source: Level, result: Level) -> Table:
    """Any function of real numbers. Source: TFLite activations.cc, PopulateLookupTable."""
    inverse = np.float32(1) / np.float32(result.scale)
    with np.errstate(all="ignore"):
        values = function(np.float32(source.scale) * (INPUTS - source.zero_point).astype(np.float32))
        rounded = round_half_away(values * inverse) + result.zero_point
    return np.minimum(np.maximum(np.nan_to_num(rounded, nan=-128.0), -128), 127).astype(np.int8)


def _exp(x: Floats) -> Floats:
    return np.exp(x.astype(np.float64)).astype(np.float32)


def logistic(x: Floats) -> Floats:
    """1 / (1 + exp(-x))."""
    return np.float32(1) / (np.float32(1) + _exp(-x))


def tanh(x: Floats) -> Floats:
    """The hyperbolic tangent."""
    return np.tanh(x.astype(np.float64)).astype(np.float32)


def elu(x: Floats) -> Floats:
    """x where it is positive, else exp(x) - 1."""
    return np.where(x < 0, np.expm1(x.astype(np.float64)).astype(np.float32), x)


def exp(x: Floats) -> Floats:
    """exp(x)."""
    return _exp(x)


def log(x: Floats) -> Floats:
    """The natural logarithm; NaN and infinities, which no integer has, become the lowest integer."""
    return np.log(x.astype(np.float64)).astype(np.float32)


def gelu(x: Floats) -> Floats:
    """x times the normal distribution's integral up to x."""
    root = np.float32(sqrt(0.5))
    integral = np.array([erfc(float(value)) for value in x * -root], np.float32)
    return np.float32(0.5) * x * integral


def gelu_by_tanh(x: Floats) -> Floats:
    """The approximation of GELU by tanh."""
    inner = np.float32(sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x * x * x)
    return np.float32(0.5) * x * (np.float32(1) + tanh(inner))


def _down_to_int16(multiplier: int) -> int:
    return min((multiplier + (1 << 15)) >> 16, (1 << 15) - 1)


def _high_mul_int16(a: Integers, b: int) -> Integers:
    high: Integers = (a * b + (1 << 14)) >> 15
    return np.minimum(high, (1 << 15) - 1)


def _shift_int16(a: Integers, places: int) -> Integers:
    wide: Integers = a << places
    return np.minimum(np.maximum(wide, -(1 << 15)), (1 << 15) - 1)


def hard_swish(source: Level, result: Level) -> Table:
    """x * relu6(x + 3) / 6 in 16-bit fixed point. Source: TFLite reference/hard_swish.h."""
    fine = np.float32(1 / 128) * np.float32(source.scale)
    multiplier, shift = factor(float(fine / np.float32(result.scale)))
    slope, slope_shift = factor(float(fine / np.float32(3 / 32768)))
    x = (INPUTS - source.zero_point) << 7
    unshifted = _high_mul_int16(x, _down_to_int16(multiplier))
    gate = _shift_int16(x, max(slope_shift - 1, 0))
    gate = _high_mul_int16(gate, _down_to_int16(slope))
    gate = _shift_int16(gate, 1) if slope_shift > 0 else divide_by_power(gate, -slope_shift)
    gate = (gate + (1 << 15)) >> 1
    product = gate * unshifted
    truncated = np.where(product < 0, -(-product >> 15), product >> 15)
    return _clipped(divide_by_power(truncated, -shift) + result.zero_point)


def with_constant(
    kind: str, source: Level, constant: Level, value: int, result: Level, first: bool, bounds: tuple[int, int]
) -> Table:
    """ADD, SUB or MUL with one constant; `first`: x is the operator's first input."""
    operate = {"ADD": add, "SUB": subtract, "MUL": multiply}[kind]
    operands = [(INPUTS.astype(np.int8), source), (np.array([value], np.int8), constant)]
    (a, a_level), (b, b_level) = operands if first else operands[::-1]
    return operate(a, b, (a_level, b_level, result), *bounds)
