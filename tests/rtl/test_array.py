import numpy as np
import pytest
from weft.rtl.array import Array, latency
from weft.rtl.config import Config

from tests.rtl.common import pack, simulate, unpack

SHAPES = [
    (1, 1, 1), (1, 4, 1), (4, 1, 1), (4, 1, 2), (4, 1, 4), (3, 5, 1), (3, 5, 3),
    (4, 4, 1), (4, 4, 2), (4, 4, 4), (8, 2, 1), (8, 2, 2), (8, 2, 4), (8, 2, 8), (2, 9, 2),
]  # fmt: skip


def passes(random, config, count):
    """Random passes as (cycle of the first pixel, pixels, tile): as short as allowed, or longer; some after a gap."""
    start = 0
    for index in range(count):
        pixels = config.weight_steps + int(random.choice([0, 0, 1, 3]))
        tile = random.integers(-128, 128, (config.rows, config.cols))
        if index == 0:
            tile[:] = -128
        yield start, random.integers(-128, 128, (pixels, config.rows)), tile
        start += pixels + int(random.choice([0, 0, 0, 2]))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("rows, cols, weight_rows", SHAPES)
def test_back_to_back_passes_give_exact_products(rows, cols, weight_rows, seed):
    """Weights are there only in the cycle in which their element must take them; everything else is noise."""
    config = Config(rows=rows, cols=cols, weight_rows=weight_rows)
    dut = Array(config)
    random = np.random.default_rng(seed)
    schedule = list(passes(random, config, 12))
    cycles = schedule[-1][0] + len(schedule[-1][1]) + rows + cols + dut.latency
    activations = random.integers(-128, 128, (cycles, rows))
    weights = random.integers(-128, 128, (cycles, weight_rows, cols))
    first = np.zeros(cycles, int)
    expected = np.zeros((cycles, cols), np.int64)
    known = np.zeros((cycles, cols), bool)
    for start, pixels, tile in schedule:
        activations[start : start + len(pixels)] = pixels
        first[start] = 1
        for row in range(rows):
            for col in range(cols):
                weights[start + row + col, row // config.weight_steps, col] = tile[row, col]
        for col in range(cols):
            leaves = start + dut.latency + col
            expected[leaves : leaves + len(pixels), col] = pixels @ tile[:, col]
            known[leaves : leaves + len(pixels), col] = True

    async def testbench(ctx):
        for t in range(cycles):
            ctx.set(dut.activations.as_value(), pack(activations[t], 8))
            ctx.set(dut.weights.as_value(), pack(weights[t], 8))
            ctx.set(dut.first, int(first[t]))
            sums = unpack(ctx.get(dut.sums.as_value()), 32, cols)
            np.testing.assert_array_equal(sums[known[t]], expected[t][known[t]], f"cycle {t}")
            await ctx.tick()

    assert known.sum() == cols * sum(len(pixels) for _, pixels, _ in schedule)
    simulate(dut, testbench, cycles=cycles + 1)


@pytest.mark.parametrize("rows, cols, weight_rows", SHAPES)
def test_the_largest_sum_fits(rows, cols, weight_rows):
    config = Config(rows=rows, cols=cols, weight_rows=weight_rows)
    dut = Array(config)

    async def testbench(ctx):
        ctx.set(dut.first, 1)
        for activation, weight in ((-128, -128), (-128, 127)):
            ctx.set(dut.activations.as_value(), pack([activation] * rows, 8))
            ctx.set(dut.weights.as_value(), pack([weight] * weight_rows * cols, 8))
            await ctx.tick().repeat(dut.latency + cols + rows)
            assert unpack(ctx.get(dut.sums.as_value()), 32, cols).tolist() == [activation * weight * rows] * cols

    simulate(dut, testbench, cycles=200)


@pytest.mark.parametrize("rows, cols", [(1, 1), (3, 5), (8, 2)])
def test_latency_is_the_rows_and_one(rows, cols):
    assert latency(Config(rows=rows, cols=cols)) == rows + 1


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("rows, cols, weight_rows", [(1, 1, 1), (4, 3, 1), (3, 5, 3), (8, 2, 4)])
def test_columns_convolve_their_own_streams(rows, cols, weight_rows, seed):
    """Filters down the columns and dense passes in turn: each sum of a column that has seen a whole filter is exact."""
    config = Config(rows=rows, cols=cols, weight_rows=weight_rows, depthwise=True)
    dut = Array(config)
    random = np.random.default_rng(seed)
    schedule = []
    start = 0
    for _ in range(10):
        filters = bool(random.integers(2))
        pixels = config.weight_steps + rows + int(random.integers(4))
        taps = int(random.integers(1, rows + 1)) if filters else rows
        tile = random.integers(-128, 128, (rows, cols))
        tile[taps:] = 0
        schedule.append((start, pixels, taps if filters else 0, tile))
        start += pixels
    cycles = start + rows + cols + dut.latency
    activations = random.integers(-128, 128, (cycles, rows))
    north = random.integers(-128, 128, (cycles, cols))
    weights = random.integers(-128, 128, (cycles, weight_rows, cols))
    first, columns = np.zeros(cycles, int), np.zeros(cycles, int)
    expected = {}
    for begin, pixels, taps, tile in schedule:
        first[begin] = 1
        columns[begin : begin + pixels] = taps > 0
        for row in range(rows):
            for col in range(cols):
                weights[begin + row + col, row // config.weight_steps, col] = tile[row, col]
        for pixel in range(begin + max(taps - 1, 0), begin + pixels):
            for col in range(cols):
                if taps:
                    total = sum(north[pixel - row, col] * tile[row, col] for row in range(taps))
                else:
                    total = activations[pixel] @ tile[:, col]
                expected[pixel + dut.latency + col, col] = total

    async def testbench(ctx):
        for t in range(cycles):
            ctx.set(dut.activations.as_value(), pack(activations[t], 8))
            ctx.set(dut.north.as_value(), pack(north[t], 8))
            ctx.set(dut.weights.as_value(), pack(weights[t], 8))
            ctx.set(dut.first, int(first[t]))
            ctx.set(dut.columns, int(columns[t]))
            sums = unpack(ctx.get(dut.sums.as_value()), 32, cols)
            for col in range(cols):
                assert sums[col] == expected.get((t, col), sums[col]), f"cycle {t}, column {col}"
            await ctx.tick()

    assert any(taps for _, _, taps, _ in schedule)
    simulate(dut, testbench, cycles=cycles + 1)
