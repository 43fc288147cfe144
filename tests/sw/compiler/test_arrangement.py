"""Slots, moves and lifetimes of networks that do not fit on the chip; and whole programs of them on the machine."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.sim.transports import MachineTransport
from weft.sw.compiler.arrangement import INPUT, OUTPUT, WORKSPACE, Move, Strips, Transfer, banded, resident, strips_of
from weft.sw.compiler.compiler import compile_graph
from weft.sw.compiler.spilling import spill
from weft.sw.driver import Device
from weft.sw.errors import UserError
from weft.sw.lowering.elementwise import passing
from weft.sw.lowering.layers import Place

from tests.sw.compiler.test_cutting import chain
from tests.sw.compiler.test_dataflow import residual
from tests.sw.networks import evaluate, joined_network, random_network, residual_network

BASE = Config(
    rows=4, cols=4, weight_rows=4, lanes=2, accumulators=64, depthwise=True, tables=True, parameter_channels=128
)


def arranged(flow, room):
    inputs = [Transfer(name, 64 * index, flow.sizes[name]) for index, name in enumerate(flow.inputs)]
    outputs = [Transfer(name, 64 * index, flow.sizes[name]) for index, name in enumerate(flow.outputs)]
    return banded(flow, spill(flow, room), inputs, outputs)


def moves(slots, kind):
    return [move for slot in slots for move in getattr(slot, kind)]


@pytest.mark.parametrize("room", [600, 450, 300, 200])
def test_each_byte_is_stored_once_before_it_is_loaded(room):
    flow, _ = residual()
    arrangement = arranged(flow, room)
    stored = {name: set() for name in flow.sizes}
    for slot in arrangement.slots:
        for move in slot.loads:
            wanted = set(range(move.first, move.first + move.bytes))
            assert move.base == INPUT or wanted <= stored[move.tensor]
        for move in slot.stores:
            made = set(range(move.first, move.first + move.bytes))
            assert not made & stored[move.tensor]
            stored[move.tensor] |= made
    for name in flow.outputs:
        assert len(stored[name]) == flow.sizes[name]


@pytest.mark.parametrize("room", [600, 300, 150])
def test_what_a_piece_reads_is_alive(room):
    flow, _ = residual()
    arrangement = arranged(flow, room)
    lives = {buffer.name: buffer for buffer in arrangement.buffers}
    for number, slot in enumerate(arrangement.slots):
        for one in slot.pieces:
            layer = arrangement.pieces[one].layer
            for name, size in [
                *((name, layer.input_bytes) for name in layer.sources),
                (layer.target, layer.target_bytes),
            ]:
                assert lives[name].first <= number + 1 <= lives[name].last
                assert size <= lives[name].size
        for move in slot.loads:
            assert lives[move.buffer].first <= number + slot.loads_late
        for move in slot.stores:
            assert lives[move.buffer].last >= number + 2 - slot.stores_at_once


def test_bands_of_a_layer_follow_each_other():
    flow, _ = chain()
    arrangement = arranged(flow, 200)
    for index in range(len(flow.layers)):
        rows = [piece.layer.output_size[0] for piece in arrangement.pieces if piece.index == index]
        assert len(rows) > 1
        assert sum(rows) >= flow.layers[index].output_size[0]


def test_tensors_have_their_homes():
    flow, (x, *_, d) = residual()
    arrangement = arranged(flow, 300)
    homes = {
        move.tensor: move.base for move in [*moves(arrangement.slots, "loads"), *moves(arrangement.slots, "stores")]
    }
    assert (homes.pop(x), homes.pop(d)) == (INPUT, OUTPUT)
    assert set(homes.values()) <= {WORKSPACE}


def test_the_workspace_holds_what_is_alive_together():
    flow, _ = residual()
    arrangement = arranged(flow, 150)
    spaces = {move.tensor: move.offset for move in moves(arrangement.slots, "stores") if move.base == WORKSPACE}
    assert spaces
    ends = sorted((offset, offset + flow.sizes[name]) for name, offset in spaces.items())
    assert max(end for _, end in ends) <= arrangement.workspace_bytes
    if not any(arrangement.memory_before.values()):
        assert all(end <= start for (_, end), (start, _) in pairwise(ends))


def test_everything_on_the_chip_is_loaded_and_stored_once():
    flow, (x, *_, d) = residual()
    groups = [range(index, index + 1) for index in range(4)]
    arrangement = resident(flow.layers, groups, flow.sizes, [Transfer(x, 0, 256)], [Transfer(d, 0, 256)])
    assert [move.tensor for move in arrangement.slots[0].loads] == [x]
    assert [move.tensor for move in arrangement.slots[-1].stores] == [d]
    assert arrangement.workspace_bytes == 0


@pytest.mark.parametrize(
    "output, channels, place, count",
    [
        ((6, 5), 3, Place((6, 5), 3), 1),
        ((6, 5), 3, Place((9, 5), 3, (2, 0)), 1),
        ((6, 5), 3, Place((6, 9), 3, (0, 4)), 1),
        ((3, 5), 3, Place((6, 5), 3, (1, 0), (2, 1)), 1),
        ((6, 5), 3, Place((6, 5), 8, channel=5), 1),
        ((6, 5), 3, Place((6, 10), 3, (0, 1), (1, 2)), 1),
        ((6, 5), 3, Place((6, 9), 8, (0, 2), channel=1), 4),
        ((3, 5), 3, Place((6, 10), 3, (1, 1), (2, 2)), 3),
    ],
)
def test_results_go_where_they_belong_in_few_strips(output, channels, place, count):
    layer = replace(passing("a", "copy", "x", "y", output, channels), place=place)
    rows = (0, 3) if output[0] == 3 else (1, 4)
    strips = strips_of(layer, rows)
    assert len(strips) == count
    image = np.arange(np.prod(place.size) * place.channels).reshape(*place.size, place.channels)
    (y, x), (down, across) = place.origin, place.step
    wanted = image[y::down, x::across, place.channel :][sum(rows[:1]) : sum(rows), : output[1], :channels]
    found = {}
    for one in strips:
        for number in range(one.count):
            for byte in range(one.bytes):
                found[one.start + number * one.bytes + byte] = one.first + number * one.step + byte
    assert [found[byte] for byte in range(len(found))] == wanted.reshape(-1).tolist()
    assert max(found.values()) + 1 == max(one.stop for one in strips)


def test_moves_meet_what_lies_between_their_strips():
    scattered = Move("a", "x", 4, 6, 0, 0, (Strips(0, 4, 2, 3, 10),))
    assert not scattered.meets(Move("b", "x", 0, 4, 0, 0))
    assert scattered.meets(Move("b", "x", 8, 4, 0, 0))
    assert Move("b", "x", 25, 4, 0, 0).meets(scattered)
    assert not Move("b", "x", 26, 4, 0, 0).meets(scattered)
    assert not Move("b", "y", 8, 4, 0, 0).meets(scattered)


@pytest.mark.parametrize("scratchpad_bytes", [256, 512, 1024])
@pytest.mark.parametrize(
    "kind, first",
    [(kind, first) for kind in (random_network, residual_network) for first in range(0, 60, 10)]
    + [(joined_network, first) for first in (0, 10)],
    ids=lambda value: f"seeds{value}-{value + 9}" if isinstance(value, int) else value.__name__,
)
def test_programs_in_bands_equal_the_golden_model(kind, scratchpad_bytes, first):
    """Units take turns at random: a missing token would show."""
    compared = 0
    for seed in range(first, first + 10):
        graph = kind(seed)
        config = BASE.replace(
            scratchpad_bytes=scratchpad_bytes << (kind is joined_network), weight_tiles=96 if seed % 2 else 2048
        )
        try:
            program = compile_graph(graph, config)
        except UserError as error:
            known = ("even a row at a time", "wider than the scratchpad", "weight")
            assert any(some in str(error) for some in known)  # noqa: PT017
            continue
        random = np.random.default_rng(seed)
        inputs = [random.integers(-128, 128, (2, *graph.tensors[name].shape[1:]), np.int8) for name in graph.inputs]
        outputs = Device(MachineTransport(config, seed=seed)).run(program, inputs)[0]
        for sample in range(2):
            wanted = evaluate(graph, *(one[sample : sample + 1] for one in inputs))
            for name, values in zip(graph.outputs, wanted, strict=True):
                np.testing.assert_array_equal(outputs[name][sample].reshape(-1), values.reshape(-1))
        compared += 1
    assert compared >= 2
