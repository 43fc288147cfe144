"""What changes the shape of an activation or the order of its axes, from ONNX; and what runs on the host."""

from dataclasses import replace
from math import prod

from .onnx_node import Node
from .onnx_values import Constant, DeviceValue, HostValue, Pending, Quantization, QuantizedConstant, Shape, Value

Shape3 = tuple[int, int, int]


def reshaped(
    node: Node, before: Pending, device_shape: Shape, shape: Shape | None = None, flattened: Shape3 | None = None
) -> Pending:
    """A pending result under another shape; `shape` is ONNX's view of it, if that differs from the device's."""
    reader = node.reader

    def emit(quantization: Quantization, low: int, high: int) -> str:
        return reader.reshape(before.emit(quantization, low, high), node.output, device_shape)

    return Pending(emit, shape or device_shape, before.text, before.low, before.high, flattened)


def _reshape_to(node: Node, shape: Shape) -> Value:
    """Input 0 under `shape`."""
    value, reader = node.value(0), node.reader
    if isinstance(value, Constant | QuantizedConstant):
        raise node.error("is not supported on quantized constants")
    node.need(prod(shape) == prod(value.shape), f"makes {shape} of {value.shape}, which has another size")
    if value.shape == shape:
        return value
    if isinstance(value, HostValue):
        return HostValue(reader.reshape(value.tensor, node.output, shape), shape)
    device_shape, flattened = _on_device(node, value, shape)
    if isinstance(value, Pending):
        return reshaped(node, value, device_shape, shape, flattened)
    tensor = reader.reshape(value.tensor, node.output, device_shape)
    return replace(value, tensor=tensor, shape=shape, channels_last=False, flattened=flattened)


def _on_device(node: Node, value: DeviceValue | Pending, shape: Shape) -> tuple[Shape, Shape3 | None]:
    """The shape that an activation has on the device when ONNX sees it as `shape`, and which image was flattened."""
    flattened = value.flattened
    last = isinstance(value, DeviceValue) and value.channels_last
    if flattened is not None:
        whole = shape[1:] == flattened
        node.need(whole or len(shape) == 2, f"makes {shape} of a flattened image, supported is its former shape")
        if not whole:
            return shape, flattened
    elif len(value.shape) == 4 and not last:
        channels, height, width = value.shape[1:]
        if channels > 1 and height * width > 1:
            node.need(
                len(shape) == 2 and shape[0] == 1,
                f"makes {shape} of the image {value.shape}, supported is to flatten it",
            )
            return shape, (channels, height, width)
    if len(shape) == 4:
        channels, height, width = shape[1:]
        plain = flattened is not None or channels == 1 or height * width == 1
        node.need(plain, f"makes the image {shape} of {value.shape}, whose channels are elsewhere")
        return (1, height, width, channels), None
    return shape, None


def reshape(node: Node) -> Value:
    """Reshape to a constant shape: flattening and its reverse on the device, anything on the host."""
    value = node.value(0)
    old: Shape = () if isinstance(value, Constant) else value.shape
    wanted = [int(n) for n in node.constant(1, "shape").reshape(-1)]
    if not node.attribute("allowzero", 0):
        node.need(all(n or i < len(old) for i, n in enumerate(wanted)), f"has the shape {wanted} for {old}")
        wanted = [n or old[i] for i, n in enumerate(wanted)]
    if wanted.count(-1) == 1:
        rest = -prod(wanted)
        node.need(rest > 0 and prod(old) % rest == 0, f"cannot make {wanted} of {old}")
        wanted[wanted.index(-1)] = prod(old) // rest
    node.need(all(n > 0 for n in wanted), f"has the impossible shape {wanted}")
    return _reshape_to(node, tuple(wanted))


def flatten(node: Node) -> Value:
    """Flatten to two axes."""
    value = node.value(0)
    shape: Shape = () if isinstance(value, Constant) else value.shape
    axis = int(node.attribute("axis", 1))
    axis += len(shape) if axis < 0 else 0
    return _reshape_to(node, (prod(shape[:axis]), prod(shape[axis:])))


def _axes(node: Node) -> list[int]:
    if node.has(1):
        return [int(n) for n in node.constant(1, "list of axes").reshape(-1)]
    return [int(n) for n in node.attribute("axes", ())]


def squeeze(node: Node) -> Value:
    """Squeeze: axes of size 1 removed."""
    value = node.value(0)
    shape: Shape = () if isinstance(value, Constant) else value.shape
    axes = [axis % len(shape) for axis in _axes(node)] or [i for i, n in enumerate(shape) if n == 1 and i > 0]
    return _reshape_to(node, tuple(n for i, n in enumerate(shape) if i not in axes))


def unsqueeze(node: Node) -> Value:
    """Unsqueeze: axes of size 1 added."""
    value = node.value(0)
    shape: Shape = () if isinstance(value, Constant) else value.shape
    axes = {axis % (len(shape) + len(_axes(node))) for axis in _axes(node)}
    rest = iter(shape)
    return _reshape_to(node, tuple(1 if i in axes else next(rest) for i in range(len(shape) + len(axes))))


def transpose(node: Node) -> Value:
    """Transpose: anything on the host, NCHW to NHWC and back elsewhere."""
    value = node.value(0)
    if isinstance(value, HostValue):
        permutation = tuple(node.attribute("perm", tuple(reversed(range(len(value.shape))))))
        tensor = node.reader.transpose(value.tensor, node.output, permutation)
        return HostValue(tensor, tuple(value.shape[axis] for axis in permutation))
    source = node.real(0)
    permutation = tuple(node.attribute("perm", tuple(reversed(range(len(source.shape))))))
    wanted = (0, 3, 1, 2) if source.channels_last else (0, 2, 3, 1)
    node.need(
        len(source.shape) == 4 and permutation == wanted,
        f"permutes the axes {list(permutation)} of {source.shape}, supported is {list(wanted)} on 4 axes",
    )
    shape = tuple(source.shape[axis] for axis in permutation)
    return replace(source, shape=shape, channels_last=not source.channels_last)


def softmax(node: Node) -> Value:
    """Softmax: on the host, at the end of the model."""
    value = node.value(0)
    if isinstance(value, DeviceValue):
        value = node.reader.to_host(node.real(0), node.output)
    if not isinstance(value, HostValue):
        node.real(0)
        raise node.error("is not supported on constants")
    rank = len(value.shape)
    axis = int(node.attribute("axis", -1 if node.reader.opset >= 13 else 1))
    node.need(-rank <= axis < rank, f"has axis {axis} for an input of {rank} axes")
    node.need(
        node.reader.opset >= 13 or prod(value.shape[axis % rank + 1 :]) == 1,
        "normalizes several axes at once, as before opset 13, and supported is one",
    )
    return node.reader.softmax(value, node.output, axis)


def identity(node: Node) -> Value:
    """Identity and Dropout: nothing, in inference."""
    return node.value(0)
