"""Every way down the columns computes the convolution, whatever its tiles."""

from dataclasses import replace

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.rtl.isa import Mode, Opcode, disassemble
from weft.sim.transports import MachineTransport
from weft.sw.compiler import compiler
from weft.sw.compiler.boundary import split
from weft.sw.compiler.columns import Columns, X, Y, column_mappings
from weft.sw.compiler.planning import Course
from weft.sw.compiler.tiling import Plan, cuts
from weft.sw.compiler.ways import ways
from weft.sw.driver import Device
from weft.sw.graph import MaxPool2D
from weft.sw.lowering.elementwise import passing
from weft.sw.lowering.layers import blocks_of
from weft.sw.lowering.lower import lower

from tests.sw.networks import Builder, evaluate

CONFIG = Config(
    rows=4, cols=6, weight_rows=2, lanes=2, depthwise=True, tables=True, accumulators=60, parameter_channels=64
)


def plans_of(graph, config):
    """Plans down the columns of a graph of one layer: of each way, three ways to cut it."""
    boundary = split(graph)
    (layer,) = lower(graph, boundary, config)
    for way in ways(layer, config):
        if isinstance(way[0], Columns):
            found = list(cuts(layer, way, config))
            for index in sorted({0, len(found) // 2, len(found) - 1}):
                yield Plan(way, found[index])


def random_graph(seed):
    random = np.random.default_rng(seed)
    build = Builder(random, rounding=str(random.choice(["onnx", "tflite"])))
    channels = int(random.integers(2, 15))
    kernel, stride, dilation = (tuple(random.integers(1, high, 2).tolist()) for high in (7, 4, 4))
    padding = tuple(random.integers(0, 3, 4).tolist())
    size = [
        int(random.integers(max((kernel[i] - 1) * dilation[i] + 1 - padding[i] - padding[i + 2], 1), 18))
        if (kernel[i] - 1) * dilation[i] + 1 - padding[i] - padding[i + 2] < 17
        else (kernel[i] - 1) * dilation[i] + 1
        for i in range(2)
    ]
    x = build.input((1, *size, channels))
    y = build.conv(x, channels, kernel, stride, padding, dilation, channels, **build.limits())
    if random.random() < 0.3 and min(build.tensors[y].shape[1:3]) > 1:
        y = build.pool(MaxPool2D, y, (2, 2), (1, 2))
    return build.graph(y)


@pytest.mark.parametrize("seed", range(12))
def test_every_way_computes_the_convolution(seed, monkeypatch):
    graph = random_graph(seed)
    random = np.random.default_rng(seed)
    x = random.integers(-128, 128, graph.tensors[graph.inputs[0]].shape, dtype=np.int8)
    (wanted,) = evaluate(graph, x)
    axes = set()
    for plan in plans_of(graph, CONFIG):
        course = Course((plan,), tuple((0, tile) for tile in range(len(plan.tiles))))
        monkeypatch.setattr(compiler, "plan", lambda *_, course=course: course)
        program = compiler.compile_graph(graph, CONFIG)
        convs = [one for one in disassemble(program.image[program.run :]) if one.opcode is Opcode.CONV]
        assert {one.mode for one in convs} == {Mode.COLUMNS.value}
        # What LayerInfo states is what the instructions ask for.
        issued = sum(
            one.ky_count * one.kx_count * max(one.ox_count * one.oy_count, CONFIG.weight_steps) for one in convs
        )
        assert issued == program.layers[0].passes
        found = Device(MachineTransport(CONFIG, 1 << 20, seed)).run(program, x).outputs
        np.testing.assert_array_equal(next(iter(found.values())), wanted)
        axes.add(plan.mappings[0].axis)
    assert axes == {X, Y}


def test_a_stride_of_nothing_repeats_a_pixel():
    layer = replace(passing("x", "broadcast", "a", "b", (1, 1), 4), stride=(0, 0), sums_size=(5, 6), output_size=(5, 6))
    found = column_mappings(layer, blocks_of(layer, 4)[0], 0, Config(rows=4, cols=4, depthwise=True))
    assert [(one.step, one.interval) for one in found] == [(0, 1), (0, 1)]


@pytest.mark.parametrize("change", [{"stride": (256, 1)}, {"input_size": (1 << 15, 4)}])
def test_what_no_field_holds_across_the_filter_lies_along_it(change):
    layer = replace(passing("x", "slice", "a", "b", (300, 4), 4), **change)
    found = column_mappings(layer, blocks_of(layer, 4)[0], 0, Config(rows=4, cols=4, depthwise=True))
    assert [one.axis for one in found] == [Y]
