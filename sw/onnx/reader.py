"""From an ONNX model to a graph of quantized operators.

Models have QuantizeLinear/DequantizeLinear pairs, or the operators that stand for a node between them (QLinearConv and
its like), which are taken apart. Images are NCHW in ONNX and NHWC in the graph. What the NPU cannot do, a node of the
graph does on the host, in ONNX's own arithmetic. Batch sizes left open become 1.
"""

import os
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from ..errors import UserError
from ..graph import DTYPES, Graph, OnnxNode, Reshape, Tensor, verify
from .builder import Builder
from .evaluate import fold, result_of, runs, single
from .file import LARGEST_TENSOR, ONNX_DOMAINS, load
from .node import HostError, Node, label
from .operators import DOMAINS, MOVING, OPERATORS
from .qoperators import EXPANSIONS
from .values import Constant, DeviceValue, HostValue, Pending, QuantizedConstant, Value

INPUT_TYPES = {
    onnx.TensorProto.FLOAT: "float32",
    onnx.TensorProto.INT8: "int8",
    onnx.TensorProto.UINT8: "uint8",
    onnx.TensorProto.INT16: "int16",
    onnx.TensorProto.UINT16: "uint16",
    onnx.TensorProto.INT32: "int32",
    onnx.TensorProto.INT64: "int64",
    onnx.TensorProto.BOOL: "bool",
}
"""Types of the model's inputs; those that are not the NPU's are the host's."""


UNSUITABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What NumPy raises where values that no check foresaw do not suit an operator."""


def read_onnx(source: str | os.PathLike[str] | onnx.ModelProto) -> Graph:
    """Read a file or a model in memory.

    Raises
    ------
    UserError
        One sentence: the file is not an ONNX model, is malformed, or has an operator that is not supported.
    """
    model, name = load(source)
    reader = Reader(model, name)
    with np.errstate(all="ignore"):
        for node in model.graph.node:
            try:
                reader.read(node)
            except UserError:
                raise
            except UNSUITABLE as error:
                raise Node(reader, node).refuse("does not suit its inputs") from error
    return reader.finish()


class Reader(Builder):
    """The graph so far, and what is known of each ONNX value."""

    def __init__(self, model: onnx.ModelProto, name: str) -> None:
        super().__init__(entry.name for entry in model.graph.output)
        self.name = name
        self.model = model
        self.opset = max((entry.version for entry in model.opset_import if entry.domain in ONNX_DOMAINS), default=1)
        self.inputs: list[str] = []
        self.values: dict[str, Value] = {}
        self.makers: dict[str, Node] = {}
        self.hosted: dict[str, HostValue] = {}
        for initializer in model.graph.initializer:
            try:
                array = numpy_helper.to_array(initializer)
            except (ValueError, TypeError, OSError, OverflowError):
                raise UserError(f"{name}: the constant {label(initializer.name)} is malformed") from None
            self.values[initializer.name] = Constant(array)
        for entry in model.graph.input:
            if entry.name not in self.values:
                self._add_input(entry)

    def _add_input(self, entry: onnx.ValueInfoProto) -> None:
        kind = entry.type.tensor_type
        if kind.elem_type not in INPUT_TYPES:
            wanted = ", ".join(INPUT_TYPES.values())
            raise UserError(f"{self.name}: the input {label(entry.name)} must have one of the types {wanted}")
        shape = [dim.dim_value for dim in kind.shape.dim]
        if shape and shape[0] == 0:
            shape[0] = 1  # an open batch
        if not shape or any(n < 1 for n in shape) or prod(shape) > LARGEST_TENSOR:
            given = ", ".join(dim.dim_param or str(dim.dim_value) for dim in kind.shape.dim)
            raise UserError(
                f"{self.name}: the input {label(entry.name)} must have known sizes and up to {LARGEST_TENSOR} elements,"
                f" not ({given[:100]})"
            )
        # A sample may lack the axis of samples, which the graph's inputs always have.
        outer = tuple(shape) if shape[0] == 1 else (1, *shape)
        self.tensors[entry.name] = Tensor(entry.name, outer, INPUT_TYPES[kind.elem_type])
        self.inputs.append(entry.name)
        tensor = self.reshape(entry.name, f"{entry.name}.sample", tuple(shape))
        self.values[entry.name] = self.hosted[entry.name] = HostValue(tensor, tuple(shape))

    def read(self, proto: onnx.NodeProto) -> None:
        """Read one node: all nodes before it have been read."""
        node = Node(self, proto)
        if any(entry.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for entry in proto.attribute):
            raise node.refuse("has a graph inside (control flow), which is not supported")
        present = [name for name in proto.input if name]
        for name in present:
            node.demand(name in self.values, f"reads {label(name)}, which no earlier node makes")
        for name in proto.output:
            node.demand(not name or name not in self.values, f"makes {label(name)}, which there is already")
        if proto.op_type in EXPANSIONS and proto.domain in EXPANSIONS[proto.op_type][0]:
            self._expand(node)
            return
        if proto.domain not in DOMAINS.get(proto.op_type, ONNX_DOMAINS):
            raise node.refuse(f"is a custom operator of {label(proto.domain)}, which is not supported")
        constant = all(isinstance(self.values[name], Constant | QuantizedConstant) for name in present)
        if proto.op_type == "Shape" and present:
            self._shape(node)
        elif constant and proto.op_type != "DequantizeLinear":
            self._define(node, self.folded(node))
        else:
            self._define(node, self._operate(node))

    def _define(self, node: Node, made: list[Value]) -> None:
        self.values |= {name: value for name, value in zip(node.proto.output, made, strict=False) if name}

    def _operate(self, node: Node) -> list[Value]:
        self.makers |= {name: node for name in node.proto.output if name}
        try:
            if node.proto.op_type not in OPERATORS:
                raise node.error("is no operator of the NPU")
            made = OPERATORS[node.proto.op_type](node)
        except HostError as error:
            return self.evaluate(node, str(error))
        return made if isinstance(made, list) else [made]

    def _expand(self, node: Node) -> None:
        try:
            protos, constants = EXPANSIONS[node.proto.op_type][1](node)
        except HostError as error:
            raise node.refuse(str(error)) from None
        self.values |= {name: Constant(array) for name, array in constants.items()}
        for proto in protos:
            self.read(proto)

    def _shape(self, node: Node) -> None:
        shape = np.array(node.shape(), np.int64)
        start, end = node.integer("start", 0), node.integer("end", len(shape))
        self.values[node.output] = Constant(shape[start:end])

    def folded(self, node: Node) -> list[Value]:
        """What a node makes of constants."""
        arrays = {name: self.known(name) for name in node.proto.input if name}
        first = self.values.get(node.proto.input[0]) if arrays else None
        made: list[Value] = []
        for output in node.proto.output:
            model = single(node.proto, self.model.opset_import, self.model.ir_version, arrays, {}, output)
            try:
                if isinstance(first, QuantizedConstant) and node.proto.op_type in MOVING:
                    made.append(self._moved(node, first, arrays, output))
                else:
                    made.append(Constant(fold(model, sum(array.size for array in arrays.values()))))
            except UserError as error:
                raise node.refuse(str(error)) from None
        return made

    def _moved(self, node: Node, first: QuantizedConstant, arrays: dict[str, Any], output: str) -> Value:
        """A quantized constant that only moves; its scales move with it."""

        def moved(array: NDArray[Any]) -> NDArray[Any]:
            others = {**arrays, node.proto.input[0]: array}
            model = single(node.proto, self.model.opset_import, self.model.ir_version, others, {}, output)
            return fold(model, array.size)

        integers = moved(first.integers.astype(np.int32)).astype(first.integers.dtype)
        if first.scale.size == 1:
            return QuantizedConstant(integers, first.scale, 0)
        scales = moved(np.broadcast_to(first.spread_scale, first.shape).astype(np.float32))
        for axis in range(scales.ndim):
            some = scales[tuple(slice(None) if i == axis else slice(0, 1) for i in range(scales.ndim))]
            if np.array_equal(np.broadcast_to(some, scales.shape), scales):
                return QuantizedConstant(integers, some.reshape(-1), axis)
        return Constant(integers.astype(np.float32) * scales)

    def known(self, name: str) -> NDArray[Any]:
        """A constant as ONNX has it."""
        value = self.values[name]
        return value.real32 if isinstance(value, QuantizedConstant) else value.array  # type: ignore[union-attr]

    def evaluate(self, node: Node, reason: str) -> list[Value]:
        """The node on the host, in ONNX's own arithmetic."""
        arrays, inputs, sources = {}, {}, []
        for name in dict.fromkeys(name for name in node.proto.input if name):
            if isinstance(self.values[name], Constant | QuantizedConstant):
                arrays[name] = self.known(name)
            else:
                value = self.on_host(name)
                inputs[name] = (self.tensors[value.tensor].dtype, value.shape)
                sources.append(value.tensor)
        made: list[Value] = []
        for output in node.proto.output:
            if not output:
                made.append(Constant(np.zeros(0)))
                continue
            model = single(node.proto, self.model.opset_import, self.model.ir_version, arrays, inputs, output)
            try:
                dtype, shape = result_of(model)
                runs(model)
            except UserError as error:
                raise node.refuse(f"{reason}, and on the host {error}") from None
            node.demand(
                dtype in DTYPES and all(n > 0 for n in shape),
                f"{reason}, and on the host it makes {dtype} of shape {shape}, supported are {', '.join(DTYPES)}",
            )
            target = Tensor(self.unique(output), shape or (1,), dtype)
            content = np.frombuffer(model.SerializeToString(), np.uint8)
            self.add(OnnxNode, sources, target, name=node.name, model=content, reason=reason)
            made.append(HostValue(target.name, shape))
        return made

    def on_host(self, name: str) -> HostValue:
        """A value of the model on the host, as ONNX has it, after those that it is made of."""
        waiting = [name]
        while waiting:
            one = waiting[-1]
            value = self.values[one]
            missing = []
            if one not in self.hosted and isinstance(value, Pending):
                sources = (source for source in self.makers[one].proto.input if source)
                missing = [source for source in sources if self._pending(source)]
            if missing:
                waiting += missing
                continue
            waiting.pop()
            if one not in self.hosted:
                self.hosted[one] = self._hosted(one, value)
        return self.hosted[name]

    def _pending(self, name: str) -> bool:
        return name not in self.hosted and isinstance(self.values[name], Pending)

    def _hosted(self, name: str, value: Value) -> HostValue:
        """A value whose sources are on the host."""
        if isinstance(value, Pending):
            maker = self.makers[name]
            made = self.evaluate(maker, "makes real numbers that are not quantized")
            value = made[list(maker.proto.output).index(name)]
        elif isinstance(value, DeviceValue):
            value = self.to_host(value, name)
        assert isinstance(value, HostValue)
        return value

    def finish(self) -> Graph:
        """The graph, after its outputs have been brought to the host."""
        for tensor in self.tensors.values():
            if tensor.size > LARGEST_TENSOR:
                raise UserError(
                    f"{self.name}: the tensor {label(tensor.name)} has the shape {tensor.shape}, supported are up to "
                    f"{LARGEST_TENSOR} elements"
                )
        outputs: dict[str, None] = {}
        for entry in self.model.graph.output:
            value = self.values.get(entry.name)
            if value is None or isinstance(value, Constant | QuantizedConstant):
                raise UserError(f"{self.name}: the output {label(entry.name)} does not depend on an input")
            host = self.on_host(entry.name)
            tensor = self.tensors[host.tensor]
            if entry.name not in outputs and entry.name not in self.inputs:
                shape = tensor.shape if tensor.shape[:1] == (1,) else (1, *tensor.shape)
                self.add(Reshape, [host.tensor], replace(tensor, name=entry.name, shape=shape))
            outputs[entry.name] = None
        graph = Graph(self.name, self.tensors, tuple(self.operators), tuple(self.inputs), tuple(outputs))
        return verify(graph.with_operators(graph.operators))
