"""What the drain's look-up tables hold, at x + 128 for the value x."""

import numpy as np
from numpy.typing import NDArray
from weft.rtl.isa import Rounding

from ..errors import UserError
from ..graph import ONNX, Add, Subtract, Tensor
from ..host import real as host
from ..host.elementwise import LEFT_SHIFT, Level, sum_factors
from ..host.fixed_point import factor, scaled
from ..host.multiplier import factors

VALUES = np.arange(-128, 128, dtype=np.int64)

SUM_BITS = 26
"""The largest sum of two elements has so many bits, besides its sign. More would keep what float32 rounded off each
term, and ONNX Runtime's quotient, which has 24 bits, does not show: a sum that is a tie but for that goes to even."""

LARGEST_SUM = float(1 << 24)
"""Of two real values in units of the result's scale."""


def requantized(source: Tensor, target: Tensor, rounding: str) -> NDArray[np.int8]:
    """int8 of one scale as int8 of another, by ONNX Runtime's float32 or by TFLite's fixed point."""
    if rounding == ONNX:
        real = host.dequantize(VALUES.astype(np.int8), source.scale, source.zero_point)
        return host.quantize(real, target.scale, target.zero_point).astype(np.int8)
    again = scaled(VALUES - source.zero_point, *factor(source.scale / target.scale)) + target.zero_point
    return np.clip(again, -128, 127).astype(np.int8)


def sum_tables(operator: Add | Subtract, a: Tensor, b: Tensor, target: Tensor) -> NDArray[np.int32]:
    """(2, 256): what the values of a and of b add to the sum."""
    sign = -1 if isinstance(operator, Subtract) else 1
    if operator.rounding == ONNX:
        terms = _real_terms(a, b, target)
        fixed = np.rint(terms * 2.0 ** _fraction_bits(terms)).astype(np.int64)
    else:
        first, second, _ = sum_factors(Level.of(a), Level.of(b), Level.of(target))
        fixed = np.stack(
            [scaled((VALUES - tensor.zero_point) << LEFT_SHIFT, *each) for tensor, each in ((a, first), (b, second))]
        )
    fixed[1] *= sign
    return fixed.astype(np.int32)


def sum_parameters(operator: Add | Subtract, a: Tensor, b: Tensor, target: Tensor) -> tuple[tuple[int, int], Rounding]:
    """The multiplier and shift that make the result of the sum, and how it is rounded."""
    if operator.rounding == ONNX:
        bits = _fraction_bits(_real_terms(a, b, target))
        multiplier, shift = factors(np.array([2.0**-bits]))
        return (int(multiplier[0]), int(shift[0])), Rounding.NEAREST_EVEN
    return sum_factors(Level.of(a), Level.of(b), Level.of(target))[2], Rounding.DOUBLE


def _real_terms(a: Tensor, b: Tensor, target: Tensor) -> NDArray[np.float64]:
    """The real values in units of the target's scale, each product rounded to float32 as ONNX Runtime does."""
    values = VALUES.astype(np.int8)
    real = np.stack([host.dequantize(values, tensor.scale, tensor.zero_point) for tensor in (a, b)])
    return real.astype(np.float64) / np.float64(np.float32(target.scale))


def _fraction_bits(terms: NDArray[np.float64]) -> int:
    """As many as leave room for the largest sum."""
    largest = float(np.abs(terms).max(axis=1).sum())
    if largest >= LARGEST_SUM:
        raise UserError(f"has scales that lift sums to {largest:g}, supported are sums below {LARGEST_SUM:g}")
    return SUM_BITS - int(np.frexp(largest)[1])
