"""Fields of the instructions of one tile, where only a part of a layer is computed."""

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.rtl.isa import Combine
from weft.sw.compiler.boundary import split
from weft.sw.compiler.tile_code import columns_of, conv_fields, drain_fields, tiles_of
from weft.sw.compiler.tiling import Plan, Tile, parts_of, shape_of
from weft.sw.compiler.ways import ways
from weft.sw.graph import Add
from weft.sw.lowering.lower import lower

from tests.sw.networks import Builder

CONFIG = Config(rows=4, cols=4, weight_rows=4, lanes=2, accumulators=256, depthwise=True, tables=True)


@pytest.fixture
def build():
    return Builder(np.random.default_rng(0))


def lowered(build, output):
    graph = build.graph(output)
    (layer,) = lower(graph, split(graph), CONFIG)
    return layer


def cut(layer, tile):
    """A plan of one tile whose mapping packs nothing, and the tile's shape and parts."""
    way = next(way for way in ways(layer, CONFIG) if len(way) == 1 and way[0].packed == 1)
    plan = Plan(way, (tile,))
    return plan, shape_of(layer, plan, tile, CONFIG), parts_of(layer, way[0], tile)


def run_of(layer):
    return next(way for way in ways(layer, CONFIG) if len(way) == 1 and way[0].packed == 1)[0].run


def test_weights_of_a_tile_are_its_columns_and_its_part_of_the_run(build):
    layer = lowered(build, build.fully_connected(build.input((1, 10)), 11))
    tile = Tile(0, (0, 1), (0, 1), (1, 2), (8, 10))
    plan, _, parts = cut(layer, tile)
    columns = columns_of(layer, plan, CONFIG)[0]
    first, second = (tiles_of(columns, tile, part) for part in parts)
    weights = layer.weights.reshape(11, 10)
    # Two tiles of columns from the second one on: outputs 4 to 10, and one column that is not there.
    wanted = np.pad(weights[4:], ((0, 1), (0, 2)))
    for number, found in ((0, first), (1, second)):
        chunks = range(0, 8, 4) if number == 0 else range(8, 12, 4)
        expected = [wanted[4 * col : 4 * col + 4, chunk : chunk + 4].T for col in range(2) for chunk in chunks]
        np.testing.assert_array_equal(np.stack([np.asarray(one) for one in found]), np.stack(expected))


def test_a_conv_in_the_middle_starts_at_its_first_pixel(build):
    layer = lowered(build, build.conv(build.input((1, 9, 7, 3)), 4, (3, 3)))
    tile = Tile(0, (2, 3), (1, 4), (0, 1), (run_of(layer),))
    plan, shape, (part,) = cut(layer, tile)
    values = conv_fields(layer, plan.mappings[0], tile, shape, part, 100, CONFIG)
    assert (values["address"], values["x0"], values["y0"]) == (100 + 2 * 7 * 3, 3, 2)
    assert (values["oy_count"], values["ox_count"]) == (3, 4)
    assert (values["accumulate"], values["n_count"], values["entry"]) == (False, 1, 0)
    assert values["zero_point"] == layer.padding_value


def test_the_second_part_of_a_run_goes_on_where_the_first_one_ends(build):
    layer = lowered(build, build.fully_connected(build.input((1, 20)), 4))
    tile = Tile(0, (0, 1), (0, 1), (0, 1), (12, 20))
    plan, shape, parts = cut(layer, tile)
    first, second = (conv_fields(layer, plan.mappings[0], tile, shape, part, 0, CONFIG) for part in parts)
    assert (first["x0"], first["run"], first["accumulate"]) == (0, 12, False)
    assert (second["x0"], second["run"], second["accumulate"]) == (12, 8, True)


def test_a_drain_writes_its_rows_and_channels(build):
    layer = lowered(build, build.conv(build.input((1, 9, 7, 3)), 10, (3, 3)))
    tile = Tile(0, (2, 3), (1, 4), (1, 2), (run_of(layer),))
    plan, shape, _ = cut(layer, tile)
    values = drain_fields(layer, plan.mappings[0], tile, shape, 1000, CONFIG)
    assert values["address"] == 1000 + (2 * 5 + 1) * 10 + 4
    assert (values["rows"], values["pixels"], values["channels"]) == (3, 4, 6)
    assert (values["row_pitch"], values["pixel_pitch"]) == (5 * 10, 10)
    assert (values["combine"], values["entry"]) == (Combine.MAX, 0)


def test_the_operands_of_a_sum_are_a_window_of_two(build):
    shape = (1, 3, 3, 4)
    sources = build.input(shape), build.input(shape)
    target = build.tensor(shape)
    build.operators.append(Add("add", sources, target, rounding="tflite"))
    layer = lowered(build, target)
    tile = Tile(0, (0, 3), (0, 3), (0, 1), (run_of(layer),))
    plan, shape, parts = cut(layer, tile)
    assert [conv_fields(layer, plan.mappings[0], tile, shape, part, 0, CONFIG)["entry"] for part in parts] == [0, 1]
    values = drain_fields(layer, plan.mappings[0], tile, shape, 0, CONFIG)
    assert (values["combine"], values["window_width"], values["window_step"]) == (Combine.ADD, 2, 1)
    assert (values["x_stride"], values["look_up_sums"]) == (2, True)
