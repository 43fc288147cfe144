"""Who writes and reads what, and which layers may be computed together."""

import numpy as np
from weft.rtl.config import Config
from weft.sw.compiler.boundary import split
from weft.sw.compiler.dataflow import MOST_LAYERS, Dataflow
from weft.sw.graph import Add, AveragePool2D
from weft.sw.lowering.lower import lower

from tests.sw.networks import Builder

CONFIG = Config(rows=4, cols=4, weight_rows=4, lanes=2, depthwise=True, tables=True)


def flow_of(build, *outputs, config=CONFIG):
    graph = build.graph(*outputs)
    boundary = split(graph)
    layers = lower(graph, boundary, config)
    sizes = {name: graph.tensors[name].size for name in boundary.inputs}
    sizes |= {layer.target: layer.target_bytes for layer in layers}
    return Dataflow(layers, sizes, boundary.inputs, boundary.outputs, config)


def residual():
    """x -> a -> b, a + b -> c -> d."""
    build = Builder(np.random.default_rng(0))
    x = build.input((1, 8, 8, 4))
    a = build.conv(x, 4, (3, 3), padding=(1, 1, 1, 1))
    b = build.conv(a, 4, (1, 1))
    total = build.tensor(build.tensors[a].shape)
    build.operators.append(Add("sum", (a, b), total, rounding="tflite"))
    d = build.conv(total, 4, (1, 1))
    return flow_of(build, d), (x, a, b, total, d)


def test_writers_and_readers():
    flow, (x, a, b, total, d) = residual()
    assert flow.readers == {x: [0], a: [1, 2], b: [2], total: [3], d: []}
    assert flow.writers == {x: [], a: [0], b: [1], total: [2], d: [3]}


def test_what_passes_between_layers_of_a_group():
    flow, (x, a, b, total, d) = residual()
    assert flow.inside(b, range(1, 3))
    assert not flow.inside(a, range(0, 2))
    assert flow.inside(a, range(0, 3))
    assert not flow.inside(x, range(0, 3))
    assert not flow.inside(d, range(0, 4))
    assert not flow.inside(total, range(0, 3))


def test_groups_pass_something_on():
    flow, _ = residual()
    assert flow.may_group(range(0, 4))
    assert MOST_LAYERS >= 4
    assert not flow.may_group(range(0, MOST_LAYERS + 1))
    build = Builder(np.random.default_rng(0))
    x = build.input((1, 8, 8, 4))
    apart = flow_of(build, build.conv(x, 4, (1, 1)), build.conv(x, 4, (3, 3)))
    assert not apart.may_group(range(0, 2))


def test_groups_share_tables_and_parameters():
    flow, _ = residual()
    few = Dataflow(flow.layers, flow.sizes, flow.inputs, flow.outputs, CONFIG.replace(parameter_channels=8))
    assert not few.may_group(range(0, 2))


def test_a_tensor_of_several_writers_does_not_pass_between_layers_of_a_group():
    build = Builder(np.random.default_rng(0))
    x = build.input((1, 8, 8, 4))
    y = build.pool(AveragePool2D, x, (3, 3), (2, 2), (1, 1, 1, 1), counts_padding=False, rounding="onnx")
    flow = flow_of(build, build.conv(y, 4, (1, 1)))
    assert len(flow.writers[y]) > 1
    assert flow.may_pass(x)
    assert not flow.may_pass(y)
    assert not flow.may_group(range(len(flow.layers) - 2, len(flow.layers)))


def test_work_is_cycles_and_bytes():
    flow, _ = residual()
    array, drain, weights = flow.work(0)
    assert array == 3 * 3 * 64
    assert drain == 64 * 2
    assert weights == 9 * 16
