"""Tiles cover their layer once and fit."""

from dataclasses import replace

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.sw.compiler.boundary import split
from weft.sw.compiler.mapping import dense_mappings
from weft.sw.compiler.tiling import (
    Plan,
    Tile,
    bytes_finished,
    bytes_needed,
    cuts,
    emptying_cycles,
    parts_of,
    pass_cycles,
    portions_of,
    shape_of,
    sums_of,
)
from weft.sw.compiler.ways import ways as ways_of
from weft.sw.graph import MaxPool2D
from weft.sw.lowering.layers import Window, blocks_of
from weft.sw.lowering.lower import lower

from tests.sw.networks import Builder, random_network

CONFIG = Config(rows=4, cols=4, lanes=2, accumulators=40)


def layers_of(graph, config=CONFIG):
    return lower(graph, split(graph), config)


def conv(shape=(1, 12, 12, 3), outputs=6, kernel=(3, 3), pool=None, **settings):
    build = Builder(np.random.default_rng(0))
    y = build.conv(build.input(shape), outputs, kernel, **settings)
    if pool is not None:
        y = build.pool(MaxPool2D, y, *pool)
    return layers_of(build.graph(y))[0]


@pytest.mark.parametrize(
    "window, outputs, wanted",
    [
        (Window(), (2, 3), (2, 3)),
        (Window((2, 2), (2, 2)), (1, 2), (2, 4)),
        (Window((3, 3), (2, 2), (1, 1)), (0, 2), (0, 4)),
        (Window((3, 3), (2, 2), (1, 1)), (2, 2), (3, 5)),
        (Window((3, 3), (2, 2), (1, 1)), (4, 1), (7, 3)),
        (Window((3, 3), (3, 3), (0, 0)), (3, 1), (9, 1)),
    ],
)
def test_sums_of(window, outputs, wanted):
    assert sums_of(window, 0, outputs, 10) == wanted


def ways(layer, config, portion=None):
    """All plans of all mappings."""
    return [
        Plan(way, tiles, portion is not None)
        for way in ways_of(layer, config)
        for tiles in cuts(layer, way, config, portion)
    ]


def mappings(layer, config):
    """The dense ones of a layer that is one block."""
    (block,) = blocks_of(layer, layer.groups)
    return dense_mappings(layer, block, 0, config)


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("portion", [None, 8])
@pytest.mark.parametrize("seed", range(12))
def test_every_cut_covers_every_output_once_and_fits(seed, portion, depthwise):
    config = CONFIG.replace(depthwise=depthwise)
    for layer in layers_of(random_network(seed), config):
        plans = ways(layer, config, portion)
        assert plans or portion is not None
        for plan in plans[:: max(len(plans) // 20, 1)]:
            covered = np.zeros((*layer.output_size, layer.output_channels), int)
            for tile in plan.tiles:
                shape = shape_of(layer, plan, tile, config)
                assert shape.entries <= config.accumulators
                first = plan.mappings[tile.block].block.first_output + tile.columns[0] * config.cols
                covered[
                    tile.rows[0] : sum(tile.rows), tile.pixels[0] : sum(tile.pixels), first : first + shape.channels
                ] += 1
            assert np.all(covered == 1)
            if portion is not None:
                assert max(count for _, count in portions_of(plan)) <= portion


def test_rows_come_first_unless_weights_are_streamed():
    layer = conv(outputs=10)
    first = next(plan for plan in ways(layer, CONFIG) if len({tile.columns for tile in plan.tiles}) > 1)
    assert [tile.rows[0] for tile in first.tiles] == sorted(tile.rows[0] for tile in first.tiles)
    streamed = next(plan for plan in ways(layer, CONFIG, 10) if len({tile.columns for tile in plan.tiles}) > 1)
    assert [tile.columns[0] for tile in streamed.tiles] == sorted(tile.columns[0] for tile in streamed.tiles)
    assert len(portions_of(streamed)) == len({tile.columns for tile in streamed.tiles})


def test_a_column_too_large_for_a_portion_comes_in_parts():
    layer = conv(shape=(1, 4, 4, 20))
    plan = ways(layer, CONFIG, 9)[0]
    ends = plan.tiles[0].ends
    assert len(ends) > 1
    assert all(end % CONFIG.rows == 0 for end in ends[:-1])
    assert ends[-1] == plan.mappings[0].run


def test_no_way_without_room_for_one_window():
    assert ways(conv(pool=((9, 9), (1, 1))), CONFIG) == []


def test_cycles():
    layer = conv(pool=((2, 2), (2, 2)))
    mapping = mappings(layer, CONFIG)[1]
    assert (mapping.packed, mapping.passes, mapping.column_tiles) == (1, 9, 2)
    tile = Tile(0, (0, 2), (0, 5), (0, 1), (mapping.run,))
    plan = Plan((mapping,), (tile,))
    shape = shape_of(layer, plan, tile, CONFIG)
    assert (shape.sums_rows, shape.positions, shape.entries, shape.channels) == ((0, 4), 40, 40, 4)
    assert [part.passes for part in parts_of(layer, mapping, tile)] == [9]
    assert [part.passes for part in parts_of(layer, mapping, replace(tile, ends=(4, 9)))] == [3, 6]
    assert emptying_cycles(layer, tile, shape, CONFIG) == 2 * 5 * 2 * 4
    assert pass_cycles(layer, Plan((mapping,), (tile, tile)), CONFIG) == 2 * 9 * 40


def test_a_pass_lasts_as_long_as_its_weights_take_to_arrive():
    layer = conv(shape=(1, 1, 1, 8), kernel=(1, 1))
    plan = ways(layer, CONFIG)[0]
    assert pass_cycles(layer, plan, CONFIG) == plan.weight_tiles * CONFIG.weight_steps


def test_what_a_tile_needs_of_its_input():
    layer = conv(padding=(1, 0, 1, 0), stride=(2, 1), dilation=(2, 1))
    (plan, *_) = ways(layer, CONFIG)
    row = 12 * 3
    for rows, wanted in (((0, 1), 4), ((1, 1), 6), ((4, 1), 12)):
        tile = replace(plan.tiles[0], rows=rows)
        assert bytes_needed(layer, plan.mappings[0], shape_of(layer, plan, tile, CONFIG), tile.ends[-1]) == wanted * row


def test_a_part_of_a_product_needs_a_part_of_its_input():
    layer = conv(shape=(1, 1, 1, 30), kernel=(1, 1))
    (plan, *_) = ways(layer, CONFIG)
    assert bytes_needed(layer, plan.mappings[0], shape_of(layer, plan, plan.tiles[0], CONFIG), 12) == 12


def test_what_is_finished_after_a_tile():
    layer = conv()
    mapping = mappings(layer, CONFIG)[0]
    spans = [((0, 4), (0, 1)), ((0, 4), (1, 1)), ((4, 6), (0, 1)), ((4, 6), (1, 1))]
    rows_first = Plan((mapping,), tuple(Tile(0, rows, (0, 10), columns, (mapping.run,)) for rows, columns in spans))
    assert bytes_finished(layer, rows_first, CONFIG) == [0, 240, 240, 600]
    columns_first = replace(rows_first, tiles=tuple(rows_first.tiles[index] for index in (0, 2, 1, 3)))
    assert bytes_finished(layer, columns_first, CONFIG) == [0, 0, 240, 600]


def test_a_product_finishes_channel_by_channel():
    layer = conv(shape=(1, 1, 1, 30), outputs=11, kernel=(1, 1))
    mapping = mappings(layer, CONFIG)[0]
    tiles = tuple(Tile(0, (0, 1), (0, 1), columns, (30,)) for columns in ((0, 1), (1, 2)))
    assert bytes_finished(layer, Plan((mapping,), tiles), CONFIG) == [4, 11]
