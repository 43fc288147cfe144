"""Convolutions and products as the graph has them; tests/sw/test_tflite_reference.py has what they compute."""

import numpy as np
import pytest
from weft.gen.presets import load_config
from weft.sim.transports import MachineTransport
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.driver import Device
from weft.sw.errors import UserError
from weft.sw.graph import TFLITE, TFLITE32, Conv2D, Reshape, TransposeConv2D
from weft.sw.host.multiplier import combined_scales
from weft.sw.program import Program
from weft.sw.tflite.reader import read_tflite

from tests.sw.networks import evaluate
from tests.sw.tflite_cases import CASES
from tests.sw.tflite_models import Model


def only(name):
    (operator,) = (one for one in read(name).operators if hasattr(one, "weights"))
    return operator


def read(name):
    return read_tflite(CASES[name]().model, name)


def test_depthwise_is_a_convolution_in_groups():
    operator = only("depthwise 2 x 3 int8")
    assert (operator.groups, operator.weights.shape) == (2, (6, 2, 3, 1))
    assert operator.weight_scales.shape == (6,)


def test_depth_multiplier_of_one_channel():
    operator = only("depthwise multiplier int8")
    assert (operator.groups, operator.weights.shape, operator.stride) == (1, (8, 4, 3, 1), (2, 2))
    assert operator.padding == (1, 0, 2, 1)


def test_groups_follow_from_the_weights():
    assert only("conv groups int8").groups == 3


@pytest.mark.parametrize(
    "name, rounding",
    [
        ("conv relu6 int8", TFLITE),
        ("conv 3x3 same int8", TFLITE),
        ("conv 3x3 same uint8", TFLITE32),
        ("fully connected int8", TFLITE32),
        ("fully connected per channel int8", TFLITE),
        ("fully connected uint8", TFLITE32),
        ("batch matmul int8", TFLITE32),
        ("transpose conv int8", TFLITE),
    ],
)
def test_rounding(name, rounding):
    assert only(name).rounding == rounding


def test_the_compiler_knows_both_products_of_scales():
    source, weights, target = 0.0126499, np.array([0.00109], np.float32), 22.2
    source, target = float(np.float32(source)), float(np.float32(target))
    double = combined_scales(source, weights, target, TFLITE)
    single = combined_scales(source, weights, target, TFLITE32)
    assert double[0] == source * float(weights[0]) / target
    assert single[0] == float(np.float32(source) * weights[0]) / target
    assert double[0] != single[0]


def test_weights_about_another_zero_point_are_moved():
    operator = only("conv weight zero point uint8")
    case = CASES["conv weight zero point uint8"]
    assert operator.weights.dtype == np.int8
    assert operator.weights.min() >= -128
    assert case is not None


def test_rows_are_a_reshape():
    graph = read("fully connected rows kept int8")
    assert [type(one).__name__ for one in graph.operators] == ["Reshape", "FullyConnected", "Reshape"]
    assert graph.tensors[graph.operators[1].output].shape == (5, 6)
    assert isinstance(graph.operators[0], Reshape)


def test_transpose_conv_says_what_it_cuts_off():
    operator = only("transpose conv odd int8")
    assert isinstance(operator, TransposeConv2D)
    assert (operator.stride, operator.before) == ((3, 2), (0, 0))
    assert only("transpose conv int8").before == (0, 0)


class Broken:
    """A convolution with one thing wrong."""

    def __init__(self, dtype=np.int8):
        self.m, self.dtype = Model(), dtype
        self.zero = 128 if dtype == np.uint8 else 0
        self.x = self.m.tensor((1, 4, 4, 2), 0.1, self.zero, dtype)
        self.y = self.m.tensor((1, 4, 4, 3), 0.1, self.zero, dtype)

    def weights(self, shape=(3, 1, 1, 2), scale=0.1, zero=None, axis=0, value=None):
        value = np.full(shape, self.zero, self.dtype) if value is None else value
        return self.m.constant(value, scale, self.zero if zero is None else zero, axis=axis)

    def sentence(self, weights, bias=-1, code="CONV_2D", options="Conv2DOptions", **values):
        if options.endswith("Conv2DOptions"):
            values = {"StrideH": 1, "StrideW": 1, **values}
        self.m.add(code, [self.x, weights, bias], self.y, options, **values)
        with pytest.raises(UserError) as error:
            read_tflite(self.m.make([self.x], [self.y]), "m")
        assert str(error.value).startswith(f"m: {code} 0 ")
        return str(error.value)[len(f"m: {code} 0 ") :]


@pytest.mark.parametrize("name, copies", [("conv wide weights", 2), ("conv weights without zero", 3)])
def test_weights_of_nine_bits_read_their_input_several_times(name, copies):
    """255 is no sum of two int8."""
    graph = read(f"{name} uint8")
    repeated, conv = (one for one in graph.operators if isinstance(one, Conv2D))
    assert conv.weights.shape == (3, 3, 2, 3 * copies)
    assert graph.tensors[repeated.output].shape == (1, 5, 4, 3 * copies)


@pytest.mark.parametrize("name", [name for name in CASES if "wide weights" in name])
def test_wide_weights_on_the_machine(name):
    case, config = CASES[name](), load_config(preset="small")
    graph = read_tflite(case.model, name)
    inputs = [array.reshape(len(array), *graph.tensors[graph.inputs[0]].shape[1:]) for array in case.inputs]
    network = compile_model(graph, config)
    assert any(isinstance(stage, Program) for stage in network.stages)
    found = Device(MachineTransport(config)).run(network, inputs).outputs[graph.outputs[0]]
    np.testing.assert_array_equal(found, evaluate(graph, *inputs)[0])


def test_int8_weights_may_have_a_zero_point_too():
    b = Broken()
    b.m.add("CONV_2D", [b.x, b.weights(zero=-3), -1], b.y, "Conv2DOptions", StrideH=1, StrideW=1)
    (operator,) = read_tflite(b.m.make([b.x], [b.y])).operators
    assert set(operator.weights.reshape(-1).tolist()) == {3}


def test_refused_weights():
    b = Broken()
    assert b.sentence(b.weights((3, 1, 1, 3))) == "has weights of shape (3, 1, 1, 3) for an input of 2 channels"
    b = Broken()
    assert b.sentence(b.weights((3, 2))) == "has weights of shape (3, 2), expected four axes"
    b = Broken()
    assert b.sentence(b.weights(scale=[0.1, 0.1], axis=3)) == (
        "has 2 weight scales along axis 3, supported are one, or one for each of the 3 output channels on axis 0"
    )
    b = Broken()
    assert b.sentence(b.weights(scale=[0.1, 0.1])) == (
        "has 2 weight scales along axis 0 of weights of shape (3, 1, 1, 2)"
    )
    b = Broken()
    assert b.sentence(b.weights(scale=None)) == "has weights without a scale, expected quantized weights"
    b = Broken()
    assert b.sentence(b.weights(value=np.zeros((3, 1, 1, 2), np.float32))) == (
        "has float32 weights with int8 activations, expected int8"
    )
    b = Broken()
    assert b.sentence(b.x) == "has weights that are computed, supported are constant weights"


def test_refused_biases_and_options():
    b = Broken()
    bias = b.m.constant(np.zeros(3, np.int64), 0.01)
    assert b.sentence(b.weights(), bias) == "has a bias of int64, supported is int32"
    b = Broken()
    bias = b.m.constant(np.zeros(4, np.int32), 0.01)
    assert b.sentence(b.weights(), bias) == "has a bias of 4 numbers, expected 3"
    b = Broken()
    assert b.sentence(b.weights(), FusedActivationFunction=4) == (
        "has a fused activation that is none of NONE, RELU, RELU_N1_TO_1 and RELU6"
    )
    b = Broken()
    assert b.sentence(b.weights(), StrideH=0).startswith("has stride (0, 1), window (1, 1) and dilation (1, 1)")
    b = Broken()
    assert b.sentence(b.weights((3, 5, 1, 2)), Padding=1) == "has a window of 5x1 on an input of 4x4"
    b = Broken()
    assert b.sentence(b.weights((3, 2, 2, 2)), DilationHFactor=30_000, DilationWFactor=30_000) == (
        "pads its input to 1800480032 elements, supported are up to 268435456"
    )
    b = Broken()
    assert b.sentence(b.weights((3, 32)), code="FULLY_CONNECTED", options="FullyConnectedOptions", WeightsFormat=1) == (
        "has shuffled weights, supported is the default format"
    )
