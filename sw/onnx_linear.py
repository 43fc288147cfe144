"""Convolutions and matrix products with constant weights, from ONNX."""

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .graph import ONNX, Conv2D, FullyConnected
from .onnx_node import Node, padding, pair, positions
from .onnx_values import Constant, DeviceValue, Pending, Quantization, QuantizedConstant, Shape, Value

BIAS_TOLERANCE = 1e-4
"""Relative difference up to which a bias' scale counts as input scale times weight scale."""


def _weights(node: Node, index: int) -> QuantizedConstant:
    value = node.value(index)
    if not isinstance(value, QuantizedConstant):
        raise node.error("is supported only with constant weights behind a DequantizeLinear")
    low, high = int(value.integers.min(initial=0)), int(value.integers.max(initial=0))
    node.need(
        low >= -128 and high <= 127,
        f"has weights from {low} to {high} about their zero point, supported is int8 (zero point 0, or 128 for uint8)",
    )
    return value


def _weight_scales(node: Node, weights: QuantizedConstant, axis: int) -> NDArray[np.float32]:
    scales = weights.scales_along(axis)
    if scales is None:
        raise node.error("has weight scales along another axis than the output channels")
    return scales


def _bias(value: Value, count: int, scales: NDArray[np.float64], node: Node) -> NDArray[np.int32]:
    """The bias in units of `scales`: as it is if the model has it in them, else rounded."""
    if isinstance(value, QuantizedConstant):
        own = np.broadcast_to(value.scale.astype(np.float64), scales.shape) if value.scale.size in (1, count) else None
        if own is not None and value.integers.size == count and np.allclose(own, scales, rtol=BIAS_TOLERANCE, atol=0):
            return value.integers.reshape(-1).astype(np.int32)
        real = value.real
    elif isinstance(value, Constant):
        real = value.array.astype(np.float64)
    else:
        raise node.error("is supported only with a constant bias")
    node.need(real.size in (1, count) and real.shape[-1:] in ((), (1,), (count,)), f"has a bias of shape {real.shape}")
    rounded = np.rint(np.broadcast_to(real.reshape(-1), (count,)) / scales)
    node.need(bool(np.all(np.abs(rounded) < 2.0**31)), "has a bias that does not fit in 32 bits at its inputs' scales")
    return rounded.astype(np.int32)


def _linear(
    node: Node,
    kind: type[Conv2D] | type[FullyConnected],
    source: DeviceValue,
    device_shape: Shape,
    shape: Shape,
    scales: NDArray[np.float32],
    bias: Value,
    **values: Any,
) -> Pending:
    """A convolution or matrix product that waits for its output scale."""
    reader = node.reader
    units = np.float64(source.quantization.scale) * scales.astype(np.float64)
    integers = _bias(bias, len(scales), units, node)

    def emit(quantization: Quantization, low: int, high: int) -> str:
        tensor = reader.add(
            kind,
            [source.tensor],
            reader.int8(node.output, device_shape, quantization),
            name=node.name,
            bias=integers,
            weight_scales=scales,
            rounding=ONNX,
            minimum=low,
            maximum=high,
            **values,
        )
        return tensor if len(shape) == 4 else reader.reshape(tensor, f"{node.output}.shape", shape)

    def with_bias(added: NDArray[np.float64]) -> Pending:
        total = Constant(integers * units + added)
        return _linear(node, kind, source, device_shape, shape, scales, total, **values)

    return Pending(emit, shape, node.text, with_bias=with_bias)


def conv(node: Node) -> Value:
    """Conv: two-dimensional, any kernel, stride, padding, dilation and groups."""
    source = node.real(0)
    weights = _weights(node, 1)
    node.need(
        len(source.shape) == 4 and len(weights.shape) == 4 and not source.channels_last,
        f"is supported on NCHW images of 4 axes, not on {source.shape}",
    )
    count, inputs, *kernel = weights.shape
    groups = int(node.attribute("group", 1))
    size = (source.shape[2], source.shape[3])
    node.need(
        groups >= 1 and inputs * groups == source.shape[1] and count % groups == 0,
        f"has weights for {inputs * groups} input channels in {groups} groups, and its input has {source.shape[1]}",
    )
    stated = tuple(node.attribute("kernel_shape", kernel))
    node.need(stated == tuple(kernel), f"has kernel_shape {list(stated)} and weights of {kernel}")
    stride = pair(node, "strides", (1, 1))
    dilation = pair(node, "dilations", (1, 1))
    pads = padding(node, size, (kernel[0], kernel[1]), stride, dilation)
    out = [positions(size[i], pads[i], pads[i + 2], (kernel[i] - 1) * dilation[i] + 1, stride[i]) for i in range(2)]
    node.need(min(out) >= 1, f"has a kernel that is larger than its padded input of {size[0]}x{size[1]}")
    return _linear(
        node,
        Conv2D,
        source,
        (1, out[0], out[1], count),
        (1, count, out[0], out[1]),
        _weight_scales(node, weights, 0),
        node.value(2) if node.has(2) else Constant(np.zeros(1)),
        weights=np.ascontiguousarray(weights.integers.transpose(0, 2, 3, 1)).astype(np.int8),
        stride=stride,
        padding=pads,
        dilation=dilation,
        groups=groups,
    )


def _product(
    node: Node, source: DeviceValue, matrix: NDArray[np.int64], scales: NDArray[np.float32], bias: Value
) -> Value:
    """Rows of `source` times a matrix of (outputs, inputs)."""
    count, inputs = matrix.shape
    shape = (*source.shape[:-1], count)
    node.need(
        len(source.shape) in (2, 3) and source.shape[-1] == inputs,
        f"has weights for {inputs} inputs and is supported on 2 or 3 axes, and its input has the shape {source.shape}",
    )
    if source.flattened is not None:
        channels, height, width = source.flattened
        matrix = matrix.reshape(count, channels, height, width).transpose(0, 2, 3, 1).reshape(count, inputs)
    rows = prod(source.shape[:-1])
    flat = node.reader.reshape(source.tensor, f"{node.output}.rows", (rows, inputs))
    return _linear(
        node,
        FullyConnected,
        replace(source, tensor=flat),
        (rows, count),
        shape,
        scales,
        bias,
        weights=np.ascontiguousarray(matrix).astype(np.int8),
    )


def gemm(node: Node) -> Value:
    """Gemm: an activation times constant weights, plus a constant."""
    for name, wanted in (("alpha", 1.0), ("beta", 1.0), ("transA", 0)):
        found = node.attribute(name, wanted)
        node.need(found == wanted, f"has {name} {found}, supported is {wanted}")
    weights = _weights(node, 1)
    node.need(len(weights.shape) == 2, f"has weights of {len(weights.shape)} axes, expected 2")
    transposed = bool(node.attribute("transB", 0))
    return _product(
        node,
        node.real(0),
        weights.integers if transposed else weights.integers.T,
        _weight_scales(node, weights, 0 if transposed else 1),
        node.value(2) if node.has(2) else Constant(np.zeros(1)),
    )


def matmul(node: Node) -> Value:
    """MatMul: an activation times constant weights."""
    weights = _weights(node, 1)
    node.need(len(weights.shape) == 2, f"has weights of {len(weights.shape)} axes, supported are 2")
    scales = _weight_scales(node, weights, 1)
    return _product(node, node.real(0), weights.integers.T, scales, Constant(np.zeros(1)))


def add(node: Node) -> Value:
    """Add: a constant bias behind a convolution or matrix product."""
    for index in (0, 1):
        value, other = node.value(index), node.value(1 - index)
        if isinstance(value, Pending) and isinstance(other, Constant | QuantizedConstant):
            real = other.real if isinstance(other, QuantizedConstant) else other.array.astype(np.float64)
            axes = len(value.shape)
            channel = 1 if axes == 4 else axes - 1
            aligned = real.reshape((1,) * (axes - real.ndim) + real.shape)
            per_channel = aligned.ndim == axes and aligned.size in (1, aligned.shape[channel])
            if value.with_bias is not None and per_channel and aligned.size in (1, value.shape[channel]):
                return value.with_bias(aligned.reshape(-1))
    raise node.error("is supported only as a constant per output channel right behind a Conv, Gemm or MatMul")
