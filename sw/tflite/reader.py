"""From a quantized TFLite model to a graph of quantized operators.

uint8 is brought to int8 at the borders: values and zero points are 128 lower inside. Operators on constants are carried
out; what is left has the order of the file, whose operators may read only what was made before.
"""

import os
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..graph import Constant as ConstantOperator
from ..graph import Graph, Lookup, OffsetBinary, Operator, Reshape, Tensor, verify
from ..host.elementwise import Level
from ..host.fixed_point import ScaleError
from .file import LONGEST_LABEL, File, FileTensor
from .fold import FOLDED, fold
from .node import LARGEST_TENSOR, Activation, Constant, Node, Shape, Value
from .operators import OPERATORS
from .tables import INPUTS

LARGEST_FILE = 1 << 28
"""Bytes of a model."""

LARGEST_CONSTANTS = 1 << 28
"""Bytes of the weights and tables of all operators: operators may share what is once in the file."""

DTYPES = {"INT8": "int8", "UINT8": "uint8", "FLOAT32": "float32"}
"""The types of activations."""

CONSTANTS = {
    "FLOAT16": "<f2",
    "FLOAT32": "<f4",
    "INT8": "<i1",
    "UINT8": "<u1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "BOOL": "?",
}
"""The types of constants."""

COMPILED = {
    "ethos-u": "Arm Ethos-U",
    "edgetpu-custom-op": "the Edge TPU",
    "NeutronGraph": "NXP eIQ Neutron",
}
"""Custom operators that hold a model compiled for another NPU, and its name."""


def read_tflite(source: str | os.PathLike[str] | bytes, name: str | None = None) -> Graph:
    """Read a file, or a model in memory.

    Raises
    ------
    UserError
        One sentence: the file is not a TFLite model, is malformed, or has an operator that is not supported.
    """
    if isinstance(source, bytes):
        data, name = source, name or "model"
    else:
        path = Path(source)
        name = name or path.name
        try:
            size = path.stat().st_size
            if size > LARGEST_FILE:
                raise UserError(f"{name}: the model has {size} bytes, supported are up to {LARGEST_FILE}")
            data = path.read_bytes()
        except OSError as error:
            raise UserError(f"{source}: the model cannot be read: {error.strerror or error}") from None
    reader = Reader(File(data, name))
    for index in range(reader.file.operator_count):
        reader.read(index)
    return reader.finish()


class Reader:
    """The graph so far, and what is known of each tensor of the file."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.name = file.name
        self.tensors: dict[str, Tensor] = {}
        self.operators: list[Operator] = []
        self.inputs: list[str] = []
        self.values: dict[int, Value] = {}
        self.outputs = set(file.outputs)
        self.folded = 0
        self.constants = 0
        for index in file.inputs:
            self._add_input(file.tensor(index))

    def kind(self, value: Activation) -> str:
        """How the file calls the type of an activation."""
        return "float32" if value.real else "uint8" if value.unsigned else "int8"

    def _add_input(self, entry: FileTensor) -> None:
        if entry.index in self.values:
            raise UserError(f"{self.name}: the tensor {entry.label} is given twice as an input")
        if not entry.shape or any(n < 1 for n in entry.shape) or prod(entry.shape) > LARGEST_TENSOR:
            raise UserError(
                f"{self.name}: the input {entry.label} has the shape {entry.shape}, supported are one axis or more "
                f"and 1 to {LARGEST_TENSOR} elements"
            )
        # A sample may lack the axis of samples, which the graph's inputs always have.
        shape = entry.shape if entry.shape[:1] == (1,) else (1, *entry.shape)
        inner = self._described(entry, shape, "the input", self.unique(entry.name))
        tensor = inner.tensor
        if inner.unsigned:
            tensor = replace(tensor, dtype="uint8", zero_point=tensor.zero_point + 128)
        self.inputs.append(tensor.name)
        self.tensors[tensor.name] = tensor
        if inner.unsigned:
            inner = replace(inner, tensor=replace(inner.tensor, name=self.unique(f"{tensor.name}.int8")))
            self._append(f"{tensor.name}.int8", OffsetBinary, (tensor.name,), inner.tensor)
        if shape != entry.shape:
            flat = replace(
                inner, tensor=replace(inner.tensor, name=self.unique(f"{entry.name}.sample"), shape=entry.shape)
            )
            self._append(flat.tensor.name, Reshape, (inner.tensor.name,), flat.tensor)
            inner = flat
        self.values[entry.index] = inner

    def unique(self, name: str) -> str:
        """`name`, or a name made from it that no tensor has."""
        count, candidate = 0, name
        while candidate in self.tensors:
            count += 1
            candidate = f"{name}.{count}"
        return candidate

    def describe(self, entry: FileTensor, shape: Shape, node: Node) -> Activation:
        """A new tensor of the graph for a tensor of the file, which is int8 where that is uint8."""
        inner = self._described(entry, shape, f"{node.name} has the activation", self.unique(entry.name))
        if entry.index in self.outputs and (inner.unsigned or shape[:1] != (1,)):
            # The output itself, which takes the name, is another tensor.
            return replace(inner, tensor=replace(inner.tensor, name=self.unique(f"{entry.name}.inner")))
        return inner

    def _described(self, entry: FileTensor, shape: Shape, what: str, name: str) -> Activation:
        def need(good: bool, sentence: str) -> None:
            if not good:
                raise UserError(f"{self.name}: {what} {entry.label} {sentence}")

        need(entry.kind in DTYPES, f"of type {entry.kind}, supported are int8, uint8 and float32")
        need(not entry.variable, "that keeps its value between runs, which is not supported")
        dtype = DTYPES[entry.kind]
        if dtype == "float32":
            return Activation(Tensor(name, shape, dtype), False)
        need(len(entry.scale) > 0, f"of type {dtype} without a scale, expected a quantized model")
        need(len(entry.scale) == 1, f"with {len(entry.scale)} scales, supported is one scale per activation")
        scale, zero_point = float(entry.scale[0]), int(entry.zero_point[0]) if len(entry.zero_point) else 0
        need(0 < scale < float("inf"), f"with the scale {scale}, expected a positive number")
        lowest = 0 if dtype == "uint8" else -128
        need(
            lowest <= zero_point <= lowest + 255,
            f"with the zero point {zero_point}, expected {lowest} to {lowest + 255} for {dtype}",
        )
        return Activation(Tensor(name, shape, "int8", scale, zero_point - 128 - lowest), dtype == "uint8")

    def value(self, index: int, node: Node) -> Value:
        """A tensor of the file that `node` reads."""
        if index not in self.values:
            entry = self.file.tensor(index)
            if entry.data is None and 0 not in entry.shape:
                raise node.error(f"reads {entry.label}, which no earlier operator makes")
            self.values[index] = self._constant(entry, node)
        return self.values[index]

    def _constant(self, entry: FileTensor, node: Node) -> Constant:
        if entry.kind not in CONSTANTS:
            raise node.error(f"has the constant {entry.label} of type {entry.kind}, supported is int8")
        node.need(not entry.sparse, f"has the sparse constant {entry.label}, expected a dense one")
        data = np.zeros(0, np.uint8) if entry.data is None else entry.data
        kind = np.dtype(CONSTANTS[entry.kind])
        node.need(
            all(n >= 0 for n in entry.shape) and prod(entry.shape) * kind.itemsize == data.size,
            f"has the constant {entry.label} of shape {entry.shape} with {data.size} bytes",
        )
        return Constant(data.view(kind).reshape(entry.shape), entry.scale, entry.zero_point, entry.axis)

    def define(self, index: int, value: Value, node: Node) -> None:
        """Let a tensor of the file be `value`."""
        entry = self.file.tensor(index)
        node.need(index not in self.values and entry.data is None, f"makes {entry.label}, which there is already")
        self.values[index] = value

    def read(self, index: int) -> None:
        """Read one operator: all before it have been read."""
        operator = self.file.operator(index)
        node = Node(self, operator)
        if operator.code == "CUSTOM":
            npu = COMPILED.get(operator.custom)
            what = f"operator {index} is the custom operator {operator.custom[:LONGEST_LABEL]!r}"
            if npu is None:
                raise UserError(f"{self.name}: {what}, which is not supported")
            raise UserError(f"{self.name}: {what} (a model compiled for {npu}), expected the model before that")
        present = [number for number in operator.inputs if number >= 0]
        known = bool(present) and all(isinstance(self.value(number, node), Constant) for number in present)
        if operator.code in FOLDED and (known or operator.code == "SHAPE"):
            fold(node)
        elif operator.code in OPERATORS:
            try:
                with np.errstate(all="ignore"):
                    OPERATORS[operator.code](node)
            except ScaleError as error:
                raise node.error(str(error)) from None
        else:
            raise node.error(f"is not supported; supported are {', '.join(sorted(OPERATORS))}")

    def add(
        self, name: str, kind: type[Operator], sources: list[Activation], result: Activation, **values: Any
    ) -> Activation:
        """Append an operator that makes the new tensor `result`."""
        self._append(name, kind, tuple(source.tensor.name for source in sources), result.tensor, **values)
        return result

    def _append(self, name: str, kind: type[Operator], sources: tuple[str, ...], target: Tensor, **values: Any) -> None:
        self.constants += sum(value.nbytes for value in values.values() if isinstance(value, np.ndarray))
        self.constants += sum(8 * len(value) for value in values.values() if isinstance(value, tuple))
        if self.constants > LARGEST_CONSTANTS:
            raise UserError(f"{self.name}: {name} makes it more than {LARGEST_CONSTANTS} bytes of weights and tables")
        self.tensors[target.name] = target
        self.operators.append(kind(name, sources, target.name, **values))

    def derived(self, source: Activation, name: str, shape: Shape, level: Level | None = None) -> Activation:
        """A tensor like `source`, not yet made, with a name made from `name`."""
        tensor = replace(source.tensor, name=self.unique(name), shape=shape)
        if level is not None:
            tensor = replace(tensor, scale=level.scale, zero_point=level.zero_point)
        return replace(source, tensor=tensor)

    def reshaped(self, source: Activation, shape: Shape, node: Node) -> Activation:
        """`source` under another shape; itself if it has that shape already."""
        if source.shape == shape:
            return source
        target = self.derived(source, f"{node.output_tensor().name}.shape", shape)
        return self.add(f"{node.name}.shape", Reshape, [source], target)

    def reshape_to(self, source: Activation, result: Activation, node: Node) -> Activation:
        """Let `result`, not yet made, be `source` under another shape."""
        return self.add(f"{node.name}.result", Reshape, [source], result)

    def relabelled(self, source: Activation, level: Level, node: Node) -> Activation:
        """The same integers with another meaning."""
        target = self.derived(source, f"{node.output_tensor().name}.scale", source.shape, level)
        return self.add(f"{node.name}.scale", Lookup, [source], target, table=INPUTS.astype(np.int8))

    def constant_tensor(self, constant: NDArray[np.int8], level: Level, like: Activation, node: Node) -> Activation:
        """A constant as a tensor of the graph."""
        target = self.derived(like, f"{node.output_tensor().name}.constant", constant.shape, level)
        return self.add(f"{node.name}.constant", ConstantOperator, [], target, value=constant)

    def finish(self) -> Graph:
        """The graph, with its outputs in the types and under the names of the file."""
        outputs: dict[str, None] = {}
        for index in self.file.outputs:
            entry, value = self.file.tensor(index), self.values.get(index)
            if not isinstance(value, Activation):
                raise UserError(f"{self.name}: the output {entry.label} does not depend on an input")
            outputs[self._output(entry, value, outputs)] = None
        graph = Graph(self.name, self.tensors, tuple(self.operators), tuple(self.inputs), tuple(outputs))
        return verify(graph.with_operators(graph.operators))

    def _output(self, entry: FileTensor, value: Activation, taken: dict[str, None]) -> str:
        shape = value.shape if value.shape[:1] == (1,) else (1, *value.shape)
        tensor = value.tensor
        if not value.unsigned and shape == value.shape and tensor.name not in taken and tensor.name not in self.inputs:
            return tensor.name
        target = replace(tensor, name=self.unique(entry.name), shape=value.shape)
        if value.unsigned:
            target = replace(target, dtype="uint8", zero_point=target.zero_point + 128)
            self._append(target.name, OffsetBinary, (tensor.name,), target)
            tensor = target
            if shape == value.shape:
                return target.name
        target = replace(target, name=self.unique(entry.name), shape=shape)
        self._append(target.name, Reshape, (tensor.name,), target)
        return target.name
