"""Convolutions and matrix products with constant weights, from ONNX."""

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..graph import ONNX, Concat, Conv2D, FullyConnected, TransposeConv2D
from ..lowering import wide_weights
from .file import LARGEST_TENSOR
from .movement import sliced
from .node import SAME, Node, auto_pad, padding, pair, positions, with_rows
from .values import Constant, DeviceValue, Pending, Quantization, QuantizedConstant, Value
from .views import Shape, View, channels_last

BIAS_TOLERANCE = 1e-4
"""Relative difference up to which a bias' scale counts as input scale times weight scale."""

MOST_PRODUCTS = 64
"""Matrices that one MatMul multiplies by."""

LARGEST_KERNEL = 1 << 26
"""Weights of a transposed convolution, with the zeros between dilated ones and between groups."""

Linear = type[Conv2D] | type[FullyConnected] | type[TransposeConv2D]


def _weights(node: Node, index: int) -> QuantizedConstant:
    value = node.value(index)
    if isinstance(value, QuantizedConstant):
        node.need(
            value.integers.size > 0 and int(np.abs(value.integers).max()) < 256, "has weights of more than 9 bits"
        )
        return value
    if isinstance(value, Constant):
        raise node.error("has real weights, supported are quantized weights behind a DequantizeLinear")
    raise node.error("has weights that are computed, supported are constant weights")


def _weight_scales(node: Node, weights: QuantizedConstant, axis: int) -> NDArray[np.float32]:
    scales = weights.scales_along(axis)
    if scales is None:
        raise node.error("has weight scales along another axis than the output channels")
    return scales


def _bias(value: Value, count: int, scales: NDArray[np.float64], node: Node) -> NDArray[np.int32]:
    """The bias in units of `scales`: as it is if the model has it in them, else rounded."""
    if isinstance(value, QuantizedConstant):
        own = np.broadcast_to(value.scale.astype(np.float64), scales.shape) if value.scale.size in (1, count) else None
        if own is not None and value.integers.size == count and np.allclose(own, scales, rtol=BIAS_TOLERANCE, atol=0):
            return value.integers.reshape(-1).astype(np.int32)
        real = value.real
    elif isinstance(value, Constant):
        real = value.array.astype(np.float64)
    else:
        raise node.error("has a bias that is computed, supported is a constant bias")
    node.need(real.size in (1, count) and real.shape[-1:] in ((), (1,), (count,)), f"has a bias of shape {real.shape}")
    with np.errstate(all="ignore"):
        rounded = np.rint(np.broadcast_to(real.reshape(-1), (count,)) / scales)
    node.need(bool(np.all(np.abs(rounded) < 2.0**31)), "has a bias that does not fit in 32 bits at its inputs' scales")
    return rounded.astype(np.int32)


def _linear(
    node: Node,
    kind: Linear,
    source: DeviceValue,
    view: View,
    scales: NDArray[np.float32],
    weights: NDArray[Any],
    bias: Value,
    channel: int = 1,
    **values: Any,
) -> Pending:
    """A convolution or matrix product that waits for its output scale; `view` is that of its result."""
    reader = node.reader
    units = np.float64(source.quantization.scale) * scales.astype(np.float64)
    integers = _bias(bias, len(scales), units, node)

    def emit(quantization: Quantization, low: int, high: int) -> DeviceValue:
        tensor, settings = _narrow(node, source.tensor, weights, values)
        made = reader.add(
            kind,
            [tensor],
            reader.int8(node.output, view.stored, quantization),
            name=node.name,
            bias=integers,
            weight_scales=scales,
            rounding=ONNX,
            minimum=low,
            maximum=high,
            **settings,
        )
        return DeviceValue(made, view, quantization, False, real=False)

    def with_bias(added: NDArray[np.float64]) -> Pending:
        total = Constant(integers * units + added)
        return _linear(node, kind, source, view, scales, weights, total, channel, **values)

    return Pending(emit, view.shape, node.text, with_bias=with_bias, channel=channel)


def _narrow(node: Node, tensor: str, weights: NDArray[Any], values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """What a linear operator reads, and its settings: where weights are wider than int8, its input is repeated."""
    copies = wide_weights.copies_for(weights)
    narrow = wide_weights.spread(weights, copies)
    if copies > 1:
        reader = node.reader
        shape = reader.tensors[tensor].shape
        image = reader.reshape(tensor, f"{node.output}.image", wide_weights.image_of(shape))
        target = reader.like(
            f"{node.output}.copies", image, wide_weights.repeated_shape(wide_weights.image_of(shape), copies)
        )
        settings = wide_weights.repeating(shape[-1], copies, ONNX)
        copied = reader.add(Conv2D, [image], target, name=f"{node.name}.copies", **settings)
        tensor = reader.reshape(copied, f"{node.output}.copied", wide_weights.repeated_shape(shape, copies))
    return tensor, {**values, "weights": narrow}


def _image_and_kernel(node: Node) -> tuple[DeviceValue, NDArray[np.int64], QuantizedConstant, Shape]:
    """An image of four axes, the weights with as many, as they are, and ONNX's shape of the input; one spatial axis
    counts as the columns of one row."""
    source = node.image()
    node.need(source.real, "reads integers, expected a DequantizeLinear")
    weights = _weights(node, 1)
    rank = len(source.shape)
    node.need(rank in (3, 4), f"has an input of {rank} axes, supported are 3 and 4")
    node.demand(len(weights.shape) == rank, f"has weights of {len(weights.shape)} axes for an input of {rank}")
    kernel = weights.integers if rank == 4 else weights.integers[:, :, None]
    return with_rows(node, source), kernel, weights, source.shape


def _without_rows(node: Node, pending: Pending, shape: Shape) -> Pending:
    """The result of a convolution on an input of `shape`, where one spatial axis was the columns of one row."""
    if len(shape) == 4:
        return pending
    n, count, _, columns = pending.shape
    return _shaped(node, pending, (n, count, columns), 1)


def conv(node: Node) -> Value:
    """Conv: one- or two-dimensional, any kernel, stride, padding, dilation and groups."""
    source, kernels, weights, shape = _image_and_kernel(node)
    count, inputs, *kernel = kernels.shape
    groups = node.integer("group", 1)
    size = (source.shape[2], source.shape[3])
    node.demand(
        groups >= 1 and inputs * groups == source.shape[1] and count % groups == 0,
        f"has weights for {inputs * groups} input channels in {groups} groups, and its input has {source.shape[1]}",
    )
    stated = node.integers("kernel_shape", weights.shape[2:])
    node.demand(stated == weights.shape[2:], f"has kernel_shape {list(stated)} and weights of {list(weights.shape)}")
    stride = pair(node, "strides", (1, 1))
    dilation = pair(node, "dilations", (1, 1))
    pads = padding(node, size, (kernel[0], kernel[1]), stride, dilation)
    out = [positions(size[i], pads[i], pads[i + 2], (kernel[i] - 1) * dilation[i] + 1, stride[i]) for i in range(2)]
    node.demand(min(out) >= 1, f"has a kernel that is larger than its padded input of {size[0]}x{size[1]}")
    padded = (size[0] + pads[0] + pads[2]) * (size[1] + pads[1] + pads[3]) * source.shape[1]
    node.demand(max(padded, out[0] * out[1] * count) <= LARGEST_TENSOR, f"pads its input to {padded} elements")
    pending = _linear(
        node,
        Conv2D,
        source,
        View.ordered((1, count, out[0], out[1]), channels_last(4)),
        _weight_scales(node, weights, 0),
        np.ascontiguousarray(kernels.transpose(0, 2, 3, 1)),
        node.value(2) if node.has(2) else Constant(np.zeros(1)),
        stride=stride,
        padding=pads,
        dilation=dilation,
        groups=groups,
    )
    return _without_rows(node, pending, shape)


def conv_transpose(node: Node) -> Value:
    """ConvTranspose: one- or two-dimensional, any kernel, stride, padding, dilation and groups."""
    source, kernels, weights, shape = _image_and_kernel(node)
    inputs, each, *kernel = kernels.shape
    groups = node.integer("group", 1)
    count = each * groups
    node.demand(
        groups >= 1 and inputs == source.shape[1] and inputs % groups == 0,
        f"has weights for {inputs} input channels in {groups} groups, and its input has {source.shape[1]}",
    )
    stride, dilation = pair(node, "strides", (1, 1)), pair(node, "dilations", (1, 1))
    spans = [(kernel[i] - 1) * dilation[i] + 1 for i in range(2)]
    node.need(spans[0] * spans[1] * inputs * count <= LARGEST_KERNEL, "has a kernel that is too large")
    before, out = _spread_over(node, (source.shape[2], source.shape[3]), spans, stride)
    node.demand(min(out) >= 1 and out[0] * out[1] * count <= LARGEST_TENSOR, f"makes {out[0]}x{out[1]} pixels")
    # Zeros between dilated weights, and between groups, whose weights are of the channels of their group.
    dense = np.zeros((count, *spans, inputs), kernels.dtype)
    for group in range(groups):
        some = kernels[group * (inputs // groups) : (group + 1) * (inputs // groups)]
        rows = (
            slice(group * each, (group + 1) * each),
            slice(group * (inputs // groups), (group + 1) * (inputs // groups)),
        )
        dense[rows[0], :: dilation[0], :: dilation[1], rows[1]] = some.transpose(1, 2, 3, 0)
    scales = _weight_scales(node, weights, 1)
    pending = _linear(
        node,
        TransposeConv2D,
        source,
        View.ordered((1, count, *out), channels_last(4)),
        np.tile(scales, groups),
        dense,
        node.value(2) if node.has(2) else Constant(np.zeros(1)),
        stride=stride,
        before=before,
    )
    return _without_rows(node, pending, shape)


def _spread_over(
    node: Node, size: tuple[int, int], spans: list[int], stride: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Cells cut off at the top and left, and the size of the result. Source: ONNX, ConvTranspose."""
    extra = node.integers("output_padding", (0, 0))
    extra = (0, *extra) if len(extra) == 1 else extra
    wanted = node.integers("output_shape", ())
    auto = auto_pad(node)
    node.demand(len(extra) == 2 and min(extra) >= 0, f"has output_padding {list(extra)}")
    whole = [stride[i] * (size[i] - 1) + extra[i] + spans[i] for i in range(2)]
    if auto in SAME and not wanted:
        wanted = (size[0] * stride[0], size[1] * stride[1])
    if wanted:
        wanted = wanted[-2:] if len(wanted) > 1 else (1, *wanted)
        total = [whole[i] - wanted[i] for i in range(2)]
        node.need(min(total) >= 0, f"has output_shape {list(wanted)}, which is more than {whole}")
        before = [n // 2 if auto == "SAME_UPPER" else n - n // 2 for n in total]
        return (before[0], before[1]), (wanted[0], wanted[1])
    pads = padding(node, size, (1, 1), (1, 1), (1, 1))
    out = [whole[i] - pads[i] - pads[i + 2] for i in range(2)]
    return (pads[0], pads[1]), (out[0], out[1])


def _product(
    node: Node, source: DeviceValue, matrix: NDArray[np.int64], scales: NDArray[np.float32], bias: Value
) -> Pending:
    """Rows of `source` times a matrix of (outputs, inputs)."""
    count, inputs = matrix.shape
    reader, shape = node.reader, source.shape
    node.demand(len(shape) >= 1 and shape[-1] == inputs, f"has weights for {inputs} inputs, and its input has {shape}")
    made, rows = (*shape[:-1], count), prod(shape[:-1])
    node.need(len(made) >= 2, f"has an input of shape {shape}, supported are two axes and more")
    view = source.view
    if rows == 1 and view.folded and prod(view.image) == inputs:
        # What ONNX flattened in its own order is put right in the weights.
        matrix = matrix.reshape(count, *view.image).transpose(0, *(axis + 1 for axis in view.order))
        matrix = matrix.reshape(count, inputs)
        flat = source.tensor
    else:
        flat = reader.plain(source, f"{node.output}.plain").tensor
    flat = reader.reshape(flat, f"{node.output}.rows", (rows, inputs))
    pending = _linear(
        node,
        FullyConnected,
        replace(source, tensor=flat, view=View.plain((rows, inputs))),
        View.plain((rows, count)),
        scales,
        np.ascontiguousarray(matrix),
        bias,
    )
    return _shaped(node, pending, made, len(made) - 1)


def _shaped(node: Node, pending: Pending, shape: Shape, channel: int) -> Pending:
    """The result of a convolution or product under another shape, whose axis of output channels is `channel`."""
    reader, before = node.reader, pending.with_bias
    assert before is not None
    return Pending(
        lambda *levels: reader.reshaped(pending.emit(*levels), f"{node.output}.shape", shape),
        shape,
        pending.text,
        with_bias=lambda added: _shaped(node, before(added), shape, channel),
        channel=channel,
    )


def gemm(node: Node) -> Value:
    """Gemm: an activation times constant weights, plus a constant."""
    for name, wanted in (("alpha", 1.0), ("beta", 1.0), ("transA", 0)):
        found = node.number(name, wanted)
        node.need(found == wanted, f"has {name} {found}, supported is {wanted}")
    weights = _weights(node, 1)
    node.demand(len(weights.shape) == 2, f"has weights of {len(weights.shape)} axes, expected 2")
    transposed = bool(node.integer("transB", 0))
    return _product(
        node,
        node.real(0),
        weights.integers if transposed else weights.integers.T,
        _weight_scales(node, weights, 0 if transposed else 1),
        node.value(2) if node.has(2) else Constant(np.zeros(1)),
    )


def matmul(node: Node) -> Value:
    """MatMul: an activation times constant weights, one matrix or one for each of the input's."""
    source, weights = node.real(0), _weights(node, 1)
    node.need(len(weights.shape) >= 2, f"has weights of {len(weights.shape)} axes, supported are 2 and more")
    *outer, inputs, count = weights.shape
    scales = _weight_scales(node, weights, -1)
    bias = Constant(np.zeros(1))
    if prod(outer) == 1:
        rank = max(len(source.shape), len(weights.shape))
        shape = (1,) * (rank - len(source.shape)) + source.shape
        wide = node.reader.reshaped(source, f"{node.output}.axes", shape)
        return _product(node, wide, weights.integers.reshape(inputs, count).T, scales, bias)
    node.need(
        tuple(outer) == source.shape[:-2] and prod(outer) <= MOST_PRODUCTS,
        f"multiplies {source.shape} by matrices of {weights.shape}, supported are {MOST_PRODUCTS} on the same axes",
    )
    batch, rows = prod(outer), source.shape[-2]
    node.demand(source.shape[-1] == inputs, f"has weights for {inputs} inputs, and its input has {source.shape}")
    flat = node.reader.plain(node.reader.reshaped(source, f"{node.output}.batch", (batch, rows, inputs)), node.output)
    products = []
    for index, matrix in enumerate(weights.integers.reshape(batch, inputs, count)):
        one = sliced(node, flat, (index, 0, 0), (1, 1, 1), (1, rows, inputs), f"{node.output}.{index}")
        products.append(_product(node, one, matrix.T, scales, bias))

    def emit(quantization: Quantization, low: int, high: int) -> DeviceValue:
        reader = node.reader
        parts = [reader.plain(one.emit(quantization, low, high), node.output).tensor for one in products]
        target = reader.int8(node.output, (batch, rows, count), quantization)
        joined = reader.add(Concat, parts, target, name=f"{node.name}.joined", axis=0)
        view = View.plain((batch, rows, count))
        made = DeviceValue(joined, view, quantization, False, real=False)
        return reader.reshaped(made, f"{node.output}.shape", (*outer, rows, count))

    return Pending(emit, (*outer, rows, count), node.text)
