"""What the host computes before and after the device: short lists of steps, applied with NumPy.

A step is a tuple of its name and its parameters, for instance `("quantize", 0.0078125, -3)`. Arrays carry the
samples on axis 0; shapes in steps are those of one sample with a leading 1, as a model's tensors have them.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import UserError
from .softmax import softmax_int8

Array = NDArray[Any]
Step = tuple[Any, ...]

TYPES: dict[str, type[np.generic]] = {"int8": np.int8, "uint8": np.uint8, "int32": np.int32, "float32": np.float32}
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


def _permute(x: Array, name: str, order: tuple[int, ...]) -> Array:
    if x.ndim != len(order):
        raise UserError(f"{name} takes {len(order)} dimensions, not {x.ndim}: the shape is {x.shape}")
    return np.ascontiguousarray(x.transpose(order))


def nchw_to_nhwc(x: Array) -> Array:
    """Move the channels last."""
    return _permute(x, "nchw_to_nhwc", (0, 2, 3, 1))


def nhwc_to_nchw(x: Array) -> Array:
    """Move the channels before the rows."""
    return _permute(x, "nhwc_to_nchw", (0, 3, 1, 2))


def reshape(x: Array, shape: Sequence[int]) -> Array:
    """Give each sample another shape of the same size."""
    target = (x.shape[0], *shape[1:])
    if x.size != int(np.prod(target)):
        raise UserError(f"reshape cannot make {tuple(shape)} of a sample of shape {(1, *x.shape[1:])}")
    return x.reshape(target)


def softmax(x: Array, axis: int) -> Array:
    """exp(x) / sum(exp(x)) along `axis`, in float32, with the maximum subtracted first."""
    if not -x.ndim <= axis < x.ndim:
        raise UserError(f"softmax along axis {axis} takes more dimensions than the shape {x.shape} has")
    shifted = np.exp(x.astype(np.float32) - x.max(axis=axis, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=axis, keepdims=True, dtype=np.float32), np.float32)


def softmax_of_int8(x: Array, scale: float, beta: float) -> Array:
    """softmax.softmax_int8 along the last axis."""
    if x.dtype != np.int8:
        raise UserError(f"softmax_int8 takes int8, not {x.dtype}")
    return softmax_int8(x, scale, beta)


STEPS: dict[str, tuple[Callable[..., Array], tuple[str, ...], int]] = {
    "quantize": (quantize, ("scale", "level", "dtype", "ties"), 2),
    "dequantize": (dequantize, ("scale", "level"), 2),
    "offset_binary": (offset_binary, (), 0),
    "nchw_to_nhwc": (nchw_to_nhwc, (), 0),
    "nhwc_to_nchw": (nhwc_to_nchw, (), 0),
    "reshape": (reshape, ("shape",), 1),
    "softmax": (softmax, ("axis",), 1),
    "softmax_int8": (softmax_of_int8, ("scale", "beta"), 2),
}
"""Name -> function, kinds of its parameters, how many of them are needed."""


def _integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_KINDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "scale": (
        lambda v: isinstance(v, int | float) and not isinstance(v, bool) and 0 < v < 3.4e38,
        "a positive number",
    ),
    "level": (lambda v: _integer(v) and -(1 << 31) <= v < 1 << 31, "a 32-bit integer"),
    "ties": (lambda v: v in ("even", "away"), "even or away"),
    "beta": (lambda v: isinstance(v, int | float) and not isinstance(v, bool), "a number"),
    "dtype": (lambda v: v in ("int8", "uint8"), "int8 or uint8"),
    "shape": (
        lambda v: isinstance(v, tuple) and len(v) > 0 and v[0] == 1 and all(_integer(n) and n > 0 for n in v),
        "a tuple of positive integers that starts with 1",
    ),
    "axis": (_integer, "an integer"),
}


def check(step: Any) -> None:
    """Check that `step` is a tuple of a known name and parameters of the right kinds.

    Raises
    ------
    UserError
        What is wrong with it.
    """
    if not isinstance(step, tuple) or not step or not isinstance(step[0], str) or step[0] not in STEPS:
        raise UserError(f"{step!r} is not a host step; the steps are {', '.join(STEPS)}")
    name, *values = step
    _, kinds, needed = STEPS[name]
    if not needed <= len(values) <= len(kinds):
        raise UserError(f"the host step {name} takes {' and '.join(kinds) or 'no parameter'}, not {tuple(values)!r}")
    for kind, value in zip(kinds, values, strict=False):
        good, text = _KINDS[kind]
        if not good(value):
            raise UserError(f"the {kind} of the host step {name} must be {text}, not {value!r}")
    if name == "quantize":
        dtype = values[2] if len(values) > 2 else "int8"
        limits = np.iinfo(dtype)
        if not limits.min <= values[1] <= limits.max:
            raise UserError(
                f"the level of the host step quantize must be from {limits.min} to {limits.max} for {dtype}, "
                f"not {values[1]}"
            )


def apply(steps: Sequence[Step], x: Array) -> Array:
    """Apply the steps one after the other to samples stacked on axis 0.

    Raises
    ------
    UserError
        Where the array does not suit a step.
    """
    for name, *values in steps:
        x = STEPS[name][0](x, *values)
    return x
