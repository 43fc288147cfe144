"""Operators that join, cut, pad and pick, from ONNX: they move values and compute none."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from ..graph import ONNX, Concat, Pad, Requantize, ResizeNearest, Slice
from .layout import moved
from .node import Node
from .values import Constant, DeviceValue, Pending, Quantization, QuantizedConstant, Value
from .views import Shape, View


def concat(node: Node) -> Value:
    """Concat along any axis; of several scales where a QuantizeLinear follows."""
    reader = node.reader
    values = [_operand(node, index) for index in range(len(node.proto.input))]
    first = values[0].shape
    axis = node.axis(node.integer("axis", 1), len(first))
    rest = [(*value.shape[:axis], *value.shape[axis + 1 :]) for value in values]
    node.demand(
        all(len(value.shape) == len(first) for value in values) and len(set(rest)) == 1,
        f"joins {', '.join(str(value.shape) for value in values[:9])} along axis {axis}, which do not fit",
    )
    node.need(len({value.real for value in values}) == 1, "joins integers and real numbers")
    real = values[0].real
    node.need(real or len({value.unsigned for value in values}) == 1, "joins int8 and uint8")
    shape = (*first[:axis], sum(value.shape[axis] for value in values), *first[axis + 1 :])

    def join(parts: Sequence[DeviceValue], quantization: Quantization) -> DeviceValue:
        order = reader.unfolded(parts[0], f"{node.output}.part").view.order
        parts = [reader.ordered(part, order, f"{node.output}.part") for part in parts]
        target = reader.int8(node.output, tuple(shape[one] for one in order), quantization)
        names = [part.tensor for part in parts]
        tensor = reader.add(Concat, names, target, name=node.name, axis=order.index(axis))
        return replace(parts[0], tensor=tensor, view=View.ordered(shape, order), quantization=quantization)

    quantization = values[0].quantization
    if not real:
        return join([reader.relabelled(value, quantization, node.output) for value in values], quantization)
    if all(value.quantization == quantization for value in values):
        return join(values, quantization)

    def emit(wanted: Quantization, low: int, high: int) -> DeviceValue:
        return join([rescaled(node, value, wanted, low, high) for value in values], wanted)

    return Pending(emit, shape, node.text)


def rescaled(node: Node, value: DeviceValue, wanted: Quantization, low: int = -128, high: int = 127) -> DeviceValue:
    """The value in another scale, by ONNX's rounding, and limited."""
    if value.quantization == wanted and (low, high) == (-128, 127):
        return replace(value, real=False)
    reader = node.reader
    target = reader.int8(f"{node.output}.scaled", reader.tensors[value.tensor].shape, wanted)
    limits = {"minimum": low, "maximum": high}
    tensor = reader.add(Requantize, [value.tensor], target, rounding=ONNX, **limits)
    return replace(value, tensor=tensor, quantization=wanted, real=False)


def _operand(node: Node, index: int) -> DeviceValue:
    """An input of a node that may have constants among its inputs."""
    value = node.value(index)
    if isinstance(value, QuantizedConstant):
        found = constant_operand(node, value)
        if found is not None:
            return found
    if isinstance(value, Constant) and value.array.dtype in (np.int8, np.uint8):
        unsigned = value.array.dtype == np.uint8
        moved_down = value.array.astype(np.int16) - (128 if unsigned else 0)
        one = node.reader.constant(moved_down.astype(np.int8), Quantization(1.0, -128 if unsigned else 0), node.output)
        return replace(one, unsigned=unsigned, real=False)
    return node.device(index)


def constant_operand(node: Node, value: QuantizedConstant) -> DeviceValue | None:
    """A quantized constant as a tensor of the graph, if it has one scale and fits into int8."""
    if value.scale.size != 1 or value.integers.size == 0:
        return None
    low, high = int(value.integers.min()), int(value.integers.max())
    zero_point = max(-128 - low, 0) or min(127 - high, 0)
    if not (-128 <= zero_point <= 127 and low + zero_point >= -128 and high + zero_point <= 127):
        return None
    quantization = Quantization(float(value.scale.reshape(())), zero_point)
    return node.reader.constant((value.integers + zero_point).astype(np.int8), quantization, node.output)


def taken(node: Node, value: DeviceValue, axis: int, places: Sequence[int]) -> DeviceValue:
    """The elements at `places` along an axis of what ONNX sees."""
    reader = node.reader
    if list(places) == list(range(value.shape[axis])):
        return value
    value = reader.unfolded(value, f"{node.output}.from")
    stored, where = value.view.stored, value.view.order.index(axis)
    before, behind = prod(stored[:where]), prod(stored[where + 1 :])
    flat = reader.reshape(value.tensor, f"{node.output}.rows", (1, before, stored[where], behind))
    target = reader.like(f"{node.output}.taken", flat, (1, before, len(places), behind))
    tensor = reader.add(ResizeNearest, [flat], target, rows=tuple(range(before)), columns=tuple(places))
    shape = tuple(len(places) if i == axis else n for i, n in enumerate(value.shape))
    view = View.ordered(shape, value.view.order)
    return replace(value, tensor=reader.reshape(tensor, node.output, view.stored), view=view)


def taken_along(node: Node, places: Mapping[int, Sequence[int]]) -> Value:
    """Input 0, of which the elements at `places` are taken along several axes."""
    shape = tuple(len(places[axis]) if axis in places else n for axis, n in enumerate(node.shape()))
    node.need(min(shape, default=1) >= 1, f"makes an empty tensor of shape {shape}")

    def move(value: DeviceValue) -> DeviceValue:
        for axis, some in places.items():
            value = taken(node, value, axis, some)
        return value

    return moved(node, shape, move)


def pad(node: Node) -> Value:
    """Pad by constant amounts, with a constant, or with what is at the edges."""
    shape = node.shape()
    amounts = node.list_of_integers(1, "list of pads") if node.has(1) else node.integers("pads", ())
    axes = (
        [node.axis(one, len(shape)) for one in node.list_of_integers(3, "list of axes")]
        if node.has(3)
        else list(range(len(shape)))
    )
    node.demand(len(amounts) == 2 * len(axes) == 2 * len(set(axes)), f"has {len(amounts)} pads for {len(axes)} axes")
    mode = node.attribute("mode", "constant")
    node.demand(mode in ("constant", "edge", "reflect", "wrap"), f"has the mode {mode!r}, which is unknown")
    pads = {axis: (amounts[i], amounts[i + len(axes)]) for i, axis in enumerate(axes)}
    node.need(all(min(pads[axis]) >= 0 for axis in pads), f"has the pads {list(amounts)}, supported are 0 and more")
    if mode != "constant":
        places = {}
        for axis, (before, after) in pads.items():
            node.need(max(before, after) < shape[axis], f"pads axis {axis} of {shape} by more than it has")
            places[axis] = np.pad(np.arange(shape[axis]), (before, after), mode=mode).tolist()
        return taken_along(node, places)
    return _padded(node, pads)


def _padded(node: Node, pads: dict[int, tuple[int, int]]) -> Value:
    reader, shape = node.reader, node.shape()
    fill = float(node.constant(2, "value").reshape(-1)[0]) if node.has(2) else node.number("value", 0.0)
    padding = tuple(pads.get(axis, (0, 0)) for axis in range(len(shape)))
    grown = tuple(n + sum(pair) for n, pair in zip(shape, padding, strict=True))

    def move(value: DeviceValue, level: int) -> DeviceValue:
        value = reader.unfolded(value, f"{node.output}.from")
        order = value.view.order
        target = reader.like(node.output, value.tensor, tuple(grown[axis] for axis in order))
        settings: dict[str, Any] = {"padding": tuple(padding[axis] for axis in order), "value": level}
        tensor = reader.add(Pad, [value.tensor], target, name=node.name, **settings)
        return replace(value, tensor=tensor, view=View.ordered(grown, order))

    value = node.activation()
    if not isinstance(value, Pending):
        source = node.device()
        if not source.real:
            level = int(fill) - (128 if source.unsigned else 0)
            node.need(-128 <= level <= 127, f"pads with {fill}, which is no value of its input's type")
            return move(source, level)
        level = source.quantization.level(fill)
        if float(source.quantization.reals[level + 128]) == float(np.float32(fill)):
            return move(source, level)

        def emit(wanted: Quantization, low: int, high: int) -> DeviceValue:
            return move(rescaled(node, source, wanted, low, high), min(max(wanted.level(fill), low), high))

        return Pending(emit, grown, node.text)
    waiting = value
    node.need(waiting.low <= fill <= waiting.high, f"pads with {fill}, which its input cannot have")
    return Pending(
        lambda wanted, low, high: move(waiting.emit(wanted, low, high), min(max(wanted.level(fill), low), high)),
        grown,
        node.text,
        waiting.low,
        waiting.high,
    )


def slice_(node: Node) -> Value:
    """Slice with constant starts, ends, axes and steps."""
    shape = node.shape()
    if node.has(1):
        starts, ends = node.list_of_integers(1, "list of starts"), node.list_of_integers(2, "list of ends")
        axes = node.list_of_integers(3, "list of axes") if node.has(3) else tuple(range(len(starts)))
        steps = node.list_of_integers(4, "list of steps") if node.has(4) else (1,) * len(starts)
    else:
        starts, ends = node.integers("starts", ()), node.integers("ends", ())
        axes, steps = node.integers("axes", tuple(range(len(starts)))), (1,) * len(starts)
    node.demand(
        len(starts) == len(ends) == len(axes) == len(steps) and all(steps) and len(starts) <= len(shape),
        f"slices {shape} from {list(starts)[:9]} to {list(ends)[:9]} by {list(steps)[:9]}",
    )
    places = {}
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = node.axis(axis, len(shape))
        places[axis] = range(shape[axis])[slice(start, end, step)]
    return _sliced(node, places)


def _sliced(node: Node, places: dict[int, range]) -> Value:
    """Ranges of input 0; backwards element by element."""
    shape = node.shape()
    size = tuple(len(places[axis]) if axis in places else n for axis, n in enumerate(shape))
    node.need(min(size, default=1) >= 1, f"makes an empty tensor of shape {size}")
    if any(one.step < 0 and len(one) > 1 for one in places.values()):
        return taken_along(node, dict(places))
    start = tuple(places[axis].start if axis in places else 0 for axis in range(len(shape)))
    step = tuple(abs(places[axis].step) if axis in places else 1 for axis in range(len(shape)))
    return moved(node, size, lambda value: sliced(node, value, start, step, size))


def sliced(node: Node, value: DeviceValue, start: Shape, step: Shape, size: Shape, name: str = "") -> DeviceValue:
    """Every step-th element from `start` on, of what ONNX sees."""
    reader = node.reader
    value = reader.unfolded(value, f"{node.output}.from")
    if size == value.shape:
        return value
    order = value.view.order
    target = reader.like(name or node.output, value.tensor, tuple(size[axis] for axis in order))
    places = {"start": tuple(start[axis] for axis in order), "step": tuple(step[axis] for axis in order)}
    tensor = reader.add(Slice, [value.tensor], target, name=node.name, **places)
    return replace(value, tensor=tensor, view=View.ordered(size, order))


def split(node: Node) -> list[Value]:
    """Split along an axis, into equal parts or parts of constant sizes."""
    shape = node.shape()
    axis = node.axis(node.integer("axis", 0), len(shape))
    outputs = list(node.proto.output)
    if node.has(1) or "split" in node.attributes:
        sizes = list(node.list_of_integers(1, "list of sizes") if node.has(1) else node.integers("split", ()))
    else:
        each = -(-shape[axis] // len(outputs))
        sizes = [min(each, shape[axis] - each * index) for index in range(len(outputs))]
    node.demand(len(sizes) == len(outputs) and sum(sizes) == shape[axis], f"splits {shape} into {sizes[:9]}")
    node.need(min(sizes) >= 1, "makes an empty tensor")
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    return [
        _part(node, name, axis, range(start, start + size))
        for name, start, size in zip(outputs, starts, sizes, strict=True)
    ]


def _part(node: Node, name: str, axis: int, places: range) -> Value:
    shape = node.shape()
    size = tuple(len(places) if i == axis else n for i, n in enumerate(shape))
    start = tuple(places.start if i == axis else 0 for i in range(len(shape)))
    return moved(node, size, lambda value: sliced(node, value, start, (1,) * len(shape), size, name))


def gather(node: Node) -> Value:
    """Gather with constant indices."""
    shape, reader = node.shape(), node.reader
    axis = node.axis(node.integer("axis", 0), len(shape))
    indices = node.constant(1, "list of indices")
    node.need(indices.dtype.kind == "i" and indices.size > 0, "gathers nothing")
    node.demand(bool(np.all((indices >= -shape[axis]) & (indices < shape[axis]))), "gathers from outside of its input")
    places = [int(one) % shape[axis] for one in indices.reshape(-1)]
    made = (*shape[:axis], *indices.shape, *shape[axis + 1 :])
    node.need(len(made) >= 1, "makes a tensor without axes")
    return moved(node, made, lambda value: reader.reshaped(taken(node, value, axis, places), node.output, made))


def tile(node: Node) -> Value:
    """Tile by constant numbers."""
    shape, times = node.shape(), node.list_of_integers(1, "list of repeats")
    node.demand(len(times) == len(shape) and min(times, default=1) >= 0, f"repeats {shape} {list(times)} times")
    node.need(prod(times) * prod(shape) <= 1 << 24, f"repeats {shape} {list(times)} times, which is too large")
    return taken_along(
        node, {axis: list(range(n)) * count for axis, (n, count) in enumerate(zip(shape, times, strict=True))}
    )


def expand(node: Node) -> Value:
    """Expand to a constant shape."""
    shape, wanted, reader = node.shape(), node.list_of_integers(1, "shape"), node.reader
    try:
        target = np.broadcast_shapes(shape, wanted)
    except ValueError:
        raise node.refuse(f"expands {shape} to {wanted}, which does not fit") from None
    node.need(prod(target) <= 1 << 24 and min(target, default=1) >= 1, f"expands {shape} to {target}")
    whole = (1,) * (len(target) - len(shape)) + shape

    def move(value: DeviceValue) -> DeviceValue:
        value = reader.reshaped(value, f"{node.output}.axes", whole)
        for axis, (n, count) in enumerate(zip(whole, target, strict=True)):
            value = taken(node, value, axis, [0] * count if n == 1 else range(n))
        return value

    return moved(node, tuple(target), move)
