"""Networks whose activations do not fit into the scratchpad, on the compiled RTL with slow and stalling memories: equal
to the golden model, and in the time that was predicted."""

import numpy as np
import pytest
from weft.sim.verilated import MemoryModel, VerilatedNpu
from weft.sw.compiler.compiler import compile_graph
from weft.sw.cycles.estimate import Memory
from weft.sw.driver import Device
from weft.sw.graph import Add, Concat, MaxPool2D, Multiply, Requantize, TransposeConv2D

from tests.configurations import CONFIGURATIONS
from tests.sw.networks import Builder, evaluate

MEMORIES = {
    "fast": MemoryModel(),
    "slow": MemoryModel(read_latency=40, write_latency=40, bandwidth=4),
    "stalling": MemoryModel(stalls=0.3, stall_seed=5),
}

PREDICTION = 0.05
"""Of the cycles of a run that the prediction may be off, where memory does not stall."""


def check(name, memory, graph, x):
    """The RTL gives what the golden model gives, in the cycles that were predicted."""
    config, model = CONFIGURATIONS[name], MEMORIES[memory]
    program = compile_graph(graph, config, Memory(model.read_latency, model.bandwidth))
    assert program.workspace_bytes > 0
    outputs, report = Device(VerilatedNpu(config, model=model)).run(program, [x])
    for port, wanted in zip(graph.outputs, evaluate(graph, x), strict=True):
        np.testing.assert_array_equal(outputs[port].reshape(-1), wanted.reshape(-1))
    if not model.stalls:
        (measured,) = report.cycles
        assert abs(sum(layer.predicted_cycles for layer in program.layers) - measured) <= PREDICTION * measured


def network(seed):
    """A bottleneck with a sum, at a size of a few scratchpads."""
    build = Builder(np.random.default_rng(seed), rounding="tflite")
    x = build.input((1, 46, 45, 3))
    x = build.pool(MaxPool2D, build.conv(x, 12, (3, 3), padding=(1, 1, 1, 1)), (3, 3), (1, 1), (1, 1, 1, 1))
    y = build.conv(build.conv(x, 9, (1, 1)), 9, (3, 3), padding=(1, 1, 1, 1))
    y = build.conv(build.conv(y, 9, (3, 3), padding=(1, 1, 1, 1), groups=9), 12, (1, 1))
    target = build.tensor(build.tensors[x].shape)
    build.operators.append(Add("sum", (x, y), target, rounding="tflite"))
    return build.graph(target, build.conv(target, 7, (5, 3), (2, 3)))


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("name", ["2x3", "8x8", "3x16", "16x4", "16x16"])
def test_bands_on_the_rtl_equal_the_golden_model(name, memory):
    check(name, memory, network(7), np.random.default_rng(1).integers(-128, 128, (1, 46, 45, 3), np.int8))


def joined(seed):
    """An image that is made smaller, larger again and joined with itself, at a size of a few scratchpads; its channels
    are multiplied by those of another branch."""
    build = Builder(np.random.default_rng(seed), rounding="tflite")
    x = build.conv(build.input((1, 46, 44, 3)), 10, (3, 3), padding=(1, 1, 1, 1))
    small = build.conv(x, 9, (2, 2), (2, 2))
    weights = build.random.integers(-128, 128, (7, 2, 2, 9), dtype=np.int8)
    large = build.tensor((1, 46, 44, 7))
    values = build.linear(small, weights, large)
    build.operators.append(TransposeConv2D("larger", (small,), large, stride=(2, 2), before=(0, 0), **values))
    level = build.tensor((1, 46, 44, 7), like=x)
    build.operators.append(Requantize("level", (large,), level, rounding="tflite"))
    both = build.tensor((1, 46, 44, 17), like=x)
    build.operators.append(Concat("joined", (level, x), both, axis=3))
    other = build.conv(x, 17, (1, 1))
    product = build.tensor((1, 46, 44, 17))
    build.operators.append(Multiply("product", (both, other), product, rounding="tflite"))
    return build.graph(build.conv(product, 7, (3, 3), (2, 2)))


@pytest.mark.parametrize("name, memory", [("2x3", "slow"), ("8x8", "stalling"), ("16x16", "fast")])
def test_joined_tensors_on_the_rtl_equal_the_golden_model(name, memory):
    check(name, memory, joined(3), np.random.default_rng(1).integers(-128, 128, (1, 46, 44, 3), np.int8))
