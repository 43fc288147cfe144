"""Means whose blocks of channels are the rows of one stream."""

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.rtl.isa import Opcode, disassemble
from weft.sim.transports import MachineTransport
from weft.sw.compiler import compiler
from weft.sw.compiler.boundary import split
from weft.sw.compiler.planning import Course
from weft.sw.compiler.stacks import Stack, stack_mappings
from weft.sw.compiler.tiling import Plan, cuts, pass_cycles
from weft.sw.compiler.ways import cycles, ways
from weft.sw.driver import Device
from weft.sw.graph import AveragePool2D
from weft.sw.lowering.lower import lower

from tests.sw.networks import Builder, evaluate

CONFIG = Config(rows=4, cols=4, weight_rows=4, lanes=2, depthwise=True, accumulators=60, parameter_channels=64)


def mean_of(size, channels, seed=0):
    build = Builder(np.random.default_rng(seed), rounding="tflite")
    x = build.input((1, *size, channels))
    return build.graph(build.pool(AveragePool2D, x, size, (1, 1), counts_padding=True, rounding="tflite"))


@pytest.mark.parametrize("size", [(3, 3), (1, 4), (5, 2), (2, 11)], ids=str)
@pytest.mark.parametrize("channels", [4, 12, 40])
def test_a_mean_is_one_instruction_however_it_is_cut(size, channels, monkeypatch):
    graph = mean_of(size, channels)
    (layer,) = lower(graph, split(graph), CONFIG)
    x = np.random.default_rng(1).integers(-128, 128, (1, *size, channels), dtype=np.int8)
    (wanted,) = evaluate(graph, x)
    (way,) = [way for way in ways(layer, CONFIG) if isinstance(way[0], Stack)]
    for tiles in cuts(layer, way, CONFIG):
        plan = Plan(way, tiles)
        course = Course((plan,), tuple((0, tile) for tile in range(len(tiles))))
        monkeypatch.setattr(compiler, "plan", lambda *_, course=course: course)
        program = compiler.compile_graph(graph, CONFIG)
        (found,) = Device(MachineTransport(CONFIG, 1 << 20)).run(program, x).outputs.values()
        np.testing.assert_array_equal(found, wanted)
        convs = [one for one in disassemble(program.image[program.run :]) if one.opcode is Opcode.CONV]
        assert len(convs) == len(tiles)
        assert pass_cycles(layer, plan, CONFIG) == cycles(layer, way)
        assert plan.weight_tiles == size[0] * -(-size[1] // CONFIG.rows)


@pytest.mark.parametrize("size, channels, config", [
    ((3, 3), 6, CONFIG),
    ((3, 1), 8, CONFIG.replace(weight_rows=1)),
], ids=["channels that are no whole blocks", "streams shorter than weights take to arrive"])  # fmt: skip
def test_other_means_are_computed_block_by_block(size, channels, config):
    graph = mean_of(size, channels)
    (layer,) = lower(graph, split(graph), config)
    assert stack_mappings(layer, config) == []
