"""What each ONNX operator becomes: a table of one function per operator, and those that deal with scales and limits."""

from collections.abc import Callable
from dataclasses import replace
from math import inf

import numpy as np
from numpy.typing import NDArray

from .graph import ONNX, Clamp, Requantize
from .onnx_layout import flatten, identity, reshape, softmax, squeeze, transpose, unsqueeze
from .onnx_linear import add, conv, gemm, matmul
from .onnx_node import Node
from .onnx_pool import average_pool, global_average_pool, global_max_pool, max_pool, reduce_mean
from .onnx_values import Constant, DeviceValue, HostValue, Pending, Quantization, QuantizedConstant, Value


def _scale_and_zero_point(node: Node) -> tuple[NDArray[np.float32], NDArray[np.int64], bool, bool]:
    """Scale, zero point, whether integers are uint8, whether they are 32 bits wide."""
    scale = node.constant(1, "scale")
    zero = node.constant(2, "zero point") if node.has(2) else np.zeros(scale.shape, np.uint8)
    node.need(scale.dtype == np.float32, f"has a scale of type {scale.dtype}, supported is float32")
    node.need(
        zero.dtype in (np.int8, np.uint8, np.int32),
        f"has integers of type {zero.dtype}, supported are int8 and uint8",
    )
    node.need(bool(np.all(np.isfinite(scale) & (scale > 0))), "has a scale that is not a positive number")
    node.need(zero.size == scale.size and scale.size > 0, f"has {scale.size} scales and {zero.size} zero points")
    return scale, zero.astype(np.int64), zero.dtype == np.uint8, zero.dtype == np.int32


def _activation_quantization(node: Node) -> tuple[Quantization, bool]:
    scale, zero, unsigned, wide = _scale_and_zero_point(node)
    node.need(scale.size == 1, "quantizes an activation per channel, supported is one scale per activation")
    node.need(not wide, "has an activation of type int32, supported are int8 and uint8")
    zero_point = int(zero.reshape(())) - (128 if unsigned else 0)
    return Quantization(float(scale.reshape(())), zero_point), unsigned


def quantize_linear(node: Node) -> Value:
    """The place where a real-valued result gets its scale."""
    quantization, unsigned = _activation_quantization(node)
    reader, value = node.reader, node.value(0)
    if isinstance(value, HostValue):
        node.need(reader.tensors[value.tensor].dtype == "float32", "reads integers, expected float32")
        return reader.to_device(value, node.output, quantization, unsigned)
    if isinstance(value, Pending):
        low, high = quantization.level(value.low), quantization.level(value.high)
        tensor = value.emit(quantization, low, high)
        return DeviceValue(tensor, value.shape, quantization, unsigned, real=False, flattened=value.flattened)
    source = node.real(0)
    if source.quantization != quantization:
        target = reader.int8(node.output, reader.tensors[source.tensor].shape, quantization)
        name = reader.add(Requantize, [source.tensor], target, name=node.name, rounding=ONNX)
        source = replace(source, tensor=name, quantization=quantization)
    return replace(source, unsigned=unsigned, real=False)


def dequantize_linear(node: Node) -> Value:
    """Real numbers again; the integers behind them are kept, constants too."""
    value = node.value(0)
    if isinstance(value, Constant):
        scale, zero, _, _ = _scale_and_zero_point(node)
        node.need(
            value.array.dtype in (np.int8, np.uint8, np.int32),
            f"has constants of type {value.array.dtype}, supported are int8, uint8 and int32",
        )
        rank = value.array.ndim
        axis = node.attribute("axis", 1)
        if scale.size > 1:
            node.need(-rank <= axis < rank, f"has axis {axis} for constants of {rank} axes")
            axis %= rank
            node.need(scale.size == value.array.shape[axis], f"has {scale.size} scales along axis {axis}")
            zero = zero.reshape([-1 if i == axis else 1 for i in range(rank)])
        else:
            zero = zero.reshape(())
        return QuantizedConstant(value.array.astype(np.int64) - zero, scale.reshape(-1), axis)
    quantization, unsigned = _activation_quantization(node)
    if isinstance(value, HostValue):
        dtype = node.reader.tensors[value.tensor].dtype
        node.need(dtype == ("uint8" if unsigned else "int8"), f"reads {dtype} with a zero point of another type")
        value = node.reader.to_device(value, node.output, quantization, unsigned)
    if not isinstance(value, DeviceValue) or value.real:
        raise node.error("reads real numbers, expected int8 or uint8")
    node.need(
        value.quantization == quantization and value.unsigned == unsigned,
        "has another scale, zero point or type than the QuantizeLinear before it",
    )
    return replace(value, real=True)


def _limited(node: Node, low: float, high: float) -> Value:
    """Limit the real values of input 0."""
    node.need(low <= high, f"has the empty range {low} to {high}")
    value = node.value(0)
    if isinstance(value, Pending):
        bounds = [float(np.clip(bound, low, high)) for bound in (value.low, value.high)]
        return replace(value, low=bounds[0], high=bounds[1], with_bias=None)
    source = node.real(0)
    minimum, maximum = source.quantization.level(low), source.quantization.level(high)
    if (minimum, maximum) == (-128, 127):
        return source
    reader = node.reader
    target = reader.like(node.output, source.tensor, reader.tensors[source.tensor].shape)
    tensor = reader.add(Clamp, [source.tensor], target, name=node.name, minimum=minimum, maximum=maximum)
    return replace(source, tensor=tensor)


def relu(node: Node) -> Value:
    """Relu: fused into the operator before it."""
    return _limited(node, 0.0, inf)


def clip(node: Node) -> Value:
    """Clip with constant limits, ReLU6 among them: fused into the operator before it."""
    limits = [float(node.attribute("min", -inf)), float(node.attribute("max", inf))]
    for index in (1, 2):
        if node.has(index):
            bound = node.constant(index, "limit")
            node.need(bound.size == 1, f"has a limit of shape {bound.shape}, expected one number")
            limits[index - 1] = float(bound.reshape(()))
    return _limited(node, limits[0], limits[1])


OPERATORS: dict[str, Callable[[Node], Value]] = {
    "Add": add,
    "AveragePool": average_pool,
    "Clip": clip,
    "Conv": conv,
    "DequantizeLinear": dequantize_linear,
    "Dropout": identity,
    "Flatten": flatten,
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "Identity": identity,
    "MatMul": matmul,
    "MaxPool": max_pool,
    "QuantizeLinear": quantize_linear,
    "ReduceMean": reduce_mean,
    "Relu": relu,
    "Reshape": reshape,
    "Softmax": softmax,
    "Squeeze": squeeze,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
