"""A flipped bit is found when it is read, whichever it is."""

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.rtl.memory import Memory1R1W
from weft.rtl.protected import ProtectedMemory, memory_of_bytes

from tests.rtl.common import simulate

DEPTH = 4


class Peek(ProtectedMemory):
    """Its stored words are `contents`, for a testbench to change."""

    def elaborate(self, platform):
        portable = self.memory.portable

        def kept():
            m = portable()
            self.contents = m._named_submodules["memory"][0].data
            return m

        self.memory.portable = kept
        return super().elaborate(platform)


async def write(ctx, dut, address, value, enable):
    ctx.set(dut.write.address, address)
    ctx.set(dut.write.data, value)
    ctx.set(dut.write.enable, enable)
    await ctx.tick()
    ctx.set(dut.write.enable, 0)


async def read(ctx, dut, address):
    """The word, and whether it has a flaw."""
    ctx.set(dut.read.address, address)
    ctx.set(dut.read.enable, 1)
    await ctx.tick()
    ctx.set(dut.read.enable, 0)
    value = ctx.get(dut.read.data)
    await ctx.tick()
    return value, ctx.get(dut.flaw)


@pytest.mark.parametrize("width", [8, 32])
def test_what_is_written_is_read_without_flaws(width):
    dut = ProtectedMemory(width, DEPTH)
    random = np.random.default_rng(width)
    expected = [0] * DEPTH

    async def testbench(ctx):
        for _ in range(40):
            address, value = int(random.integers(DEPTH)), int(random.integers(1 << width))
            enable = int(random.integers(1 << width // 8))
            await write(ctx, dut, address, value, enable)
            mask = sum(0xFF << 8 * byte for byte in range(width // 8) if enable >> byte & 1)
            expected[address] = expected[address] & ~mask | value & mask
            place = int(random.integers(DEPTH))
            assert await read(ctx, dut, place) == (expected[place], 0)

    simulate(dut, testbench, cycles=200)


def test_each_flipped_bit_is_found():
    dut = Peek(16, DEPTH)

    async def testbench(ctx):
        await write(ctx, dut, 2, 0xA5C3, 3)
        for bit in range(18):
            stored = ctx.get(dut.contents[2])
            ctx.set(dut.contents[2], stored ^ 1 << bit)
            assert (await read(ctx, dut, 2))[1] == 1
            assert (await read(ctx, dut, 1))[1] == 0
            ctx.set(dut.contents[2], stored)
            assert await read(ctx, dut, 2) == (0xA5C3, 0)

    simulate(dut, testbench, cycles=300)


def test_writing_heals():
    dut = Peek(8, DEPTH)

    async def testbench(ctx):
        await write(ctx, dut, 0, 0x11, 1)
        ctx.set(dut.contents[0], 0x10)
        await write(ctx, dut, 0, 0x12, 1)
        assert await read(ctx, dut, 0) == (0x12, 0)

    simulate(dut, testbench, cycles=30)


def test_a_collision_is_not_judged():
    dut = Peek(8, DEPTH)

    async def testbench(ctx):
        await write(ctx, dut, 0, 0x11, 1)
        ctx.set(dut.contents[0], 0x10)
        ctx.set(dut.read.enable, 1)
        await write(ctx, dut, 0, 0x12, 1)
        ctx.set(dut.read.enable, 0)
        await ctx.tick()
        assert ctx.get(dut.flaw) == 0

    simulate(dut, testbench, cycles=30)


def test_the_option_chooses_the_memory():
    assert isinstance(memory_of_bytes(Config(protection=True), 16, 4).memory, Memory1R1W)
    assert isinstance(memory_of_bytes(Config(), 16, 4), Memory1R1W)


@pytest.mark.parametrize("width", [16, 72])
def test_a_byte_takes_nine_bits(width):
    memory = ProtectedMemory(width, 8)
    assert (memory.memory.width, memory.memory.granularity) == (width // 8 * 9, 9)
