"""Plans fit, are better than naive ones, and let weights stream where they must."""

from pathlib import Path

import numpy as np
import pytest
from weft.gen.presets import SMALL
from weft.rtl.config import Config
from weft.sw.compiler.boundary import split
from weft.sw.compiler.planning import plan
from weft.sw.compiler.tiling import pass_cycles, portions_of, shape_of
from weft.sw.errors import UserError
from weft.sw.graph import MaxPool2D
from weft.sw.lowering.lower import lower
from weft.sw.onnx.reader import read_onnx

from tests.sw.networks import Builder, device_part

LENET = Path(__file__).parents[3] / "sw" / "models" / "lenet5.onnx"
TWO_LANES = SMALL.replace(lanes=2)
BOUNDS = {
    (8, 8): [2940, 4000, 750, 165, 22],
    (16, 8): [2940, 2000, 375, 88, 12],
    (16, 16): [1680, 1000, 200, 48, 6],
}
"""Array-pass cycles of LeNet's layers: 7,877, 5,415 and 2,934 in all."""


@pytest.fixture(scope="module")
def lenet():
    graph = device_part(read_onnx(LENET))
    return graph, split(graph)


def planned(graph, config):
    boundary = split(graph)
    layers = lower(graph, boundary, config)
    return layers, plan(layers, boundary.inputs, config).plans


@pytest.mark.parametrize("rows, cols", [(8, 8), (16, 8)])
def test_lenet_takes_the_passes_of_the_design(lenet, rows, cols):
    graph, boundary = lenet
    config = TWO_LANES.replace(rows=rows, cols=cols, weight_rows=rows)
    layers = lower(graph, boundary, config)
    plans = plan(layers, boundary.inputs, config).plans
    assert [pass_cycles(*both, config) for both in zip(layers, plans, strict=True)] == BOUNDS[rows, cols]
    assert sum(BOUNDS[rows, cols]) == {8: 7877, 16: 5415}[rows]


def test_lenet_on_a_drain_of_two_lanes_is_bound_by_it(lenet):
    """With 16x16 the first layer has 1,680 cycles of passes and 2,352 of draining, so more passes cost nothing."""
    graph, boundary = lenet
    config = TWO_LANES.replace(rows=16, cols=16, weight_rows=16, lanes=2)
    layers = lower(graph, boundary, config)
    plans = plan(layers, boundary.inputs, config).plans
    found = [pass_cycles(*both, config) for both in zip(layers, plans, strict=True)]
    assert found[1:] == BOUNDS[16, 16][1:]
    assert 1680 <= found[0] <= 1.15 * 1680
    assert sum(BOUNDS[16, 16]) == 2934


def test_the_last_tile_is_short(lenet):
    graph, boundary = lenet
    layers = lower(graph, boundary, TWO_LANES)
    plans = plan(layers, boundary.inputs, TWO_LANES).plans
    last = plans[-3].tiles
    assert last[-1].columns[1] < max(tile.columns[1] for tile in last)


def test_a_product_starts_on_what_is_there_of_its_input(lenet):
    graph, boundary = lenet
    layers = lower(graph, boundary, TWO_LANES)
    plans = plan(layers, boundary.inputs, TWO_LANES).plans
    assert len(plans[2].tiles[0].ends) > 1
    assert all(len(tile.ends) == 1 for tile in plans[2].tiles[1:])
    assert all(len(tile.ends) == 1 for one in plans[:2] for tile in one.tiles)


def test_packing_is_given_up_where_weights_would_not_fit():
    build = Builder(np.random.default_rng(0))
    graph = build.graph(build.conv(build.input((1, 12, 30, 1)), 6, (3, 3)))
    (_,), (free,) = planned(graph, SMALL)
    assert free.mappings[0].packed > 1
    (_,), (tight,) = planned(graph, SMALL.replace(weight_tiles=free.weight_tiles - 1))
    assert tight.weight_tiles < free.weight_tiles
    assert not tight.streamed


@pytest.mark.parametrize("tiles", [900, 300, 60, 20])
def test_what_does_not_fit_is_streamed(lenet, tiles):
    graph, boundary = lenet
    config = TWO_LANES.replace(weight_tiles=tiles)
    layers = lower(graph, boundary, config)
    plans = plan(layers, boundary.inputs, config).plans
    streamed = [one for one in plans if one.streamed]
    room = tiles - sum(one.weight_tiles for one in plans if not one.streamed)
    assert streamed
    assert max(count for one in streamed for _, count in portions_of(one)) <= room // 2


def test_tiles_fit_into_the_accumulator(lenet):
    graph, boundary = lenet
    config = TWO_LANES.replace(accumulators=30)
    layers = lower(graph, boundary, config)
    for layer, one in zip(layers, plan(layers, boundary.inputs, config).plans, strict=True):
        for tile in one.tiles:
            assert shape_of(layer, one, tile, config).entries <= 30


def test_no_room_for_a_window():
    build = Builder(np.random.default_rng(0))
    y = build.pool(MaxPool2D, build.conv(build.input((1, 12, 12, 1)), 3, (1, 1)), (6, 6), (1, 1))
    with pytest.raises(UserError) as error:
        planned(build.graph(y), Config(accumulators=20))
    assert str(error.value) == (
        "conv+max pool 'conv0' needs more than the 20 accumulators of the configuration "
        "for a single pooling window of 6x6"
    )


def test_no_room_for_two_portions():
    build = Builder(np.random.default_rng(0))
    graph = build.graph(build.conv(build.input((1, 12, 12, 20)), 3, (5, 5)))
    with pytest.raises(UserError) as error:
        planned(graph, Config(weight_tiles=8))
    assert str(error.value) == (
        "conv 'conv0' needs 5 weight tiles at once while as many are loaded, "
        "and the 8 of the configuration leave room for 4"
    )
