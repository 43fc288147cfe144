"""Weights of more than eight bits as sums of int8."""

import numpy as np
import pytest
from weft.sw.lowering.wide_weights import copies_for, image_of, repeated_shape, repeating, spread


@pytest.mark.parametrize(
    "low, high, copies",
    [(-128, 127, 1), (0, 0, 1), (-129, 5, 2), (5, 128, 2), (-256, 254, 2), (0, 255, 3), (-257, 0, 3)],
)
def test_copies(low, high, copies):
    assert copies_for(np.array([low, high])) == copies


@pytest.mark.parametrize("seed", range(5))
def test_parts_add_up(seed):
    random = np.random.default_rng(seed)
    weights = random.integers(-255, 256, (5, 2, 3, 4))
    copies = copies_for(weights)
    parts = spread(weights, copies)
    assert parts.dtype == np.int8
    assert parts.shape == (5, 2, 3, 4 * copies)
    np.testing.assert_array_equal(parts.reshape(5, 2, 3, 4, copies).astype(int).sum(-1), weights)


def test_one_copy_is_the_weights():
    weights = np.arange(-128, 128).reshape(2, 128)
    np.testing.assert_array_equal(spread(weights, 1), weights)


def test_copies_of_a_channel_are_neighbours():
    settings = repeating(3, 2, "onnx")
    assert settings["groups"] == 3
    assert settings["weights"].shape == (6, 1, 1, 1)
    assert settings["weights"].all()
    assert repeated_shape((1, 4, 5, 3), 2) == (1, 4, 5, 6)
    assert image_of((2, 4, 5, 3)) == (1, 40, 1, 3)
    assert image_of((1, 4, 5, 3)) == (1, 4, 5, 3)
