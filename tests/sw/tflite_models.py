"""Small TFLite models for tests, put together tensor by tensor with the schema's own builders."""

from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import tflite

TYPES = {
    np.dtype(np.float16): tflite.TensorType.FLOAT16,
    np.dtype(np.float32): tflite.TensorType.FLOAT32,
    np.dtype(np.int8): tflite.TensorType.INT8,
    np.dtype(np.uint8): tflite.TensorType.UINT8,
    np.dtype(np.int16): tflite.TensorType.INT16,
    np.dtype(np.int32): tflite.TensorType.INT32,
    np.dtype(np.int64): tflite.TensorType.INT64,
}


@dataclass
class _Tensor:
    name: str
    shape: tuple[int, ...]
    kind: int
    scale: list[float]
    zero_point: list[int]
    axis: int
    buffer: int
    variable: bool = False


@dataclass
class _Operator:
    code: int
    inputs: list[int]
    outputs: list[int]
    options: str
    values: dict[str, Any]
    intermediates: list[int]


@dataclass
class Model:
    """Tensors are numbers, as in the file."""

    tensors: list[_Tensor] = field(default_factory=list)
    buffers: list[bytes] = field(default_factory=lambda: [b""])
    operators: list[_Operator] = field(default_factory=list)
    codes: list[tuple[int, str, int]] = field(default_factory=list)
    version: int = 3
    subgraphs: int = 1

    def tensor(self, shape, scale=None, zero_point=0, dtype=np.int8, name=None, axis=0, kind=None):
        """An activation; `scale` None: without quantization. `kind` is the schema's type where NumPy has none."""
        scales = [] if scale is None else np.atleast_1d(np.asarray(scale, np.float32)).tolist()
        zeros = [] if scale is None else np.broadcast_to(zero_point, len(scales)).tolist()
        kind = TYPES[np.dtype(dtype)] if kind is None else kind
        name = f"t{len(self.tensors)}" if name is None else name
        self.tensors.append(_Tensor(name, tuple(shape), kind, scales, zeros, axis, 0))
        return len(self.tensors) - 1

    def constant(self, value, scale=None, zero_point=0, axis=0, **values):
        """A tensor with contents."""
        value = np.asarray(value)
        index = self.tensor(value.shape, scale, zero_point, value.dtype, axis=axis, **values)
        self.buffers.append(value.tobytes())
        self.tensors[index].buffer = len(self.buffers) - 1
        return index

    def variable(self, *shape_and_level, **values):
        """A tensor that keeps its value."""
        index = self.tensor(*shape_and_level, **values)
        self.tensors[index].variable = True
        return index

    def add(self, code, inputs, outputs, options="", version=1, intermediates=(), **values):
        """An operator by the schema's name, `CONV_2D`, with a table of options by its name, `Conv2DOptions`; tensors
        by number, one output may stand for a list."""
        custom = "" if hasattr(tflite.BuiltinOperator, code) else code
        number = tflite.BuiltinOperator.CUSTOM if custom else getattr(tflite.BuiltinOperator, code)
        entry = (number, custom, version)
        if entry not in self.codes:
            self.codes.append(entry)
        outputs = [outputs] if isinstance(outputs, int) else list(outputs)
        self.operators.append(
            _Operator(self.codes.index(entry), list(inputs), outputs, options, values, list(intermediates))
        )
        return outputs[0]

    def make(self, inputs, outputs) -> bytes:
        """The file."""
        b = flatbuffers.Builder(1024)
        buffers = [self._buffer(b, data) for data in self.buffers]
        subgraph = self._subgraph(b, inputs, outputs)
        codes = []
        for number, custom, version in self.codes:
            text = b.CreateString(custom) if custom else None
            tflite.OperatorCodeStart(b)
            tflite.OperatorCodeAddDeprecatedBuiltinCode(b, min(number, 127))
            tflite.OperatorCodeAddBuiltinCode(b, number)
            tflite.OperatorCodeAddVersion(b, version)
            if text is not None:
                tflite.OperatorCodeAddCustomCode(b, text)
            codes.append(tflite.OperatorCodeEnd(b))
        vectors = {"Buffers": buffers, "Subgraphs": [subgraph] * self.subgraphs, "OperatorCodes": codes}
        offsets = {name: self._offsets(b, getattr(tflite, f"ModelStart{name}Vector"), v) for name, v in vectors.items()}
        tflite.ModelStart(b)
        tflite.ModelAddVersion(b, self.version)
        for name, offset in offsets.items():
            getattr(tflite, f"ModelAdd{name}")(b, offset)
        b.Finish(tflite.ModelEnd(b), b"TFL3")
        return bytes(b.Output())

    @staticmethod
    def _offsets(b, start, offsets):
        start(b, len(offsets))
        for offset in reversed(offsets):
            b.PrependUOffsetTRelative(offset)
        return b.EndVector()

    @staticmethod
    def _buffer(b, data):
        if not data:
            tflite.BufferStart(b)
            return tflite.BufferEnd(b)
        b.StartVector(1, len(data), 16)
        b.head -= len(data)
        b.Bytes[b.head : b.head + len(data)] = data
        offset = b.EndVector()
        tflite.BufferStart(b)
        tflite.BufferAddData(b, offset)
        return tflite.BufferEnd(b)

    def _subgraph(self, b, inputs, outputs):
        tensors = [self._tensor(b, tensor) for tensor in self.tensors]
        operators = [self._operator(b, operator) for operator in self.operators]
        name = b.CreateString("main")
        vectors = {
            "Tensors": self._offsets(b, tflite.SubGraphStartTensorsVector, tensors),
            "Operators": self._offsets(b, tflite.SubGraphStartOperatorsVector, operators),
            "Inputs": b.CreateNumpyVector(np.array(inputs, np.int32)),
            "Outputs": b.CreateNumpyVector(np.array(outputs, np.int32)),
            "Name": name,
        }
        tflite.SubGraphStart(b)
        for name, offset in vectors.items():
            getattr(tflite, f"SubGraphAdd{name}")(b, offset)
        return tflite.SubGraphEnd(b)

    @staticmethod
    def _tensor(b, tensor):
        name, shape = b.CreateString(tensor.name), b.CreateNumpyVector(np.array(tensor.shape, np.int32))
        quantization = None
        if tensor.scale:
            scales = b.CreateNumpyVector(np.array(tensor.scale, np.float32))
            zeros = b.CreateNumpyVector(np.array(tensor.zero_point, np.int64))
            tflite.QuantizationParametersStart(b)
            tflite.QuantizationParametersAddScale(b, scales)
            tflite.QuantizationParametersAddZeroPoint(b, zeros)
            tflite.QuantizationParametersAddQuantizedDimension(b, tensor.axis)
            quantization = tflite.QuantizationParametersEnd(b)
        tflite.TensorStart(b)
        tflite.TensorAddName(b, name)
        tflite.TensorAddShape(b, shape)
        tflite.TensorAddType(b, tensor.kind)
        tflite.TensorAddBuffer(b, tensor.buffer)
        if tensor.variable:
            tflite.TensorAddIsVariable(b, True)
        if quantization is not None:
            tflite.TensorAddQuantization(b, quantization)
        return tflite.TensorEnd(b)

    @staticmethod
    def _operator(b, operator):
        options = None
        if operator.options:
            values = {
                name: b.CreateNumpyVector(np.array(value, np.int32)) if isinstance(value, (list, tuple)) else value
                for name, value in operator.values.items()
            }
            getattr(tflite, f"{operator.options}Start")(b)
            for name, value in values.items():
                getattr(tflite, f"{operator.options}Add{name}")(b, value)
            options = getattr(tflite, f"{operator.options}End")(b)
        inputs, outputs = (b.CreateNumpyVector(np.array(v, np.int32)) for v in (operator.inputs, operator.outputs))
        between = b.CreateNumpyVector(np.array(operator.intermediates, np.int32)) if operator.intermediates else None
        tflite.OperatorStart(b)
        tflite.OperatorAddOpcodeIndex(b, operator.code)
        tflite.OperatorAddInputs(b, inputs)
        tflite.OperatorAddOutputs(b, outputs)
        if between is not None:
            tflite.OperatorAddIntermediates(b, between)
        if options is not None:
            tflite.OperatorAddBuiltinOptionsType(b, getattr(tflite.BuiltinOptions, operator.options))
            tflite.OperatorAddBuiltinOptions(b, options)
        return tflite.OperatorEnd(b)
