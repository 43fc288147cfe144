"""Convolutions and products read from ONNX: their value by the golden model against ONNX Runtime's."""

import numpy as np
import pytest
from weft.sw.errors import UserError
from weft.sw.onnx_reader import read_onnx

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


def test_two_operators_without_quantization_between_are_refused():
    m = Model()
    y = m.node("Conv", [m.pair(m.input((1, 2, 6, 6))), m.weights((3, 2, 2, 2))])
    m.output(m.pair(m.node("Conv", [y, m.weights((3, 3, 2, 2))])))
    with pytest.raises(UserError, match=r"reads the unquantized result of Conv .*, expected a QuantizeLinear between"):
        read_onnx(m.make())


def test_unquantized_operators_are_refused():
    m = Model()
    m.output(m.node("Conv", [m.input((1, 2, 6, 6)), m.constant(np.ones((3, 2, 2, 2), np.float32))]))
    with pytest.raises(
        UserError, match="Conv 'conv_2' is supported only on int8 activations, and 'x' is not quantized"
    ):
        read_onnx(m.make())


def test_weights_with_a_zero_point_are_refused():
    m = Model()
    w = m.constant(np.full((3, 2, 2, 2), 255, np.uint8))
    w = m.node("DequantizeLinear", [w, m.constant(np.float32(1)), m.constant(np.uint8(7))])
    m.output(m.pair(m.node("Conv", [m.pair(m.input((1, 2, 6, 6))), w])))
    with pytest.raises(UserError, match="has weights from 0 to 248 about their zero point, supported is int8"):
        read_onnx(m.make())
