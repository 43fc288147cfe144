"""Predicted cycles of each layer against the compiled RTL: within 2 % or 8 cycles."""

from pathlib import Path

import numpy as np
import pytest
from weft.rtl.registers import Unit
from weft.sim.transports import MachineTransport
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.driver import Device
from weft.sw.onnx.reader import read_onnx

from tests.configurations import CONFIGURATIONS, device
from tests.sw.networks import random_network, residual_network

LENET = Path(__file__).parents[3] / "sw" / "models" / "lenet5.onnx"


def compare(name, graph, x):
    """The RTL gives what the machine gives, in the cycles that were predicted."""
    config = CONFIGURATIONS[name]
    network = compile_model(graph, config)
    result = Device(device(name)).run(network, x)
    for key, wanted in Device(MachineTransport(config, 4 << 20)).run(network, x).outputs.items():
        np.testing.assert_array_equal(result.outputs[key], wanted)
    trace = result.report.trace
    before = 0
    for layer in network.layers:
        done = int(trace.completed[trace.tags.index(layer.tag)][Unit.DRAIN])
        measured, before = done - before, done
        assert abs(layer.predicted_cycles - measured) <= max(8, 0.02 * measured), (layer, measured)


@pytest.mark.parametrize("name", ["4x4", "8x8"])
def test_lenet_with_streamed_weights(name):
    graph = read_onnx(LENET)
    compare(name, graph, np.random.default_rng(0).random((1, 1, 28, 28), dtype=np.float32))


@pytest.mark.parametrize(
    "name, seed", [*((name, seed) for name in ("4x4", "8x8") for seed in range(12)), ("16x4", 0), ("16x4", 1)]
)
def test_random_networks(name, seed):
    graph = random_network(seed)
    shape = graph.tensors[graph.inputs[0]].shape
    compare(name, graph, np.random.default_rng(seed).integers(-128, 128, shape, dtype=np.int8))


@pytest.mark.parametrize("seed", range(12))
def test_residual_networks(seed):
    graph = residual_network(seed)
    shape = graph.tensors[graph.inputs[0]].shape
    compare("8x8", graph, np.random.default_rng(seed).integers(-128, 128, shape, dtype=np.int8))
