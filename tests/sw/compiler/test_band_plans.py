"""Plans of pieces: the weights of a layer are cut alike in all of them, and every tile has its turn."""

from itertools import pairwise

import numpy as np
import pytest
from weft.gen.presets import load_config
from weft.rtl.config import Config
from weft.sw.compiler.arrangement import Transfer, banded
from weft.sw.compiler.band_plans import FEW_TILES, PORTION, plan_bands
from weft.sw.compiler.spilling import spill
from weft.sw.compiler.tiling import portions_of, shape_of
from weft.sw.errors import UserError
from weft.sw.graph import Add

from tests.sw.compiler.test_cutting import chain
from tests.sw.compiler.test_dataflow import flow_of, residual
from tests.sw.networks import Builder

CONFIG = Config(rows=4, cols=4, weight_rows=4, lanes=2, accumulators=64, depthwise=True, tables=True)


def arranged(flow, room):
    inputs = [Transfer(name, 0, flow.sizes[name]) for name in flow.inputs]
    outputs = [Transfer(name, 0, flow.sizes[name]) for name in flow.outputs]
    return banded(flow, spill(flow, room), inputs, outputs)


@pytest.mark.parametrize("room", [600, 300, 150])
def test_every_tile_has_its_turn_in_its_slot(room):
    flow, _ = residual()
    arrangement = arranged(flow, room)
    course = plan_bands(arrangement, CONFIG)
    wanted = {(number, tile) for number, plan in enumerate(course.plans) for tile in range(len(plan.tiles))}
    assert len(course.order) == len(wanted)
    assert set(course.order) == wanted
    slots = {number: index for index, slot in enumerate(arrangement.slots) for number in slot.pieces}
    turns = [slots[number] for number, _ in course.order]
    assert turns == sorted(turns)
    for number in range(len(course.plans)):
        tiles = [tile for one, tile in course.order if one == number]
        assert tiles == sorted(tiles)


@pytest.mark.parametrize("weight_tiles", [2048, 48])
def test_all_pieces_of_a_layer_use_the_same_portions(weight_tiles):
    build = Builder(np.random.default_rng(0))
    x = build.conv(build.input((1, 16, 16, 4)), 24, (3, 3), padding=(1, 1, 1, 1))
    flow = flow_of(build, build.conv(x, 20, (1, 1)))
    config = CONFIG.replace(weight_tiles=weight_tiles)
    arrangement = arranged(flow, 1500)
    course = plan_bands(arrangement, config)
    portions = {}
    for piece, plan in zip(arrangement.pieces, course.plans, strict=True):
        found = {key for key, _ in portions_of(plan)}
        assert portions.setdefault(piece.index, found) == found
        assert plan.streamed == (weight_tiles == 48)
        if plan.streamed:
            assert max(count for _, count in portions_of(plan)) <= weight_tiles // PORTION


def test_few_weights_stay():
    build = Builder(np.random.default_rng(0))
    x = build.conv(build.conv(build.input((1, 16, 16, 8)), 24, (1, 1)), 4, (1, 1))
    flow = flow_of(build, build.conv(x, 4, (1, 1)))
    arrangement = arranged(flow, 1500)
    course = plan_bands(arrangement, CONFIG.replace(weight_tiles=16))
    tiles = {piece.index: plan.weight_tiles for piece, plan in zip(arrangement.pieces, course.plans, strict=True)}
    assert tiles == {0: 12, 1: 6, 2: 1}
    for plan in course.plans:
        assert plan.streamed == (plan.weight_tiles > FEW_TILES)


def test_tiles_fit_the_accumulator():
    flow, _ = residual()
    arrangement = arranged(flow, 300)
    course = plan_bands(arrangement, CONFIG)
    for piece, plan in zip(arrangement.pieces, course.plans, strict=True):
        assert max(shape_of(piece.layer, plan, tile, CONFIG).entries for tile in plan.tiles) <= CONFIG.accumulators


def test_sums_take_turns_with_convolutions():
    """The drain needs twice as long for a sum as the array: sums in a row would let the array wait."""
    build = Builder(np.random.default_rng(0))
    x = build.conv(build.input((1, 32, 32, 16)), 64, (1, 1))
    y = build.conv(build.conv(x, 16, (3, 3), padding=(1, 1, 1, 1)), 64, (1, 1))
    target = build.tensor(build.tensors[x].shape)
    build.operators.append(Add("sum", (x, y), target, rounding="tflite"))
    config = load_config(preset="large")
    flow = flow_of(build, build.conv(target, 16, (1, 1)), config=config)
    arrangement = arranged(flow, 1 << 15)
    course = plan_bands(arrangement, config)
    sums = [arrangement.pieces[number].layer.operands == 2 for number, _ in course.order]
    assert sum(sums) > 4
    neighbours = sum(one and two for one, two in pairwise(sums))
    assert neighbours < sum(sums) / 2


def test_too_few_accumulators_are_a_sentence():
    flow, _ = chain()
    with pytest.raises(UserError, match="does not fit into the accumulator of the configuration"):
        plan_bands(arranged(flow, 300), CONFIG.replace(accumulators=2))
