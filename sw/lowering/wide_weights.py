"""Weights of nine bits and more: kernels of uint8 less their zero point reach from -255 to 255, and the NPU's are int8.

The input's channels are repeated, one copy behind the other of each channel, and every copy has a part of the weight:
the sums are the same integers. Repeating is a depthwise convolution with ones.
"""

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOW, HIGH = -128, 127


def copies_for(weights: NDArray[Any]) -> int:
    """How many int8 each weight is the sum of, at the most."""
    low, high = int(weights.min(initial=0)), int(weights.max(initial=0))
    return max(-(-high // HIGH), -(low // -LOW), 1)


def spread(weights: NDArray[Any], copies: int) -> NDArray[np.int8]:
    """(..., inputs) to (..., inputs * copies): the parts of each weight side by side, as much as possible in the
    first."""
    rest = weights.astype(np.int64)
    parts = []
    for _ in range(copies):
        part = np.clip(rest, LOW, HIGH)
        parts.append(part)
        rest = rest - part
    return np.ascontiguousarray(np.stack(parts, axis=-1).reshape(*weights.shape[:-1], -1).astype(np.int8))


def repeating(channels: int, copies: int, rounding: str) -> dict[str, Any]:
    """The settings of the graph's Conv2D that repeats every channel; input and output have the same scale."""
    outputs = channels * copies
    return {
        "weights": np.ones((outputs, 1, 1, 1), np.int8),
        "bias": np.zeros(outputs, np.int32),
        "weight_scales": np.ones(outputs, np.float32),
        "stride": (1, 1),
        "padding": (0, 0, 0, 0),
        "dilation": (1, 1),
        "groups": channels,
        "rounding": rounding,
    }


def repeated_shape(shape: tuple[int, ...], copies: int) -> tuple[int, ...]:
    """The shape of a repeated activation."""
    return (*shape[:-1], shape[-1] * copies)


def image_of(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Any shape as an image with the same last axis."""
    if len(shape) == 4 and shape[0] == 1:
        return 1, shape[1], shape[2], shape[3]
    return 1, prod(shape[:-1]), 1, shape[-1]
