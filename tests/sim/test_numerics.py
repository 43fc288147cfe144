from fractions import Fraction

import numpy as np
import pytest
from weft.sim import numerics

INT32 = np.array(
    [
        *range(-3, 4),
        *(sign * ((1 << k) + d) for sign in (-1, 1) for k in (7, 15, 30) for d in (-1, 0, 1)),
        *(-(1 << 31), -(1 << 31) + 1, (1 << 31) - 2, (1 << 31) - 1),
    ],
    np.int64,
)


def half_away(x: Fraction) -> int:
    magnitude = int(abs(x) + Fraction(1, 2))
    return magnitude if x >= 0 else -magnitude


def truncate(x: Fraction) -> int:
    """C's integer division."""
    return int(x)


def gemmlowp_high_mul(a: int, b: int) -> int:
    """gemmlowp's function as written there: a nudge by the product's sign, then truncation."""
    if a == b == -(1 << 31):
        return (1 << 31) - 1
    nudge = 1 << 30 if a * b >= 0 else 1 - (1 << 30)
    return truncate(Fraction(a * b + nudge, 1 << 31))


def gemmlowp_divide_by_pot(x: int, exponent: int) -> int:
    """gemmlowp's function as written there: a mask, and a threshold that depends on the sign."""
    mask = (1 << exponent) - 1
    threshold = (mask >> 1) + (1 if x < 0 else 0)
    return (x >> exponent) + (1 if (x & mask) > threshold else 0)


def test_wrap32_keeps_the_low_bits():
    values = np.array([0, -1, 1 << 31, -(1 << 31) - 1, (1 << 40) + 5, -(1 << 40) - 5])
    assert numerics.wrap32(values).tolist() == [0, -1, -(1 << 31), (1 << 31) - 1, 5, -5]


def test_only_integers_are_taken():
    with pytest.raises(ValueError, match="the arithmetic is for integers, not float64"):
        numerics.wrap32([1.0])


@pytest.mark.parametrize("seed", range(2))
def test_high_mul_is_gemmlowps(seed):
    random = np.random.default_rng(seed)
    a = np.concatenate([INT32, random.integers(-(1 << 31), 1 << 31, 40)])
    result = numerics.saturating_rounding_doubling_high_mul(a[:, None], a)
    expected = [[gemmlowp_high_mul(x, y) for y in a.tolist()] for x in a.tolist()]
    assert result.tolist() == expected


@pytest.mark.parametrize("exponent", range(32))
def test_divide_by_pot_is_gemmlowps_and_rounds_half_away(exponent):
    ties = np.array([(2 * n + 1) << exponent >> 1 for n in range(-3, 3)], np.int64)
    x = np.concatenate([INT32, ties, ties - 1, ties + 1, np.random.default_rng(exponent).integers(-999, 999, 50)])
    result = numerics.rounding_divide_by_pot(x, exponent).tolist()
    assert result == [gemmlowp_divide_by_pot(value, exponent) for value in x.tolist()]
    assert result == [half_away(Fraction(value, 1 << exponent)) for value in x.tolist()]


@pytest.mark.parametrize("exponent", [0, 1, 2, 31, 40, 61, 62])
def test_exact_divisions_round_ties_as_named(exponent):
    random = np.random.default_rng(exponent)
    wide = random.integers(-(1 << 62), 1 << 62, 60)
    ties = np.array([n << exponent >> 1 for n in (-3, -1, 1, 3) if abs(n << exponent) < 1 << 63], np.int64)
    x = np.concatenate([wide, ties, ties - 1, ties + 1, [0, -(1 << 62), 1 << 62]])
    exact = [Fraction(value, 1 << exponent) for value in x.tolist()]
    assert numerics.divide_half_even(x, exponent).tolist() == [round(value) for value in exact]
    assert numerics.divide_half_away(x, exponent).tolist() == [half_away(value) for value in exact]


def test_multiply_by_quantized_multiplier_rounds_twice():
    """5 * 0.75 / 8 is 0.46875, but 3.75 becomes 4 first, and 4 / 8 becomes 1."""
    assert numerics.multiply_by_quantized_multiplier(5, 3 << 29, -3) == 1


def test_a_left_shift_wraps():
    assert numerics.multiply_by_quantized_multiplier(1 << 30, 1 << 30, 1) == -(1 << 30)
    assert numerics.multiply_by_quantized_multiplier(3, 1 << 30, 4) == 24


def test_quantize_multiplier_takes_the_nearest():
    random = np.random.default_rng(0)
    real = 2.0 ** random.uniform(-31.9, 30.9, 500)
    multiplier, shift = numerics.quantize_multiplier(real)
    assert ((multiplier >= 1 << 30) & (multiplier < 1 << 31)).all()
    for m, s, r in zip(multiplier.tolist(), shift.tolist(), real.tolist(), strict=True):
        unit = Fraction(2) ** (s - 31)
        assert m == half_away(Fraction(r) / unit)


def test_quantize_multiplier_at_its_edges():
    real = [0.0, 1.0, 0.5, 1 - 2.0**-40, 2.0**-32, 2.0**-32.5, 2.0**-40, 2.0**31 - 1]
    multiplier, shift = numerics.quantize_multiplier(real)
    half = 1 << 30
    assert multiplier.tolist() == [0, half, half, half, half, 0, 0, (1 << 31) - 1]
    assert shift.tolist() == [0, 1, 0, 1, -31, 0, 0, 31]


def test_exact_multiplier_is_exact():
    random = np.random.default_rng(0)
    scale = (2.0 ** random.uniform(-31.9, 30.9, 500)).astype(np.float32)
    multiplier, shift = numerics.exact_multiplier(scale)
    for m, s, value in zip(multiplier.tolist(), shift.tolist(), scale.tolist(), strict=True):
        assert m * Fraction(2) ** (s - 31) == Fraction(value)


def test_exact_multiplier_of_a_factor_that_rounds_every_sum_to_zero():
    largest = np.nextafter(np.float32(2.0**-32), np.float32(0))
    assert numerics.exact_multiplier(largest) == (0, 0)
    assert abs(Fraction(float(largest)) * (1 << 31)) < Fraction(1, 2)


@pytest.mark.parametrize(
    "function, value, message",
    [
        (numerics.quantize_multiplier, -0.5, "a factor must be finite and not negative"),
        (numerics.quantize_multiplier, [0.5, float("nan")], "a factor must be finite and not negative"),
        (numerics.quantize_multiplier, 2.0**31, r"a factor must be below 2\^31"),
        (numerics.exact_multiplier, 0.1, "a factor must be a float32 number"),
        (numerics.average_multiplier, 0, "an average is over 1 to 65025 cells, not 0"),
        (numerics.average_multiplier, 65026, "an average is over 1 to 65025 cells, not 65026"),
    ],
)
def test_errors(function, value, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        function(value)


@pytest.mark.parametrize("counts", [range(1, 301), [1000, 4095, 4096, 4097, 65024, 65025]], ids=["small", "large"])
def test_average_multiplier_is_exact_for_every_sum(counts):
    for count in counts:
        multiplier, shift = numerics.average_multiplier(count)
        assert 1 << 30 <= multiplier < 1 << 31
        sums = np.arange(-128 * count, 127 * count + 1, max(1, count // 300) if count > 300 else 1, dtype=np.int64)
        if count > 300:
            # Where rounding changes: the sums at and beside each tie.
            ties = (2 * np.arange(-128, 127) + 1) * count // 2
            sums = np.concatenate([sums, ties - 1, ties, ties + 1])
        shifted = sums << max(shift, 0)
        result = numerics.divide_half_away(shifted * multiplier, 31 + max(-shift, 0))
        expected = np.sign(sums) * ((2 * np.abs(sums) + count) // (2 * count))
        assert (result == expected).all(), count
