"""Convolutions and products read from ONNX: their value by the golden model against ONNX Runtime's."""

import numpy as np
import pytest
from weft.sw.graph import FullyConnected, OnnxNode
from weft.sw.onnx.reader import read_onnx

from tests.sw.networks import evaluate
from tests.sw.onnx_models import Model, check, run_onnxruntime


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize(
    "shape, weights, attributes",
    [
        ((1, 3, 7, 9), (5, 3, 3, 3), {}),
        ((1, 3, 7, 9), (5, 3, 3, 2), {"pads": [1, 2, 0, 1], "strides": [2, 1]}),
        ((1, 4, 8, 8), (6, 2, 3, 3), {"group": 2, "dilations": [2, 1], "auto_pad": "NOTSET"}),
        ((1, 4, 9, 8), (4, 1, 3, 3), {"group": 4, "auto_pad": "SAME_UPPER", "strides": [2, 2]}),
        ((1, 4, 9, 8), (4, 4, 4, 4), {"auto_pad": "SAME_LOWER"}),
        ((1, 4, 9, 8), (4, 4, 2, 2), {"auto_pad": "VALID", "kernel_shape": [2, 2]}),
    ],
    ids=str,
)
def test_conv(shape, weights, attributes, per_channel, dtype):
    m = Model(1)
    zero_point = 3 if dtype == np.int8 else 120
    x = m.pair(m.input(shape), 0.05, zero_point, dtype)
    w = m.weights(weights, per_channel=per_channel, dtype=dtype)
    y = m.node("Conv", [x, w, m.quantized_bias(w)], **attributes)
    m.output(m.pair(y, 0.02, zero_point, dtype))
    (values,) = check(m.make(), shape)
    assert len(np.unique(values)) > 20


def test_conv_without_bias():
    m = Model()
    y = m.node("Conv", [m.pair(m.input((1, 1, 4, 4))), m.weights((2, 1, 3, 3))])
    m.output(m.pair(y, 0.02))
    check(m.make(), (1, 1, 4, 4))


@pytest.mark.parametrize("transposed", [0, 1])
def test_gemm(transposed):
    m = Model(2)
    x = m.pair(m.input((1, 20)))
    w = m.weights((7, 20) if transposed else (20, 7), axis=0 if transposed else 1)
    y = m.node("Gemm", [x, w], transB=transposed)
    m.output(m.pair(y, 0.03, -7))
    check(m.make(), (1, 20))


@pytest.mark.parametrize("shape", [(1, 20), (1, 3, 20)])
def test_matmul_and_bias(shape):
    m = Model(3)
    y = m.node("MatMul", [m.pair(m.input(shape)), m.weights((20, 7), axis=1)])
    y = m.node("Add", [m.constant(np.zeros(7, np.float32)), y])
    m.output(m.pair(y, 0.03, -7))
    check(m.make(), shape)


def test_bias_of_a_conv_may_come_as_an_add():
    m = Model(3)
    y = m.node("Conv", [m.pair(m.input((1, 2, 4, 4))), m.weights((3, 2, 3, 3))])
    bias = np.array([0.7, -1.3, 2.0], np.float32)
    m.output(m.pair(m.node("Add", [y, m.constant(bias.reshape(3, 1, 1))]), 0.02))
    x = np.random.default_rng(0).uniform(-5, 5, (1, 2, 4, 4)).astype(np.float32)
    model = m.make()
    # The bias is rounded to the sums' units, which moves a result by one level at most.
    difference = evaluate(read_onnx(model), x)[0] - run_onnxruntime(model, x)[0]
    assert np.abs(difference).max() <= 0.02 * 1.001


@pytest.mark.parametrize("zero_point", [0, 7, 255])
@pytest.mark.parametrize("group", [1, 2, 4])
def test_weights_of_nine_bits(zero_point, group):
    m = Model(9)
    values = m.random.integers(0, 256, (8, 4 // group, 3, 2)).astype(np.uint8)
    values.flat[:2] = 0, 255
    w = [m.constant(values), m.constant(np.float32(0.004)), m.constant(np.uint8(zero_point))]
    y = m.node("Conv", [m.pair(m.input((1, 4, 6, 5))), m.node("DequantizeLinear", w)], group=group, pads=[1, 0, 1, 1])
    m.output(m.pair(y, 0.2971, -20 if zero_point else -100))
    (found,) = check(m.make(), (1, 4, 6, 5))
    assert len(np.unique(found)) > 10


def test_product_with_weights_of_nine_bits():
    m = Model(9)
    w = m.constant(m.random.integers(0, 256, (20, 7)).astype(np.uint8))
    w = m.node("DequantizeLinear", [w, m.constant(np.float32(0.01)), m.constant(np.uint8(100))])
    m.output(m.pair(m.node("MatMul", [m.pair(m.input((1, 3, 20))), w]), 0.3, 5))
    check(m.make(), (1, 3, 20))


@pytest.mark.parametrize("attributes", [{}, {"pads": [2, 1], "strides": [2]}, {"dilations": [3], "group": 2}], ids=str)
def test_convolution_along_one_axis(attributes):
    m = Model(1)
    w = m.weights((6, 4 // attributes.get("group", 1), 3))
    y = m.node("Conv", [m.pair(m.input((1, 4, 11))), w, m.quantized_bias(w)], **attributes)
    m.output(m.pair(m.node("Add", [y, m.constant(np.zeros((6, 1), np.float32))]), 0.02))
    check(m.make(), (1, 4, 11))


@pytest.mark.parametrize(
    "weights, attributes",
    [
        ((3, 5, 3, 3), {}),
        ((3, 5, 2, 2), {"strides": [2, 2]}),
        ((3, 5, 3, 4), {"strides": [2, 3], "pads": [1, 0, 1, 2]}),
        ((3, 5, 3, 3), {"strides": [3, 2], "output_padding": [1, 1]}),
        ((3, 5, 2, 3), {"strides": [2, 2], "output_shape": [8, 12]}),
        ((3, 5, 3, 3), {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
        ((3, 5, 3, 3), {"strides": [2, 2], "auto_pad": "SAME_LOWER"}),
        ((3, 5, 3, 3), {"dilations": [2, 1]}),
        ((3, 2, 3, 3), {"group": 3, "strides": [2, 1]}),
    ],
    ids=str,
)
def test_transposed_convolution(weights, attributes):
    m = Model(1)
    per_channel = "group" not in attributes
    w = m.weights(weights, axis=1, per_channel=per_channel)
    y = m.node("ConvTranspose", [m.pair(m.input((1, 3, 4, 6))), w], **attributes)
    m.output(m.pair(y, 0.02, -7))
    check(m.make(), (1, 3, 4, 6))


def test_one_matrix_for_each_of_the_input():
    m = Model(3)
    w = m.weights((2, 3, 20, 7), axis=3)
    m.output(m.pair(m.node("MatMul", [m.pair(m.input((2, 3, 5, 20))), w]), 0.03, -7))
    model, x = m.make(), np.random.default_rng(0).uniform(-5, 5, (2, 3, 5, 20)).astype(np.float32)
    (found,) = evaluate(read_onnx(model), x[None])
    np.testing.assert_array_equal(found[0], run_onnxruntime(model, x)[0])


def test_weights_may_be_turned_behind_their_dequantization():
    m = Model(3)
    w = m.node("Transpose", [m.weights((7, 20), axis=0)], perm=[1, 0])
    m.output(m.pair(m.node("MatMul", [m.pair(m.input((1, 20))), w]), 0.03, -7))
    graph = check_on_device(m.make(), (1, 20))
    (product,) = (one for one in graph.operators if isinstance(one, FullyConnected))
    assert len(set(product.weight_scales.tolist())) == 7


def check_on_device(model, shape):
    """As `check`, and no node is left to the host."""
    check(model, shape)
    graph = read_onnx(model)
    assert not [one for one in graph.operators if isinstance(one, OnnxNode)]
    return graph


ON_HOST = {
    "reads the unquantized result of Conv 'conv_12', expected a QuantizeLinear between them": "twice",
    "reads 'x', which is not quantized, supported is int8": "real",
    "has real weights, supported are quantized weights behind a DequantizeLinear": "weights",
    "has weights that are computed, supported are constant weights": "computed",
}


@pytest.mark.parametrize("reason", ON_HOST)
def test_what_is_not_quantized_is_for_the_host(reason):
    m = Model()
    x = m.input((1, 2, 3, 3))
    real = m.constant(m.random.standard_normal((2, 2, 3, 3)).astype(np.float32))
    match ON_HOST[reason]:
        case "twice":
            w = m.weights((2, 2, 3, 3))
            y = m.node("Conv", [m.node("Conv", [m.pair(x), w], pads=[1, 1, 1, 1]), w])
        case "real":
            y = m.node("Conv", [x, real])
        case "weights":
            y = m.node("Conv", [m.pair(x), real])
        case "computed":
            y = m.node("Conv", [m.pair(x), m.node("Concat", [m.pair(x), m.pair(x)], axis=0)])
    m.output(m.pair(y, 0.7))
    model = m.make()
    check(model, (1, 2, 3, 3))
    assert reason in [one.reason for one in read_onnx(model).operators if isinstance(one, OnnxNode)]
