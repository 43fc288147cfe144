"""Operators put together to a graph, and values brought from the host to the NPU and back, for the ONNX reader."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..graph import Constant as ConstantOperator
from ..graph import Dequantize, Lookup, OffsetBinary, Operator, Quantize, Reshape, Softmax, Tensor, Transpose
from .values import LEVELS, DeviceValue, HostValue, Pending, Quantization
from .views import Shape, View, channels_last, moves

UNSIGNED_ZERO = -128
"""What an int8 that stands for a uint8 is where that is 0."""


class Builder:
    """Tensors and operators so far."""

    def __init__(self, reserved: Iterable[str]) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.operators: list[Operator] = []
        self.reserved = set(reserved)
        """Names that only the outputs of the model may have."""
        self._ordered: dict[tuple[DeviceValue, Shape], DeviceValue] = {}
        self._labels: dict[str, Quantization] = {}

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

    def transpose(self, source: str, name: str, permutation: Shape) -> str:
        """`source` with its axes permuted; itself if they are in that order already."""
        old = self.tensors[source].shape
        shape = tuple(old[axis] for axis in permutation)
        if not moves(old, permutation):
            return self.reshape(source, name, shape)
        return self.add(Transpose, [source], self.like(name, source, shape), permutation=tuple(permutation))

    def ordered(self, value: DeviceValue, order: Shape, name: str) -> DeviceValue:
        """The value stored with its axes in this order."""
        if value.view == View.ordered(value.shape, order):
            return value
        if (value, order) not in self._ordered:
            tensor, view = value.tensor, value.view
            wanted = View.ordered(value.shape, order)
            as_image = wanted.reshaped(view.image)
            if view.folded and not as_image.folded:
                # One transpose does both.
                tensor = self.transpose(tensor, f"{name}.turned", _permutation(view.order, as_image.order))
                tensor, view = self.reshape(tensor, f"{name}.reshaped", wanted.stored), wanted
            elif view.folded:
                plain = self.transpose(tensor, f"{name}.plain", _permutation(view.order, range(len(view.order))))
                tensor, view = self.reshape(plain, f"{name}.reshaped", view.shape), View.plain(view.shape)
            tensor = self.transpose(tensor, f"{name}.ordered", _permutation(view.order, order))
            self._ordered[value, order] = replace(value, tensor=tensor, view=wanted)
        return self._ordered[value, order]

    def plain(self, value: DeviceValue, name: str) -> DeviceValue:
        """The value stored as ONNX has it."""
        return self.ordered(value, tuple(range(len(value.shape))), name)

    def unfolded(self, value: DeviceValue, name: str) -> DeviceValue:
        """The value stored in any order of the axes that ONNX has."""
        return self.plain(value, name) if value.view.folded else value

    def reshaped(self, value: DeviceValue, name: str, shape: Shape) -> DeviceValue:
        """The value under another shape of the same size."""
        view = value.view.reshaped(shape)
        return replace(value, tensor=self.reshape(value.tensor, name, view.stored), view=view)

    def transposed(self, value: DeviceValue, name: str, permutation: Shape) -> DeviceValue:
        """The value with its axes permuted, which moves nothing yet."""
        value = self.unfolded(value, name)
        return replace(value, view=value.view.transposed(permutation))

    def to_device(self, value: HostValue, name: str, quantization: Quantization, unsigned: bool) -> DeviceValue:
        """Quantize a host value, or take it as it is if it is of integers, and put the channels of images last."""
        tensor = value.tensor
        real = self.tensors[tensor].dtype == "float32"
        order = channels_last(len(value.shape)) if len(value.shape) == 4 else tuple(range(len(value.shape)))
        own = quantization if real else self._labels.setdefault(tensor, quantization)
        if not real:
            self._label(tensor, own, unsigned)
        tensor = self.transpose(tensor, f"{name}.nhwc", order)
        shape = self.tensors[tensor].shape
        if real:
            tensor = self.add(Quantize, [tensor], self.int8(name, shape, quantization))
        elif unsigned:
            tensor = self.add(OffsetBinary, [tensor], self.int8(f"{name}.int8", shape, own))
        made = DeviceValue(tensor, View.ordered(value.shape, order), own, unsigned, real=False)
        return self.relabelled(made, quantization, name)

    def _label(self, tensor: str, quantization: Quantization, unsigned: bool) -> None:
        """Say what integers of an input, or of the host, stand for, which is told by what reads them first."""
        zero_point = quantization.zero_point + (128 if unsigned else 0)
        self.tensors[tensor] = replace(self.tensors[tensor], scale=quantization.scale, zero_point=zero_point)
        maker = next((operator for operator in self.operators if operator.output == tensor), None)
        if isinstance(maker, Reshape):
            self._label(maker.inputs[0], quantization, unsigned)

    def integers_to_device(self, value: HostValue, name: str) -> DeviceValue:
        """Integers that stand for themselves."""
        unsigned = self.tensors[value.tensor].dtype == "uint8"
        return self.to_device(value, name, Quantization(1.0, UNSIGNED_ZERO if unsigned else 0), unsigned)

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
        view = value.view
        tensor = self.transpose(tensor, f"{name}.plain", _permutation(view.order, range(len(view.order))))
        return HostValue(self.reshape(tensor, f"{name}.flat", value.shape or (1,)), value.shape)

    def relabelled(self, value: DeviceValue, quantization: Quantization, name: str) -> DeviceValue:
        """The same integers with another meaning."""
        if value.quantization == quantization:
            return value
        target = self.int8(f"{name}.scale", self.tensors[value.tensor].shape, quantization)
        tensor = self.add(Lookup, [value.tensor], target, table=LEVELS.astype(np.int8))
        return replace(value, tensor=tensor, quantization=quantization)

    def constant(self, array: NDArray[np.int8], quantization: Quantization, name: str) -> DeviceValue:
        """Integers that are known, as ONNX has them."""
        target = self.int8(f"{name}.constant", array.shape, quantization)
        tensor = self.add(ConstantOperator, [], target, value=np.ascontiguousarray(array))
        return DeviceValue(tensor, View.plain(array.shape), quantization, False, real=True)

    def softmax(self, value: HostValue, name: str, axis: int) -> HostValue:
        """Softmax on the host."""
        target = self.like(name, value.tensor, value.shape)
        return HostValue(self.add(Softmax, [value.tensor], target, axis=axis), value.shape)

    def on_levels(self, value: Pending) -> DeviceValue | None:
        """A function of an activation whose results are levels of the same scale, for instance its positive part."""
        function = value.function
        if function is None:
            return None
        quantization = function.source.quantization
        values = np.clip(function.values, value.low, value.high)
        reals = quantization.reals[quantization.levels(values).astype(np.intp) + 128]
        if not np.array_equal(reals, values):
            return None
        return replace(value.emit(quantization, -128, 127), real=True)


def _permutation(stored: Sequence[int], wanted: Iterable[int]) -> Shape:
    """Which of the stored axes comes in each place."""
    return tuple(list(stored).index(axis) for axis in wanted)
