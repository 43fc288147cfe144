from itertools import product

import numpy as np
import pytest
from weft.rtl.isa import Rounding
from weft.rtl.requantize import MULTIPLY_LATENCY, Requantize, requantize_latency

from tests.rtl.common import simulate

INT_MIN, INT_MAX = -(1 << 31), (1 << 31) - 1


def wrap(value):
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def saturating_rounding_doubling_high_mul(a, b):
    """gemmlowp fixedpoint.h, with C's division, which truncates."""
    if a == b == INT_MIN:
        return INT_MAX
    product = a * b + ((1 << 30) if a * b >= 0 else 1 - (1 << 30))
    return product >> 31 if product >= 0 else -(-product >> 31)


def rounding_divide_by_pot(x, exponent):
    """gemmlowp fixedpoint.h."""
    mask = (1 << exponent) - 1
    threshold = (mask >> 1) + (x < 0)
    return (x >> exponent) + ((x & mask) > threshold)


def half_away(numerator, bits):
    magnitude = (2 * abs(numerator) + (1 << bits)) >> bits + 1
    return magnitude if numerator >= 0 else -magnitude


def nearest_even(numerator, bits):
    quotient, rest = numerator >> bits, numerator & (1 << bits) - 1
    half = 1 << bits - 1
    return quotient + (rest > half or (rest == half and quotient % 2 == 1))


def reference(value, bias, multiplier, shift, rounding, zero_point, minimum, maximum):
    x = wrap(wrap(value + bias) << max(shift, 0))
    exponent = max(-shift, 0)
    if rounding is Rounding.DOUBLE:
        result = rounding_divide_by_pot(saturating_rounding_doubling_high_mul(x, multiplier), exponent)
    elif rounding is Rounding.NEAREST_EVEN:
        result = nearest_even(x * multiplier, 31 + exponent)
    else:
        result = half_away(x * multiplier, 31 + exponent)
    return min(max(result + zero_point, minimum), maximum)


def check(cases, pipelined=False):
    """One case per cycle, and every result `latency` cycles behind it; returns the results."""
    dut = Requantize(pipelined=pipelined)
    results = []

    async def testbench(ctx):
        for cycle in range(len(cases) + dut.latency):
            if cycle < len(cases):
                value, bias, multiplier, shift, rounding, zero_point, minimum, maximum = cases[cycle]
                ctx.set(dut.value, value)
                ctx.set(dut.parameters, {"bias": bias, "multiplier": multiplier, "shift": shift})
                ctx.set(
                    dut.settings,
                    {"rounding": rounding, "zero_point": zero_point, "minimum": minimum, "maximum": maximum},
                )
            if cycle >= dut.latency:
                results.append(ctx.get(dut.result))
            await ctx.tick()

    simulate(dut, testbench, cycles=len(cases) + 20)
    for case, result in zip(cases, results, strict=True):
        assert result == reference(*case), case
    return results


def test_latency_is_the_sum_of_the_stages():
    assert requantize_latency(False) == 1 + MULTIPLY_LATENCY + 1 + 1 + 1 == 6
    assert requantize_latency(True) == 11


@pytest.mark.parametrize("rounding", Rounding, ids=lambda rounding: rounding.name.lower())
def test_corners_of_every_operand(rounding):
    values = (INT_MIN, INT_MIN + 1, -(1 << 30), -3, -1, 0, 1, 6, 1 << 30, INT_MAX)
    multipliers = (0, 1, 1 << 30, 0x55555555, INT_MAX)
    cases = [
        (value, 0, multiplier, shift, rounding, 0, -128, 127)
        for value, multiplier, shift in product(values, multipliers, range(-31, 9))
    ]
    results = check(cases)
    assert set(results) >= {-128, -1, 0, 1, 127}
    assert check(cases, pipelined=True) == results


@pytest.mark.parametrize("rounding", Rounding, ids=lambda rounding: rounding.name.lower())
def test_ties_and_their_neighbours_at_every_shift(rounding):
    """With the multiplier 2^30 the quotient is x / 2^(1 + e): odd multiples of 2^e are ties."""
    cases = []
    for exponent in range(32):
        for quotient in (-130, -129, -128, -3, -2, -1, 0, 1, 2, 126, 127, 128):
            for distance in (-2, -1, 0, 1, 2):
                x = ((2 * quotient + 1) << exponent) + distance
                if INT_MIN <= x <= INT_MAX:
                    cases.append((x, 0, 1 << 30, -exponent, rounding, 0, -128, 127))
    check(cases)
    check(cases, pipelined=True)


def test_the_modes_differ_where_they_should():
    """2.5, -2.5 and 1.499... that a first rounding turns into 1.5."""
    settings = (0, -128, 127)
    cases = [
        (x, 0, multiplier, shift, rounding, *settings)
        for x, multiplier, shift in ((5, 1 << 30, 0), (-5, 1 << 30, 0), (11, 1 << 30, -2))
        for rounding in (Rounding.DOUBLE, Rounding.NEAREST_EVEN, Rounding.HALF_AWAY)
    ]
    assert check(cases) == [3, 2, 3, -2, -2, -3, 2, 1, 1]


def test_sums_and_left_shifts_wrap():
    cases = [
        (INT_MAX, 1, INT_MAX, -24, Rounding.DOUBLE, 0, -128, 127),
        (INT_MIN, -1, INT_MAX, -24, Rounding.DOUBLE, 0, -128, 127),
        ((1 << 30) + 5, 0, INT_MAX, 2, Rounding.HALF_AWAY, 0, -128, 127),
        (-(1 << 26) - 3, 0, 1 << 30, 5, Rounding.NEAREST_EVEN, 0, -128, 127),
        (0x12345678, 0x789ABCDE - (1 << 32), 0x7654321F, -21, Rounding.DOUBLE, 3, -128, 127),
        (3, 0, INT_MAX, 31, Rounding.DOUBLE, 0, -128, 127),
    ]
    assert check(cases)[:3] == [-128, 127, 20]


@pytest.mark.parametrize("zero_point, minimum, maximum", [(-128, -128, 127), (127, -128, 127), (-5, -5, 60), (9, 9, 9)])
def test_clamp_after_the_zero_point(zero_point, minimum, maximum):
    """Every quotient around the range, and quotients far outside of it."""
    values = [*range(-600, 600), *(sign << bit for sign in (1, -1) for bit in range(9, 31)), INT_MIN, INT_MAX]
    cases = [(value, 0, 1 << 30, 1, Rounding.DOUBLE, zero_point, minimum, maximum) for value in values]
    check(cases)


@pytest.mark.parametrize("seed", range(4))
def test_random_values_near_the_output_range(seed):
    random = np.random.default_rng(seed)
    cases = []
    while len(cases) < 1500:
        exponent = int(random.integers(0, 32))
        multiplier = int(random.integers(1 << 30, 1 << 31)) if random.integers(4) else int(random.integers(1, 1 << 31))
        target = int(random.integers(-1600, 1600))
        x = (target << 31 + exponent) // (8 * multiplier) + int(random.integers(-2, 3))
        if not INT_MIN <= x <= INT_MAX:
            continue
        bias = int(random.integers(INT_MIN, INT_MAX + 1))
        low, high = sorted(random.integers(-128, 128, 2).tolist())
        rounding = Rounding(int(random.integers(3)))
        cases.append((wrap(x - bias), bias, multiplier, -exponent, rounding, target % 256 - 128, low, high))
    assert len(set(check(cases))) > 200
