"""From an ONNX model with QuantizeLinear/DequantizeLinear pairs to a graph of quantized operators.

Images are NCHW in ONNX and NHWC in the graph; what ONNX flattened in its own order is put right in the weights of the
fully connected operator that follows. Batch sizes left open become 1.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from .errors import UserError
from .graph import (
    Dequantize,
    Graph,
    OffsetBinary,
    Operator,
    Quantize,
    Reshape,
    Softmax,
    Tensor,
    Transpose,
    verify,
)
from .onnx_node import Node
from .onnx_operators import OPERATORS
from .onnx_values import Constant, DeviceValue, HostValue, Pending, Quantization, Shape, Value

INPUT_TYPES = {
    onnx.TensorProto.FLOAT: "float32",
    onnx.TensorProto.INT8: "int8",
    onnx.TensorProto.UINT8: "uint8",
}

NCHW_TO_NHWC = (0, 2, 3, 1)
NHWC_TO_NCHW = (0, 3, 1, 2)


def read_onnx(source: str | os.PathLike[str] | onnx.ModelProto) -> Graph:
    """Read a file or a model in memory.

    Raises
    ------
    UserError
        One sentence: the file is not an ONNX model, is malformed, or has an operator that is not supported.
    """
    model, name = _load(source)
    reader = Reader(model, name)
    for node in model.graph.node:
        reader.read(node)
    return reader.finish()


def _load(source: str | os.PathLike[str] | onnx.ModelProto) -> tuple[onnx.ModelProto, str]:
    if isinstance(source, onnx.ModelProto):
        model, name = source, source.graph.name or "model"
    else:
        name = Path(source).name
        try:
            model = onnx.load(os.fspath(source))
        except OSError as error:
            raise UserError(f"{source}: the model cannot be read: {error.strerror or error}") from None
        except (DecodeError, onnx.checker.ValidationError, ValueError, RuntimeError):
            raise UserError(f"{source}: this is not an ONNX model, or it is damaged") from None
    if not model.graph.node:
        raise UserError(f"{name}: this is not an ONNX model, or it has no operators")
    try:
        onnx.checker.check_model(model)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError, RuntimeError) as error:
        raise UserError(f"{name}: the model is malformed: {_first_sentence(error)}") from None
    return model, name


def _first_sentence(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__


class Reader:
    """The graph so far, and what is known of each ONNX value."""

    def __init__(self, model: onnx.ModelProto, name: str) -> None:
        self.name = name
        self.model = model
        self.opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=1)
        self.tensors: dict[str, Tensor] = {}
        self.operators: list[Operator] = []
        self.inputs: list[str] = []
        self.values: dict[str, Value] = {}
        self.reserved = {entry.name for entry in model.graph.output}
        for initializer in model.graph.initializer:
            try:
                array = numpy_helper.to_array(initializer)
            except (ValueError, TypeError, OSError):
                raise UserError(f"{name}: the constant {initializer.name!r} is malformed") from None
            self.values[initializer.name] = Constant(array)
        for entry in model.graph.input:
            if entry.name not in self.values:
                self._add_input(entry)

    def _add_input(self, entry: onnx.ValueInfoProto) -> None:
        kind = entry.type.tensor_type
        if kind.elem_type not in INPUT_TYPES:
            raise UserError(f"{self.name}: the input {entry.name!r} must be float32, int8 or uint8")
        shape = [dim.dim_value for dim in kind.shape.dim]
        if shape and shape[0] == 0:
            shape[0] = 1  # an open batch
        if not shape or shape[0] != 1 or any(n < 1 for n in shape):
            given = ", ".join(dim.dim_param or str(dim.dim_value) for dim in kind.shape.dim)
            raise UserError(
                f"{self.name}: the input {entry.name!r} must have a batch of 1 and known sizes, not ({given})"
            )
        tensor = Tensor(entry.name, tuple(shape), INPUT_TYPES[kind.elem_type])
        self.tensors[entry.name] = tensor
        self.inputs.append(entry.name)
        self.values[entry.name] = HostValue(entry.name, tensor.shape)

    def read(self, proto: onnx.NodeProto) -> None:
        """Read one node: all nodes before it have been read."""
        node = Node(self, proto)
        present = [name for name in proto.input if name]
        for name in present:
            if name not in self.values:
                raise node.error(f"reads {name!r}, which no earlier node makes")
        if proto.op_type == "Shape" and not isinstance(self.values[proto.input[0]], Constant):
            self._shape(node)
        elif all(isinstance(self.values[name], Constant) for name in present) and proto.op_type not in (
            "DequantizeLinear",
        ):
            self._fold(node)
        elif proto.op_type in OPERATORS and proto.domain in ("", "ai.onnx"):
            self.values[proto.output[0]] = OPERATORS[proto.op_type](node)
        else:
            raise node.error(f"is not supported; supported are {', '.join(sorted(OPERATORS))}")

    def _shape(self, node: Node) -> None:
        shape = np.array(node.reader.values[node.proto.input[0]].shape, np.int64)  # type: ignore[union-attr]
        start, end = node.attribute("start", 0), node.attribute("end", len(shape))
        self.values[node.proto.output[0]] = Constant(shape[start:end])

    def _fold(self, node: Node) -> None:
        inputs = {name: self.values[name].array for name in node.proto.input if name}  # type: ignore[union-attr]
        graph = onnx.helper.make_graph(
            [node.proto],
            "fold",
            [
                onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
                for name, array in inputs.items()
            ],
            [onnx.ValueInfoProto(name=name) for name in node.proto.output if name],
        )
        folded = onnx.helper.make_model(graph, opset_imports=self.model.opset_import)
        try:
            results = ReferenceEvaluator(folded).run(None, inputs)
        except Exception as error:  # the evaluator runs arbitrary operators and raises whatever NumPy does
            raise node.error(f"has constant inputs that it cannot be applied to: {_first_sentence(error)}") from None
        for name, array in zip((name for name in node.proto.output if name), results, strict=True):
            self.values[name] = Constant(np.asarray(array))

    def unique(self, name: str) -> str:
        """`name`, or a name made from it that no tensor and no output has."""
        count, candidate = 0, name
        while candidate in self.tensors or candidate in self.reserved:
            count += 1
            candidate = f"{name}.{count}"
        return candidate

    def add(self, kind: type[Operator], source: Sequence[str], target: Tensor, **values: Any) -> str:
        """Append an operator that makes the new tensor `target`; its name is returned."""
        self.tensors[target.name] = target
        name = values.pop("name", target.name)
        self.operators.append(kind(name, tuple(source), target.name, **values))
        return target.name

    def like(self, name: str, source: str, shape: Shape) -> Tensor:
        """A tensor with the type and quantization of the tensor `source`, a name made from `name`, and `shape`."""
        old = self.tensors[source]
        return Tensor(self.unique(name), shape, old.dtype, old.scale, old.zero_point)

    def int8(self, name: str, shape: Shape, quantization: Quantization) -> Tensor:
        """An int8 tensor with a name made from `name`."""
        return Tensor(self.unique(name), shape, "int8", quantization.scale, quantization.zero_point)

    def reshape(self, source: str, name: str, shape: Shape) -> str:
        """`source` under another shape; itself if it has that shape already."""
        if self.tensors[source].shape == shape:
            return source
        return self.add(Reshape, [source], self.like(name, source, shape))

    def transpose(self, source: str, name: str, permutation: tuple[int, ...]) -> str:
        """`source` with its axes permuted, on the host."""
        shape = tuple(self.tensors[source].shape[axis] for axis in permutation)
        return self.add(Transpose, [source], self.like(name, source, shape), permutation=permutation)

    def to_device(self, value: HostValue, name: str, quantization: Quantization, unsigned: bool) -> DeviceValue:
        """Quantize a host value, or take it as it is if it is an input of integers, and put channels last."""
        tensor = value.tensor
        old = self.tensors[tensor]
        if old.dtype != "float32":
            moved = quantization.zero_point + (128 if unsigned else 0)
            self.tensors[tensor] = Tensor(old.name, old.shape, old.dtype, quantization.scale, moved)
        if len(value.shape) == 4:
            tensor = self.transpose(tensor, f"{name}.nhwc", NCHW_TO_NHWC)
        shape = self.tensors[tensor].shape
        if old.dtype == "float32":
            tensor = self.add(Quantize, [tensor], self.int8(name, shape, quantization))
        elif unsigned:
            tensor = self.add(OffsetBinary, [tensor], self.int8(f"{name}.int8", shape, quantization))
        return DeviceValue(tensor, value.shape, quantization, unsigned, real=False)

    def to_host(self, value: DeviceValue, name: str) -> HostValue:
        """The value in ONNX's type and order of axes, on the host."""
        tensor = value.tensor
        shape = self.tensors[tensor].shape
        if value.real:
            tensor = self.add(Dequantize, [tensor], Tensor(self.unique(f"{name}.real"), shape, "float32"))
        elif value.unsigned:
            old = self.tensors[tensor]
            target = Tensor(self.unique(f"{name}.uint8"), shape, "uint8", old.scale, old.zero_point + 128)
            tensor = self.add(OffsetBinary, [tensor], target)
        if value.flattened is not None:
            channels, height, width = value.flattened
            tensor = self.reshape(tensor, f"{name}.image", (1, height, width, channels))
            tensor = self.transpose(tensor, f"{name}.nchw", NHWC_TO_NCHW)
            tensor = self.reshape(tensor, f"{name}.flat", value.shape)
        elif len(value.shape) == 4 and not value.channels_last:
            tensor = self.transpose(tensor, f"{name}.nchw", NHWC_TO_NCHW)
        return HostValue(tensor, value.shape)

    def softmax(self, value: HostValue, name: str, axis: int) -> HostValue:
        """Softmax on the host."""
        target = self.like(name, value.tensor, value.shape)
        return HostValue(self.add(Softmax, [value.tensor], target, axis=axis), value.shape)

    def finish(self) -> Graph:
        """The graph, after its outputs have been brought to the host."""
        outputs = []
        for entry in self.model.graph.output:
            value = self.values.get(entry.name)
            if isinstance(value, Pending):
                raise UserError(
                    f"{self.name}: the output {entry.name!r} is the unquantized result of {value.text}, "
                    f"expected a QuantizeLinear behind it"
                )
            if isinstance(value, DeviceValue):
                value = self.to_host(value, entry.name)
            if not isinstance(value, HostValue):
                raise UserError(f"{self.name}: the output {entry.name!r} does not depend on an input")
            self.add(Reshape, [value.tensor], replace(self.tensors[value.tensor], name=entry.name))
            outputs.append(entry.name)
        graph = Graph(self.name, self.tensors, tuple(self.operators), tuple(self.inputs), tuple(outputs))
        return verify(graph.with_operators(graph.operators))
