"""Tensors as images, and layers that copy parts of them."""

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.sw.errors import UserError
from weft.sw.graph import Clamp, Constant, Graph, Reshape, Tensor
from weft.sw.lowering.elementwise import TALLEST, passing
from weft.sw.lowering.images import constant_of, cost, filled, image_of, period_of, pixel_of, root_of, section, selected
from weft.sw.lowering.layers import Place

CONFIG = Config(rows=4, cols=4, depthwise=True, lanes=2)


@pytest.mark.parametrize(
    "shape, expected",
    [
        ((1, 5, 6, 2), ((5, 6), 2)),
        ((4, 7), ((1, 4), 7)),
        ((1, 7), ((1, 1), 7)),
        ((), ((1, 1), 1)),
        ((2, 5, 6, 2), ((1, 60), 2)),
        ((2 * TALLEST, 3), ((TALLEST, 2), 3)),
    ],
)
def test_rows_of_features_are_pixels(shape, expected):
    assert image_of(Tensor("x", shape, "int8")) == expected


def graph_of(values):
    tensors = {name: Tensor(name, (2, 6), "int8") for name in "xy"}
    tensors["c"] = Tensor("c", (12,), "int8")
    tensors["d"] = Tensor("d", (2, 6), "int8")
    operators = (Constant("c", (), "c", value=values), Reshape("d", ("c",), "d"), Clamp("y", ("x",), "y"))
    return Graph("test", tensors, operators, ("x",), ("y",))


def test_a_reshaped_constant_is_still_known():
    values = np.arange(12, dtype=np.int8)
    graph = graph_of(values)
    assert (root_of(graph, "d"), root_of(graph, "y")) == ("c", "y")
    np.testing.assert_array_equal(constant_of(graph, "d"), values.reshape(2, 6))
    assert constant_of(graph, "y") is None
    assert constant_of(graph, "x") is None


@pytest.mark.parametrize(
    "values, most, period", [([7] * 6, 9, 1), ([1, 2, 3] * 2, 9, 3), ([1, 2] * 3, 1, None), ([1, 1, 2], 3, 3)]
)
def test_how_often_values_repeat(values, most, period):
    assert period_of(np.array(values, np.int8), most) == period


def test_the_pixel_that_a_constant_repeats():
    graph = graph_of(np.tile([4, 5, 6], 4).astype(np.int8))
    assert pixel_of(graph, "d", 6, CONFIG).tolist() == [4, 5, 6, 4, 5, 6]
    assert pixel_of(graph, "d", 6, CONFIG.replace(parameter_channels=4)) is None
    assert pixel_of(graph, "d", 2, CONFIG) is None
    assert pixel_of(graph, "y", 3, CONFIG) is None


def test_a_section_begins_at_its_first_pixel():
    layer = section(passing("s", "slice", "x", "y", (9, 8), 3), (4, 2), (1, -2), (2, 3), -7)
    assert (layer.before, layer.stride, layer.padding_value) == ((-1, 2), (2, 3), -7)
    assert (layer.sums_size, layer.output_size, layer.place) == ((4, 2), (4, 2), Place((4, 2), 3))


@pytest.mark.parametrize(
    "size, output, stride, sentence",
    [
        ((TALLEST + 1, 1), (1, 1), (1, 1), f"is an image of {TALLEST + 1} rows on the device, supported are up to"),
        ((1, 600), (1, 2), (1, 300), "takes every element number 300, supported are up to 255"),
    ],
)
def test_what_no_instruction_holds_is_refused(size, output, stride, sentence):
    with pytest.raises(UserError, match=sentence):
        section(passing("s", "slice", "x", "y", size, 1), output, stride=stride)


def test_constant_pixels_come_from_the_bias():
    place = Place((4, 5), 8, channel=2)
    layer = filled("f", "concat", Tensor("x", (1, 3, 3, 7), "int8"), "y", np.array([5, -5], np.int8), (4, 5), place)
    assert not layer.weights.any()
    assert layer.bias.tolist() == [5, -5]
    assert (layer.input_bytes, layer.output_channels, layer.place) == (63, 2, place)


def test_channels_are_selected_by_weights():
    layer = selected(passing("s", "slice", "x", "y", (2, 2), 3), np.array([2, 0, -1, 3]), 9)
    assert layer.weights[:, 0, 0].tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert layer.bias.tolist() == [0, 0, 9, 9]


def test_what_takes_more_cycles_costs_more():
    narrow, wide = (passing("s", "copy", "x", "y", (10, 10), channels) for channels in (4, 12))
    assert cost([narrow], CONFIG) < cost([narrow, narrow], CONFIG) < cost([wide], CONFIG)
