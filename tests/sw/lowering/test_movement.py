"""Concatenation, padding and slices as layers; that they are exact, test_lower_operators tests."""

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.sw.errors import UserError
from weft.sw.graph import Concat, Constant, Graph, Pad, Slice, Tensor
from weft.sw.lowering.elementwise import TALLEST
from weft.sw.lowering.layers import Place
from weft.sw.lowering.movement import Cut, concat, joined_channels, pad, slice_, untouched

CONFIG = Config(rows=4, cols=4, depthwise=True, lanes=2)


def tensor(name, *shape):
    return Tensor(name, shape, "int8")


def cut(source, start, step, count, config=CONFIG):
    operator = Slice("s", ("x",), "y", start=start, step=step)
    return slice_(operator, tensor("x", *source), tensor("y", *count), config)


def padded(source, padding, config=CONFIG):
    target = tensor("y", *(n + sum(one) for n, one in zip(source, padding, strict=True)))
    return pad(Pad("p", ("x",), "y", padding=padding, value=-9), tensor("x", *source), target, config)


def joined(axis, *shapes, constants=()):
    sources = [tensor(f"x{index}", *shape) for index, shape in enumerate(shapes)]
    length = sum(shape[axis] for shape in shapes)
    target = tensor("y", *(length if place == axis else n for place, n in enumerate(shapes[0])))
    operator = Concat("c", tuple(one.name for one in sources), "y", axis=axis)
    known = tuple(Constant(f"k{index}", (), f"x{index}", value=value) for index, value in constants)
    graph = Graph("test", {one.name: one for one in (*sources, target)}, (*known, operator), (), ("y",))
    return concat(operator, sources, target, graph, CONFIG)


def test_blocks_of_a_cut_stay_together():
    assert Cut(12, 4, 1, 8).of_blocks() == Cut(3, 1, 1, 2)
    assert Cut(12, -6, 1, 24).block == 6
    assert Cut(12, 4, 2, 2).block == 1
    assert not untouched(7).moves
    assert Cut(7, 0, 1, 6).moves


def test_rows_and_pixels_are_cut_by_one_layer():
    (layer,) = cut((1, 9, 8, 6), (0, 1, 2, 0), (1, 2, 3, 1), (1, 4, 2, 6))
    assert (layer.input_size, layer.input_channels, layer.before, layer.stride) == ((9, 8), 6, (-1, -2), (2, 3))
    assert (layer.output_size, layer.whole, layer.groups) == ((4, 2), True, 6)


def test_channels_in_blocks_are_pixels():
    (layer,) = cut((1, 5, 5, 24), (0, 0, 0, 8), (1, 1, 1, 1), (1, 5, 5, 8))
    assert (layer.input_size, layer.input_channels, layer.output_size) == ((25, 3), 8, (25, 1))


def test_few_channels_are_selected_by_weights():
    (layer,) = cut((1, 5, 5, 3), (0, 1, 0, 2), (1, 1, 1, 1), (1, 2, 4, 1))
    assert (layer.groups, layer.weights[:, 0, 0].tolist()) == (1, [[0, 0, 1]])
    assert (layer.input_size, layer.before, layer.output_size) == ((5, 5), (-1, 0), (2, 4))


def test_all_axes_of_many_channels_take_two_layers():
    first, second = cut((1, 9, 9, 1024), (0, 1, 1, 512), (1, 1, 1, 1), (1, 4, 4, 512))
    assert (first.input_channels, first.output_size, first.target) == (1024, (4, 4), second.source)
    assert (second.input_size, second.input_channels) == ((16, 2), 512)


def test_the_border_is_padding():
    (layer,) = padded((1, 5, 6, 4), ((0, 0), (1, 2), (3, 0), (0, 0)))
    assert (layer.before, layer.padding_value, layer.output_size) == ((1, 3), -9, (8, 9))


def test_channels_are_padded_by_the_bias():
    (layer,) = padded((1, 5, 6, 3), ((0, 0), (1, 0), (0, 0), (0, 1)))
    assert layer.bias.tolist() == [0, 0, 0, -9]
    assert layer.padding_value == -9


def test_what_stays_as_it_is_is_a_copy():
    (layer,) = cut((1, 5, 6, 3), (0, 0, 0, 0), (1, 1, 1, 1), (1, 5, 6, 3))
    assert layer.passes_values
    assert layer.whole


def test_tall_images_with_cut_channels_are_refused_where_no_layer_selects_them():
    with pytest.raises(UserError, match=f"is an image of {2 * TALLEST} rows on the device, supported are up to"):
        cut((1, 2, TALLEST, 1024), (0, 0, 0, 0), (1, 1, 1, 1), (1, 2, TALLEST, 512))
    (layer,) = cut((1, 2, TALLEST, 16), (0, 0, 0, 0), (1, 1, 1, 1), (1, 2, TALLEST, 8))
    assert layer.groups == 1


@pytest.mark.parametrize(
    "axis, shapes, places",
    [
        (3, ((1, 4, 5, 2), (1, 4, 5, 6)), [Place((4, 5), 8), Place((4, 5), 8, channel=2)]),
        (2, ((1, 4, 5, 2), (1, 4, 1, 2)), [Place((4, 6), 2), Place((4, 6), 2, (0, 5))]),
        (1, ((1, 4, 5, 2), (1, 2, 5, 2)), [Place((6, 5), 2), Place((6, 5), 2, (4, 0))]),
        (0, ((1, 4, 5, 2), (1, 4, 5, 2)), [Place((1, 2), 40), Place((1, 2), 40, (0, 1))]),
        (1, ((1, 7), (1, 9)), [Place((1, 1), 16), Place((1, 1), 16, channel=7)]),
        (1, ((1, 7, 3), (1, 9, 3)), [Place((1, 16), 3), Place((1, 16), 3, (0, 7))]),
        (2, ((1, 2, 3, 4, 5), (1, 2, 1, 4, 5)), [Place((2, 4), 20), Place((2, 4), 20, (0, 3))]),
    ],
)
def test_inputs_are_copied_to_their_places(axis, shapes, places):
    layers = joined(axis, *shapes)
    assert [layer.place for layer in layers] == places
    assert all(layer.passes_values for layer in layers)


def test_constants_that_repeat_a_pixel_are_written_by_a_layer():
    value = np.broadcast_to(np.array([1, 2], np.int8), (1, 4, 5, 2))
    first, second = joined(3, (1, 4, 5, 2), (1, 4, 5, 6), constants=[(0, value)])
    assert (first.sources, first.bias.tolist(), first.place) == (("x1",), [1, 2], Place((4, 5), 8))
    assert second.passes_values
    operator = Concat("c", ("x0",), "y", axis=3)
    assert joined_channels(operator, tensor("x0", 1, 4, 5, 2), tensor("y", 1, 4, 5, 8)) == 2


def test_constants_alone_are_refused():
    with pytest.raises(UserError, match="joins constants alone"):
        joined(1, (1, 2), (1, 1), constants=[(0, np.zeros((1, 2), np.int8)), (1, np.zeros((1, 1), np.int8))])


def test_pieces_without_end_are_refused():
    with pytest.raises(UserError, match=f"joins {TALLEST + 1} pieces of each input, supported are up to {TALLEST}"):
        joined(1, (TALLEST + 1, 2, 2), (TALLEST + 1, 1, 2))
