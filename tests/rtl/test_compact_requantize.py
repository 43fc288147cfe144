import numpy as np
import pytest
from weft.rtl.compact_requantize import CompactRequantize
from weft.rtl.isa import Rounding

from tests.rtl.common import simulate
from tests.rtl.test_requantize import INT_MAX, INT_MIN, reference


def check(cases):
    """Values one after the other, each taken as soon as it can be; returns the cycles from one to the next."""
    dut = CompactRequantize()
    taken, results = [], []

    async def testbench(ctx):
        cycle = 0
        while len(results) < len(cases):
            if ctx.get(dut.valid):
                results.append(ctx.get(dut.result))
            ctx.set(dut.i.valid, len(taken) < len(cases))
            if len(taken) < len(cases) and ctx.get(dut.i.ready):
                value, bias, multiplier, shift, *settings = cases[len(taken)]
                parameters = {"bias": bias, "multiplier": multiplier, "shift": shift}
                ctx.set(dut.i.payload, {"value": value, "parameters": parameters})
                ctx.set(
                    dut.settings, dict(zip(("rounding", "zero_point", "minimum", "maximum"), settings, strict=True))
                )
                taken.append(cycle)
            await ctx.tick()
            cycle += 1

    simulate(dut, testbench, cycles=60 * len(cases) + 60)
    assert results == [reference(*case) for case in cases]
    return np.diff(taken)


@pytest.mark.parametrize("rounding", Rounding)
def test_random_values_and_every_shift(rounding):
    random = np.random.default_rng(rounding.value)
    cases = []
    for shift in [*range(-31, 32), *range(-14, 1)] * 2:
        value = int(random.integers(INT_MIN, INT_MAX + 1)) >> int(random.integers(0, 31))
        bias = int(random.integers(INT_MIN, INT_MAX + 1)) >> int(random.integers(0, 31))
        multiplier = int(random.integers(1 << 30, 1 << 31)) >> int(random.integers(0, 3)) * int(random.integers(0, 12))
        low, high = sorted(random.integers(-128, 128, 2).tolist())
        cases.append((value, bias, multiplier, shift, rounding, int(random.integers(-128, 128)), low, high))
    check(cases)


@pytest.mark.parametrize("rounding", Rounding)
def test_ties_and_extremes(rounding):
    cases = []
    for shift in (0, -1, -2, -3, -4, -5, -13, -14, -31):
        for value in (0, 1, -1, 3, -3, 1 << 20, -(1 << 20), INT_MAX, INT_MIN):
            for multiplier in (1 << 30, (1 << 31) - 1):
                cases.append((value, 0, multiplier, shift, rounding, 3, -128, 127))
    check(cases)


def test_usual_shifts_take_a_known_number_of_cycles():
    cases = [(1000, -7, 1 << 30, -shift, Rounding.NEAREST_EVEN, 0, -128, 127) for shift in range(14)]
    assert set(check(cases)) == {CompactRequantize.CYCLES}


def test_other_shifts_take_longer():
    cases = [(1000, -7, 1 << 30, shift, Rounding.DOUBLE, 0, -128, 127) for shift in (-31, 5, 0)]
    assert check(cases).tolist() == [CompactRequantize.CYCLES + 5, CompactRequantize.CYCLES + 5]
