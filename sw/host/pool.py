"""Pooling on the host: maxima and means of windows of (N, H, W, C); docs/numerics.md states the arithmetic."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from weft.rtl.isa import Rounding

from ..graph import ONNX, AveragePool2D, MaxPool2D, MeanPool2D, Pool2D, Tensor
from .fixed_point import Integers
from .linear import limited, scaled_sums, taps
from .multiplier import factors

Array = NDArray[Any]


def _sums(operator: Pool2D, x: Integers, target: Tensor) -> Integers:
    size = (target.shape[1], target.shape[2])
    found = taps(x, operator.window, operator.stride, operator.padding[:2], (1, 1), size, 0)
    total: Integers = np.sum([cells for _, _, cells in found], axis=0, dtype=np.int64)
    return total


def max_pool(operator: MaxPool2D, x: Array, target: Tensor) -> Array:
    """The largest value of each window, without its padding."""
    size = (target.shape[1], target.shape[2])
    lowest = np.iinfo(x.dtype).min
    found = taps(x, operator.window, operator.stride, operator.padding[:2], (1, 1), size, lowest)
    pooled: Array = np.max([cells for _, _, cells in found], axis=0)
    return np.clip(pooled, operator.minimum, operator.maximum)


def mean_pool(operator: MeanPool2D, x: Array, source: Tensor, target: Tensor) -> NDArray[np.int8]:
    """TFLite's MEAN."""
    sums = _sums(operator, x.astype(np.int64) - source.zero_point, target)
    return limited(scaled_sums(sums, operator.multiplier, operator.shift, Rounding.DOUBLE), operator, target.zero_point)


def average_pool(operator: AveragePool2D, x: Array, source: Tensor, target: Tensor) -> NDArray[np.int8]:
    """The mean of each window, over the cells that count."""
    inside = np.ones((1, *x.shape[1:3], 1), np.int64)
    before = operator.padding[:2]
    if operator.counts_padding:
        top, left, bottom, right = operator.padding
        inside = np.pad(inside, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=1)
        before = (0, 0)
    size = (target.shape[1], target.shape[2])
    found = taps(inside, operator.window, operator.stride, before, (1, 1), size, 0)
    count: Integers = np.sum([cells for _, _, cells in found], axis=0)
    if operator.rounding == ONNX:
        sums = _sums(operator, x.astype(np.int64) - source.zero_point, target)
        real = np.float32(source.scale) / (np.float32(target.scale) * count.astype(np.float32))
        multiplier, shift = factors(real.astype(np.float64))
        return limited(scaled_sums(sums, multiplier, shift, Rounding.NEAREST_EVEN), operator, target.zero_point)
    sums = _sums(operator, x.astype(np.int64) - operator.origin, target)
    means = np.sign(sums) * ((np.abs(sums) + count // 2) // count)
    return limited(means, operator, operator.origin)
