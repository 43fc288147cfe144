"""Wide layers in parts, and that they run."""

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.sim.golden_graph import run_graph
from weft.sim.transports import MachineTransport
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.driver import Device
from weft.sw.graph import AveragePool2D, Lookup, MeanPool2D
from weft.sw.lowering.channels import narrowed
from weft.sw.lowering.lower import lower_operator
from weft.sw.network import NPU

from tests.sw.networks import Builder

CONFIG = Config(rows=4, cols=4, lanes=2, tables=True, parameter_channels=12, weight_tiles=512)


@pytest.mark.parametrize("outputs, sizes", [(12, [12]), (13, [8, 5]), (24, [12, 12]), (31, [12, 12, 7])])
def test_parts_have_parameters_that_fit(outputs, sizes):
    build = Builder(np.random.default_rng(0))
    graph = build.graph(build.conv(build.input((1, 3, 3, 4)), outputs, (2, 2)))
    layers = lower_operator(graph.operators[0], graph, CONFIG)
    assert [layer.output_channels for layer in layers] == sizes
    assert [layer.place.channel for layer in layers] == np.cumsum([0, *sizes[:-1]]).tolist()
    assert np.array_equal(np.concatenate([layer.weights for layer in layers]), graph.operators[0].weights)
    assert sum(layer.macs for layer in layers) == 2 * 2 * 4 * outputs * 4
    assert len({layer.name for layer in layers}) == len(layers)
    assert narrowed(layers, CONFIG) == layers


@pytest.mark.parametrize("scratchpad_bytes", [256, 8192])
def test_wide_layers_run_on_the_npu(scratchpad_bytes):
    build = Builder(np.random.default_rng(1), rounding="tflite")
    x = build.conv(build.input((1, 6, 5, 3)), 29, (3, 3))
    x = build.add(Lookup, x, (1, 4, 3, 29), table=build.random.integers(-128, 128, 256, dtype=np.int8))
    x = build.fully_connected(build.flatten(build.conv(x, 5, (2, 2))), 50)
    graph = build.graph(build.fully_connected(x, 14))
    network = compile_model(graph, CONFIG.replace(scratchpad_bytes=scratchpad_bytes))
    assert [row.where for row in network.rows if row.where != "layout"] == [NPU] * 5
    inputs = [build.random.integers(-128, 128, (2, 6, 5, 3), np.int8)]
    found = Device(MachineTransport(network.config, seed=1)).run(network, inputs).outputs
    np.testing.assert_array_equal(found[graph.outputs[0]], run_graph(graph, inputs)[0])


@pytest.mark.parametrize("kind", [MeanPool2D, AveragePool2D])
@pytest.mark.parametrize("channels, parts", [(8, 4), (12, 4), (11, 11)])
def test_means_of_large_images_take_some_channels_at_a_time(kind, channels, parts):
    build = Builder(np.random.default_rng(channels), rounding="onnx")
    x = build.conv(build.input((1, 12, 11, 2)), channels, (1, 1))
    settings = {"window": (12, 11), "stride": (12, 11), "padding": (0, 0, 0, 0)}
    if kind is MeanPool2D:
        settings |= {"multiplier": 1 << 30, "shift": -4}
    else:
        settings |= {"counts_padding": False, "rounding": "onnx"}
    y = build.add(kind, x, (1, 1, 1, channels), **settings)
    graph = build.graph(build.conv(y, 3, (1, 1)))
    config = CONFIG.replace(scratchpad_bytes=1024, depthwise=True)
    means = [one for one in lower_operator(graph.operators[1], graph, config) if one.op in ("mean", "average pool")]
    assert [one.place.channel for one in means] == [channels // parts * number for number in range(parts)]
    network = compile_model(graph, config.replace(scratchpad_bytes=1024))
    assert [row.where for row in network.rows] == [NPU] * 3
    inputs = [build.random.integers(-128, 128, (2, 12, 11, 2), np.int8)]
    found = Device(MachineTransport(network.config, seed=1)).run(network, inputs).outputs
    np.testing.assert_array_equal(found[graph.outputs[0]], run_graph(graph, inputs)[0])


def test_means_of_images_that_fit_are_one_layer():
    build = Builder(np.random.default_rng(0))
    settings = {"window": (4, 4), "stride": (4, 4), "padding": (0, 0, 0, 0), "multiplier": 1 << 30, "shift": -4}
    graph = build.graph(build.add(MeanPool2D, build.input((1, 4, 4, 8)), (1, 1, 1, 8), **settings))
    assert len(lower_operator(graph.operators[0], graph, CONFIG)) == 1
