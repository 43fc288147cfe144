"""Convolutions, matrix products, pooling and reductions."""

import numpy as np

from tests.sw.tflite_case import NONE, RELU, RELU6, RELU_N1_TO_1, SAME, VALID, case


def _conv(m, size, kernel, outputs, stride=(1, 1), padding=SAME, dilation=(1, 1), groups=1, activation=NONE, **weights):
    x = m.tensor((1, *size))
    shape = (outputs, *kernel, size[2] // groups)
    w, b, scale = m.weights(shape, 0, x, outputs, **weights)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    out = [-(-(size[i] - (spans[i] - 1 if padding == VALID else 0)) // stride[i]) for i in range(2)]
    y = m.tensor((1, *out, outputs), scale)
    m.model.add(
        "CONV_2D",
        [x, w, b],
        y,
        "Conv2DOptions",
        Padding=padding,
        StrideH=stride[0],
        StrideW=stride[1],
        DilationHFactor=dilation[0],
        DilationWFactor=dilation[1],
        FusedActivationFunction=activation,
    )
    return m.case([x], [y])


case("conv 3x3 same", size=(5, 6, 3), kernel=(3, 3), outputs=4, unsigned=True)(_conv)
case("conv 3x3 relu", size=(6, 7, 3), kernel=(3, 3), outputs=4, stride=(2, 2), activation=RELU)(_conv)
case("conv relu6", size=(6, 7, 3), kernel=(1, 3), outputs=4, per_channel=False, activation=RELU6)(_conv)
case("conv 15x1 valid", size=(20, 2, 2), kernel=(15, 1), outputs=3, padding=VALID, stride=(2, 1))(_conv)
case("conv 10x4 stride 2", size=(13, 10, 1), kernel=(10, 4), outputs=5, stride=(2, 2), unsigned=True)(_conv)
case("conv dilation", size=(9, 8, 2), kernel=(3, 2), outputs=3, dilation=(2, 3), activation=RELU_N1_TO_1)(_conv)
case("conv groups", size=(4, 4, 6), kernel=(2, 2), outputs=9, groups=3)(_conv)
case("conv weight zero point", signed=False, size=(4, 4, 3), kernel=(2, 2), outputs=3, zero_point=121)(_conv)
case("conv wide weights", signed=False, size=(5, 4, 3), kernel=(3, 2), outputs=3, zero_point=151, wide=True)(_conv)
case("conv weights without zero", signed=False, size=(5, 4, 3), kernel=(3, 2), outputs=3, zero_point=0, wide=True)(
    _conv
)


def _depthwise(m, size, kernel, multiplier, stride=(1, 1), padding=SAME, dilation=(1, 1), activation=NONE, **weights):
    x = m.tensor((1, *size))
    outputs = size[2] * multiplier
    w, b, scale = m.weights((1, *kernel, outputs), 3, x, outputs, **weights)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    out = [-(-(size[i] - (spans[i] - 1 if padding == VALID else 0)) // stride[i]) for i in range(2)]
    y = m.tensor((1, *out, outputs), scale)
    m.model.add(
        "DEPTHWISE_CONV_2D",
        [x, w, b],
        y,
        "DepthwiseConv2DOptions",
        Padding=padding,
        StrideH=stride[0],
        StrideW=stride[1],
        DilationHFactor=dilation[0],
        DilationWFactor=dilation[1],
        DepthMultiplier=multiplier,
        FusedActivationFunction=activation,
    )
    return m.case([x], [y])


case("depthwise 3x3", size=(5, 6, 4), kernel=(3, 3), multiplier=1, activation=RELU6, unsigned=True)(_depthwise)
case("depthwise multiplier", size=(7, 6, 1), kernel=(4, 3), multiplier=8, stride=(2, 2))(_depthwise)
case("depthwise 2 x 3", size=(7, 6, 2), kernel=(2, 3), multiplier=3, padding=VALID, unsigned=True)(_depthwise)
case("depthwise wide weights", signed=False, size=(5, 6, 3), kernel=(3, 2), multiplier=2, zero_point=90, wide=True)(
    _depthwise
)
case("depthwise dilation", size=(8, 8, 3), kernel=(3, 3), multiplier=1, dilation=(2, 2), activation=RELU)(_depthwise)


def _fully_connected(m, shape, outputs, per_channel=False, bias=True, keep=False, activation=NONE, **weights):
    x = m.tensor(shape)
    w, b, scale = m.weights((outputs, shape[-1]), 0, x, outputs, per_channel=per_channel, **weights)
    y = m.tensor((*shape[:-1], outputs) if keep else (int(np.prod(shape[:-1])), outputs), scale)
    m.model.add(
        "FULLY_CONNECTED",
        [x, w, b if bias else -1],
        y,
        "FullyConnectedOptions",
        version=4,
        KeepNumDims=keep,
        FusedActivationFunction=activation,
    )
    return m.case([x], [y], samples=20)


case("fully connected", shape=(1, 37), outputs=11, activation=RELU, unsigned=True)(_fully_connected)
case("fully connected per channel", shape=(1, 20), outputs=9, per_channel=True)(_fully_connected)
case("fully connected without bias", shape=(1, 20), outputs=9, bias=False)(_fully_connected)
case("fully connected wide weights", signed=False, shape=(3, 20), outputs=9, zero_point=203, wide=True)(
    _fully_connected
)
case("fully connected rows", shape=(1, 5, 12), outputs=6)(_fully_connected)
case("fully connected rows kept", shape=(1, 5, 12), outputs=6, keep=True, unsigned=True)(_fully_connected)


@case("fully connected float32 product", unsigned=True)
def _float32_product(m):
    """Biases at which a product of scales in float32 and one in float64 give different results."""
    zero = m.low + 128
    x, w = m.tensor((1, 4), 0.0126499, zero), m.model.constant(np.full((64, 4), zero, m.dtype), 0.00109, zero)
    scales = np.float32(0.0126499), np.float32(0.00109)
    out = np.float32(scales[0] * scales[1] * 2**21 / np.float32(1.3))
    single = np.float64(scales[0] * scales[1]) / np.float64(out)
    double = np.float64(scales[0]) * np.float64(scales[1]) / np.float64(out)
    # Ties of one are not ties of the other.
    ties = np.arange(-64, 64) + 0.5
    between = [np.floor(tie / single).astype(np.int64) + np.arange(-3, 4) for tie in ties]
    biases = np.concatenate(between)
    differs = np.floor(biases * single + 0.5) != np.floor(biases * double + 0.5)
    chosen = np.concatenate([biases[differs], biases[~differs]])[:64]
    b = m.model.constant(chosen.astype(np.int32), scales[0] * scales[1])
    y = m.tensor((1, 64), out, zero)
    m.model.add("FULLY_CONNECTED", [x, w, b], y, "FullyConnectedOptions")
    return m.case([x], [y], samples=1)


def _transpose_conv(m, size, kernel, outputs, out, stride, padding=SAME, bias=True, per_channel=True, **weights):
    x = m.tensor((1, *size))
    w, b, scale = m.weights((outputs, *kernel, size[2]), 0, x, outputs, per_channel=per_channel, **weights)
    y = m.tensor((1, *out, outputs), scale)
    shape = m.model.constant(np.array((1, *out, outputs), np.int32))
    m.model.add(
        "TRANSPOSE_CONV",
        [shape, w, x, *([b] if bias else [])],
        y,
        "TransposeConvOptions",
        version=3 if bias else 2,
        Padding=padding,
        StrideH=stride[0],
        StrideW=stride[1],
    )
    return m.case([x], [y])


case("transpose conv", size=(4, 5, 3), kernel=(3, 3), outputs=4, out=(8, 10), stride=(2, 2), unsigned=True)(
    _transpose_conv
)
WIDE = {"zero_point": 100, "wide": True}
case(
    "transpose conv wide weights", False, size=(4, 5, 3), kernel=(3, 3), outputs=4, out=(8, 10), stride=(2, 2), **WIDE
)(_transpose_conv)
case("transpose conv valid", size=(3, 4, 2), kernel=(2, 4), outputs=3, out=(6, 13), stride=(2, 3), padding=VALID)(
    _transpose_conv
)
case("transpose conv odd", size=(3, 4, 2), kernel=(2, 2), outputs=3, out=(8, 7), stride=(3, 2), bias=False)(
    _transpose_conv
)


def _batch_matmul(m, shape, outputs, transposed):
    x = m.tensor(shape)
    w = m.model.constant(m.values((outputs, shape[-1]) if transposed else (shape[-1], outputs)), 0.004, 0)
    y = m.tensor((*shape[:-1], outputs), m.scale_of(x) * 0.004 * 300)
    m.model.add("BATCH_MATMUL", [x, w], y, "BatchMatMulOptions", version=2, AdjY=transposed)
    return m.case([x], [y])


case("batch matmul", shape=(1, 5, 12), outputs=7, transposed=False)(_batch_matmul)
case("batch matmul transposed", shape=(1, 5, 12), outputs=7, transposed=True)(_batch_matmul)


def _pool(m, code, size, window, stride, padding=SAME, activation=NONE):
    x = m.tensor((1, *size))
    out = [-(-(size[i] - (window[i] - 1 if padding == VALID else 0)) // stride[i]) for i in range(2)]
    y = m.like((1, *out, size[2]), x)
    m.model.add(
        code,
        [x],
        y,
        "Pool2DOptions",
        Padding=padding,
        StrideH=stride[0],
        StrideW=stride[1],
        FilterHeight=window[0],
        FilterWidth=window[1],
        FusedActivationFunction=activation,
    )
    return m.case([x], [y])


for _code, _name in (("MAX_POOL_2D", "max pool"), ("AVERAGE_POOL_2D", "average pool")):
    case(f"{_name} 2x2", code=_code, size=(6, 5, 3), window=(2, 2), stride=(2, 2), unsigned=True)(_pool)
    case(f"{_name} 3x4 relu", code=_code, size=(6, 9, 3), window=(3, 4), stride=(1, 2), activation=RELU, unsigned=True)(
        _pool
    )
    case(f"{_name} valid", code=_code, size=(6, 8, 3), window=(6, 4), stride=(1, 3), padding=VALID)(_pool)


def _reduce(m, code, shape, axes, keep, same=False):
    x = m.tensor(shape)
    out = np.zeros(shape).sum(axis=tuple(axes), keepdims=keep).shape
    y = m.like(out, x) if same else m.tensor(out, m.scale_of(x) * 0.6)
    m.model.add(code, [x, m.model.constant(np.array(axes, np.int32))], y, "ReducerOptions", version=2, KeepDims=keep)
    return m.case([x], [y], samples=10)


case("mean image", code="MEAN", shape=(1, 4, 5, 9), axes=(1, 2), keep=True, unsigned=True)(_reduce)
case("mean image same scale", code="MEAN", shape=(1, 7, 7, 9), axes=(2, 1), keep=False, same=True)(_reduce)
case("mean rows", code="MEAN", shape=(1, 4, 6, 9), axes=(1,), keep=True, unsigned=True)(_reduce)
case("mean columns", code="MEAN", shape=(1, 4, 6, 9), axes=(2,), keep=False)(_reduce)
case("mean channels", code="MEAN", shape=(1, 4, 6, 9), axes=(-1,), keep=True)(_reduce)
case("mean time", code="MEAN", shape=(1, 12, 9), axes=(1,), keep=False)(_reduce)
case("reduce max", code="REDUCE_MAX", shape=(1, 4, 5, 9), axes=(1, 2), keep=False, same=True, unsigned=True)(_reduce)
