"""Pooling and reductions, from ONNX."""

from dataclasses import dataclass, replace
from math import prod
from typing import Any

from ..graph import ONNX, AveragePool2D, MaxPool2D, ResizeNearest
from .file import LARGEST_TENSOR
from .layout import moved
from .movement import taken
from .node import SAME, Node, auto_pad, padding, pair, positions, same_padding, with_rows
from .values import DeviceValue, Pending, Quantization, Value
from .views import Shape, View, channels_last

WIDEST = 1 << 16
"""Cells along an axis of an activation whose windows are dilated."""


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


def _shape(node: Node) -> Shape:
    """The shape of input 0, which must have a batch of 1, channels and an axis more."""
    shape = node.shape()
    node.need(
        len(shape) >= 3 and shape[0] == 1, f"has an input of shape {shape}, supported is a batch of 1 with channels"
    )
    return shape


def _size(shape: Shape) -> tuple[int, int]:
    return (1, shape[2]) if len(shape) == 3 else (shape[2], shape[3])


def _geometry(node: Node, shape: Shape) -> Geometry:
    node.need(len(shape) in (3, 4), f"has an input of {len(shape)} axes, supported are 3 and 4")
    window = pair(node, "kernel_shape", (1, 1))
    stride = pair(node, "strides", (1, 1))
    dilation = pair(node, "dilations", (1, 1))
    node.need(dilation == (1, 1), f"has dilations {list(dilation)}, supported are [1, 1]")
    size = _size(shape)
    pads = padding(node, size, window, stride, dilation)
    ceil_mode = bool(node.integer("ceil_mode", 0))
    rows, columns = (positions(size[i], pads[i], pads[i + 2], window[i], stride[i], ceil_mode) for i in range(2))
    node.demand(rows >= 1 and columns >= 1, f"has a window that is larger than its padded input of {size[0]}x{size[1]}")
    node.need(all(pads[i] < window[i % 2] for i in range(4)), "has padding as large as its window")
    return Geometry(window, stride, pads, (rows, columns))


def _pooled_shape(shape: Shape, geometry: Geometry) -> Shape:
    return (1, shape[1], *geometry.outputs[4 - len(shape) :])


def max_pool(node: Node) -> Value:
    """MaxPool, without indices: any number of axes, any window, stride, padding and dilation."""
    outputs = [name for name in node.proto.output if name]
    # ONNX's reference implementation gives wrong ones for some strides, so neither can the host.
    node.demand(len(outputs) == 1, "has an output of indices, which is not supported")
    node.demand("kernel_shape" in node.attributes, "lacks its kernel_shape")
    shape = _shape(node)
    plain = all(one == 1 for one in node.integers("dilations", (1,)))
    if len(shape) <= 4 and plain:
        geometry = _geometry(node, shape)
        return moved(node, _pooled_shape(shape, geometry), lambda value: _maximum(node, value, geometry))
    places = [_windows(node, axis, len(shape) - 2, n) for axis, n in enumerate(shape[2:])]
    made = (*shape[:2], *(len(one) for one in places))

    def move(value: DeviceValue) -> DeviceValue:
        for axis, windows in enumerate(places, 2):
            value = _maximum_along(node, value, axis, windows)
        return value

    return moved(node, made, move)


def _maximum(node: Node, value: DeviceValue, geometry: Geometry) -> DeviceValue:
    reader, shape = node.reader, _pooled_shape(value.shape, geometry)
    image = with_rows(node, value)
    made = (1, shape[1], *geometry.outputs)
    view = View.ordered(made, channels_last(4))
    target = reader.like(node.output, image.tensor, view.stored)
    tensor = reader.add(MaxPool2D, [image.tensor], target, name=node.name, **geometry.settings)
    return reader.reshaped(replace(image, tensor=tensor, view=view), f"{node.output}.columns", shape)


def _windows(node: Node, axis: int, axes: int, size: int) -> list[list[int]]:
    """The cells of each window along one of several axes, cells outside of the input left out."""

    def entry(name: str, default: int) -> int:
        values = node.integers(name, (default,) * axes)
        node.demand(len(values) == axes and min(values) >= 1, f"has {name} {list(values)} for {axes} axes")
        return values[axis]

    window, stride, dilation = entry("kernel_shape", 1), entry("strides", 1), entry("dilations", 1)
    span = (window - 1) * dilation + 1
    auto = auto_pad(node)
    pads = node.integers("pads", (0,) * (2 * axes))
    node.demand(len(pads) == 2 * axes and min(pads) >= 0, f"has pads {list(pads)} for {axes} axes")
    before, after = (pads[axis], pads[axis + axes]) if auto == "NOTSET" else (0, 0)
    if auto in SAME:
        before, after = same_padding(size, span, stride, auto)
    count = positions(size, before, after, span, stride, bool(node.integer("ceil_mode", 0)))
    node.demand(count >= 1, f"has a window that is larger than its padded input of {size} cells")
    node.need(count * window <= WIDEST, f"has {count} windows of {window} cells along an axis")
    found = []
    for start in range(-before, count * stride - before, stride):
        cells = [start + i * dilation for i in range(window)]
        found.append([cell for cell in cells if 0 <= cell < size])
    node.need(all(found), "has padding as large as its window")
    return found


def _maximum_along(node: Node, value: DeviceValue, axis: int, windows: list[list[int]]) -> DeviceValue:
    """The largest of some cells along an axis of what ONNX sees; cells side by side first, then a window each."""
    reader = node.reader
    width = max(len(cells) for cells in windows)
    # A cell that is there twice changes no maximum.
    columns = tuple(cells[min(i, len(cells) - 1)] for cells in windows for i in range(width))
    value = taken(node, reader.unfolded(value, f"{node.output}.from"), axis, columns)
    stored, where = value.view.stored, value.view.order.index(axis)
    before, behind = prod(stored[:where]), prod(stored[where + 1 :])
    flat = reader.reshape(value.tensor, f"{node.output}.spread", (1, before, len(columns), behind))
    geometry = Geometry((1, width), (1, width), (0, 0, 0, 0), (before, len(windows)))
    target = reader.like(f"{node.output}.largest", flat, (1, before, len(windows), behind))
    tensor = reader.add(MaxPool2D, [flat], target, name=node.name, **geometry.settings)
    shape = tuple(len(windows) if i == axis else n for i, n in enumerate(value.shape))
    view = View.ordered(shape, value.view.order)
    return replace(value, tensor=reader.reshape(tensor, node.output, view.stored), view=view)


def average_pool(node: Node) -> Value:
    """AveragePool: one- or two-dimensional; dilated windows where there is no padding."""
    shape = _shape(node)
    node.demand("kernel_shape" in node.attributes, "lacks its kernel_shape")
    counts = bool(node.integer("count_include_pad", 0))
    if all(one == 1 for one in node.integers("dilations", (1,))):
        return _average(node, _geometry(node, shape), counts)
    node.need(len(shape) == 4, f"has dilations and an input of {len(shape)} axes, supported are 4")
    windows = [_windows(node, axis, 2, n) for axis, n in enumerate(shape[2:])]
    sizes = [{len(cells) for cells in one} for one in windows]
    node.need(all(len(one) == 1 for one in sizes), "has dilations and padding")
    size = (max(sizes[0]), max(sizes[1]))
    return _average(node, Geometry(size, size, (0, 0, 0, 0), (len(windows[0]), len(windows[1]))), counts, windows)


def _average(
    node: Node, geometry: Geometry, counts_padding: bool, windows: list[list[list[int]]] | None = None
) -> Pending:
    reader, source = node.reader, node.real(0)
    shape = _pooled_shape(source.shape, geometry)
    view = View.ordered((1, shape[1], *geometry.outputs), channels_last(4))

    def emit(quantization: Quantization, low: int, high: int) -> DeviceValue:
        tensor = with_rows(node, source).tensor
        if windows is not None:
            rows, columns = (tuple(cell for cells in one for cell in cells) for one in windows)
            spread = reader.like(f"{node.output}.spread", tensor, (1, len(rows), len(columns), shape[1]))
            tensor = reader.add(ResizeNearest, [tensor], spread, rows=rows, columns=columns)
        made = reader.add(
            AveragePool2D,
            [tensor],
            reader.int8(node.output, view.stored, quantization),
            name=node.name,
            counts_padding=counts_padding,
            rounding=ONNX,
            minimum=low,
            maximum=high,
            **geometry.settings,
        )
        image = DeviceValue(made, view, quantization, False, real=False)
        return reader.reshaped(image, f"{node.output}.columns", shape)

    return Pending(emit, shape, node.text)


def _reduced(node: Node, axes: list[int], kind: type[MaxPool2D] | type[AveragePool2D], keep: bool) -> Value:
    """The largest, or the mean, over axes that are stored side by side."""
    reader, shape = node.reader, node.shape()
    kept = tuple(1 if axis in axes else n for axis, n in enumerate(shape))
    made = kept if keep else tuple(n for axis, n in enumerate(shape) if axis not in axes)
    node.need(len(made) >= 1, "makes a tensor without axes")
    node.need(len(shape) < 3 or prod(shape) <= LARGEST_TENSOR, "has too large an input")

    def reduce(value: DeviceValue, target: Quantization, limits: dict[str, Any]) -> DeviceValue:
        value = reader.unfolded(value, f"{node.output}.from")
        order = [axis for axis in value.view.order if axis not in axes]
        # The axes side by side, at the place of the first.
        first = next((i for i, axis in enumerate(value.view.order) if axis in axes), 0)
        order = [*order[:first], *(axis for axis in value.view.order if axis in axes), *order[first:]]
        value = reader.ordered(value, tuple(order), f"{node.output}.from")
        stored = value.view.stored
        before, count = prod(stored[:first]), prod(stored[first : first + len(axes)])
        flat = reader.reshape(
            value.tensor, f"{node.output}.rows", (1, before, count, prod(stored[first + len(axes) :]))
        )
        geometry = Geometry((1, count), (1, count), (0, 0, 0, 0), (before, 1))
        wanted = reader.int8(f"{node.output}.reduced", (1, before, 1, reader.tensors[flat].shape[3]), target)
        tensor = reader.add(kind, [flat], wanted, name=node.name, **geometry.settings, **limits)
        view = View.ordered(kept, tuple(order))
        reduced = replace(
            value, tensor=reader.reshape(tensor, node.output, view.stored), view=view, quantization=target
        )
        return reader.reshaped(reduced, f"{node.output}.shape", made)

    if kind is MaxPool2D:
        return moved(node, made, lambda value: reduce(value, value.quantization, {}))
    source = node.real()

    def emit(quantization: Quantization, low: int, high: int) -> DeviceValue:
        limits = {"counts_padding": False, "rounding": ONNX, "minimum": low, "maximum": high}
        return replace(reduce(source, quantization, limits), real=False)

    return Pending(emit, made, node.text)


def _reduced_axes(node: Node) -> tuple[list[int], bool]:
    shape = node.shape()
    axes = node.list_of_integers(1, "list of axes") if node.has(1) else node.integers("axes", ())
    node.need(bool(axes) or not node.integer("noop_with_empty_axes", 0), "reduces nothing")
    found = sorted({node.axis(axis, len(shape)) for axis in axes}) or list(range(len(shape)))
    return found, bool(node.integer("keepdims", 1))


def global_average_pool(node: Node) -> Value:
    """GlobalAveragePool: the mean of each channel."""
    shape = _shape(node)
    if len(shape) == 4:
        return _average(node, Geometry((shape[2], shape[3]), (1, 1), (0, 0, 0, 0), (1, 1)), False)
    return _reduced(node, list(range(2, len(shape))), AveragePool2D, True)


def global_max_pool(node: Node) -> Value:
    """GlobalMaxPool: the largest value of each channel."""
    shape = _shape(node)
    if len(shape) == 4:
        geometry = Geometry((shape[2], shape[3]), (1, 1), (0, 0, 0, 0), (1, 1))
        return moved(node, (1, shape[1], 1, 1), lambda value: _maximum(node, value, geometry))
    return _reduced(node, list(range(2, len(shape))), MaxPool2D, True)


def reduce_mean(node: Node) -> Value:
    """ReduceMean over constant axes."""
    axes, keep = _reduced_axes(node)
    shape = node.shape()
    if axes == [2, 3] and len(shape) == 4 and shape[0] == 1 and keep:
        return global_average_pool(node)
    return _reduced(node, axes, AveragePool2D, keep)


def reduce_max(node: Node) -> Value:
    """ReduceMax over constant axes."""
    axes, keep = _reduced_axes(node)
    return _reduced(node, axes, MaxPool2D, keep)
