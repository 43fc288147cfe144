"""Which layers may take turns."""

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.rtl.isa import Opcode, disassemble
from weft.sim.transports import MachineTransport
from weft.sw.compiler import compiler
from weft.sw.compiler.boundary import split
from weft.sw.compiler.compiler import compile_graph
from weft.sw.compiler.merging import drained, groups_of, one_by_one, steps_of
from weft.sw.driver import Device
from weft.sw.lowering.lower import lower

from tests.sw.networks import Builder, evaluate, residual_block

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


def layers_of(graph, config=CONFIG):
    return lower(graph, split(graph), config)


def test_what_the_drain_is_slow_at_joins_the_layers_around_it():
    layers = layers_of(residual_block())
    assert [layer.op for layer in layers] == ["conv", "conv", "conv", "add"]
    assert groups_of(layers, CONFIG) == [range(0, 3), range(0, 4), range(1, 3), range(1, 4), range(2, 4)]
    # The sum reads two values for each that it makes.
    assert drained(layers[3], CONFIG) == 2 * drained(layers[2], CONFIG)


def test_a_fast_drain_needs_no_help_with_a_convolution():
    config = CONFIG.replace(lanes=8)
    assert groups_of(layers_of(residual_block(), config), config) == [range(1, 4), range(2, 4)]


def test_products_and_parts_of_an_image_stay_apart():
    build = Builder(np.random.default_rng(0))
    y = build.fully_connected(build.fully_connected(build.input((1, 8)), 64), 64)
    assert groups_of(layers_of(build.graph(y)), CONFIG) == []


def test_steps_count_groups():
    assert one_by_one([None] * 3) == (range(0, 1), range(1, 2), range(2, 3))
    assert steps_of([range(0, 1), range(1, 4)]) == [1, 2, 2, 2]


@pytest.mark.parametrize("seed", range(4))
def test_taking_turns_saves_time_and_changes_nothing(seed, monkeypatch):
    graph = residual_block(seed, size=14 + seed)
    x = np.random.default_rng(seed).integers(-128, 128, graph.tensors["t0"].shape, dtype=np.int8)
    together = compile_graph(graph, CONFIG)
    tags = [one.tag for one in disassemble(together.image[together.run :]) if one.opcode is Opcode.DRAIN]
    assert tags != sorted(tags)
    (found,) = Device(MachineTransport(CONFIG, 1 << 20, seed)).run(together, x).outputs.values()
    np.testing.assert_array_equal(found, evaluate(graph, x)[0])
    monkeypatch.setattr(compiler, "groups_of", lambda *_: [])
    apart = compile_graph(graph, CONFIG)
    cycles = [sum(layer.predicted_cycles for layer in program.layers) for program in (together, apart)]
    assert cycles[0] < 0.97 * cycles[1]
