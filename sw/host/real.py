"""Real numbers on the host: to integers and back, and softmax, with NumPy. Samples may be stacked on any axis."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError

Array = NDArray[Any]

TYPES: dict[str, type[np.generic]] = {
    "int8": np.int8,
    "uint8": np.uint8,
    "int16": np.int16,
    "uint16": np.uint16,
    "int32": np.int32,
    "int64": np.int64,
    "float32": np.float32,
    "bool": np.bool_,
}
"""The data types of tensors outside the device."""


def quantize(x: Array, scale: float, zero_point: int, dtype: str = "int8", ties: str = "even") -> Array:
    """float32 to int8 or uint8: saturate(round(x / scale) + zero_point), the division in float32; `ties` go to the
    even integer or away from zero.

    Sources: ONNX operator QuantizeLinear (even), TFLite AffineQuantize (away).
    """
    if x.dtype != np.float32:
        raise UserError(f"quantize takes float32, not {x.dtype}")
    if np.isnan(x).any():
        raise UserError("quantize takes numbers, and the input has NaN")
    limits = np.iinfo(dtype)
    with np.errstate(over="ignore"):
        quotient = x / np.float32(scale)
        if ties == "even":
            rounded = np.rint(quotient)
        else:
            # Adding one half in float32 would round 0.49999997 up: the fraction decides.
            fraction, whole = np.modf(quotient)
            rounded = whole + np.copysign(np.abs(fraction) >= 0.5, quotient)
    low, high = limits.min - zero_point, limits.max - zero_point
    return (np.clip(rounded, low, high).astype(np.int32) + zero_point).astype(TYPES[dtype])


def dequantize(x: Array, scale: float, zero_point: int) -> Array:
    """Integers to float32: (x - zero_point) * scale, the product in float32.

    Source: ONNX operator DequantizeLinear.
    """
    if x.dtype.kind not in "iu":
        raise UserError(f"dequantize takes integers, not {x.dtype}")
    return (x.astype(np.int64) - zero_point).astype(np.float32) * np.float32(scale)


def offset_binary(x: Array) -> Array:
    """uint8 to int8 or back, the same level 128 lower or higher: the zero point moves with it."""
    if x.dtype not in (np.int8, np.uint8):
        raise UserError(f"offset_binary takes int8 or uint8, not {x.dtype}")
    return (x.view(np.uint8) ^ np.uint8(0x80)).view(np.uint8 if x.dtype == np.int8 else np.int8)


def softmax(x: Array, axis: int) -> Array:
    """exp(x) / sum(exp(x)) along `axis`, in float32, with the maximum subtracted first."""
    if not -x.ndim <= axis < x.ndim:
        raise UserError(f"softmax along axis {axis} takes more dimensions than the shape {x.shape} has")
    shifted = np.exp(x.astype(np.float32) - x.max(axis=axis, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=axis, keepdims=True, dtype=np.float32), np.float32)
