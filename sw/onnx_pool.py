"""Pooling, from ONNX."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .graph import ONNX, AveragePool2D, MaxPool2D
from .onnx_layout import reshaped
from .onnx_node import Node, padding, pair, positions
from .onnx_values import Constant, DeviceValue, Pending, Quantization, Shape, Value


@dataclass(frozen=True)
class Geometry:
    """Where the windows are; pairs are (y, x)."""

    window: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    outputs: tuple[int, int]

    @property
    def settings(self) -> dict[str, Any]:
        """As the operators of the graph take it."""
        return {"window": self.window, "stride": self.stride, "padding": self.padding}


def _image(node: Node) -> Shape:
    """The shape of input 0, which must be an image."""
    value = node.value(0)
    shape = () if isinstance(value, Constant) else value.shape
    last = isinstance(value, DeviceValue) and value.channels_last
    node.need(len(shape) == 4 and not last, f"is supported on NCHW images of 4 axes, not on {shape}")
    return shape


def _geometry(node: Node) -> Geometry:
    shape = _image(node)
    node.need("kernel_shape" in node.attributes, "lacks its kernel_shape")
    window = pair(node, "kernel_shape", (1, 1))
    stride = pair(node, "strides", (1, 1))
    dilation = pair(node, "dilations", (1, 1))
    node.need(dilation == (1, 1), f"has dilations {list(dilation)}, supported are [1, 1]")
    size = (shape[2], shape[3])
    pads = padding(node, size, window, stride, dilation)
    ceil_mode = bool(node.attribute("ceil_mode", 0))
    rows, columns = (positions(size[i], pads[i], pads[i + 2], window[i], stride[i], ceil_mode) for i in range(2))
    node.need(rows >= 1 and columns >= 1, f"has a window that is larger than its padded input of {size[0]}x{size[1]}")
    node.need(all(pads[i] < window[i % 2] for i in range(4)), "has padding as large as its window")
    return Geometry(window, stride, pads, (rows, columns))


def _whole(node: Node) -> Geometry:
    shape = _image(node)
    return Geometry((shape[2], shape[3]), (1, 1), (0, 0, 0, 0), (1, 1))


def max_pool(node: Node) -> Value:
    """MaxPool: two-dimensional, without dilation and without indices."""
    outputs = [name for name in node.proto.output if name]
    node.need(len(outputs) == 1, "has an output of indices, which is not supported")
    return _max_pool(node, _geometry(node))


def global_max_pool(node: Node) -> Value:
    """GlobalMaxPool: the largest value of each channel."""
    return _max_pool(node, _whole(node))


def _max_pool(node: Node, geometry: Geometry) -> Value:
    reader, before = node.reader, node.value(0)
    channels = _image(node)[1]
    shape, device_shape = (1, channels, *geometry.outputs), (1, *geometry.outputs, channels)
    if isinstance(before, Pending):
        waiting = before

        def emit(quantization: Quantization, low: int, high: int) -> str:
            source = waiting.emit(quantization, low, high)
            target = reader.int8(node.output, device_shape, quantization)
            return reader.add(MaxPool2D, [source], target, name=node.name, **geometry.settings)

        return Pending(emit, shape, node.text, waiting.low, waiting.high)
    real = node.real(0)
    target = reader.like(node.output, real.tensor, device_shape)
    tensor = reader.add(MaxPool2D, [real.tensor], target, name=node.name, **geometry.settings)
    return replace(real, tensor=tensor, shape=shape)


def average_pool(node: Node) -> Value:
    """AveragePool: two-dimensional; where there is padding, with count_include_pad."""
    return _average(node, _geometry(node), bool(node.attribute("count_include_pad", 0)))


def global_average_pool(node: Node) -> Value:
    """GlobalAveragePool: the mean of each channel."""
    return _average(node, _whole(node), False)


def reduce_mean(node: Node) -> Value:
    """ReduceMean over both axes of an image."""
    axes = node.constant(1, "list of axes") if node.has(1) else np.array(node.attribute("axes", (0, 1, 2, 3)))
    found = sorted(int(axis) % 4 for axis in axes.reshape(-1))
    node.need(found == [2, 3], f"is over the axes {found}, supported are [2, 3]")
    pending = _average(node, _whole(node), False)
    return pending if node.attribute("keepdims", 1) else reshaped(node, pending, pending.shape[:2])


def _average(node: Node, geometry: Geometry, counts_padding: bool) -> Pending:
    reader, source, channels = node.reader, node.real(0), _image(node)[1]

    def emit(quantization: Quantization, low: int, high: int) -> str:
        return reader.add(
            AveragePool2D,
            [source.tensor],
            reader.int8(node.output, (1, *geometry.outputs, channels), quantization),
            name=node.name,
            counts_padding=counts_padding,
            rounding=ONNX,
            minimum=low,
            maximum=high,
            **geometry.settings,
        )

    return Pending(emit, (1, channels, *geometry.outputs), node.text)
