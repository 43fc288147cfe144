"""Blocks of people's networks, quantized by ONNX Runtime: both give the same bytes, and all of it runs on the NPU."""

import numpy as np
import pytest
from weft.gen.presets import load_config
from weft.sim.golden_graph import run_graph
from weft.sim.transports import MachineTransport
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.driver import Device
from weft.sw.graph import OnnxNode
from weft.sw.network import HOST
from weft.sw.onnx.reader import read_onnx

from tests.models.onnx_layers import compared
from tests.models.onnx_networks import CLASSES, NETWORKS
from tests.models.onnx_quantized import Network, quantized, samples

WAYS = [("int8", "int8", True), ("uint8", "uint8", False)]
"""Types of activations and weights, and whether weights have a scale per channel."""


@pytest.mark.parametrize("activations, weights, per_channel", WAYS)
@pytest.mark.parametrize("name", NETWORKS)
def test_layers_equal_onnxruntime_and_run_on_the_npu(tmp_path, name, activations, weights, per_channel):
    build = Network()
    model = build.model(NETWORKS[name](build), (1, CLASSES))
    model = quantized(tmp_path, "QDQ", activations, weights, per_channel, model)
    layers = compared(model, samples(6), "unoptimized")
    table = "\n".join(map(str, layers))
    for layer in layers:
        assert layer.largest <= 1, table
        assert layer.different <= max(1, 0.001 * layer.count), table
    graph, inputs = read_onnx(model), samples(2)
    assert not [one for one in graph.operators if isinstance(one, OnnxNode)]
    network = compile_model(graph, load_config(preset="small"))
    hosts = {row.op for row in network.rows if row.where == HOST and row.inner}
    assert hosts <= {"Transpose"}  # of a sequence that is a reshaped input
    stacked = inputs.reshape(len(inputs), *inputs.shape[2:])
    found = Device(MachineTransport(network.config)).run(network, [stacked]).outputs
    np.testing.assert_array_equal(found[graph.outputs[0]], run_graph(graph, [stacked])[0])
