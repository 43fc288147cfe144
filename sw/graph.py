"""A network of quantized operators, as readers make it and passes rewrite it.

Activations are NHWC, or (rows, features) for fully connected operators; the batch is 1. Real numbers are
(integer - zero_point) * scale. Values never change: a pass makes a new graph.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from .errors import UserError

TFLITE = "tflite"
"""TFLite's arithmetic: multipliers from double precision, double rounding."""
TFLITE32 = "tflite32"
"""The same, but input scale times weight scale is a float32 product: TFLite's fully connected operators with one weight
scale, and its linear operators on uint8. Source: TFLite kernel_util, GetQuantizedConvolutionMultipler."""
ONNX = "onnx"
"""ONNX's arithmetic: multipliers are float32, the exact product is rounded once, ties to even."""

DTYPES = ("int8", "uint8", "int16", "uint16", "int32", "int64", "float32", "bool")


@dataclass(frozen=True)
class Tensor:
    """An activation; `scale` and `zero_point` mean nothing where dtype is float32."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float = 1.0
    zero_point: int = 0

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)


@dataclass(frozen=True, eq=False)
class Operator:
    """What all operators have: a name for messages, the tensors read and the tensor made."""

    name: str
    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True, eq=False)
class Quantize(Operator):
    """float32 to the integers of the output tensor; on the host."""

    rounding: str = field(default=ONNX, kw_only=True)
    """Ties of x / scale go to the even integer for ONNX, away from zero for TFLITE."""


@dataclass(frozen=True, eq=False)
class Dequantize(Operator):
    """Integers to float32; on the host."""


@dataclass(frozen=True, eq=False)
class OffsetBinary(Operator):
    """uint8 to int8 or back by moving the zero point by 128; on the host."""


@dataclass(frozen=True, eq=False)
class Transpose(Operator):
    """Axis i of the output is axis permutation[i] of the input; on the host."""

    permutation: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Reshape(Operator):
    """The same elements in the same order under the output's shape."""


@dataclass(frozen=True, eq=False)
class Softmax(Operator):
    """exp(x) / sum(exp(x)) along `axis`; on the host."""

    axis: int


@dataclass(frozen=True, eq=False)
class SoftmaxInt8(Operator):
    """exp(beta x) / sum(exp(beta x)) along the last axis, from int8 to int8 of scale 1/256 and zero point -128, in
    TFLite's fixed-point arithmetic: softmax.softmax_int8; on the host."""

    beta: float


@dataclass(frozen=True, eq=False)
class Constant(Operator):
    """A tensor that is known before the program runs; it has no inputs."""

    value: NDArray[np.int8]
    """In the output's shape."""


@dataclass(frozen=True, eq=False)
class Clamped(Operator):
    """An operator whose int8 results are limited to minimum..maximum, which is how ReLU is fused."""

    minimum: int = field(default=-128, kw_only=True)
    maximum: int = field(default=127, kw_only=True)


@dataclass(frozen=True, eq=False)
class Conv2D(Clamped):
    """Two-dimensional convolution (cross-correlation), grouped or depthwise included."""

    weights: NDArray[np.int8]
    """(outputs, kernel height, kernel width, inputs / groups), zero point 0."""
    bias: NDArray[np.int32]
    """(outputs,), in units of input scale times weight scale."""
    weight_scales: NDArray[np.float32]
    """(outputs,)."""
    stride: tuple[int, int]
    """(y, x), like all pairs here."""
    padding: tuple[int, int, int, int]
    """Top, left, bottom, right; filled with the zero point."""
    dilation: tuple[int, int]
    groups: int
    rounding: str


@dataclass(frozen=True, eq=False)
class FullyConnected(Clamped):
    """Each row of the input times a constant matrix."""

    weights: NDArray[np.int8]
    """(outputs, inputs), zero point 0."""
    bias: NDArray[np.int32]
    weight_scales: NDArray[np.float32]
    rounding: str


@dataclass(frozen=True, eq=False)
class Pool2D(Clamped):
    """A window that moves over the image; padding takes no part in it."""

    window: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class MaxPool2D(Pool2D):
    """The largest value in each window; input and output have the same scale."""


@dataclass(frozen=True, eq=False)
class AveragePool2D(Pool2D):
    """The mean of each window."""

    counts_padding: bool
    """Divide by the size of the window even where it reaches into the padding, which counts as zero."""
    rounding: str
    origin: int = field(default=0, kw_only=True)
    """Where `rounding` is TFLITE, ties go away from this integer: 0, or -128 for what was uint8 in the model."""


@dataclass(frozen=True, eq=False)
class MeanPool2D(Pool2D):
    """The sum of (x - zero point) over each window, times multiplier * 2^(shift - 31) with TFLite's double rounding:
    TFLite's MEAN. There is no padding."""

    multiplier: int
    """0 to 2^31 - 1, not always normalized."""
    shift: int


@dataclass(frozen=True, eq=False)
class Requantize(Clamped):
    """int8 with one scale to int8 with another."""

    rounding: str


@dataclass(frozen=True, eq=False)
class Clamp(Clamped):
    """Limits alone: input and output have the same scale."""


@dataclass(frozen=True, eq=False)
class TransposeConv2D(Clamped):
    """Input pixel (y, x) adds its products with weights[:, i, j] to output pixel (y * stride + i - top,
    x * stride + j - left); what falls outside of the output is dropped, and pixels that nothing falls on have the bias
    alone."""

    weights: NDArray[np.int8]
    """(outputs, kernel height, kernel width, inputs), zero point 0."""
    bias: NDArray[np.int32]
    weight_scales: NDArray[np.float32]
    stride: tuple[int, int]
    before: tuple[int, int]
    """(top, left)."""
    rounding: str


@dataclass(frozen=True, eq=False)
class Binary(Clamped):
    """Two tensors, element by element; their shapes are broadcast to the output's as in NumPy."""

    rounding: str = field(default=TFLITE, kw_only=True)
    """TFLITE for the fixed point of elementwise, ONNX for float32 between DequantizeLinear and QuantizeLinear."""


@dataclass(frozen=True, eq=False)
class Add(Binary):
    """a + b: elementwise.add."""


@dataclass(frozen=True, eq=False)
class Subtract(Binary):
    """a - b: elementwise.subtract."""


@dataclass(frozen=True, eq=False)
class Multiply(Binary):
    """a * b: elementwise.multiply."""


@dataclass(frozen=True, eq=False)
class Lookup(Operator):
    """Any function of one int8: table[x + 128]; scales may differ."""

    table: NDArray[np.int8]
    """(256,), or (channels, 256) where the last axis has tables of its own."""


@dataclass(frozen=True, eq=False)
class Concat(Operator):
    """The inputs one behind the other along `axis`; all have the output's scale."""

    axis: int


@dataclass(frozen=True, eq=False)
class Pad(Operator):
    """Cells of `value` around the input; the scale stays."""

    padding: tuple[tuple[int, int], ...]
    """Per axis: cells before and after."""
    value: int


@dataclass(frozen=True, eq=False)
class Slice(Operator):
    """Every step-th element from `start` on, as many as the output has; the scale stays."""

    start: tuple[int, ...]
    step: tuple[int, ...]
    """Per axis, positive."""


@dataclass(frozen=True, eq=False)
class ResizeNearest(Operator):
    """Output pixel (y, x) is input pixel (rows[y], columns[x]); the scale stays."""

    rows: tuple[int, ...]
    columns: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class ResizeBilinear(Operator):
    """Weighted means of four pixels, in 1024ths per axis, rounded half away from zero; the scale stays."""

    rows: NDArray[np.int32]
    """(output height, 3): the first row, the second, and the weight of the second of 1024; the first has the rest."""
    columns: NDArray[np.int32]
    """(output width, 3)."""


@dataclass(frozen=True, eq=False)
class Lstm(Operator):
    """A long short-term memory over int8 sequences, with an int16 cell state, in TFLite's arithmetic: lstm; on the
    host. The input is (batch, steps, inputs); gates are in the order input, forget, cell, output; factors are
    multipliers and shifts, multiplier * 2^(shift - 31)."""

    input_weights: NDArray[np.int8]
    """(4, cells, inputs)."""
    input_bias: NDArray[np.int64]
    """(4, cells), zero points folded in."""
    input_factors: NDArray[np.int64]
    """(4, 2)."""
    recurrent_weights: NDArray[np.int8]
    """(4, cells, outputs)."""
    recurrent_bias: NDArray[np.int64]
    recurrent_factors: NDArray[np.int64]
    hidden_factor: NDArray[np.int64]
    """(2,): of the product of output gate and cell state, as the hidden state has it."""
    hidden_zero_point: int
    projection: NDArray[np.int8]
    """(outputs, cells), from hidden state to output; empty where they are the same."""
    projection_bias: NDArray[np.int64]
    projection_factor: NDArray[np.int64]
    zero_point: int
    """Of the output."""
    cell_exponent: int
    """The scale of the cell state is 2^cell_exponent, -15 to -9."""
    coupled: bool
    """The input gate is one minus the forget gate; its weights mean nothing."""
    cell_clip: int
    """Limit of the cell state's size; 0 for none, as the next."""
    projection_clip: int
    time_major: bool
    """The input is (steps, batch, inputs), and so is the output."""


@dataclass(frozen=True, eq=False)
class OnnxNode(Operator):
    """A node of an ONNX model that the NPU cannot execute, in ONNX's own types and order of axes: its inputs in the
    order of the model's; on the host, by ONNX's reference implementation: onnx_evaluate."""

    model: NDArray[np.uint8]
    """A serialized ONNX model of this one node, whose constants are its initializers."""
    reason: str
    """Why the NPU cannot execute it, half a sentence."""


HOST_ONLY = (Quantize, Dequantize, OffsetBinary, Transpose, Softmax, SoftmaxInt8, Lstm, OnnxNode)
"""Operators that the device never executes. A Reshape is either, as it is nothing."""


@dataclass(frozen=True, eq=False)
class Graph:
    """Operators in an order in which each reads only what was made before."""

    name: str
    tensors: dict[str, Tensor]
    operators: tuple[Operator, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def users(self, tensor: str) -> Iterator[Operator]:
        """The operators that read `tensor`."""
        return (operator for operator in self.operators if tensor in operator.inputs)

    def producer(self, tensor: str) -> Operator | None:
        """The operator that makes `tensor`, None for an input of the graph."""
        return next((operator for operator in self.operators if operator.output == tensor), None)

    def with_operators(self, operators: tuple[Operator, ...]) -> "Graph":
        """The graph with other operators, and without the tensors that none of them uses any more."""
        used = {*self.inputs, *self.outputs}
        for operator in operators:
            used.update((*operator.inputs, operator.output))
        tensors = {name: tensor for name, tensor in self.tensors.items() if name in used}
        return replace(self, operators=operators, tensors=tensors)


def verify(graph: Graph) -> Graph:
    """The graph itself, after checking that it is one.

    Raises
    ------
    UserError
        One sentence that names the operator or tensor at fault.
    """

    def need(good: bool, sentence: str) -> None:
        if not good:
            raise UserError(f"{graph.name}: {sentence}")

    known = set(graph.inputs)
    made = Counter(operator.output for operator in graph.operators)
    for name, tensor in graph.tensors.items():
        need(name == tensor.name, f"the tensor {tensor.name!r} is filed under {name!r}")
        need(tensor.dtype in DTYPES, f"the tensor {name!r} has the unknown type {tensor.dtype!r}")
        need(all(n > 0 for n in tensor.shape), f"the tensor {name!r} has the empty shape {tensor.shape}")
        need(0 < tensor.scale < float("inf"), f"the scale of {name!r} must be a positive number, not {tensor.scale}")
        lowest = 0 if tensor.dtype == "uint8" else -128
        need(
            tensor.dtype not in ("int8", "uint8") or 0 <= tensor.zero_point - lowest <= 255,
            f"the zero point of {name!r} must be from {lowest} to {lowest + 255}, not {tensor.zero_point}",
        )
    for operator in graph.operators:
        for name in operator.inputs:
            need(name in known, f"{operator.name!r} reads {name!r}, which nothing has made before it")
        need(operator.output in graph.tensors, f"{operator.name!r} makes {operator.output!r}, which has no description")
        need(made[operator.output] == 1 and operator.output not in graph.inputs, f"{operator.output!r} is made twice")
        known.add(operator.output)
        if isinstance(operator, Reshape):
            need(len(operator.inputs) == 1, f"{operator.name!r} reshapes {len(operator.inputs)} tensors, expected one")
            source, target = graph.tensors[operator.inputs[0]], graph.tensors[operator.output]
            need(source.size == target.size, f"{operator.name!r} reshapes {source.shape} into {target.shape}")
        if isinstance(operator, Clamped):
            need(
                -128 <= operator.minimum <= operator.maximum <= 127,
                f"the range of {operator.name!r} must be inside -128..127 and not empty, "
                f"not {operator.minimum}..{operator.maximum}",
            )
    for name in graph.outputs:
        need(name in known, f"the output {name!r} is made by nothing")
    return graph
