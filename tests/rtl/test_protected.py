"""A flipped bit is found when it is read, whichever it is."""

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.hdl import Fragment
from weft.rtl.config import Config
from weft.rtl.protected import ProtectedMemory, memory_of_bytes

from tests.rtl.common import simulate

DEPTH = 4


class Peek:
    """A platform that keeps the stored words as `contents`, for a testbench to change."""

    def memory_1r1w(self, memory):
        m = memory.portable()
        self.contents = m.submodules.memory.data
        return m


def peeked(width):
    """A memory, its elaborated form, and its contents."""
    dut, platform = ProtectedMemory(width, DEPTH), Peek()
    fragment = Fragment.get(dut, platform)
    return dut, fragment, platform.contents


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
    dut, fragment, contents = peeked(16)

    async def testbench(ctx):
        await write(ctx, dut, 2, 0xA5C3, 3)
        for bit in range(18):
            stored = ctx.get(contents[2])
            ctx.set(contents[2], stored ^ 1 << bit)
            assert (await read(ctx, dut, 2))[1] == 1
            assert (await read(ctx, dut, 1))[1] == 0
            ctx.set(contents[2], stored)
            assert await read(ctx, dut, 2) == (0xA5C3, 0)

    simulate(fragment, testbench, cycles=300)


def test_writing_heals():
    dut, fragment, contents = peeked(8)

    async def testbench(ctx):
        await write(ctx, dut, 0, 0x11, 1)
        ctx.set(contents[0], 0x10)
        await write(ctx, dut, 0, 0x12, 1)
        assert await read(ctx, dut, 0) == (0x12, 0)

    simulate(fragment, testbench, cycles=30)


def test_a_collision_is_not_judged():
    dut, fragment, contents = peeked(8)

    async def testbench(ctx):
        await write(ctx, dut, 0, 0x11, 1)
        ctx.set(contents[0], 0x10)
        ctx.set(dut.read.enable, 1)
        await write(ctx, dut, 0, 0x12, 1)
        ctx.set(dut.read.enable, 0)
        await ctx.tick()
        assert ctx.get(dut.flaw) == 0

    simulate(fragment, testbench, cycles=30)


@pytest.mark.parametrize("protection, width", [(False, 16), (True, 18)])
def test_the_option_makes_a_byte_nine_bits(protection, width):
    widths = []

    class Platform:
        def memory_1r1w(self, memory):
            widths.append((memory.width, memory.granularity))
            return memory.portable()

    rtlil.convert(memory_of_bytes(Config(protection=protection), 16, 8), platform=Platform(), emit_src=False)
    assert widths == [(width, width // 2)]
