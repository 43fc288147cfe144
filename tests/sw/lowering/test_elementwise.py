"""Elementwise operators as layers."""

import pytest
from weft.rtl.config import Config
from weft.sw.errors import UserError
from weft.sw.graph import Clamp, Tensor
from weft.sw.lowering.elementwise import TALLEST, clamp, copies, flat, need_tables, passing, same_scale, tall

CONFIG = Config(rows=4, cols=4, tables=True)
A = Tensor("a", (1, 4, 6, 3), "int8", 0.1, 3)
B = Tensor("b", (1, 4, 6, 3), "int8", 0.2, -5)


def test_passing_values_is_what_it_says():
    assert passing("x", "copy", "a", "b", (2, 3), 5).passes_values


def test_copies_lie_behind_each_other():
    layer = copies("y", "x", (2, 3), 5, 2)
    assert (layer.source, layer.target, layer.input_channels, layer.output_channels) == ("x", "y", 5, 10)
    assert (layer.groups, layer.weights.shape) == (5, (10, 1, 1, 1))


def test_a_change_of_scale_is_refused():
    same_scale(A, A)
    with pytest.raises(UserError, match="changes the scale, supported is the same scale before and behind"):
        same_scale(A, B)


def test_a_clamp_limits_what_it_passes():
    (layer,) = clamp(
        Clamp("clamp", ("a",), "y", minimum=-3, maximum=9), A, Tensor("y", A.shape, "int8", 0.1, 3), CONFIG
    )
    assert (layer.minimum, layer.maximum) == (-3, 9)
    assert layer.passes_values


def test_without_tables_there_is_a_sentence():
    need_tables(CONFIG)
    with pytest.raises(UserError, match=r"takes look-up tables, .* does not have \(tables = false\)"):
        need_tables(CONFIG.replace(tables=False))


@pytest.mark.parametrize(
    "pixels, image", [(1, (1, 1)), (30, (30, 1)), (2 * TALLEST, (TALLEST, 2)), (32771, (1, 32771))]
)
def test_pixels_stand_on_top_of_each_other(pixels, image):
    """32,771 is a prime, so that it has to be one row."""
    assert tall(pixels) == image


@pytest.mark.parametrize(
    "size, period, most, channels", [(6000, 1, 0, 4), (6000, 3, 0, 12), (6000, 3, 9, 3), (60, 20, 10, 20)]
)
def test_values_as_an_image_of_few_passes(size, period, most, channels):
    """On four columns."""
    (height, width), found = flat(size, CONFIG, period, most)
    assert found == channels
    assert height * width * channels == size
