"""Resizing as layers; that it is exact, test_lower_operators tests."""

import numpy as np
import pytest
from weft.rtl.isa import Rounding
from weft.sw.errors import UserError
from weft.sw.graph import ResizeBilinear, ResizeNearest, Tensor
from weft.sw.lowering.resize import ALONE, Phase, phases, resize_bilinear, resize_nearest

from tests.sw.operator_networks import between


def nearest(rows, columns, size=(4, 5)):
    target = Tensor("y", (1, len(rows), len(columns), 3), "int8")
    operator = ResizeNearest("r", ("x",), "y", rows=tuple(rows), columns=tuple(columns))
    return resize_nearest(operator, Tensor("x", (1, *size, 3), "int8"), target)


def bilinear(size, factor, centers=True, channels=3):
    places = [between(n, n * factor, False, centers) for n in size]
    target = Tensor("y", (1, *(n * factor for n in size), channels), "int8")
    operator = ResizeBilinear("r", ("x",), "y", rows=places[0], columns=places[1])
    return resize_bilinear(operator, Tensor("x", (1, *size, channels), "int8"), target)


def repeated(count, factor):
    return [n // factor for n in range(count * factor)]


def check(sources, ways, found):
    made = {}
    for phase in found:
        for index in range(phase.count):
            made[phase.first + index * phase.step] = phase.source + index * phase.stride, phase.way
    assert made == dict(enumerate(zip(sources, ways, strict=True)))
    assert sum(phase.count for phase in found) == len(sources)


@pytest.mark.parametrize("seed", range(30))
def test_phases_cover_every_output_once(seed):
    random = np.random.default_rng(seed)
    count, size = random.integers(1, 20, 2)
    sources = [int(n * size / count) for n in range(count)]
    ways = [ALONE if random.random() < 0.9 else (1, 512) for _ in sources]
    check(sources, ways, phases(sources, ways))


@pytest.mark.parametrize("size, factor, most", [(10, 2, 2), (10, 3, 3), (2, 9, 2), (1, 30, 1), (7, 1, 1)])
def test_few_phases_repeat_all(size, factor, most):
    sources = repeated(size, factor)
    found = phases(sources, [ALONE] * len(sources))
    assert len(found) == most


def test_ends_that_come_in_another_way_are_phases_of_their_own():
    places = between(9, 36, False, True)
    ways = [(1, int(weight)) if weight else ALONE for _, _, weight in places]
    found = phases([int(first) for first, _, _ in places], ways)
    check([int(first) for first, _, _ in places], ways, found)
    assert len(found) == 6
    assert Phase(0, 1, 2, 0, 0, ALONE) in found


def test_a_layer_for_each_pixel_of_a_block():
    layers = nearest(repeated(4, 2), repeated(5, 3))
    assert len(layers) == 6
    assert {layer.place.step for layer in layers} == {(2, 3)}
    assert {layer.place.origin for layer in layers} == {(y, x) for y in range(2) for x in range(3)}


def test_many_phases_are_rows_first_and_then_columns():
    layers = nearest(repeated(9, 5), repeated(9, 5), (9, 9))
    assert len(layers) == 10
    assert {layer.target for layer in layers} == {"r.rows", "y"}


def test_no_order_of_pixels_is_refused():
    rows = np.random.default_rng(0).permutation(300).tolist()
    sentence = r"takes \d+ layers, as its pixels lie at as many distances; supported are 128"
    with pytest.raises(UserError, match=sentence):
        nearest(rows, range(5), (300, 5))


def test_means_of_neighbours_have_small_weights():
    layers = bilinear((4, 5), 2)
    inner = [layer for layer in layers if layer.kernel == (2, 2)]
    assert sorted(sorted(layer.weights[0].reshape(-1).tolist()) for layer in inner) == [[1, 3, 3, 9]] * 4
    assert all(layer.rounding is Rounding.HALF_AWAY for layer in layers)
    for layer in layers:
        real = layer.multiplier * 2.0 ** (layer.shift - 31.0)
        np.testing.assert_array_equal(real, 1 / layer.weights[0].sum())


def test_large_weights_are_the_sum_of_two():
    copies, *layers = bilinear((3, 3), 8)
    assert (copies.op, copies.output_channels) == ("copy", 6)
    assert all(layer.sources == (copies.target,) for layer in layers)
    assert max(int(layer.weights.astype(int).sum(axis=-1).max()) for layer in layers) == 15 * 15


def test_weights_that_are_no_small_fractions_are_refused():
    sentence = r"mixes pixels by weights that are no multiples of a fraction of 2\^8, as \d+ is one of them"
    with pytest.raises(UserError, match=sentence):
        bilinear((3, 3), 5)


def test_factors_with_too_many_phases_are_refused():
    with pytest.raises(UserError, match="takes 324 layers"):
        bilinear((9, 9), 16)
