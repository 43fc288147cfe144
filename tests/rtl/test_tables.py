# amaranth: UnusedElaboratable=no

import numpy as np
import pytest
from weft.rtl import isa
from weft.rtl.config import Config
from weft.rtl.tables import Table, Tables

from tests.rtl.common import simulate, unpack


async def fill(ctx, dut, raw, width):
    """Write the table space from byte 0 on, in words of the memory port."""
    for offset in range(0, len(raw), width // 8):
        ctx.set(dut.write, 1)
        ctx.set(dut.write_address, offset)
        ctx.set(dut.write_data, int.from_bytes(raw[offset : offset + width // 8], "little"))
        await ctx.tick()
    ctx.set(dut.write, 0)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("width", [32, 64, 512])
def test_sums_and_results_are_looked_up_or_passed_on(width, seed):
    """One lane, every cycle another choice; both ways take the same number of cycles."""
    dut = Tables(Config(memory_width=width, axi_width=width, tables=True))
    random = np.random.default_rng(seed)
    raw = random.bytes(isa.TABLE_SPACE_BYTES)
    sums = np.frombuffer(raw[: isa.RESULT_TABLE_OFFSET], "<i4").reshape(isa.SUM_TABLES, 256)
    results = np.frombuffer(raw[isa.RESULT_TABLE_OFFSET :], np.int8)

    async def testbench(ctx):
        await fill(ctx, dut, raw, width)
        for _ in range(200):
            value, result = int(random.integers(-(2**31), 2**31)), int(random.integers(-128, 128))
            operand, look_up_sum, look_up_result = (int(random.integers(2)) for _ in range(3))
            ctx.set(dut.sum, value)
            ctx.set(dut.operand, operand)
            ctx.set(dut.look_up_sum, look_up_sum)
            ctx.set(dut.result, result)
            ctx.set(dut.look_up_result, look_up_result)
            await ctx.tick().repeat(dut.latency)
            assert ctx.get(dut.value) == (sums[operand, value & 0xFF] if look_up_sum else value)
            assert ctx.get(dut.out) == (results[result & 0xFF] if look_up_result else result)

    simulate(dut, testbench, cycles=1500)


@pytest.mark.parametrize("width, bits, elements", [(32, 8, 256), (64, 32, 16), (128, 16, 8)])
def test_elements_lie_in_words_lowest_first(width, bits, elements):
    dut = Table(width, bits, elements)
    random = np.random.default_rng(width)
    words = [int.from_bytes(random.bytes(width // 8), "little") for _ in range(elements * bits // width)]
    expected = [value for word in words for value in unpack(word, bits, width // bits).tolist()]

    async def testbench(ctx):
        for index, word in enumerate(words):
            ctx.set(dut.write, 1)
            ctx.set(dut.write_address, index)
            ctx.set(dut.write_data, word)
            await ctx.tick()
        ctx.set(dut.write, 0)
        for index in range(elements):
            ctx.set(dut.index, index)
            await ctx.tick().repeat(dut.latency)
            assert ctx.get(dut.element) == expected[index]

    simulate(dut, testbench, cycles=1000)
