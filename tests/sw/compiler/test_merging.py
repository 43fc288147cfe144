"""Layers that take turns give the same results, in less time."""

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.rtl.isa import Opcode, disassemble
from weft.sim.transports import MachineTransport
from weft.sw.compiler import compiler
from weft.sw.compiler.boundary import split
from weft.sw.compiler.compiler import compile_graph
from weft.sw.compiler.merging import drained, groups_of, one_by_one, side_by_side, steps_of
from weft.sw.cycles.playing import in_order
from weft.sw.driver import Device
from weft.sw.graph import Add
from weft.sw.lowering.lower import lower

from tests.sw.networks import Builder, evaluate

CONFIG = Config(
    rows=8,
    cols=8,
    weight_rows=8,
    lanes=2,
    depthwise=True,
    tables=True,
    accumulators=128,
    scratchpad_bytes=32768,
    memory_width=64,
    axi_width=64,
)


def residual_block(seed=0, size=12, channels=16):
    """Two convolutions, a branch of one pixel's, and their sum: the last two have more to do for the drain."""
    build = Builder(np.random.default_rng(seed), rounding="tflite")
    x = build.input((1, size, size, channels))
    y = build.conv(x, channels, (3, 3), padding=(1, 1, 1, 1))
    y = build.conv(y, channels, (3, 3), padding=(1, 1, 1, 1))
    z = build.conv(x, channels, (1, 1))
    target = build.tensor((1, size, size, channels))
    build.operators.append(Add("add", (y, z), target))
    return build.graph(target)


def grouped(graph, config=CONFIG):
    boundary = split(graph)
    layers = lower(graph, boundary, config)
    sizes = {name: tensor.size for name, tensor in graph.tensors.items()}
    return layers, groups_of(layers, sizes, boundary.inputs, boundary.outputs, config)


def test_what_the_drain_is_slow_at_joins_the_layer_before():
    layers, groups = grouped(residual_block())
    assert [layer.op for layer in layers] == ["conv", "conv", "conv", "add"]
    assert groups == (range(0, 1), range(1, 4))
    assert steps_of(groups) == [1, 2, 2, 2]
    # The sum reads two values for each that it makes.
    assert drained(layers[3], CONFIG) == 2 * drained(layers[2], CONFIG)


def test_layers_stay_apart_where_their_buffers_would_not_fit():
    layers, groups = grouped(residual_block(), CONFIG.replace(scratchpad_bytes=8192))
    assert groups == one_by_one(layers)


def test_a_fast_drain_needs_no_help_with_a_convolution():
    _, groups = grouped(residual_block(), CONFIG.replace(lanes=8))
    assert groups == (range(0, 1), range(1, 2), range(2, 4))


def test_every_way_has_each_tile_once_and_makes_before_it_reads():
    layers, (_, group) = grouped(residual_block())
    some = [layers[index] for index in group]
    found = list(side_by_side(some, CONFIG))
    assert len(found) > 10
    for plans, works, order in found:
        assert sorted(order) == sorted(in_order(works))
        assert [len(work.tasks) for work in works] == [len(plan.tiles) for plan in plans]
        made = {work.target: 0 for work in works}
        for number, tile in order:
            work, task = works[number], works[number].tasks[tile]
            for step in task.steps:
                source = work.sources[step.operand]
                assert made.get(source, step.needs) >= step.needs
            made[work.target] = task.complete


@pytest.mark.parametrize("seed", range(4))
def test_taking_turns_saves_time_and_changes_nothing(seed, monkeypatch):
    graph = residual_block(seed, size=14 + seed)
    x = np.random.default_rng(seed).integers(-128, 128, graph.tensors["t0"].shape, dtype=np.int8)
    together = compile_graph(graph, CONFIG)
    tags = [one.tag for one in disassemble(together.image[together.run :]) if one.opcode is Opcode.DRAIN]
    assert tags != sorted(tags)
    (found,) = Device(MachineTransport(CONFIG, 1 << 20, seed)).run(together, x).outputs.values()
    np.testing.assert_array_equal(found, evaluate(graph, x)[0])
    monkeypatch.setattr(compiler, "groups_of", lambda layers, *_: one_by_one(layers))
    apart = compile_graph(graph, CONFIG)
    cycles = [sum(layer.predicted_cycles for layer in program.layers) for program in (together, apart)]
    assert cycles[0] < 0.97 * cycles[1]
