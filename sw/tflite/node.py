"""One operator of a TFLite file while it is read: its tensors, its options, and errors that name it."""

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..graph import TFLITE, TFLITE32, Conv2D, Operator, Tensor
from ..host.elementwise import Level
from ..host.fixed_point import factor
from ..lowering import wide_weights
from .file import MOST_AXES, FileOperator, FileTensor
from .tables import limits

if TYPE_CHECKING:
    from .reader import Reader

Shape = tuple[int, ...]

LARGEST_TENSOR = 1 << 28
"""Elements of one tensor, padding included."""

SAME, VALID = 0, 1
"""Numbers of the schema's Padding."""


@dataclass(frozen=True)
class Activation:
    """A tensor of the graph; integers are int8 there, whatever the file has."""

    tensor: Tensor
    unsigned: bool
    """uint8 in the file: zero points and values are 128 higher there."""

    @property
    def shape(self) -> Shape:
        """That of the tensor."""
        return self.tensor.shape

    @property
    def level(self) -> Level:
        """Scale and zero point."""
        return Level.of(self.tensor)

    @property
    def real(self) -> bool:
        """float32."""
        return self.tensor.dtype == "float32"


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor that is known when the file is read, as it is in the file."""

    array: NDArray[Any]
    scale: NDArray[np.float32]
    zero_point: NDArray[np.int64]
    axis: int = 0


@dataclass(frozen=True, eq=False)
class Weights:
    """Constants with zero point 0, of up to nine bits."""

    values: NDArray[Any]
    scale: NDArray[np.float32]
    """One, or one per channel."""
    axis: int


Value = Activation | Constant


class Node:
    """One operator, with its inputs looked up.

    Raises
    ------
    UserError
        In all methods: one sentence that names the file, the operator and what it has.
    """

    def __init__(self, reader: "Reader", operator: FileOperator) -> None:
        self.reader = reader
        self.operator = operator
        self.name = f"{operator.code} {operator.index}"

    def error(self, sentence: str) -> UserError:
        """An error that starts with the file and the operator."""
        return UserError(f"{self.reader.name}: {self.name} {sentence}")

    def need(self, good: bool, sentence: str) -> None:
        """Raise the error unless `good`."""
        if not good:
            raise self.error(sentence)

    def option(self, name: str) -> Any:
        """A field of the operator's options."""
        return self.operator.options[name]

    @property
    def inputs(self) -> int:
        """Number of inputs, those left out at the end not counted."""
        return len(self.operator.inputs)

    def has(self, index: int) -> bool:
        """The optional input is given."""
        return index < self.inputs and self.operator.inputs[index] >= 0

    def value(self, index: int) -> Value:
        """Input `index`."""
        self.need(self.has(index), f"lacks its input {index}")
        return self.reader.value(self.operator.inputs[index], self)

    def output_tensor(self, index: int = 0) -> FileTensor:
        """What the file says about output `index`."""
        self.need(index < len(self.operator.outputs), f"lacks its output {index}")
        return self.reader.file.tensor(self.operator.outputs[index])

    def any_activation(self, index: int) -> Activation:
        """Input `index`, which must depend on an input of the model."""
        value = self.value(index)
        if isinstance(value, Constant):
            raise self.error(f"is supported only on an activation as input {index}, which is a constant here")
        return value

    def activation(self, index: int = 0) -> Activation:
        """Input `index`, which must be a quantized activation."""
        value = self.any_activation(index)
        if value.real and any(
            isinstance(other, Constant) and other.array.dtype == np.int8
            for other in (self.value(i) for i in range(self.inputs) if self.has(i))
        ):
            raise self.error(
                "has float32 activations and int8 weights (dynamic quantization), expected int8 activations"
            )
        self.need(not value.real, "has float32 activations, supported are int8 and uint8")
        return value

    def image(self, index: int = 0) -> Activation:
        """Input `index`, which must have a batch of 1, height, width and channels."""
        value = self.activation(index)
        self.need(
            len(value.shape) == 4 and value.shape[0] == 1,
            f"has an input of shape {value.shape}, supported are four axes with a batch of 1",
        )
        return value

    def constant(self, index: int, what: str) -> Constant:
        """Input `index`, which must be known when the file is read."""
        value = self.value(index)
        if not isinstance(value, Constant):
            raise self.error(f"is supported only with a constant {what}")
        return value

    def integers(self, index: int, what: str) -> tuple[int, ...]:
        """Input `index`, a constant list of integers."""
        array = self.constant(index, what).array
        self.need(array.dtype.kind in "iu" and array.ndim <= 1, f"has a malformed {what}")
        return tuple(int(value) for value in array.reshape(-1))

    def integer(self, index: int, what: str) -> int:
        """Input `index`, one constant integer."""
        values = self.integers(index, what)
        self.need(len(values) == 1, f"has {len(values)} numbers as its {what}, expected one")
        return values[0]

    def axis(self, value: int, rank: int) -> int:
        """An axis from 0 on, counted from the end where it is negative."""
        self.need(-rank <= value < rank, f"has axis {value} for a tensor of {rank} axes")
        return value % rank

    def weights(self, index: int, source: Activation) -> Weights:
        """Input `index`: constant int8 or uint8 weights, brought to zero point 0, which makes them nine bits wide."""
        value = self.value(index)
        if not isinstance(value, Constant):
            raise self.error("has weights that are computed, supported are constant weights")
        kind = value.array.dtype
        wanted = np.uint8 if source.unsigned else np.int8
        self.need(kind == wanted, f"has {kind} weights with {wanted.__name__} activations, expected {wanted.__name__}")
        scale, zero = self._weight_quantization(value)
        if kind == np.int8 and not zero.any():
            return Weights(value.array, scale, value.axis)
        rank = value.array.ndim
        shape = [-1 if i == value.axis and len(zero) > 1 else 1 for i in range(rank)]
        values = value.array.astype(np.int16) - zero.astype(np.int16).reshape(shape)
        return Weights(values, scale, value.axis)

    def narrow(self, source: Activation, weights: NDArray[Any]) -> tuple[Activation, NDArray[np.int8]]:
        """`source`, whose channels are repeated where weights of (..., inputs) are wider than int8, and the int8."""
        copies = wide_weights.copies_for(weights)
        if copies == 1:
            return source, wide_weights.spread(weights, copies)
        reader, name = self.reader, self.output_tensor().name
        image = reader.reshaped(source, wide_weights.image_of(source.shape), self)
        target = reader.derived(image, f"{name}.copies", wide_weights.repeated_shape(image.shape, copies))
        settings = wide_weights.repeating(source.shape[-1], copies, TFLITE)
        reader.add(f"{self.name}.copies", Conv2D, [image], target, **settings)
        wide = reader.reshaped(target, wide_weights.repeated_shape(source.shape, copies), self)
        return wide, wide_weights.spread(weights, copies)

    def _weight_quantization(self, value: Constant) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        scale, zero, shape = value.scale, value.zero_point, value.array.shape
        self.need(len(scale) > 0, "has weights without a scale, expected quantized weights")
        self.need(bool(np.all(np.isfinite(scale) & (scale >= 0))), "has a weight scale that is not a positive number")
        if len(zero) in (0, 1):
            zero = np.broadcast_to(zero if len(zero) else np.zeros(1, np.int64), len(scale))
        self.need(len(zero) == len(scale), f"has {len(scale)} weight scales and {len(zero)} zero points")
        self.need(bool(np.all((zero >= -128) & (zero <= 255))), "has a weight zero point outside of 8 bits")
        self.need(
            len(scale) == 1 or (0 <= value.axis < len(shape) and shape[value.axis] == len(scale)),
            f"has {len(scale)} weight scales along axis {value.axis} of weights of shape {shape}",
        )
        return scale, zero if len(scale) > 1 else zero[:1]

    def scales(
        self, weights: Weights, channels: int, axis: int, source: Activation, result: Activation
    ) -> NDArray[np.float32]:
        """One weight scale per output channel, which are on axis `axis`, fit to bring `source` to `result`."""
        self.need(
            len(weights.scale) == 1 or (len(weights.scale) == channels and weights.axis == axis),
            f"has {len(weights.scale)} weight scales along axis {weights.axis}, supported are one, or one for each of "
            f"the {channels} output channels on axis {axis}",
        )
        factor(source.tensor.scale * float(weights.scale.max()) / result.tensor.scale)
        return np.ascontiguousarray(np.broadcast_to(weights.scale, channels))

    def rounding(self, weights: Weights, source: Activation, per_tensor: str = TFLITE) -> str:
        """Which of TFLite's two ways from scales to a multiplier; `per_tensor` for int8 with one weight scale."""
        return TFLITE32 if source.unsigned else TFLITE if len(weights.scale) > 1 else per_tensor

    def bias(self, index: int, channels: int) -> NDArray[np.int32]:
        """Input `index`: one int32 per channel, zeros where it is left out."""
        if not self.has(index):
            return np.zeros(channels, np.int32)
        array = self.constant(index, "bias").array
        self.need(array.dtype == np.int32, f"has a bias of {array.dtype}, supported is int32")
        self.need(array.size == channels, f"has a bias of {array.size} numbers, expected {channels}")
        return array.reshape(-1)

    def quantized(self, index: int, like: Activation) -> tuple[NDArray[np.int8], Level]:
        """Input `index`: a constant with one scale, of the type that `like` has in the file, as int8."""
        value = self.constant(index, "operand")
        wanted = np.uint8 if like.unsigned else np.int8
        self.need(
            value.array.dtype == wanted and len(value.scale) == 1 and len(value.zero_point) <= 1,
            f"has a {value.array.dtype} constant with {len(value.scale)} scales, expected {wanted.__name__} with one",
        )
        scale, zero = float(value.scale[0]), int(value.zero_point[0]) if len(value.zero_point) else 0
        lowest = np.iinfo(wanted).min
        self.need(
            0 < scale < np.inf and 0 <= zero - lowest <= 255,
            f"has a constant with scale {scale} and zero point {zero}",
        )
        shifted = (value.array.astype(np.int16) - lowest - 128).astype(np.int8)
        return shifted, Level(scale, zero - lowest - 128)

    def limits(self, result: Tensor) -> dict[str, int]:
        """`minimum` and `maximum` of the fused activation."""
        number = self.option("FusedActivationFunction")
        try:
            low, high = limits(number, Level.of(result))
        except KeyError:
            raise self.error("has a fused activation that is none of NONE, RELU, RELU_N1_TO_1 and RELU6") from None
        return {"minimum": low, "maximum": high}

    def result(self, shape: Shape, source: Activation, index: int = 0) -> Activation:
        """A new tensor for output `index`; its type must be that of `source`."""
        made = self.new(shape, index)
        self.need(
            (made.unsigned, made.real) == (source.unsigned, source.real),
            f"has input and output of different types, {self.reader.kind(source)} and {self.reader.kind(made)}",
        )
        return made

    def new(self, shape: Shape, index: int = 0) -> Activation:
        """A new tensor for output `index`, with the file's quantization."""
        self.need(
            all(n > 0 for n in shape) and prod(shape) <= LARGEST_TENSOR and 1 <= len(shape) <= MOST_AXES,
            f"has an output of shape {shape}, supported are 1 to {MOST_AXES} axes of {LARGEST_TENSOR} elements at most",
        )
        return self.reader.describe(self.output_tensor(index), shape, self)

    def unchanged(self, source: Activation, result: Activation) -> Activation:
        """`source` with the quantization of `result`, which an operator that only moves values may change."""
        if source.real or source.level == result.level:
            return source
        return self.reader.relabelled(source, result.level, self)

    def add(self, kind: type[Operator], sources: list[Activation], result: Activation, **values: Any) -> Activation:
        """Append an operator to the graph."""
        return self.reader.add(self.name, kind, sources, result, **values)

    def finish(self, result: Activation, index: int = 0) -> None:
        """Let output `index` be this activation."""
        self.reader.define(self.operator.outputs[index], result, self)


def window_count(size: int, span: int, stride: int, padding: int) -> int:
    """Positions of a window along an axis. Source: TFLite padding.h, ComputeOutSize."""
    return -(-size // stride) if padding == SAME else (size + stride - span) // stride


def same_padding(size: int, span: int, stride: int, count: int, padding: int) -> tuple[int, int]:
    """Cells before and after an axis; the odd one is after."""
    total = max((count - 1) * stride + span - size, 0) if padding == SAME else 0
    return total // 2, total - total // 2


@dataclass(frozen=True)
class Geometry:
    """Where windows are, as the operators of the graph take it."""

    stride: tuple[int, int]
    padding: tuple[int, int, int, int]
    count: tuple[int, int]


def geometry(node: Node, source: Activation, window: tuple[int, int], dilation: tuple[int, int] = (1, 1)) -> Geometry:
    """Windows over an image, from the options Padding, StrideH and StrideW."""
    stride = (int(node.option("StrideH")), int(node.option("StrideW")))
    padding = node.option("Padding")
    size = source.shape[1:3]
    node.need(padding in (SAME, VALID), f"has the padding scheme {padding}, supported are SAME and VALID")
    node.need(min(*stride, *window, *dilation) >= 1, f"has stride {stride}, window {window} and dilation {dilation}")
    spans = [(window[i] - 1) * dilation[i] + 1 for i in range(2)]
    count = [window_count(size[i], spans[i], stride[i], padding) for i in range(2)]
    node.need(min(count) >= 1, f"has a window of {spans[0]}x{spans[1]} on an input of {size[0]}x{size[1]}")
    (top, bottom), (left, right) = (same_padding(size[i], spans[i], stride[i], count[i], padding) for i in range(2))
    padded = (size[0] + top + bottom) * (size[1] + left + right) * source.shape[3]
    node.need(padded <= LARGEST_TENSOR, f"pads its input to {padded} elements, supported are up to {LARGEST_TENSOR}")
    return Geometry(stride, (top, left, bottom, right), (count[0], count[1]))
