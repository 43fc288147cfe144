"""Functions of one activation, element by element, from ONNX: tables of what the node makes of every int8; and sums,
differences and products of two activations."""

from collections.abc import Callable
from dataclasses import replace
from math import inf, prod

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..graph import ONNX, Add, Binary, Clamp, Lookup, Multiply, Requantize, Subtract
from .builder import Builder
from .evaluate import evaluate, single
from .movement import constant_operand
from .node import Node
from .values import LEVELS, Constant, DeviceValue, Function, Pending, Quantization, QuantizedConstant, Value
from .views import Shape, View

MOST_TABLES = 1 << 12
"""Channels with tables of their own."""

BINARY: dict[str, type[Binary]] = {"Add": Add, "Sub": Subtract, "Mul": Multiply}


def pending_function(node: Node, function: Function, shape: Shape, low: float = -inf, high: float = inf) -> Pending:
    """A function that waits for the scale of its results."""

    def emit(quantization: Quantization, minimum: int, maximum: int) -> DeviceValue:
        table = np.clip(quantization.levels(function.values), minimum, maximum)
        return apply_table(node, function.source, table, function.axis, quantization)

    return Pending(emit, shape, node.text, low, high, function=function)


def apply_table(
    node: Node, source: DeviceValue, table: NDArray[np.int8], axis: int | None, wanted: Quantization
) -> DeviceValue:
    """An activation looked up in a table (256,), or (channels, 256) for an axis; limits, or another scale, if that is
    all that the table does."""
    reader = node.reader
    if axis is not None:
        source = channel_behind(reader, source, axis, node.output)
    target = reader.int8(node.output, reader.tensors[source.tensor].shape, wanted)
    limits = {"minimum": int(table.min()), "maximum": int(table.max())}
    same = source.quantization == wanted
    if axis is None and same and np.array_equal(table, LEVELS):
        return replace(source, real=False)
    if axis is None and same and np.array_equal(table, np.clip(LEVELS, limits["minimum"], limits["maximum"])):
        tensor = reader.add(Clamp, [source.tensor], target, name=node.name, **limits)
    elif axis is None and np.array_equal(
        table, np.clip(wanted.levels(source.quantization.reals), limits["minimum"], limits["maximum"])
    ):
        tensor = reader.add(Requantize, [source.tensor], target, name=node.name, rounding=ONNX, **limits)
    else:
        tensor = reader.add(Lookup, [source.tensor], target, name=node.name, table=np.ascontiguousarray(table))
    return replace(source, tensor=tensor, quantization=wanted, real=False)


def channel_behind(reader: Builder, source: DeviceValue, axis: int, name: str) -> DeviceValue:
    """The value stored with this axis behind all others."""
    source = reader.unfolded(source, name)
    order = source.view.order
    return reader.ordered(source, (*(one for one in order if one != axis), axis), name)


def _functions(node: Node) -> dict[str, Function] | None:
    """The inputs that are activations, as functions of the same one; None if there are several activations."""
    reader, found = node.reader, {}
    for index, name in enumerate(node.proto.input):
        value = reader.values.get(name)
        if not name or isinstance(value, Constant | QuantizedConstant):
            continue
        if isinstance(value, Pending) and value.function is not None:
            values = np.clip(value.function.values, np.float32(value.low), np.float32(value.high))
            found[name] = replace(value.function, values=values)
        elif isinstance(value, DeviceValue):
            source = node.real(index)
            found[name] = Function(source, source.quantization.reals)
        else:
            node.real(index)
    sources = {one.source for one in found.values()}
    return found if len(sources) == 1 else None


def function(node: Node) -> Value:
    """A function of one activation, all other inputs constant: a table of what ONNX's reference makes of every int8."""
    functions = _functions(node)
    if functions is None:
        raise node.error("has several activations, supported is one")
    reader, source = node.reader, next(iter(functions.values())).source
    shape = source.shape
    constants = {one: reader.known(one) for one in node.proto.input if one and one not in functions}
    axis = _channel_axis(node, shape, constants, {one.axis for one in functions.values()} - {None})
    batches = {name: _batch(one.values, axis, shape) for name, one in functions.items()}
    made = _evaluated(node, constants, batches)
    size = max(batch.size for batch in batches.values())
    node.need(made.size == size, "is no function of single values")
    table = np.ascontiguousarray(made.reshape(256, -1).T.astype(np.float32))
    return pending_function(node, Function(source, table[0] if axis is None else table, axis), shape)


def _batch(values: NDArray[np.float32], axis: int | None, shape: Shape) -> NDArray[np.float32]:
    """All values of an int8 as samples, on an axis before the others: constants meet the axis that they belong to."""
    grid = values if values.ndim == 2 else values[None]
    if axis is not None:
        grid = np.broadcast_to(grid, (shape[axis], 256))
    places = [len(grid) if index == axis else 1 for index in range(len(shape))]
    return np.ascontiguousarray(grid.T).reshape([256, *places])


def _channel_axis(
    node: Node, shape: Shape, constants: dict[str, NDArray[np.generic]], axes: set[int | None]
) -> int | None:
    """The one axis along which constants differ, or one of `axes`; BatchNormalization's are those of axis 1."""
    if node.proto.op_type == "BatchNormalization":
        node.need(len(shape) >= 2, "has an input without channels")
        axes.add(1)
    else:
        for array in constants.values():
            node.need(array.ndim <= len(shape), f"has a constant of shape {array.shape} for an input of {shape}")
            offset = len(shape) - array.ndim
            axes |= {axis + offset for axis, n in enumerate(array.shape) if n > 1}
            fits = all(n in (1, shape[axis + offset]) for axis, n in enumerate(array.shape))
            node.need(fits, f"has a constant of shape {array.shape}, which would spread its input of {shape}")
    node.need(len(axes) <= 1, "has constants that differ along several axes")
    axis = next(iter(axes), None)
    node.need(axis is None or shape[axis] <= MOST_TABLES, f"has more than {MOST_TABLES} constants")
    return axis


def _evaluated(
    node: Node, constants: dict[str, NDArray[np.generic]], batches: dict[str, NDArray[np.float32]]
) -> NDArray[np.generic]:
    reader = node.reader
    if node.proto.op_type == "BatchNormalization":
        batches = {name: batch.reshape(256, -1) for name, batch in batches.items()}
    kinds = {name: ("float32", batch.shape) for name, batch in batches.items()}
    opsets, version = reader.model.opset_import, reader.model.ir_version
    model = single(node.proto, opsets, version, constants, kinds, node.output)
    try:
        return evaluate(model, batches)
    except UserError as error:
        raise node.error(str(error)) from None


def relu(node: Node) -> Value:
    """Relu: fused into the operator before it."""
    return _limited(node, 0.0, inf)


def clip(node: Node) -> Value:
    """Clip with constant limits, ReLU6 among them: fused into the operator before it."""
    limits = [node.number("min", -inf), node.number("max", inf)]
    for index in (1, 2):
        if node.has(index):
            bound = node.constant(index, "limit")
            node.need(bound.size == 1, f"has a limit of shape {bound.shape}, expected one number")
            limits[index - 1] = float(bound.reshape(()))
    # Where the limits cross, the upper one holds.
    return _limited(node, min(limits), limits[1])


def _limited(node: Node, low: float, high: float) -> Value:
    """Limit the values of input 0."""
    value = node.activation()
    if isinstance(value, Pending) and value.function is None:
        bounds = [float(np.clip(bound, low, high)) for bound in (value.low, value.high)]
        return replace(value, low=bounds[0], high=bounds[1], with_bias=None)
    if isinstance(value, Pending):
        return function(node)
    source = node.device()
    if source.real:
        values = np.clip(source.quantization.reals, np.float32(low), np.float32(high))
        return pending_function(node, Function(source, values), source.shape)
    offset = 128 if source.unsigned else 0
    minimum, maximum = (int(np.clip(bound - offset, -128, 127)) for bound in (low, high))
    table = np.clip(LEVELS, minimum, maximum).astype(np.int8)
    return apply_table(node, source, table, None, source.quantization)


def binary(node: Node) -> Value:
    """Add, Sub and Mul of two activations, or of one and a constant; a constant per channel behind a convolution or a
    product is its bias."""
    node.demand(len(node.proto.input) == 2, f"has {len(node.proto.input)} inputs, expected 2")
    if node.proto.op_type == "Add":
        biased = _biased(node)
        if biased is not None:
            return biased
    values = [node.value(index) for index in range(2)]
    known = [isinstance(value, Constant | QuantizedConstant) for value in values]
    if any(known) and not _spreads(node):
        return function(node)
    if not any(known) and _functions(node) is not None:
        return function(node)
    a, b = (_operand(node, index) for index in range(2))
    return _combined(node, BINARY[node.proto.op_type], a, b)


def _spreads(node: Node) -> bool:
    """A quantized constant has more than one axis, or makes the result larger."""
    values = [node.value(index) for index in range(2)]
    constant = next(value for value in values if isinstance(value, Constant | QuantizedConstant))
    other = next(value for value in values if value is not constant)
    return isinstance(constant, QuantizedConstant) and (
        sum(n > 1 for n in constant.shape) > 1 or _broadcast(node) != other.shape
    )


def _broadcast(node: Node) -> Shape:
    """The shape of the result of two inputs."""
    a, b = node.shape(0), node.shape(1)
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        raise node.refuse(f"has inputs of shapes {a} and {b}, which do not fit each other") from None


def _biased(node: Node) -> Value | None:
    for index in (0, 1):
        value, other = node.value(index), node.value(1 - index)
        if (
            isinstance(value, Pending)
            and value.with_bias is not None
            and isinstance(other, Constant | QuantizedConstant)
        ):
            real = other.real if isinstance(other, QuantizedConstant) else other.array.astype(np.float64)
            axes, channel = len(value.shape), value.channel
            if real.ndim <= axes:
                aligned = real.reshape((1,) * (axes - real.ndim) + real.shape)
                if aligned.size in (1, value.shape[channel]) and aligned.size in (1, aligned.shape[channel]):
                    return value.with_bias(aligned.reshape(-1))
    return None


def _operand(node: Node, index: int) -> DeviceValue:
    value = node.value(index)
    if isinstance(value, QuantizedConstant):
        found = constant_operand(node, value)
        if found is not None:
            return found
        raise node.error("has a constant of several scales, or of more than 8 bits")
    return node.real(index)


def _combined(node: Node, kind: type[Binary], a: DeviceValue, b: DeviceValue) -> Pending:
    """Two activations, which broadcast."""
    reader = node.reader
    shape = _broadcast(node)
    node.need(len(shape) >= 1, "makes a tensor without axes")
    rank = len(shape)

    def emit(quantization: Quantization, low: int, high: int) -> DeviceValue:
        sources = [
            reader.reshaped(one, f"{node.output}.axes", (1,) * (rank - len(one.shape)) + one.shape) for one in (a, b)
        ]
        # The larger one stays as it is stored.
        leader = reader.unfolded(max(sources, key=lambda one: prod(one.shape)), f"{node.output}.from")
        order = leader.view.order
        names = [reader.ordered(one, order, f"{node.output}.from").tensor for one in sources]
        target = reader.int8(node.output, tuple(shape[axis] for axis in order), quantization)
        tensor = reader.add(kind, names, target, name=node.name, rounding=ONNX, minimum=low, maximum=high)
        return DeviceValue(tensor, View.ordered(shape, order), quantization, False, real=False)

    return Pending(emit, shape, node.text)


UNARY = (
    *("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BatchNormalization", "Ceil", "Celu", "Cos", "Cosh"),
    *("Div", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Log", "Max", "Min"),
    *("Mish", "Mod", "Neg", "PRelu", "Pow", "Reciprocal", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh"),
    *("Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu"),
)
"""Operators that work on single values; those of several inputs where all but one are constant."""

FUNCTIONS: dict[str, Callable[[Node], Value]] = dict.fromkeys(UNARY, function)
