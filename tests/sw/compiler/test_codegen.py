"""Instructions of planned layers."""

import itertools

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.rtl.isa import Opcode, Space
from weft.rtl.registers import Unit
from weft.sw.compiler.allocate import place
from weft.sw.compiler.arrangement import Transfer, resident
from weft.sw.compiler.boundary import split
from weft.sw.compiler.codegen import INPUT_PIECES, LONGEST_LOAD, Arrivals, generate, setup_program
from weft.sw.compiler.constants import Resident
from weft.sw.compiler.merging import one_by_one
from weft.sw.compiler.planning import plan
from weft.sw.graph import MaxPool2D
from weft.sw.lowering.lower import lower

from tests.sw.networks import Builder

CONFIG = Config(rows=8, cols=8, weight_rows=8, lanes=2, accumulators=64)


@pytest.fixture
def build():
    return Builder(np.random.default_rng(0))


def generated(build, *outputs, config=CONFIG):
    graph = build.graph(*outputs)
    boundary = split(graph)
    layers = lower(graph, boundary, config)
    course, groups = plan(layers, boundary.inputs, config), one_by_one(layers)
    sizes = {name: tensor.size for name, tensor in graph.tensors.items()}
    sizes |= {layer.target: layer.target_bytes for layer in layers}
    inputs = [Transfer(name, 0, sizes[name]) for name in boundary.inputs]
    found = [Transfer(name, 64 * index, sizes[name]) for index, name in enumerate(boundary.outputs)]
    arrangement = resident(layers, groups, sizes, inputs, found)
    addresses = place(arrangement.buffers, config)
    return generate(arrangement, course, addresses, config), addresses


def of(code, opcode):
    return [one for one in code.instructions if one.opcode is opcode]


def test_a_tile_is_a_conv_and_a_drain(build):
    code, addresses = generated(build, build.fully_connected(build.input((1, 48)), 5))
    assert [one.opcode.name for one in code.instructions] == ["LOAD", "CONV", "DRAIN", "STORE", "END"]
    load, conv, drain, store, _ = code.instructions
    assert (load.wait, load.signal) == (0, 1 << Unit.ARRAY)
    assert (conv.wait, conv.signal) == (1 << Unit.LOAD, 0)
    assert (drain.wait, drain.signal) == (0, 1 << Unit.STORE)
    assert (store.wait, store.signal) == (1 << Unit.DRAIN, 0)
    assert (load.base, load.local, load.bytes) == (1, addresses["t0"], 48)
    assert (store.base, store.local, store.bytes) == (2, addresses["t1"], 5)
    assert (conv.acquire, conv.commit, conv.accumulate, drain.release) == (1, 1, 0, 1)
    assert [one.tag for one in code.instructions[:-1]] == [0, 1, 1, 2]


def test_negative_padding_positions(build):
    code, addresses = generated(build, build.conv(build.input((1, 5, 6, 3)), 5, (3, 3), padding=(1, 2, 1, 2)))
    conv = of(code, Opcode.CONV)[0]
    assert (conv.y0, conv.x0) == (-1, -6)
    assert conv.address == (addresses["t0"] - 18) % CONFIG.scratchpad_bytes
    assert (conv.height, conv.row_bytes) == (5, 18)
    assert conv.zero_point == build.tensors["t0"].zero_point


def test_padding_of_a_pool_starts_before_the_sums(build):
    y = build.conv(build.input((1, 5, 5, 3)), 5, (1, 1))
    code, _ = generated(build, build.pool(MaxPool2D, y, (3, 3), (2, 2), (1, 1, 1, 1)))
    drain = of(code, Opcode.DRAIN)[0]
    assert (drain.y0, drain.x0) == (-1, -1)
    first = drain.entry - (1 << 16)
    assert first == -(drain.window_row_step + drain.window_step)


def test_an_input_arrives_in_pieces(build):
    code, _ = generated(build, build.conv(build.input((1, 40, 10, 3)), 8, (3, 3)))
    loads = of(code, Opcode.LOAD)
    assert 1 < len(loads) <= INPUT_PIECES
    assert sum(one.bytes for one in loads) == 1200
    for one, two in itertools.pairwise(loads):
        assert (two.offset, two.local) == (one.offset + one.bytes, one.local + one.bytes)
    # The first tile waits for the first piece alone; the second piece is on its way meanwhile.
    assert [one.opcode.name for one in code.instructions[:3]] == ["LOAD", "CONV", "LOAD"]


def test_every_token_that_is_given_is_taken(build):
    y = build.pool(MaxPool2D, build.conv(build.input((1, 20, 20, 3)), 8, (3, 3)), (2, 2), (2, 2))
    z = build.conv(y, 4, (3, 3))
    code, _ = generated(build, z, build.fully_connected(build.flatten(z), 10))
    units = dict(zip((Opcode.LOAD, Opcode.CONV, Opcode.DRAIN, Opcode.STORE), Unit, strict=True))
    for giver in Unit:
        for taker in Unit:
            given = sum(one.signal >> taker & 1 for one in code.instructions[:-1] if units[one.opcode] is giver)
            taken = sum(one.wait >> giver & 1 for one in code.instructions[:-1] if units[one.opcode] is taker)
            assert given == taken


def test_streamed_weights_are_loaded_in_the_run(build):
    y = build.fully_connected(build.input((1, 64)), 80)
    code, _ = generated(build, y, config=CONFIG.replace(weight_tiles=20))
    loads = [one for one in of(code, Opcode.LOAD) if one.space == Space.WEIGHTS.value]
    assert code.resident[0].content == b""
    assert sum(one.bytes for one in loads) == len(code.streamed) == 80 * CONFIG.weight_line_bytes
    assert {one.tag for one in loads} == {1}


def test_resident_weights_lie_behind_the_streamed_ones(build):
    # Eight pixels use the first layer's weights eight times as often as the second one's are used.
    y = build.fully_connected(build.input((8, 64)), 80)
    z = build.fully_connected(build.flatten(y), 1)
    code, _ = generated(build, z, config=CONFIG.replace(weight_tiles=100))
    weights = code.resident[0]
    assert weights.local == (100 - 80) * CONFIG.weight_line_bytes
    assert len(weights.content) == 80 * CONFIG.weight_line_bytes


@pytest.mark.parametrize("size", [100, LONGEST_LOAD + 64])
def test_setup_loads_all_constants(size):
    resident = (Resident(Space.WEIGHTS, 192, bytes(size)), Resident(Space.PARAMETERS, 0, bytes(80)))
    loads = setup_program(resident, (128, 128 + size))[:-1]
    weights = [one for one in loads if one.space == Space.WEIGHTS.value]
    assert sum(one.bytes for one in weights) == size
    assert (weights[0].offset, weights[0].local) == (128, 192)
    assert [(one.offset, one.local, one.bytes) for one in loads if one.space == Space.PARAMETERS.value] == [
        (128 + size, 0, 80)
    ]


def test_the_instruction_after_which_bytes_are_there():
    pieces = Arrivals()
    for count, number in ((10, 3), (20, 5), (30, 9)):
        pieces.add(count, number)
    assert [pieces.until(count) for count in (1, 10, 11, 30)] == [3, 3, 5, 9]
