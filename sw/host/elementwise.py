"""Sums, differences and products of two int8 tensors in TFLite's arithmetic; shapes broadcast as in NumPy."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..graph import Tensor
from .fixed_point import Integers, factor, scaled

LEFT_SHIFT = 20
"""Terms of a sum are scaled up by 2^20 before they are brought to one scale."""

Factor = tuple[int, int]


@dataclass(frozen=True)
class Level:
    """Real numbers are (integer - zero_point) * scale; the scale is a float32 number."""

    scale: float
    zero_point: int

    @classmethod
    def of(cls, tensor: Tensor) -> "Level":
        """That of a tensor."""
        return cls(tensor.scale, tensor.zero_point)


def sum_factors(a: Level, b: Level, result: Level) -> tuple[Factor, Factor, Factor]:
    """What scales (a - zero point) << 20, the same of b, and their sum. Source: TFLite add.cc, PrepareGeneralAddOp."""
    largest = 2 * max(a.scale, b.scale)
    return factor(a.scale / largest), factor(b.scale / largest), factor(largest / ((1 << LEFT_SHIFT) * result.scale))


def product_factor(a: Level, b: Level, result: Level) -> Factor:
    """What scales the product. Source: TFLite mul.cc, which divides and multiplies in float32."""
    return factor(float(np.float32(a.scale) * np.float32(b.scale) / np.float32(result.scale)))


def _limited(x: Integers, result: Level, minimum: int, maximum: int) -> NDArray[np.int8]:
    return np.minimum(np.maximum(x + result.zero_point, minimum), maximum).astype(np.int8)


def _sum(a: NDArray[Any], b: NDArray[Any], levels: tuple[Level, Level, Level], sign: int) -> Integers:
    first, second, total = sum_factors(*levels)
    left = scaled((a.astype(np.int64) - levels[0].zero_point) << LEFT_SHIFT, *first)
    right = scaled((b.astype(np.int64) - levels[1].zero_point) << LEFT_SHIFT, *second)
    return scaled(left + sign * right, *total)


def add(
    a: NDArray[np.int8],
    b: NDArray[np.int8],
    levels: tuple[Level, Level, Level],
    minimum: int = -128,
    maximum: int = 127,
) -> NDArray[np.int8]:
    """a + b; `levels` of a, b and the result. Source: TFLite reference integer_ops/add.h."""
    return _limited(_sum(a, b, levels, 1), levels[2], minimum, maximum)


def subtract(
    a: NDArray[np.int8],
    b: NDArray[np.int8],
    levels: tuple[Level, Level, Level],
    minimum: int = -128,
    maximum: int = 127,
) -> NDArray[np.int8]:
    """a - b, as `add`. Source: TFLite reference sub.h."""
    return _limited(_sum(a, b, levels, -1), levels[2], minimum, maximum)


def multiply(
    a: NDArray[np.int8],
    b: NDArray[np.int8],
    levels: tuple[Level, Level, Level],
    minimum: int = -128,
    maximum: int = 127,
) -> NDArray[np.int8]:
    """a * b, as `add`. Source: TFLite reference integer_ops/mul.h."""
    product = (a.astype(np.int64) - levels[0].zero_point) * (b.astype(np.int64) - levels[1].zero_point)
    return _limited(scaled(product, *product_factor(*levels)), levels[2], minimum, maximum)
