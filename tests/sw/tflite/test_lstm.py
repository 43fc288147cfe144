"""LSTMs read from TFLite files, and those that are refused."""

import numpy as np
import pytest
import tflite
from weft.gen.presets import load_config
from weft.sim.transports import MachineTransport
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.driver import Device
from weft.sw.errors import UserError
from weft.sw.graph import FullyConnected, Lstm
from weft.sw.tflite.reader import read_tflite

from tests.sw.networks import evaluate
from tests.sw.tflite_case import Maker
from tests.sw.tflite_cases import CASES
from tests.sw.tflite_cases_other import _lstm

INTERMEDIATE = 4


def only(name):
    graph = read_tflite(CASES[name]().model, name)
    (found,) = (one for one in graph.operators if isinstance(one, Lstm))
    return found


def test_shapes():
    one = only("LSTM projection int8")
    assert one.input_weights.shape == (4, 9, 5)
    assert one.recurrent_weights.shape == (4, 9, 4)
    assert one.projection.shape == (4, 9)
    assert (one.coupled, one.time_major, one.cell_exponent) == (False, False, -11)
    assert only("LSTM coupled gates int8").coupled
    assert only("LSTM steps first int8").time_major
    assert only("LSTM int8").projection.size == 0


def test_zero_points_are_in_the_biases():
    graph = read_tflite(CASES["LSTM coupled gates int8"]().model, "m")
    (one,) = (one for one in graph.operators if isinstance(one, Lstm))
    state = graph.tensors[one.output].zero_point
    np.testing.assert_array_equal(one.recurrent_bias[1:], -state * one.recurrent_weights[1:].astype(int).sum(-1))
    assert not one.input_weights[0].any()


def test_limits_are_cut_off():
    one = only("LSTM clipped int8")
    assert (one.cell_clip, one.projection_clip) == (int(0.5 * 2**11), int(np.float32(0.3) * 96))


def test_between_layers_of_the_npu():
    """The host runs it where it stands."""
    m = Maker("around")
    case = _lstm(m, size=(4, 5), cells=6)
    lstm = m.model.operators[0]
    (y,) = lstm.outputs
    w, b, scale = m.weights((3, 6), 0, y, 3, per_channel=False)
    z = m.tensor((4, 3), scale)
    m.model.add("FULLY_CONNECTED", [y, w, b], z, "FullyConnectedOptions", version=4)
    graph = read_tflite(m.model.make([lstm.inputs[0]], [z]), "around")
    assert [type(one) for one in graph.operators if isinstance(one, Lstm | FullyConnected)] == [Lstm, FullyConnected]
    config = load_config(preset="small")
    network = compile_model(graph, config)
    x = case.inputs[0].reshape(-1, *graph.tensors[graph.inputs[0]].shape[1:])
    found = Device(MachineTransport(config)).run(network, [x]).outputs[graph.outputs[0]]
    np.testing.assert_array_equal(found.reshape(-1), evaluate(graph, x)[0].reshape(-1))


def refused(change):
    m = Maker("refused")
    _lstm(m)
    operator = m.model.operators[0]
    change(m.model, operator)
    with pytest.raises(UserError) as error:
        read_tflite(m.model.make([operator.inputs[0]], operator.outputs), "m")
    assert str(error.value).startswith("m: UNIDIRECTIONAL_SEQUENCE_LSTM 0 ")
    assert "\n" not in str(error.value)
    return str(error.value)


def scale_of(index, value):
    return lambda model, operator: model.tensors[operator.inputs[index]].scale.__setitem__(0, value)


def peephole(model, operator):
    operator.inputs[10] = operator.inputs[13]


def normalization(model, operator):
    operator.inputs[21] = operator.inputs[13]


def no_intermediates(model, operator):
    operator.intermediates = []


def no_variable(model, operator):
    model.tensors[operator.inputs[19]].variable = False


def int16_state(model, operator):
    model.tensors[operator.inputs[18]].kind = tflite.TensorType.INT16


def other_activation(model, operator):
    operator.values["FusedActivationFunction"] = 1


def wrong_shape(model, operator):
    operator.inputs[2] = operator.inputs[6]


def few_inputs(model, operator):
    del operator.inputs[-5:]


REFUSED = {
    "has peepholes, which are not supported": peephole,
    "has layer normalization, which is not supported": normalization,
    "has 0 intermediate tensors, expected 5": no_intermediates,
    "has the state 't": no_variable,
    "expected INT8 with one scale": int16_state,
    "has a fused activation other than TANH": other_activation,
    "has weights of shape (7, 7), expected (7, 5)": wrong_shape,
    "has 19 inputs, expected 24": few_inputs,
    "expected a power of two from 2^-15 to 2^-9": scale_of(19, 0.0005),
    "has a weight scale of 0.0": scale_of(3, 0.0),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_is_refused(sentence):
    assert sentence in refused(REFUSED[sentence])


def test_a_state_is_like_the_output():
    def move(model, operator):
        model.tensors[operator.inputs[18]].zero_point[0] += 1

    assert "has a state unlike its output" in refused(move)


def test_the_output_has_the_shape_of_the_sequence():
    graph = read_tflite(CASES["LSTM long int8"]().model, "m")
    assert graph.tensors[graph.outputs[0]].shape == (1, 30, 16)
