"""TFLite's operators on constants, carried out when the file is read: mostly the arithmetic of shapes."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import shapes
from .node import Constant, Node

LARGEST_FOLDED = 1 << 26
"""Elements of all constants that are computed."""

Array = NDArray[Any]


def fold(node: Node) -> None:
    """Let the output be a constant.

    Raises
    ------
    UserError
        Where the operator cannot be applied to its inputs.
    """
    quantization = (np.zeros(0, np.float32), np.zeros(0, np.int64), 0)
    first = node.value(0)
    if isinstance(first, Constant) and node.operator.code in _MOVING and len(first.scale) == 1:
        quantization = (first.scale, first.zero_point, first.axis)
    result = FOLDED[node.operator.code](node)
    _spend(node, result.size)
    node.reader.define(node.output_tensor().index, Constant(result, *quantization), node)


def _spend(node: Node, size: int) -> None:
    node.reader.folded += size
    node.need(node.reader.folded <= LARGEST_FOLDED, f"computes constants of more than {LARGEST_FOLDED} elements in all")


def _array(node: Node, index: int = 0) -> Array:
    return node.constant(index, "input").array


def _numbers(node: Node, index: int) -> Array:
    value = node.constant(index, "input")
    node.need(value.array.dtype in (np.int32, np.int64) and not len(value.scale), "computes with quantized constants")
    return value.array


def _shape(node: Node) -> Array:
    value = node.value(0)
    return np.array(value.array.shape if isinstance(value, Constant) else value.shape, np.int32)


def _strided_slice(node: Node) -> Array:
    section = shapes.strided_section(node, _array(node).shape)
    return _array(node)[section.slices].reshape(section.shape)


def _joined(node: Node, axis: int, join: Callable[..., Array]) -> Array:
    parts = [_array(node, index) for index in range(node.inputs)]
    _spend(node, sum(part.size for part in parts))
    node.need(len({part.dtype for part in parts}) == 1, "joins constants of different types")
    try:
        return join(parts, axis=axis)
    except ValueError:
        raise node.error("joins constants whose shapes do not fit") from None


def _gather(node: Node) -> Array:
    array, places = _array(node), _array(node, 1)
    axis = node.axis(node.option("Axis"), array.ndim)
    node.need(node.option("BatchDims") == 0 and places.dtype.kind == "i", "gathers by batches, which is not supported")
    node.need(bool(np.all((places >= 0) & (places < array.shape[axis]))), "gathers from outside of its input")
    _spend(node, places.size * array.size // max(array.shape[axis], 1))
    return np.take(array, places, axis)


def _cast(node: Node) -> Array:
    # The output's type says it; the option may be missing.
    wanted = {"FLOAT32": np.float32, "INT32": np.int32, "INT64": np.int64, "BOOL": np.bool_}
    kind = node.output_tensor().kind
    node.need(kind in wanted, f"casts a constant to {kind}, supported are {', '.join(wanted)}")
    with np.errstate(invalid="ignore", over="ignore"):
        return _array(node).astype(wanted[kind])


def _with(operate: Callable[[Array, Array], Array]) -> Callable[[Node], Array]:
    def combine(node: Node) -> Array:
        a, b = _numbers(node, 0), _numbers(node, 1)
        try:
            _spend(node, prod(np.broadcast_shapes(a.shape, b.shape)))
        except ValueError:
            raise node.error(f"combines constants of shapes {a.shape} and {b.shape}") from None
        with np.errstate(over="ignore"):
            return np.asarray(operate(a, b)).astype(a.dtype)

    return combine


def _product(node: Node) -> Array:
    array = _numbers(node, 0)
    axes = tuple({node.axis(axis, array.ndim) for axis in node.integers(1, "list of axes")})
    return np.asarray(np.prod(array, axis=axes, keepdims=bool(node.option("KeepDims")), dtype=np.int64)).astype(
        array.dtype
    )


def _dequantize(node: Node) -> Array:
    value = node.constant(0, "input")
    if value.array.dtype.kind == "f":
        return value.array.astype(np.float32)
    node.need(len(value.scale) == 1 and len(value.zero_point) <= 1, "dequantizes a constant without one scale")
    zero = value.zero_point[0] if len(value.zero_point) else 0
    return ((value.array.astype(np.int64) - zero) * np.float64(value.scale[0])).astype(np.float32)


FOLDED: dict[str, Callable[[Node], Array]] = {
    "ADD": _with(np.add),
    "CAST": _cast,
    "CONCATENATION": lambda node: _joined(node, node.axis(node.option("Axis"), _array(node).ndim), np.concatenate),
    "DEQUANTIZE": _dequantize,
    "EXPAND_DIMS": lambda node: _array(node).reshape(shapes.expand(node, _array(node).shape)),
    "GATHER": _gather,
    "MUL": _with(np.multiply),
    "PACK": lambda node: _joined(node, node.axis(node.option("Axis"), _array(node).ndim + 1), np.stack),
    "REDUCE_PROD": _product,
    "RESHAPE": lambda node: _array(node).reshape(shapes.reshape(node, _array(node).shape)),
    "SHAPE": _shape,
    "SLICE": lambda node: _array(node)[shapes.section(node, _array(node).shape).slices],
    "SQUEEZE": lambda node: _array(node).reshape(shapes.squeeze(node, _array(node).shape)),
    "STRIDED_SLICE": _strided_slice,
    "SUB": _with(np.subtract),
    "TRANSPOSE": lambda node: _array(node).transpose(shapes.permutation(node, _array(node).shape)),
}

_MOVING = ("CONCATENATION", "EXPAND_DIMS", "RESHAPE", "SLICE", "SQUEEZE", "STRIDED_SLICE", "TRANSPOSE")
"""Operators whose result has the quantization of their first input, where that is one for all channels."""
