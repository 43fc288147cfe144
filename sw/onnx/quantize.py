"""QuantizeLinear and DequantizeLinear: where numbers get their scales, from ONNX."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .movement import rescaled
from .node import Node
from .values import Constant, DeviceValue, HostValue, Pending, Quantization, QuantizedConstant, Value

EIGHT_BITS = (np.int8, np.uint8)
SIXTEEN_BITS = (np.int16, np.uint16)

LARGEST_SCALE, SMALLEST_SCALE = 2.0**40, 2.0**-40
"""Products and quotients of three scales are numbers in float32. Weights may have smaller ones."""

OUTPUT_TYPES: dict[int, type[np.generic]] = {0: np.uint8, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16}
"""The attribute output_dtype of QuantizeLinear without a zero point."""


def _scale_and_zero_point(
    node: Node, default: type[np.generic]
) -> tuple[NDArray[np.float32], NDArray[np.int64], np.dtype[np.generic]]:
    """Scale, zero point, and the type of the integers."""
    scale = node.constant(1, "scale")
    zero = node.constant(2, "zero point") if node.has(2) else np.zeros(scale.shape, default)
    node.need(scale.dtype == np.float32, f"has a scale of type {scale.dtype}, supported is float32")
    node.demand(
        zero.dtype in (*EIGHT_BITS, *SIXTEEN_BITS, np.int32),
        f"has integers of type {zero.dtype}, supported are int8 and uint8",
    )
    good = np.isfinite(scale) & (scale > 0)
    node.demand(scale.size > 0 and bool(np.all(good)), "has a scale that is not a positive number")
    node.need(bool(np.all(scale <= LARGEST_SCALE)), f"has a scale above {LARGEST_SCALE:g}")
    node.demand(zero.size == scale.size, f"has {scale.size} scales and {zero.size} zero points")
    return np.asarray(scale, np.float32), zero.astype(np.int64), zero.dtype


def _quantization(node: Node, default: type[np.generic]) -> tuple[Quantization, bool]:
    """That of an activation, and whether it is uint8."""
    scale, zero, kind = _scale_and_zero_point(node, default)
    node.need(kind in EIGHT_BITS, f"has an activation of type {kind}, supported are int8 and uint8")
    node.need(scale.size == 1, "quantizes an activation per channel or block, supported is one scale per activation")
    node.need(float(scale.reshape(())) >= SMALLEST_SCALE, f"has an activation with a scale below {SMALLEST_SCALE:g}")
    unsigned = kind == np.uint8
    return Quantization(float(scale.reshape(())), int(zero.reshape(())) - (128 if unsigned else 0)), unsigned


def quantize_linear(node: Node) -> Value:
    """QuantizeLinear: the place where a real-valued result gets its scale."""
    kind = node.integer("output_dtype", 0)
    node.demand(kind in OUTPUT_TYPES, f"makes type {kind} of ONNX, supported are int8 and uint8")
    quantization, unsigned = _quantization(node, OUTPUT_TYPES[kind])
    reader, value = node.reader, node.activation()
    if isinstance(value, HostValue):
        node.need(reader.tensors[value.tensor].dtype == "float32", "reads integers, expected float32")
        return reader.to_device(value, node.output, quantization, unsigned)
    if isinstance(value, Pending):
        low, high = quantization.level(value.low), quantization.level(value.high)
        return replace(value.emit(quantization, low, high), unsigned=unsigned)
    return replace(rescaled(node, node.real(0), quantization), unsigned=unsigned)


def dequantize_linear(node: Node) -> Value:
    """DequantizeLinear: real numbers again; the integers behind them are kept, constants too."""
    value = node.value(0)
    if isinstance(value, Constant):
        return _constant(node, value.array)
    if isinstance(value, HostValue):
        name = node.reader.tensors[value.tensor].dtype
        node.need(name in ("int8", "uint8"), f"reads {name}, supported are int8 and uint8")
        kind = np.uint8 if name == "uint8" else np.int8
    else:
        kind = np.uint8 if isinstance(value, DeviceValue) and value.unsigned else np.int8
    quantization, unsigned = _quantization(node, kind)
    node.demand(unsigned == (kind == np.uint8), f"reads {kind.__name__} with a zero point of another type")
    if isinstance(value, HostValue):
        value = node.reader.to_device(value, node.output, quantization, unsigned)
    node.demand(isinstance(value, DeviceValue) and not value.real, "reads real numbers, expected int8 or uint8")
    assert isinstance(value, DeviceValue)
    return replace(node.reader.relabelled(value, quantization, node.output), real=True)


def _constant(node: Node, array: NDArray[np.generic]) -> Value:
    node.demand(
        array.dtype in (*EIGHT_BITS, *SIXTEEN_BITS, np.int32),
        f"has constants of type {array.dtype}, supported are int8, uint8 and int32",
    )
    if node.integer("block_size", 0) or array.dtype in SIXTEEN_BITS:
        return node.reader.folded(node)[0]
    scale, zero, kind = _scale_and_zero_point(node, array.dtype.type)
    node.demand(kind == array.dtype, f"has constants of type {array.dtype} and zero points of type {kind}")
    rank = array.ndim
    axis = node.integer("axis", 1)
    if scale.size > 1:
        axis = node.axis(axis, rank)
        node.demand(scale.size == array.shape[axis], f"has {scale.size} scales along axis {axis} of {array.shape}")
        zero = zero.reshape([-1 if i == axis else 1 for i in range(rank)])
    else:
        zero = zero.reshape(())
    wide = np.int16 if array.dtype in EIGHT_BITS else np.int64
    return QuantizedConstant(array.astype(wide) - zero.astype(wide), scale.reshape(-1), axis)
