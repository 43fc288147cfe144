# amaranth: UnusedElaboratable=no

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.hdl import Elaboratable, Module
from weft.rtl.memory import Memory1R1W, Memory1RW

from tests.rtl.common import simulate


@pytest.mark.parametrize("latency, seed", [(1, 0), (1, 1), (2, 2)])
@pytest.mark.parametrize("width, depth, granularity", [(8, 1, None), (16, 5, 8), (32, 16, None), (12, 2, 4)])
def test_random_traffic_matches_an_array(width, depth, granularity, latency, seed):
    """Every read is seen after the latency and held until the next one is."""
    dut = Memory1R1W(width, depth, granularity, latency)
    granule = granularity or width
    random = np.random.default_rng(seed)
    model = [0] * depth

    async def testbench(ctx):
        held, seen = None, [None] * latency
        for _ in range(300):
            address, value = int(random.integers(depth)), int(random.integers(1 << width))
            enable = int(random.integers(1 << width // granule))
            read_address, read = int(random.integers(depth)), bool(random.integers(2))
            ctx.set(dut.write.address, address)
            ctx.set(dut.write.data, value)
            ctx.set(dut.write.enable, enable)
            ctx.set(dut.read.address, read_address)
            ctx.set(dut.read.enable, read)
            if read:
                held = model[read_address] if not enable or read_address != address else None
            mask = sum((1 << granule) - 1 << i * granule for i in range(width // granule) if enable >> i & 1)
            model[address] = model[address] & ~mask | value & mask
            seen.append(held)
            await ctx.tick()
            if seen[-latency] is not None:
                assert ctx.get(dut.read.data) == seen[-latency]

    simulate(dut, testbench, cycles=400)


def test_a_platform_may_replace_the_memory():
    class Primitive(Elaboratable):
        def __init__(self, memory):
            self.memory = memory

        def elaborate(self, platform):
            m = Module()
            m.d.comb += self.memory.read.data.eq(0x5A)
            return m

    class Platform:
        def memory_1r1w(self, memory):
            return Primitive(memory)

    dut = Memory1R1W(8, 4)
    assert "$memrd" in rtlil.convert(dut, emit_src=False)
    replaced = rtlil.convert(Memory1R1W(8, 4), platform=Platform(), emit_src=False)
    assert "$memrd" not in replaced
    assert "8'01011010" in replaced


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((0, 4), "the width of a memory must be at least 1, not 0"),
        ((8, 0), "the depth of a memory must be at least 1, not 0"),
        ((8, 4, 3), r"the granularity of a memory must divide its width \(8\), not 3"),
        ((8, 4, None, 3), "the latency of a memory must be 1 or 2, not 3"),
    ],
)
def test_impossible_memories_are_refused(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Memory1R1W(*arguments)


def test_one_port_reads_or_writes_bytes():
    dut = Memory1RW(32, 8, 8)
    random = np.random.default_rng(0)
    model = np.zeros((8, 4), np.uint8)

    async def testbench(ctx):
        for index in range(300):
            address = int(random.integers(8))
            read = index > 8 and bool(random.integers(2))
            enable = 0 if read else 15 if index <= 8 else int(random.integers(16))
            value = random.integers(0, 256, 4, np.uint8)
            ctx.set(dut.address, index % 8 if index <= 8 else address)
            ctx.set(dut.read_enable, read)
            ctx.set(dut.write_enable, enable)
            ctx.set(dut.write_data, int.from_bytes(value.tobytes(), "little"))
            row = model[index % 8 if index <= 8 else address]
            for byte in range(4):
                if enable >> byte & 1:
                    row[byte] = value[byte]
            await ctx.tick().repeat(Memory1RW.LATENCY)
            if read:
                assert ctx.get(dut.read_data) == int.from_bytes(row.tobytes(), "little")

    simulate(dut, testbench, cycles=400)


@pytest.mark.parametrize("answers", [True, False])
def test_a_platform_may_replace_the_memory_with_one_port(answers):
    class Platform:
        def memory_1rw(self, memory):
            m = Module()
            m.d.comb += memory.read_data.eq(0x5A)
            return m if answers else None

    text = rtlil.convert(Memory1RW(8, 2), platform=Platform())
    assert ("01011010" in text) is answers
    assert ("cell" in text) is not answers
