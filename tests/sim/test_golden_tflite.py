"""The golden operators against TFLite's reference kernels: every byte of every layer of real models."""

import numpy as np
import pytest
from weft.rtl.isa import Rounding
from weft.sim import golden
from weft.sim.numerics import quantize_multiplier

from tests.sim.tflite_model import (
    ACTIVATION_NONE,
    ACTIVATION_RELU,
    PADDING_SAME,
    PADDING_VALID,
    TfliteModel,
)

MODELS = {
    "ad_autoencoder_int8": {"FULLY_CONNECTED": 10},
    "hello_world_int8": {"FULLY_CONNECTED": 3},
    "kws_dscnn_int8": {"CONV_2D": 5, "DEPTHWISE_CONV_2D": 4, "AVERAGE_POOL_2D": 1, "FULLY_CONNECTED": 1},
    "micro_speech_int8": {"DEPTHWISE_CONV_2D": 1, "FULLY_CONNECTED": 1},
    "resnet8_int8": {"CONV_2D": 9, "ADD": 3, "AVERAGE_POOL_2D": 1, "FULLY_CONNECTED": 1},
}


def clamp_range(model, operator):
    zero_point = model.zero_point(operator["outputs"][0]["t"])
    activation = operator["options"]["fusedActivationFunction"]
    assert activation in (ACTIVATION_NONE, ACTIVATION_RELU)
    return zero_point if activation == ACTIVATION_RELU else -128, 127


def padding(operator, image, window, strides, dilation=(1, 1)):
    if operator["options"]["padding"] == PADDING_VALID:
        return golden.NO_PADDING
    assert operator["options"]["padding"] == PADDING_SAME
    pairs = [golden.same_padding(*sizes) for sizes in zip(image, window, strides, dilation, strict=True)]
    return pairs[0][0], pairs[1][0], pairs[0][1], pairs[1][1]


def geometry(operator, image, window):
    options = operator["options"]
    strides = options["strideH"], options["strideW"]
    dilation = options.get("dilationHFactor", 1), options.get("dilationWFactor", 1)
    return strides, padding(operator, image, window, strides, dilation), dilation


def sums(operator, x, weights, zero_point):
    if operator["op"] == "FULLY_CONNECTED":
        return golden.fully_connected(x.reshape(-1, weights.shape[1]), weights, zero_point)
    convolution = golden.conv2d if operator["op"] == "CONV_2D" else golden.depthwise_conv2d
    return convolution(x, weights, zero_point, *geometry(operator, x.shape[1:3], weights.shape[1:3]))


def weighted(model, operator, trace):
    """CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED."""
    x, weights, bias = (entry["t"] for entry in operator["inputs"])
    out = operator["outputs"][0]["t"]
    factor = quantize_multiplier(model.scale(x) * model.scale(weights) / model.scale(out))
    return golden.requantize(
        sums(operator, trace[x], model.constant(weights), model.zero_point(x)),
        model.constant(bias),
        *factor,
        Rounding.DOUBLE,
        model.zero_point(out),
        *clamp_range(model, operator),
    )


def average_pool(model, operator, trace):
    x = trace[operator["inputs"][0]["t"]]
    window = operator["options"]["filterHeight"], operator["options"]["filterWidth"]
    strides, around, _ = geometry(operator, x.shape[1:3], window)
    return golden.average_pool2d(x, window, strides, around, *clamp_range(model, operator))


def add(model, operator, trace):
    operands = []
    for entry in operator["inputs"]:
        operands += [trace[entry["t"]], model.scale(entry["t"])[0], model.zero_point(entry["t"])]
    out = operator["outputs"][0]["t"]
    return golden.add(*operands, model.scale(out)[0], model.zero_point(out), *clamp_range(model, operator))


KERNELS = {
    "CONV_2D": weighted,
    "DEPTHWISE_CONV_2D": weighted,
    "FULLY_CONNECTED": weighted,
    "AVERAGE_POOL_2D": average_pool,
    "ADD": add,
}


@pytest.mark.parametrize("name", MODELS)
def test_every_layer_of_a_real_model(name, shared):
    model = TfliteModel(shared / "models", name)
    done = dict.fromkeys(MODELS[name], 0)
    assert len(model.traces) == 2
    for sample, trace in model.traces.items():
        for operator in model.operators:
            if operator["op"] in KERNELS:
                expected = trace[operator["outputs"][0]["t"]]
                result = KERNELS[operator["op"]](model, operator, trace).reshape(expected.shape)
                wrong = np.count_nonzero(result != expected)
                assert wrong == 0, f"{sample}, operator {operator['i']} {operator['op']}: {wrong} bytes differ"
                done[operator["op"]] += 1
    assert done == {op: 2 * count for op, count in MODELS[name].items()}
