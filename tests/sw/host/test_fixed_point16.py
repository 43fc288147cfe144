"""gemmlowp's 16-bit functions against real numbers; tests/sw/test_tflite_reference.py has what TFLite makes of them."""

import numpy as np
import pytest
from weft.sw.host.fixed_point16 import MAX, MIN, logistic, logistic_table, saturated, tanh, tanh_table

VALUES = np.arange(MIN, MAX + 1, dtype=np.int64)


def test_logistic():
    found = logistic(VALUES)
    wanted = 32768 / (1 + np.exp(-VALUES / 4096))
    assert np.abs(found - wanted).max() < 16
    assert found[VALUES == 0] == 1 << 14
    # No step falls by more than the last bits that 16-bit arithmetic leaves.
    assert np.diff(found).min() >= -16


@pytest.mark.parametrize("bits", range(7))
def test_tanh(bits):
    found = tanh(VALUES, bits)
    wanted = 32768 * np.tanh(VALUES / 2.0 ** (15 - bits))
    assert np.abs(found - wanted).max() < 24
    assert found[VALUES == 0] == 0
    inner = VALUES[1:]
    np.testing.assert_array_equal(tanh(inner, bits), -tanh(-inner, bits))


def test_halves_of_the_logistic_add_up_to_one():
    inner = VALUES[(VALUES > MIN) & (VALUES != 0)]
    np.testing.assert_array_equal(logistic(inner) + logistic(-inner), MAX)


def test_tables_are_made_once():
    assert logistic_table() is logistic_table()
    assert tanh_table(4) is tanh_table(4)


def test_saturated():
    assert saturated(np.array([-40000, -32768, 5, 32767, 32768])).tolist() == [MIN, MIN, 5, MAX, MAX]
