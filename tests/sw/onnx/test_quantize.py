"""Scales and zero points read from ONNX."""

import numpy as np
import pytest
from onnx import TensorProto, numpy_helper
from weft.sw.errors import UserError
from weft.sw.graph import Lookup, OnnxNode, Requantize
from weft.sw.onnx.reader import read_onnx

from tests.sw.networks import evaluate
from tests.sw.onnx_models import Model, check, run_onnxruntime


def test_quantize_and_dequantize_to_another_scale():
    m = Model()
    x = m.pair(m.input((1, 2, 3, 4)))
    m.output(m.pair(x, 0.07, -20))
    model = m.make()
    check(model, (1, 2, 3, 4))
    assert [type(one) for one in read_onnx(model).operators if isinstance(one, Requantize | Lookup)] == [Requantize]


def test_without_a_zero_point_integers_are_uint8():
    m = Model()
    scale = m.constant(np.float32(0.04))
    x = m.node("DequantizeLinear", [m.node("QuantizeLinear", [m.input((1, 2, 3, 4)), scale]), scale])
    m.output(m.node("QuantizeLinear", [m.node("Relu", [x]), scale]), TensorProto.UINT8)
    found = check(m.make(), (1, 2, 3, 4))
    assert found[0].dtype == np.uint8
    assert found[0].max() > 100


def test_integers_may_get_another_scale():
    m = Model()
    q = m.quantize(m.input((1, 2, 3, 4)))
    m.output(m.pair(m.dequantize(q, 0.11, -4), 0.2))
    m.output(m.dequantize(q, 0.05))
    check(m.make(), (1, 2, 3, 4))


def test_an_input_of_integers_read_with_two_scales():
    m = Model()
    x = m.input((1, 2, 3, 4), TensorProto.INT8)
    m.output(m.pair(m.node("Relu", [m.dequantize(x, 0.11, -4)]), 0.2))
    m.output(m.pair(m.node("Relu", [m.dequantize(x, 0.05)]), 0.2))
    model, x = m.make(), np.random.default_rng(0).integers(-128, 128, (1, 2, 3, 4), dtype=np.int8)
    for found, wanted in zip(evaluate(read_onnx(model), x), run_onnxruntime(model, x), strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("axis", [1, -1])
def test_scales_per_channel_of_activations_are_for_the_host(axis):
    m = Model()
    scale = m.constant(np.array([0.05, 0.07, 0.02], np.float32))
    zero = m.constant(np.array([1, 2, 3], np.int8))
    x = m.input((1, 3, 5, 3))
    x = m.node("DequantizeLinear", [m.node("QuantizeLinear", [x, scale, zero], axis=axis), scale, zero], axis=axis)
    m.output(m.pair(m.node("Conv", [m.pair(x), m.weights((2, 3, 2, 2))]), 0.02))
    model = m.make()
    check(model, (1, 3, 5, 3))
    reasons = [one.reason for one in read_onnx(model).operators if isinstance(one, OnnxNode)]
    assert reasons == ["quantizes an activation per channel or block, supported is one scale per activation"] * 2


def test_weights_may_be_quantized_in_the_model():
    m = Model()
    scale, zero = m.constant(np.array([0.01, 0.02], np.float32)), m.constant(np.zeros(2, np.int8))
    w = m.constant(m.random.standard_normal((2, 3, 2, 2)).astype(np.float32) * 0.5)
    w = m.node("DequantizeLinear", [m.node("QuantizeLinear", [w, scale, zero], axis=0), scale, zero], axis=0)
    m.output(m.pair(m.node("Conv", [m.pair(m.input((1, 3, 5, 3))), w]), 0.07))
    model = m.make()
    check(model, (1, 3, 5, 3))
    assert not [one for one in read_onnx(model).operators if isinstance(one, OnnxNode)]


def with_scale(values):
    m = Model()
    names = [m.constant(np.asarray(value)) for value in values]
    m.output(m.node("QuantizeLinear", [m.input((1, 2, 3, 4)), *names]), TensorProto.INT8)
    return m.make(check=False)


@pytest.mark.parametrize("scale", [0.0, -0.5, np.inf, np.nan])
def test_scales_are_positive(scale):
    with pytest.raises(UserError, match="QuantizeLinear 'quantizelinear_3' has a scale that is not a positive"):
        read_onnx(with_scale([np.float32(scale), np.int8(0)]))


def test_scales_and_zero_points_come_in_pairs():
    with pytest.raises(UserError, match="has 1 scales and 2 zero points"):
        read_onnx(with_scale([np.float32(0.1), np.zeros(2, np.int8)]))


def test_int4_weights_are_refused():
    m = Model()
    m.initializers.append(numpy_helper.from_array(np.zeros((2, 3, 2, 2), np.int8), "w"))
    m.initializers[-1].data_type = TensorProto.INT4
    m.initializers[-1].raw_data = bytes(12)
    w = m.node("DequantizeLinear", ["w", m.constant(np.float32(0.1))])
    m.output(m.pair(m.node("Conv", [m.pair(m.input((1, 3, 5, 3))), w]), 0.07))
    with pytest.raises(UserError, match="has constants of type int4, supported are int8, uint8 and int32"):
        read_onnx(m.make(21))


def test_activations_of_16_bits_are_for_the_host():
    m = Model()
    scale, zero = m.constant(np.float32(0.001)), m.constant(np.int16(0))
    x = m.node("QuantizeLinear", [m.input((1, 3, 5, 3)), scale, zero])
    m.output(m.pair(m.node("DequantizeLinear", [x, scale, zero])))
    check(m.make(21), (1, 3, 5, 3))


@pytest.mark.parametrize("scale", [1e13, 1e-13])
def test_extreme_scales_are_for_the_host(scale):
    m = Model()
    m.output(m.pair(m.pair(m.input((1, 3, 5, 3)), scale, 0)))
    model = m.make()
    check(model, (1, 3, 5, 3))
    assert [one for one in read_onnx(model).operators if isinstance(one, OnnxNode)]
