"""What is in a TFLite file, as plain values: the one module that touches the flatbuffer.

A flatbuffer is a web of offsets, and one that was damaged, or made to harm, leads anywhere: out of the file, to vectors
of billions of entries, to the same bytes again and again. Whatever goes wrong on the way is one sentence.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import tflite
from numpy.typing import NDArray

from ..errors import UserError
from .options import IDENTIFIER, OPTIONS

VERSION = 3
MOST_OPERATORS = 10_000
"""Largest number of operators in a file."""
LONGEST_NAME = 1_000
"""Characters of a name that are read."""
LONGEST_LABEL = 80
"""Characters of a name in a message."""
LONGEST_LIST = 4_096
"""Entries of a list of tensors."""
LIST_COST = 56
"""Bytes that an entry of a list counts for besides its own."""
MOST_AXES = 8
"""Of a tensor."""

_DAMAGE = (
    struct.error,
    IndexError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
    KeyError,
    MemoryError,
)
"""What the flatbuffer's accessors raise when offsets lead astray."""


class _TooLong(Exception):
    """More to read than a file of that size can sensibly hold."""


def _names(enum: type) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if isinstance(value, int)}


KINDS = _names(tflite.TensorType)
CODES = _names(tflite.BuiltinOperator)


@dataclass(frozen=True, eq=False)
class FileTensor:
    """One tensor of the file."""

    index: int
    name: str
    shape: tuple[int, ...]
    kind: str
    """The schema's name of the element type, for instance "INT8"."""
    scale: NDArray[np.float32]
    """Empty without quantization, one for all, or one per channel."""
    zero_point: NDArray[np.int64]
    axis: int
    """The axis of the channels, where there is more than one scale."""
    data: NDArray[np.uint8] | None
    """The bytes of a constant, None for an activation."""
    sparse: bool
    variable: bool

    @property
    def label(self) -> str:
        """How messages call the tensor; converters join names until they fill a page."""
        return repr(self.name if len(self.name) <= LONGEST_LABEL else f"{self.name[: LONGEST_LABEL - 3]}...")


@dataclass(frozen=True, eq=False)
class FileOperator:
    """One operator of the file; inputs left out are -1."""

    index: int
    code: str
    """The schema's name, for instance "CONV_2D", or "CUSTOM"."""
    custom: str
    """The name of a custom operator, else empty."""
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: dict[str, Any]
    """The fields of the operator's table of options, defaults where the file has none."""
    intermediates: tuple[int, ...] = ()
    """Tensors that stand for what is between its steps."""


class File:
    """A TFLite model in memory.

    Raises
    ------
    UserError
        Here and in all methods: the bytes are no TFLite model, are damaged, or hold more than one subgraph.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        self._data = data
        # Every byte may be read a few times, for instance a name that tensors share, not a few thousand times. Contents
        # of buffers do not count, they are only looked at.
        self._budget = min(max(16 * len(data), 1 << 18), 1 << 24)
        self._tensors: dict[int, FileTensor] = {}
        if data[4:8] != IDENTIFIER:
            raise UserError(f"{name}: this is not a TFLite model: the identifier {IDENTIFIER.decode()} is missing")
        with self._reading():
            self._model = tflite.Model.GetRootAs(data, 0)
            version = self._model.Version()
            subgraphs = self._count(self._model.SubgraphsLength())
            if subgraphs == 1:
                self._graph = self._model.Subgraphs(0)
                self.tensor_count = self._count(self._graph.TensorsLength())
                self.operator_count = self._count(self._graph.OperatorsLength())
                self.inputs = self._integers(self._graph.InputsAsNumpy())
                self.outputs = self._integers(self._graph.OutputsAsNumpy())
        if version != VERSION:
            raise UserError(f"{name}: the model has version {version} of the format, expected {VERSION}")
        if subgraphs != 1:
            raise UserError(f"{name}: the model has {subgraphs} subgraphs (control flow), expected one")
        if not 1 <= self.operator_count <= MOST_OPERATORS:
            raise UserError(f"{name}: the model has {self.operator_count} operators, expected 1 to {MOST_OPERATORS}")

    def tensor(self, index: int) -> FileTensor:
        """Tensor `index`."""
        if index not in self._tensors:
            with self._reading():
                if not 0 <= index < self.tensor_count:
                    raise IndexError
                tensor = self._tensors[index] = self._read_tensor(index)
            if len(tensor.shape) > MOST_AXES:
                raise UserError(f"{self.name}: {tensor.label} has {len(tensor.shape)} axes, supported are {MOST_AXES}")
        return self._tensors[index]

    def operator(self, index: int) -> FileOperator:
        """Operator `index`, in the order of the file."""
        with self._reading():
            entry = self._graph.Operators(index)
            number = entry.OpcodeIndex()
            if number >= self._count(self._model.OperatorCodesLength()):
                raise IndexError
            code = self._model.OperatorCodes(number)
            # Older files have only the first of the two, which ends at 127.
            builtin = max(code.DeprecatedBuiltinCode(), code.BuiltinCode())
            return FileOperator(
                index,
                CODES.get(builtin, f"UNKNOWN_{builtin}"),
                self._text(code.CustomCode()),
                self._integers(entry.InputsAsNumpy()),
                self._integers(entry.OutputsAsNumpy()),
                self._options(entry, CODES.get(builtin, "")),
                self._integers(entry.IntermediatesAsNumpy()),
            )

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except UserError:
            raise
        except _TooLong:
            raise UserError(f"{self.name}: the TFLite model is damaged: its lists or names are too long") from None
        except _DAMAGE:
            raise UserError(f"{self.name}: the TFLite model is damaged: parts of it lie outside of the file") from None

    def _spend(self, amount: int) -> None:
        self._budget -= amount
        if self._budget < 0:
            raise _TooLong

    def _count(self, number: int) -> int:
        """The length of a vector of tables, after a check that the file has room for it."""
        if 4 * number > len(self._data):
            raise IndexError
        return number

    def _vector(self, values: Any, dtype: type) -> NDArray[Any]:
        """The accessors give 0 for a vector that is absent."""
        array: NDArray[Any] = np.zeros(0, dtype) if isinstance(values, int) else np.asarray(values).astype(dtype)
        self._spend(array.nbytes)
        return array

    def _integers(self, values: Any) -> tuple[int, ...]:
        if not isinstance(values, int) and len(values) > LONGEST_LIST:
            raise _TooLong
        entries: list[int] = self._vector(values, np.int64).tolist()
        # Lists are gone through entry by entry, which costs more than a byte does.
        self._spend(LIST_COST * len(entries))
        return tuple(entries)

    def _text(self, raw: bytes | None) -> str:
        self._spend(len(raw or b""))
        text = (raw or b"")[: 4 * LONGEST_NAME].decode(errors="replace")[:LONGEST_NAME]
        return text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)

    def _options(self, entry: Any, code: str) -> dict[str, Any]:
        if code not in OPTIONS:
            return {}
        kind, defaults = OPTIONS[code]
        if entry.BuiltinOptionsType() != getattr(tflite.BuiltinOptions, kind) or entry.BuiltinOptions() is None:
            return dict(defaults)
        table = getattr(tflite, kind)()
        place = entry.BuiltinOptions()
        table.Init(place.Bytes, place.Pos)
        return {
            name: self._integers(getattr(table, f"{name}AsNumpy")())
            if isinstance(default, tuple)
            else getattr(table, name)()
            for name, default in defaults.items()
        }

    def _read_tensor(self, index: int) -> FileTensor:
        entry = self._graph.Tensors(index)
        quantization = entry.Quantization()
        number = entry.Buffer()
        if number >= self._count(self._model.BuffersLength()):
            raise IndexError
        scale, zero_point, axis = np.zeros(0, np.float32), np.zeros(0, np.int64), 0
        if quantization is not None:
            scale = self._vector(quantization.ScaleAsNumpy(), np.float32)
            zero_point = self._vector(quantization.ZeroPointAsNumpy(), np.int64)
            axis = quantization.QuantizedDimension()
        return FileTensor(
            index,
            self._text(entry.Name()) or f"tensor {index}",
            self._integers(entry.ShapeAsNumpy()),
            KINDS.get(entry.Type(), f"type {entry.Type()}"),
            scale,
            zero_point,
            axis,
            self._contents(self._model.Buffers(number)),
            entry.Sparsity() is not None,
            bool(entry.IsVariable()),
        )

    def _contents(self, buffer: Any) -> NDArray[np.uint8] | None:
        """The bytes of a buffer, which large models keep behind the flatbuffer."""
        if buffer.Offset() > 1:
            return np.frombuffer(self._data, np.uint8, buffer.Size(), buffer.Offset()) if buffer.Size() else None
        data = buffer.DataAsNumpy()
        return None if isinstance(data, int) or not len(data) else data
