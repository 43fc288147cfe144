"""Factors of the compiler against those of the golden model, which was written apart from it."""

import numpy as np
import pytest
from weft.rtl.isa import Rounding
from weft.sim import numerics
from weft.sim.golden import requantize
from weft.sw.errors import UserError
from weft.sw.host.multiplier import combined_scales, factors, identity_factors, mean_factors, requantizing_factor


@pytest.mark.parametrize("seed", range(3))
def test_factors_are_those_of_the_golden_model(seed):
    real = np.exp(np.random.default_rng(seed).uniform(-25, 20, 1000))
    np.testing.assert_array_equal(factors(real), numerics.quantize_multiplier(real))
    single = real.astype(np.float32)
    np.testing.assert_array_equal(factors(single.astype(np.float64)), numerics.exact_multiplier(single))


def test_factors_of_float32_are_exact():
    real = np.random.default_rng(0).uniform(1e-6, 1, 100).astype(np.float32).astype(np.float64)
    multiplier, shift = factors(real)
    np.testing.assert_array_equal(multiplier * 2.0 ** (shift - 31), real)


def test_a_tiny_factor_vanishes():
    multiplier, shift = factors(np.array([2.0**-32, 2.0**-33, 0.0]))
    assert multiplier.tolist() == [1 << 30, 0, 0]
    assert shift.tolist() == [-31, 0, 0]


def test_too_large_a_factor():
    with pytest.raises(UserError, match="which must be below 2\\^31"):
        factors(np.array([2.0**31]))


def test_rounding_to_31_bits_may_carry():
    multiplier, shift = factors(np.array([1 - 2.0**-40]))
    assert (multiplier[0], shift[0]) == (1 << 30, 1)


def test_scales_are_combined_in_the_precision_of_the_framework():
    weights = np.array([0.003, 0.0047], np.float32)
    source, target = float(np.float32(0.1)), float(np.float32(0.07))
    single = np.float32(source) * weights / np.float32(target)
    assert combined_scales(source, weights, target, "onnx").tolist() == single.astype(np.float64).tolist()
    double = source * weights.astype(np.float64) / target
    assert combined_scales(source, weights, target, "tflite").tolist() == double.tolist()
    assert not np.array_equal(single.astype(np.float64), double)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 9, 49, 64, 125, 261])
def test_mean_factors(count):
    assert [value[0] for value in mean_factors(count, 3)] == list(numerics.average_multiplier(count))


def test_identity():
    values = np.arange(-128, 128)
    for rounding in Rounding:
        found = requantize(values[:, None], 0, *identity_factors(1), rounding, 0, -128, 127)
        assert found[:, 0].tolist() == values.tolist()


def table(seed, ratio=None):
    """Values about a zero point, what ONNX Runtime makes of them, the scales' quotient, and the other zero point."""
    random = np.random.default_rng(seed)
    source, target = np.exp(random.uniform(-6, 0, 2)).astype(np.float32)
    target = target if ratio is None else source * np.float32(ratio)
    before, after = random.integers(-128, 128, 2)
    values = np.arange(-128, 128) - before
    results = np.rint(values.astype(np.float32) * source / target).astype(np.int64)
    return values, results, float(source / target), after


@pytest.mark.parametrize("seed", range(100))
def test_one_factor_requantizes_all_int8_as_float32_does(seed):
    values, results, quotient, after = table(seed)
    factor = requantizing_factor(values, results, -128 - after, 127 - after, quotient)
    found = requantize(values, 0, *factor, Rounding.NEAREST_EVEN, after, -128, 127)
    np.testing.assert_array_equal(found, np.clip(results + after, -128, 127))


def test_ties_that_float32_breaks_at_random_have_no_factor():
    values, results, quotient, after = table(0, ratio=2)
    assert requantizing_factor(values, results, -128 - after, 127 - after, quotient) is None


@pytest.mark.parametrize("seed", range(5))
def test_ties_of_powers_of_two_are_exact(seed):
    values = np.arange(-128, 128) - int(np.random.default_rng(seed).integers(-128, 128))
    results = np.rint(values / 2).astype(np.int64)
    assert requantizing_factor(values, results, -128, 127, 0.5) == (1 << 30, 0)


def test_another_factor_than_the_quotient_is_found():
    multiplier, shift = requantizing_factor(np.array([1, 3]), np.array([1, 4]), -128, 127, 1.5)
    assert 3.5 / 3 < multiplier * 2.0 ** (shift - 31) < 1.5


def test_no_factor_makes_an_impossible_table():
    assert requantizing_factor(np.array([1, 2, 3]), np.array([1, 1, 5]), -128, 127, 1.0) is None
