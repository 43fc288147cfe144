"""ONNX's operators on integers (the QOperator form), taken apart into DequantizeLinear, the operator on real numbers,
and QuantizeLinear.

Those of the domain com.microsoft are what ONNX Runtime's quantizer makes beside ONNX's own.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from .file import ONNX_DOMAINS
from .node import Node
from .values import Constant

Array = NDArray[Any]
Expansion = tuple[list[onnx.NodeProto], dict[str, Array]]
"""Nodes in order, and the constants that they read besides those of the model."""

MICROSOFT = ("com.microsoft",)


class _Parts:
    """The nodes that stand for one."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.protos: list[onnx.NodeProto] = []
        self.constants: dict[str, Array] = {}

    def name(self, what: str) -> str:
        """A name that nothing else has."""
        count, stem = 0, f"{self.node.output}.{what}"
        while (name := f"{stem}.{count}") in self.node.reader.values or name in self.constants:
            count += 1
        return name

    def constant(self, array: Array, what: str) -> str:
        """A constant of its own."""
        name = self.name(what)
        self.constants[name] = array
        return name

    def single(self, index: int, what: str) -> Array:
        """A constant input; numbers in half precision become float32, and a list of one a number."""
        array = self.node.constant(index, what)
        array = array.astype(np.float32) if array.dtype == np.float16 else array
        return array.reshape(()) if array.size == 1 else array

    def level(self, scale: int, zero: int, what: str) -> list[str]:
        """The names of scale and zero point, inputs of the node by their numbers."""
        names = [self.constant(self.single(scale, "scale"), f"{what}.scale")]
        if self.node.has(zero):
            names.append(self.constant(self.single(zero, "zero point"), f"{what}.zero"))
        return names

    def real(self, index: int, scale: int, zero: int, axis: int | None = None) -> str:
        """Input `index`, dequantized."""
        self.node.demand(self.node.has(index), f"lacks its input {index}")
        source = self.node.proto.input[index]
        attributes: dict[str, Any] = {} if axis is None else {"axis": axis}
        return self.add("DequantizeLinear", [source, *self.level(scale, zero, f"in{index}")], **attributes)

    def add(self, operator: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """One more node; its output's name."""
        name = output or self.name(f"{operator}{len(self.protos)}")
        label = self.node.proto.name or self.node.output
        self.protos.append(helper.make_node(operator, list(inputs), [name], name=label, **attributes))
        return name

    def finish(self, value: str, scale: int, zero: int) -> Expansion:
        """With the result quantized."""
        self.add("QuantizeLinear", [value, *self.level(scale, zero, "out")], self.node.output)
        return self.protos, self.constants

    def attributes(self, *names: str) -> dict[str, Any]:
        """Those of the node that the operator has as well."""
        return {name: self.node.attributes[name] for name in names if name in self.node.attributes}


def _bias(parts: _Parts, index: int, scales: Array) -> str:
    """An int32 bias in units of input scale times weight scale."""
    node = parts.node
    value = node.value(index)
    if not isinstance(value, Constant) or value.array.dtype != np.int32:
        raise node.refuse("has a bias that is no constant of type int32")
    flat = np.atleast_1d(np.asarray(scales, np.float32))
    names = [parts.constant(flat if flat.size > 1 else flat.reshape(()), "bias.scale")]
    return parts.add("DequantizeLinear", [node.proto.input[index], *names], axis=0)


def _units(parts: _Parts, a: int, b: int) -> Array:
    return np.asarray(np.float32(1) * parts.single(a, "scale") * parts.single(b, "scale"), np.float32)


def conv(node: Node) -> Expansion:
    """QLinearConv."""
    parts = _Parts(node)
    _channels_first(node)
    inputs = [parts.real(0, 1, 2), parts.real(3, 4, 5, axis=0)]
    if node.has(8):
        inputs.append(_bias(parts, 8, _units(parts, 1, 4)))
    names = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
    return parts.finish(parts.add("Conv", inputs, **parts.attributes(*names)), 6, 7)


def _channels_first(node: Node) -> None:
    node.demand(not node.integer("channels_last", 0), "has its channels last, supported are channels first")


def matmul(node: Node) -> Expansion:
    """QLinearMatMul."""
    parts = _Parts(node)
    inputs = [parts.real(0, 1, 2), parts.real(3, 4, 5, axis=-1)]
    return parts.finish(parts.add("MatMul", inputs), 6, 7)


def gemm(node: Node) -> Expansion:
    """QGemm."""
    parts = _Parts(node)
    node.demand(node.number("alpha", 1.0) == 1, "has an alpha, supported is 1")
    axis = 0 if node.integer("transB", 0) else 1
    inputs = [parts.real(0, 1, 2), parts.real(3, 4, 5, axis=axis)]
    if node.has(6):
        inputs.append(_bias(parts, 6, _units(parts, 1, 4)))
    made = parts.add("Gemm", inputs, "" if node.has(7) else node.output, **parts.attributes("transA", "transB"))
    return parts.finish(made, 7, 8) if node.has(7) else (parts.protos, parts.constants)


def of_two(operator: str) -> Callable[[Node], Expansion]:
    """QLinearAdd and QLinearMul."""

    def expand(node: Node) -> Expansion:
        parts = _Parts(node)
        return parts.finish(parts.add(operator, [parts.real(0, 1, 2), parts.real(3, 4, 5)]), 6, 7)

    return expand


def of_one(operator: str, *names: str) -> Callable[[Node], Expansion]:
    """QLinearSigmoid and others of one input, with the attributes of these names."""

    def expand(node: Node) -> Expansion:
        parts = _Parts(node)
        _channels_first(node)
        return parts.finish(parts.add(operator, [parts.real(0, 1, 2)], **parts.attributes(*names)), 3, 4)

    return expand


def concat(node: Node) -> Expansion:
    """QLinearConcat."""
    parts = _Parts(node)
    node.demand(len(node.proto.input) >= 5 and len(node.proto.input) % 3 == 2, "lacks inputs")
    inputs = [parts.real(index, index + 1, index + 2) for index in range(2, len(node.proto.input), 3)]
    return parts.finish(parts.add("Concat", inputs, **parts.attributes("axis")), 0, 1)


POOL = ("auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides")

EXPANSIONS: dict[str, tuple[tuple[str, ...], Callable[[Node], Expansion]]] = {
    "QGemm": (MICROSOFT, gemm),
    "QLinearAdd": (MICROSOFT, of_two("Add")),
    "QLinearAveragePool": (MICROSOFT, of_one("AveragePool", *POOL)),
    "QLinearConcat": (MICROSOFT, concat),
    "QLinearConv": ((*ONNX_DOMAINS, *MICROSOFT), conv),
    "QLinearGlobalAveragePool": (MICROSOFT, of_one("GlobalAveragePool")),
    "QLinearLeakyRelu": (MICROSOFT, of_one("LeakyRelu", "alpha")),
    "QLinearMatMul": (ONNX_DOMAINS, matmul),
    "QLinearMul": (MICROSOFT, of_two("Mul")),
    "QLinearSigmoid": (MICROSOFT, of_one("Sigmoid")),
    "QLinearSoftmax": (MICROSOFT, of_one("Softmax", "axis")),
}
"""Operator -> its domains, and what takes it apart."""
