"""gemmlowp's arithmetic against the golden model's, and against real numbers."""

import numpy as np
import pytest
from weft.sim import numerics
from weft.sw.host import fixed_point

RANDOM = np.random.default_rng(0)
NUMBERS = np.concatenate(
    [RANDOM.integers(-(1 << 31), 1 << 31, 2000), np.array([-(1 << 31), -1, 0, 1, (1 << 31) - 1, 1 << 30, -(1 << 30)])]
)


def test_high_mul_is_the_golden_one():
    others = RANDOM.permutation(NUMBERS)
    found = fixed_point.high_mul(NUMBERS, others)
    assert np.array_equal(found, numerics.saturating_rounding_doubling_high_mul(NUMBERS, others))
    assert fixed_point.high_mul(np.array([-(1 << 31)]), -(1 << 31))[0] == fixed_point.INT32_MAX


@pytest.mark.parametrize("exponent", [0, 1, 2, 20, 31])
def test_divide_by_power_is_the_golden_one(exponent):
    assert np.array_equal(
        fixed_point.divide_by_power(NUMBERS, exponent), numerics.rounding_divide_by_pot(NUMBERS, exponent)
    )


@pytest.mark.parametrize("seed", range(20))
def test_scaled_is_the_golden_one(seed):
    random = np.random.default_rng(seed)
    factor = fixed_point.factor(float(np.exp(random.uniform(-20, 5))))
    values = random.integers(-(1 << 24), 1 << 24, 1000)
    assert np.array_equal(
        fixed_point.scaled(values, *factor), numerics.multiply_by_quantized_multiplier(values, *factor)
    )


@pytest.mark.parametrize("real", [-1.0, 2.0**31, float("inf"), float("nan")])
def test_a_factor_out_of_range_is_refused(real):
    with pytest.raises(fixed_point.ScaleError, match=r"^has scales that give a factor of .*, which must be from 0 to "):
        fixed_point.factor(real)


def test_multiply_by_power_saturates():
    found = fixed_point.multiply_by_power(np.array([1 << 30, -(1 << 30), 3]), 2)
    assert found.tolist() == [fixed_point.INT32_MAX, fixed_point.INT32_MIN, 12]


def test_exp_is_near_the_real_one():
    raw = -np.arange(0, 31 << 26, 99991)
    real = np.exp(raw / 2.0**26)
    assert np.max(np.abs(fixed_point.exp_on_negative_values(raw) / 2.0**31 - real)) < 3e-7
    assert fixed_point.exp_on_negative_values(np.array([0]))[0] == fixed_point.INT32_MAX


def test_reciprocal_is_near_the_real_one():
    x = RANDOM.integers(1 << 19, 1 << 31, 2000)
    raw, places = fixed_point.reciprocal(x, 12)
    assert np.allclose(raw / 2.0**31 / 2.0**places, 2.0**19 / x, rtol=1e-7)
