"""Layers that are put into the layers before them."""

from dataclasses import replace

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.sw.compiler.boundary import split
from weft.sw.graph import AveragePool2D, Clamp, Concat, Lookup, MaxPool2D, Requantize
from weft.sw.lowering.elementwise import passing
from weft.sw.lowering.joins import share_drains
from weft.sw.lowering.layers import Place
from weft.sw.lowering.lower import lower

from tests.sw.networks import Builder

CONFIG = Config(rows=8, cols=8, depthwise=True, tables=True)


@pytest.fixture
def build():
    return Builder(np.random.default_rng(0))


def lowered(build, *outputs):
    graph = build.graph(*outputs)
    return lower(graph, split(graph), CONFIG)


def joined(build, *sources, axis=3):
    shape = list(build.tensors[sources[0]].shape)
    shape[axis] = sum(build.tensors[one].shape[axis] for one in sources)
    target = build.tensor(tuple(shape), like=sources[0])
    build.operators.append(Concat(f"concat{len(build.operators)}", sources, target, axis=axis))
    return target


def convs(build, *channels):
    x = build.input((1, 8, 8, 3))
    return [build.conv(x, count, (3, 3)) for count in channels]


def test_convolutions_write_into_what_they_are_joined_to(build):
    y = joined(build, *convs(build, 4, 7))
    layers = lowered(build, y)
    assert [(layer.op, layer.target) for layer in layers] == [("conv", y)] * 2
    assert [layer.place for layer in layers] == [Place((6, 6), 11), Place((6, 6), 11, channel=4)]


def test_what_is_joined_twice_goes_to_the_last_place(build):
    first, second, third = convs(build, 4, 7, 2)
    y = joined(build, third, joined(build, first, second))
    layers = lowered(build, y)
    assert [layer.op for layer in layers] == ["conv"] * 3
    assert [layer.place.channel for layer in layers] == [2, 6, 0]
    assert {layer.place.channels for layer in layers} == {13}


@pytest.mark.parametrize("axis, origin", [(1, (6, 0)), (2, (0, 6))])
def test_rows_and_pixels_are_joined_alike(build, axis, origin):
    _, second = lowered(build, joined(build, *convs(build, 4, 4), axis=axis))
    assert second.place.origin == origin


@pytest.mark.parametrize("case", ["output", "reader", "twice", "input"])
def test_what_others_read_is_copied(build, case):
    one, two = convs(build, 4, 4)
    if case == "twice":
        two = one
    if case == "input":
        two = build.input((1, 6, 6, 4))
    y = joined(build, one, two)
    outputs = [y]
    if case == "output":
        outputs.append(one)
    if case == "reader":
        outputs.append(build.conv(one, 2, (1, 1)))
    ops = [layer.op for layer in lowered(build, *outputs)]
    assert ops.count("concat") == (2 if case == "twice" else 1)


def test_areas_of_a_mean_are_placed_one_by_one(build):
    one, two = convs(build, 4, 4)
    padding = {"padding": (1, 1, 1, 1), "counts_padding": False, "rounding": "onnx"}
    mean = build.pool(AveragePool2D, one, (3, 3), (1, 1), **padding)
    layers = lowered(build, joined(build, two, mean))
    areas = [layer.place for layer in layers if layer.op == "average pool"]
    assert len(areas) == 9
    assert {place.channel for place in areas} == {4}
    assert {place.origin for place in areas} == {(y, x) for y in (0, 1, 5) for x in (0, 1, 5)}


def test_a_table_behind_areas_goes_into_each(build):
    padding = {"padding": (1, 1, 1, 1), "counts_padding": False, "rounding": "onnx"}
    y = build.pool(AveragePool2D, build.input((1, 6, 6, 4)), (3, 3), (1, 1), **padding)
    table = build.random.integers(-128, 128, 256, dtype=np.int8)
    layers = lowered(build, build.add(Lookup, y, build.tensors[y].shape, table=table))
    assert [layer.op for layer in layers] == ["average pool+lookup"] * 9
    for layer in layers:
        np.testing.assert_array_equal(layer.result_table, table)


def test_functions_of_single_values_take_the_image_of_their_copy(build):
    one, two = build.input((1, 6, 6, 5)), build.input((1, 6, 6, 3))
    scaled = build.add(Requantize, one, (1, 6, 6, 5), rounding="onnx")
    build.tensors[two] = replace(build.tensors[scaled], name=two, shape=(1, 6, 6, 3))
    first, second = lowered(build, joined(build, scaled, two))
    assert (first.op, first.source, first.output_size, first.output_channels) == ("requantize", one, (6, 6), 5)
    assert (second.op, second.place.channel) == ("concat", 5)


def test_limits_behind_limits_are_limits(build):
    (y,) = convs(build, 4)
    build.operators[0] = replace(build.operators[0], minimum=-50, maximum=90)
    (layer,) = lowered(build, build.add(Clamp, y, (1, 6, 6, 4), True, minimum=-20, maximum=100))
    assert (layer.minimum, layer.maximum, layer.result_table) == (-20, 90, None)


def test_limits_of_a_pool_are_those_of_its_convolution(build):
    (y,) = convs(build, 4)
    (layer,) = lowered(build, build.pool(MaxPool2D, y, (2, 2), (2, 2), maximum=5))
    assert (layer.op, layer.maximum, layer.window.size) == ("conv+max pool", 5, (2, 2))


def test_sums_that_are_looked_up_are_not_pooled():
    """The second cell of a window would be looked up in another table."""
    maker = replace(passing("a", "add", "x", "y", (4, 4), 2), sum_tables=np.zeros((2, 256), np.int32))
    pool = passing("b", "max pool", "y", "z", (4, 4), 2)
    pool = replace(pool, window=replace(pool.window, size=(2, 2)), output_size=(3, 3), place=Place((3, 3), 2))
    assert len(share_drains((maker, pool), ("z",))) == 2
    assert len(share_drains((replace(maker, sum_tables=None), pool), ("z",))) == 1
