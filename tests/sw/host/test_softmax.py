"""Softmax on int8; tests/sw/test_tflite_reference.py and test_tflite_reader.py have the reference kernel's answers."""

import numpy as np
import pytest
from weft.sw.errors import UserError
from weft.sw.host.softmax import LONGEST_ROW, SCALE, ZERO_POINT, softmax_int8


@pytest.mark.parametrize("seed", range(8))
def test_near_the_real_one(seed):
    random = np.random.default_rng(seed)
    x = random.integers(-128, 128, (20, int(random.integers(1, 60))), dtype=np.int8)
    scale, beta = float(np.float32(random.uniform(0.01, 0.5))), float(random.choice([1.0, 0.5, 2.0]))
    real = np.exp(beta * scale * (x.astype(float) - x.max(axis=1, keepdims=True)))
    real /= real.sum(axis=1, keepdims=True)
    found = (softmax_int8(x, scale, beta).astype(int) - ZERO_POINT) * SCALE
    assert np.max(np.abs(found - np.minimum(real, 255 / 256))) <= 0.51 / 256


def test_rows_are_on_the_last_axis():
    x = np.random.default_rng(1).integers(-128, 128, (2, 3, 4, 5), dtype=np.int8)
    found = softmax_int8(x, 0.1, 1.0)
    assert np.array_equal(found[1, 2, 3], softmax_int8(x[1, 2, 3][None], 0.1, 1.0)[0])


def test_what_is_far_below_the_largest_counts_for_nothing():
    x = np.array([[127, -128, -128]], np.int8)
    assert softmax_int8(x, 1.0, 1.0).tolist() == [[127, -128, -128]]


def test_a_thousand_equal_values_round_to_zero():
    assert set(softmax_int8(np.zeros((1, 1000), np.int8), 0.1, 1.0)[0].tolist()) == {-128}


def test_limits():
    with pytest.raises(UserError, match=r"^softmax over 4096 values may overflow, supported are up to 4095$"):
        softmax_int8(np.zeros((1, LONGEST_ROW + 1), np.int8), 0.1, 1.0)
    with pytest.raises(UserError, match=r"^softmax has beta 0 and scale 0.1, whose product must be above 2\^-26$"):
        softmax_int8(np.zeros((1, 2), np.int8), 0.1, 0.0)
