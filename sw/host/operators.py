"""Every graph operator on the host, in the reference arithmetic, on arrays of (samples, *shape of the tensor)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from weft.rtl.isa import Rounding

from ..errors import UserError
from ..graph import (
    ONNX,
    Add,
    AveragePool2D,
    Binary,
    Clamp,
    Clamped,
    Concat,
    Constant,
    Conv2D,
    Dequantize,
    FullyConnected,
    Graph,
    Lookup,
    Lstm,
    MaxPool2D,
    MeanPool2D,
    Multiply,
    OffsetBinary,
    OnnxNode,
    Operator,
    Pad,
    Pool2D,
    Quantize,
    Requantize,
    Reshape,
    ResizeBilinear,
    ResizeNearest,
    Slice,
    Softmax,
    SoftmaxInt8,
    Subtract,
    Tensor,
    Transpose,
    TransposeConv2D,
)
from ..lowering.tables import requantized, sum_parameters, sum_tables
from . import elementwise
from . import linear as host_linear
from . import pool as host_pool
from . import real as host
from .elementwise import Level
from .lstm import run_lstm
from .multiplier import combined_scales, factors
from .softmax import softmax_int8

Array = NDArray[Any]

CHUNK = 1 << 22
"""Elements of a tensor computed at once, but for one sample at least: some operators take many times the memory of
their tensors."""

ON_INT8 = (Clamped, Lookup, Lstm, ResizeBilinear, SoftmaxInt8)
"""Operators whose arithmetic is defined on int8 alone; the others take any type that suits them."""

UNSUITABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What NumPy raises where an operator does not suit its tensors."""


def types(operator: Operator, graph: Graph) -> None:
    """Check that the host has an arithmetic for an operator on its tensors.

    Raises
    ------
    UserError
        One sentence that names the operator and the type.
    """
    for tensor in (graph.tensors[name] for name in (*operator.inputs, operator.output)):
        if isinstance(operator, ON_INT8) and tensor.dtype != "int8":
            raise UserError(
                f"{graph.name}: {type(operator).__name__} {operator.name!r} has the activation {tensor.name!r} of type "
                f"{tensor.dtype}, which neither the NPU nor the host computes; supported is int8"
            )


def run(operator: Operator, inputs: Sequence[Array], sources: Sequence[Tensor], target: Tensor, samples: int) -> Array:
    """The result of one operator on all samples, (samples, *shape of the target).

    Raises
    ------
    UserError
        One sentence that names the operator, where it does not suit its tensors or their values.
    """
    parts = []
    step = max(1, CHUNK // max(tensor.size for tensor in (*sources, target)))
    try:
        if isinstance(operator, Constant):
            return apply(operator, inputs, sources, target, samples)
        for start in range(0, samples, step):
            some = [array[start : start + step] for array in inputs]
            count = min(step, samples - start)
            made = apply(operator, some, sources, target, count)
            if made.shape != (count, *target.shape) or made.dtype != np.dtype(target.dtype):
                raise UserError(f"makes {made.dtype} of {made.shape[1:]}, not {target.dtype} of {target.shape}")
            parts.append(made)
    except UserError as error:
        raise UserError(f"{type(operator).__name__} {operator.name!r} on the host: {error}") from None
    except UNSUITABLE:
        raise UserError(f"{type(operator).__name__} {operator.name!r} does not suit its tensors") from None
    return np.concatenate(parts)


def apply(
    operator: Operator, inputs: Sequence[Array], sources: Sequence[Tensor], target: Tensor, samples: int
) -> Array:
    """As `run`, on few samples and without its checks.

    Raises
    ------
    UserError
        For an operator that is not one of the graph's.
    """
    match operator:
        case Constant():
            return np.broadcast_to(operator.value, (samples, *target.shape))
        case Reshape():
            return inputs[0].reshape(samples, *target.shape)
        case Transpose():
            return inputs[0].transpose(0, *(axis + 1 for axis in operator.permutation))
        case Concat():
            return np.concatenate(inputs, axis=operator.axis % len(target.shape) + 1)
        case Pad():
            return np.pad(inputs[0], ((0, 0), *operator.padding), constant_values=operator.value)
        case Slice():
            return inputs[0][(slice(None), *_sections(operator, target))]
        case ResizeNearest():
            return inputs[0][:, :, list(operator.rows)][:, :, :, list(operator.columns)]
        case ResizeBilinear():
            return resize_bilinear(inputs[0], operator.rows, operator.columns)
        case Quantize():
            ties = "even" if operator.rounding == ONNX else "away"
            return host.quantize(inputs[0], target.scale, target.zero_point, target.dtype, ties)
        case Dequantize():
            return host.dequantize(inputs[0], sources[0].scale, sources[0].zero_point)
        case OffsetBinary():
            return host.offset_binary(inputs[0])
        case Lstm():
            return run_lstm(operator, inputs[0], operator.time_major)
        case OnnxNode():
            from ..onnx.evaluate import evaluate_samples  # only models that need it wait for what it imports

            return evaluate_samples(operator.model, inputs, samples, target.shape)
        case Softmax():
            return host.softmax(inputs[0], operator.axis % len(target.shape) + 1)
        case SoftmaxInt8():
            return softmax_int8(inputs[0], sources[0].scale, operator.beta)
        case Lookup():
            return lookup(inputs[0], operator.table)
        case Clamp():
            return _clipped(inputs[0], operator)
        case Requantize():
            return _clipped(lookup(inputs[0], requantized(sources[0], target, operator.rounding)), operator)
        case Add() | Subtract() | Multiply():
            return _binary(operator, inputs, sources, target)
    return _on_rows(operator, inputs, sources, target, samples)


def _on_rows(
    operator: Operator, inputs: Sequence[Array], sources: Sequence[Tensor], target: Tensor, samples: int
) -> Array:
    """Operators on images or rows, which may be several in a sample."""
    if not isinstance(operator, (Conv2D, FullyConnected, TransposeConv2D, Pool2D)):
        raise UserError("is not an operator that the host knows")
    source = sources[0]
    x = inputs[0].reshape(samples * source.shape[0], *source.shape[1:])
    match operator:
        case Conv2D():
            made: Array = host_linear.conv2d(operator, x, source, target)
        case FullyConnected():
            made = host_linear.fully_connected(operator, x, source, target)
        case TransposeConv2D():
            made = host_linear.transpose_conv2d(operator, x, source, target)
        case MaxPool2D():
            made = host_pool.max_pool(operator, x, target)
        case AveragePool2D():
            made = host_pool.average_pool(operator, x, source, target)
        case MeanPool2D():
            made = host_pool.mean_pool(operator, x, source, target)
    return made.reshape(samples, *target.shape)


def _sections(operator: Slice, target: Tensor) -> tuple[slice, ...]:
    sections = zip(operator.start, operator.step, target.shape, strict=True)
    return tuple(slice(start, start + (count - 1) * step + 1, step) for start, step, count in sections)


def _clipped(x: NDArray[np.int8], operator: Clamped) -> NDArray[np.int8]:
    return np.clip(x, operator.minimum, operator.maximum)


def lookup(x: NDArray[np.int8], table: NDArray[np.int8]) -> NDArray[np.int8]:
    """table[x + 128], or table[c, x + 128] for channel c on the last axis."""
    places = x.astype(np.intp) + 128
    return table[places] if table.ndim == 1 else table[np.arange(x.shape[-1]), places]


def resize_bilinear(x: NDArray[np.int8], rows: NDArray[np.int32], columns: NDArray[np.int32]) -> NDArray[np.int8]:
    """Weighted means of four pixels; x is (samples, 1, H, W, C). Source: TFLite reference/resize_bilinear.h."""

    def mixed(values: Array, axis: int, places: NDArray[np.int32]) -> Array:
        weight = places[:, 2].astype(np.int64).reshape([-1 if i == axis else 1 for i in range(values.ndim)])
        first, second = (np.take(values, places[:, i], axis) for i in range(2))
        return first * (1024 - weight) + second * weight

    sums = mixed(mixed(x.astype(np.int64), 2, rows), 3, columns)
    means: Array = np.sign(sums) * ((np.abs(sums) + (1 << 19)) >> 20)
    return means.astype(np.int8)


def aligned(inputs: Sequence[Array], target: Tensor) -> list[Array]:
    """Samples on axis 0 stay there: the axes that broadcasting adds come behind it."""
    rank = len(target.shape)
    return [x.reshape(len(x), *(1,) * (rank + 1 - x.ndim), *x.shape[1:]) for x in inputs]


def _binary(operator: Binary, inputs: Sequence[Array], sources: Sequence[Tensor], target: Tensor) -> Array:
    a, b = aligned(inputs, target)
    levels = Level.of(sources[0]), Level.of(sources[1]), Level.of(target)
    limits = operator.minimum, operator.maximum
    match operator:
        case Add() | Subtract() if operator.rounding == ONNX:
            first, second = sum_tables(operator, sources[0], sources[1], target).astype(np.int64)
            sums = first[a.astype(np.intp) + 128] + second[b.astype(np.intp) + 128]
            factor, rounding = sum_parameters(operator, sources[0], sources[1], target)
            return host_linear.limited(host_linear.scaled_sums(sums, *factor, rounding), operator, target.zero_point)
        case Multiply() if operator.rounding == ONNX:
            products = (a.astype(np.int64) - levels[0].zero_point) * (b.astype(np.int64) - levels[1].zero_point)
            scales = np.array([levels[1].scale], np.float32)
            factor_of_all = factors(combined_scales(levels[0].scale, scales, target.scale, ONNX))
            scaled = host_linear.scaled_sums(products, *factor_of_all, Rounding.NEAREST_EVEN)
            return host_linear.limited(scaled, operator, target.zero_point)
        case Add():
            return elementwise.add(a, b, levels, *limits)
        case Subtract():
            return elementwise.subtract(a, b, levels, *limits)
    return elementwise.multiply(a, b, levels, *limits)
