"""Views of stored tensors, against the arrays that they stand for."""

from math import prod

import numpy as np
import pytest
from weft.sw.onnx.views import View, channels_last, moves


def seen(stored, view):
    """What ONNX has, from the stored array."""
    assert stored.shape == view.stored
    back = [view.order.index(axis) for axis in range(len(view.order))]
    return stored.transpose(back).reshape(view.shape)


def test_plain_and_ordered():
    x = np.arange(24).reshape(1, 2, 3, 4)
    np.testing.assert_array_equal(seen(x, View.plain(x.shape)), x)
    stored = x.transpose(channels_last(4))
    np.testing.assert_array_equal(seen(stored, View.ordered(x.shape, channels_last(4))), x)


@pytest.mark.parametrize(
    "rank, order", [(1, (0,)), (2, (0, 1)), (3, (0, 2, 1)), (4, (0, 2, 3, 1)), (5, (0, 2, 3, 4, 1))]
)
def test_channels_last(rank, order):
    assert channels_last(rank) == order


def test_moves():
    assert not moves((1, 3, 1, 4), (0, 2, 1, 3))
    assert moves((1, 3, 1, 4), (0, 3, 1, 2))


@pytest.mark.parametrize(
    "shape, folded",
    [
        ((1, 6, 20), False),  # rows and columns lie side by side
        ((1, 2, 3, 4, 5), False),  # channels in two
        ((1, 1, 6, 4, 5), False),
        ((1, 6, 2, 2, 5), False),
        ((6, 1, 4, 1, 5), False),
        ((1, 120), True),  # channels are not beside the rows
        ((1, 24, 5), True),
        ((1, 5, 4, 6), True),
    ],
)
def test_reshaping_of_an_image(shape, folded):
    x = np.arange(120).reshape(1, 6, 4, 5)
    stored = x.transpose(channels_last(4))
    view = View.ordered(x.shape, channels_last(4)).reshaped(shape)
    assert view.folded is folded
    np.testing.assert_array_equal(seen(stored.reshape(view.stored), view), x.reshape(shape))


def test_a_folded_view_unfolds_to_its_former_shape():
    view = View.ordered((1, 6, 4, 5), channels_last(4))
    assert view.reshaped((1, 120)).reshaped((1, 6, 4, 5)) == view
    assert view.reshaped((1, 120)).reshaped((2, 60)).shape == (2, 60)


def factored(random, size):
    """A shape of this many elements."""
    shape = []
    while size > 1:
        divisors = [n for n in range(2, size + 1) if size % n == 0]
        shape.append(int(random.choice(divisors)))
        size //= shape[-1]
    for _ in range(random.integers(0, 3)):
        shape.insert(random.integers(0, len(shape) + 1), 1)
    return tuple(shape)


@pytest.mark.parametrize("seed", range(40))
def test_random_chains_of_transposes_and_reshapes(seed):
    random = np.random.default_rng(seed)
    size = int(random.choice([12, 60, 64, 210]))
    x = stored = np.arange(size).reshape(factored(random, size))
    view = View.plain(x.shape)
    for _ in range(8):
        if random.random() < 0.5 and not view.folded:
            order = tuple(random.permutation(x.ndim).tolist())
            x, view = x.transpose(order), view.transposed(order)
        else:
            shape = factored(random, size)
            x, view = x.reshape(shape), view.reshaped(shape)
        assert prod(view.stored) == size
        stored = stored.reshape(view.stored)
        np.testing.assert_array_equal(seen(stored, view), x)
