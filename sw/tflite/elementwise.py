"""Functions of one tensor and of two, element by element, from TFLite."""

from collections.abc import Callable

import numpy as np

from ..graph import (
    TFLITE,
    Add,
    Binary,
    Clamp,
    Dequantize,
    Lookup,
    Multiply,
    Quantize,
    Requantize,
    Softmax,
    SoftmaxInt8,
    Subtract,
)
from ..host.elementwise import Level, product_factor, sum_factors
from ..host.fixed_point import factor
from ..host.softmax import LONGEST_ROW, SCALE, ZERO_POINT
from . import tables
from .node import Activation, Constant, Node

MOST_TABLES = 1 << 14
"""Channels with tables of their own."""

BINARY: dict[str, type[Binary]] = {"ADD": Add, "SUB": Subtract, "MUL": Multiply}


def _function(node: Node, table: Callable[[Level, Level], tables.Table]) -> None:
    """A table for the levels before and behind."""
    source = node.activation()
    result = node.result(source.shape, source)
    node.add(Lookup, [source], result, table=table(source.level, result.level))
    node.finish(result)


def by_values(function: Callable[[tables.Floats], tables.Floats]) -> Callable[[Node], None]:
    """An operator that the reference kernels tabulate from a function of real numbers; int8 or uint8."""

    def operator(node: Node) -> None:
        """A table of 256 results."""
        _function(node, lambda source, result: tables.of_function(function, source, result))

    return operator


def gelu(node: Node) -> None:
    """GELU, exact or by tanh; a table of 256 results."""
    by_values(tables.gelu_by_tanh if node.option("Approximate") else tables.gelu)(node)


def hard_swish(node: Node) -> None:
    """HARD_SWISH; a table of 256 results."""
    _function(node, tables.hard_swish)


def absolute(node: Node) -> None:
    """ABS; a table of 256 results."""
    _function(node, tables.absolute)


def leaky_relu(node: Node) -> None:
    """LEAKY_RELU with a slope of 0 or more; a table of 256 results."""
    alpha = float(node.option("Alpha"))
    node.need(0 <= alpha < np.inf, f"has the slope {alpha}, supported are 0 and more")
    _function(node, lambda source, result: tables.leaky_relu(source, result, alpha))


def prelu(node: Node) -> None:
    """PRELU with one constant slope, or one per channel; tables of 256 results."""
    source = node.activation()
    slopes, level = node.quantized(1, source)
    channels = source.shape[-1] if source.shape else 1
    node.need(slopes.size <= MOST_TABLES, f"has {slopes.size} slopes, supported are up to {MOST_TABLES}")
    node.need(
        slopes.size in (1, channels) and slopes.shape[-1:] in ((), (1,), (channels,)),
        f"has slopes of shape {slopes.shape}, supported are one, or one per channel",
    )
    result = node.result(source.shape, source)
    table = tables.prelu(source.level, result.level, level, slopes.reshape(-1))
    node.add(Lookup, [source], result, table=table[0] if slopes.size == 1 else table)
    node.finish(result)


def relu(activation: int) -> Callable[[Node], None]:
    """RELU, RELU6, RELU_N1_TO_1 or RELU_0_TO_1, by the number of the fused activation."""

    def operator(node: Node) -> None:
        """Limits alone where the scale stays, else a table of 256 results."""
        source = node.activation()
        result = node.result(source.shape, source)
        if source.level == result.level:
            low, high = tables.limits(activation, result.level)
            node.add(Clamp, [source], result, minimum=low, maximum=high)
        else:
            node.add(Lookup, [source], result, table=tables.relu(source.level, result.level, activation))
        node.finish(result)

    return operator


def bounded(node: Node) -> None:
    """MAXIMUM and MINIMUM with one constant of the same scale."""
    first = isinstance(node.value(0), Activation)
    source = node.activation(0 if first else 1)
    values, level = node.quantized(1 if first else 0, source)
    result = node.result(source.shape, source)
    node.need(
        values.size == 1 and source.level == level == result.level,
        "is supported only with one constant of the same scale as the activations",
    )
    value = int(values.reshape(-1)[0])
    bounds = {"minimum": value} if node.operator.code == "MAXIMUM" else {"maximum": value}
    node.add(Clamp, [source], result, **bounds)
    node.finish(result)


def _broadcast(node: Node, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        raise node.error(f"has inputs of shapes {a} and {b}, which do not fit each other") from None


def binary(node: Node) -> None:
    """ADD, SUB and MUL of two tensors, or one and a constant, broadcast; one number as the constant makes a table."""
    values = node.value(0), node.value(1)
    constants = [index for index, value in enumerate(values) if isinstance(value, Constant)]
    if not constants:
        a, b = node.activation(0), node.activation(1)
        node.need(a.unsigned == b.unsigned, "has inputs of types int8 and uint8")
        _combine(node, a, b)
        return
    index = constants[0]
    source = node.activation(1 - index)
    constant, level = node.quantized(index, source)
    if constant.size > 1:
        other = node.reader.constant_tensor(constant, level, source, node)
        _combine(node, *((other, source) if index == 0 else (source, other)))
        return
    result = node.result(_broadcast(node, source.shape, constant.shape), source)
    limits = node.limits(result.tensor)
    table = tables.with_constant(
        node.operator.code,
        source.level,
        level,
        int(constant.reshape(-1)[0]),
        result.level,
        index == 1,
        (limits["minimum"], limits["maximum"]),
    )
    node.add(Lookup, [node.reader.reshaped(source, result.shape, node)], result, table=table)
    node.finish(result)


def _combine(node: Node, a: Activation, b: Activation) -> None:
    result = node.result(_broadcast(node, a.shape, b.shape), a)
    # Scales are refused here that cannot be brought together.
    (product_factor if node.operator.code == "MUL" else sum_factors)(a.level, b.level, result.level)
    node.add(BINARY[node.operator.code], [a, b], result, **node.limits(result.tensor))
    node.finish(result)


def quantize(node: Node) -> None:
    """QUANTIZE from float32, or from one scale to another, int8 and uint8."""
    source = node.any_activation(0)
    result = node.new(source.shape)
    node.need(not result.real, "makes float32")
    if source.real:
        node.add(Quantize, [source], result, rounding=TFLITE)
    else:
        factor(source.tensor.scale / result.tensor.scale)
        node.add(Requantize, [source], result, rounding=TFLITE)
    node.finish(result)


def dequantize(node: Node) -> None:
    """DEQUANTIZE to float32."""
    source = node.activation()
    result = node.new(source.shape)
    node.need(result.real, "makes integers")
    node.add(Dequantize, [source], result)
    node.finish(result)


def softmax(node: Node) -> None:
    """SOFTMAX along the last axis, in fixed point on int8 and uint8, or on float32 with a beta of 1."""
    source = node.any_activation(0)
    node.need(len(source.shape) >= 1, "has an input without axes")
    result = node.result(source.shape, source)
    beta = float(node.option("Beta"))
    if source.real:
        node.need(beta == 1, f"has beta {beta} on float32, supported is 1")
        node.add(Softmax, [source], result, axis=len(source.shape) - 1)
    else:
        node.need(
            result.level == Level(SCALE, ZERO_POINT),
            f"has an output with scale {result.tensor.scale} and zero point {result.tensor.zero_point}, expected "
            f"{SCALE} and {ZERO_POINT}",
        )
        node.need(source.shape[-1] <= LONGEST_ROW, f"is over {source.shape[-1]} values, supported are {LONGEST_ROW}")
        lowest = 2.0**-26
        node.need(
            beta * source.tensor.scale > lowest, f"has beta {beta}, expected more than {lowest / source.tensor.scale}"
        )
        node.add(SoftmaxInt8, [source], result, beta=beta)
    node.finish(result)
