"""The networks for measuring have the published shapes, and their values neither vanish nor saturate."""

import numpy as np
import pytest
from weft.gen.presets import load_config
from weft.sim.golden_graph import run_graph
from weft.sim.transports import MachineTransport
from weft.sw.compiler.compiler import compile_graph
from weft.sw.driver import Device
from weft.sw.graph import Conv2D, FullyConnected
from weft.sw.synthetic import NETWORKS, densenet121, mobilenet_v1, mobilenet_v2, resnet50, squeezenet


def macs(graph):
    total = 0
    for one in graph.operators:
        if isinstance(one, Conv2D):
            _, height, width, _ = graph.tensors[one.output].shape
            total += height * width * one.weights.size
        elif isinstance(one, FullyConnected):
            total += one.weights.size
    return total


def parameters(graph):
    return sum(one.weights.size for one in graph.operators if isinstance(one, Conv2D | FullyConnected))


@pytest.mark.parametrize(
    "name, multiplications, weights",
    [
        ("mobilenet_v1", 7_489_664, 208_112),
        ("mobilenet_v2", 300_774_272, 3_469_760),
        ("resnet50", 4_089_184_256, 25_502_912),
        ("squeezenet", 263_521_280, 1_231_552),
        ("densenet121", 2_834_161_664, 7_894_208),
    ],
)
def test_sizes_are_the_published_ones(name, multiplications, weights):
    graph = NETWORKS[name]()
    assert (macs(graph), parameters(graph)) == (multiplications, weights)


@pytest.mark.parametrize(
    "make, size",
    [(mobilenet_v1, 32), (mobilenet_v2, 64), (resnet50, 64), (squeezenet, 64), (densenet121, 32)],
    ids=lambda one: getattr(one, "__name__", one),
)
def test_values_are_alive_and_the_machine_equals_the_golden_model(make, size):
    graph = make(size=size, classes=10)
    x = np.random.default_rng(0).integers(-128, 128, (1, size, size, 3), np.int8)
    (wanted,) = run_graph(graph, [x])
    assert len(np.unique(wanted)) > 4
    assert np.mean(np.abs(wanted.astype(int)) > 126) < 0.5
    config = load_config(preset="large", settings=["scratchpad_bytes=16384"])
    program = compile_graph(graph, config)
    found = Device(MachineTransport(config)).run(program, [x])[0]["classes"]
    np.testing.assert_array_equal(found.reshape(-1), wanted.reshape(-1))
