"""A network of many operators in all forms that ONNX Runtime's quantizer makes: both give the same bytes."""

import numpy as np
import onnxruntime
import pytest
from weft.gen.presets import load_config
from weft.sim.golden_graph import run_graph
from weft.sim.transports import MachineTransport
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.driver import Device
from weft.sw.graph import OnnxNode
from weft.sw.onnx.reader import read_onnx

from tests.models.onnx_layers import MODES, compared
from tests.models.onnx_quantized import quantized, samples

WAYS = [
    ("uint8", "int8", True),
    ("uint8", "uint8", True),
    ("uint8", "uint8", False),
    ("int8", "int8", True),
    ("int8", "int8", False),
]
"""Types of activations and weights, and whether weights have a scale per channel."""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("activations, weights, per_channel", WAYS)
def test_layers_between_quantizers_equal_onnxruntime(tmp_path, activations, weights, per_channel, mode):
    """But for the optimizer's softmax, of which tests.models.test_onnx_layers says more."""
    model = quantized(tmp_path, "QDQ", activations, weights, per_channel)
    layers = compared(model, samples(8), mode)
    table = "\n".join(map(str, layers))
    assert len(layers) >= 25, table
    for layer in layers:
        assert layer.largest <= 1, table
        if (mode, layer.operators) != ("default", "Softmax"):
            assert layer.different <= max(1, 0.001 * layer.count), table


@pytest.mark.parametrize("activations, weights, per_channel", WAYS)
def test_operators_on_integers_equal_onnxruntime(tmp_path, activations, weights, per_channel):
    """QLinearConv and its like, from the input to the output, on the machine too."""
    model = quantized(tmp_path, "QOperator", activations, weights, per_channel)
    graph, inputs = read_onnx(model), samples(8)
    assert not [one for one in graph.operators if isinstance(one, OnnxNode)]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    wanted = np.concatenate([session.run(None, {"x": one})[0] for one in inputs])
    stacked = inputs.reshape(len(inputs), *inputs.shape[2:])
    np.testing.assert_array_equal(run_graph(graph, [stacked])[0], wanted)
    config = load_config(preset="small")
    network = compile_model(graph, config)
    found = Device(MachineTransport(config)).run(network, [stacked]).outputs[graph.outputs[0]]
    np.testing.assert_array_equal(found, wanted)
