import random

import pytest
from weft.rtl.link_protocol import MIN_DIVISOR
from weft.rtl.uart import FRAME_BITS, Receiver, Transmitter

from tests.rtl.common import simulate
from tests.rtl.ports import Channel, Source, run, stall

MESSAGE = [0x00, 0xFF, 0x55, 0xAA, 0x01, 0x80, 0x7E]


def levels(byte):
    return [0, *(byte >> place & 1 for place in range(8)), 1]


async def send(ctx, dut, byte, cycles, stop=1):
    """A byte with bits of `cycles` clock cycles, a fraction too."""
    time = 0.0
    for level in [*levels(byte)[:-1], stop]:
        ctx.set(dut.serial, level)
        time += cycles
        while time >= 1:
            await ctx.tick()
            time -= 1
    ctx.set(dut.serial, 1)


def received(dut, into):
    async def watch(ctx):
        async for _, _, valid, byte in ctx.tick().sample(dut.valid, dut.byte):
            if valid:
                into.append(byte)

    return watch


@pytest.mark.parametrize("divisor, factor", [(MIN_DIVISOR, 1), (5, 1), (16, 1), (50, 1.03), (50, 0.97)])
def test_receiver_takes_bytes_back_to_back(divisor, factor):
    dut, got = Receiver(), []

    async def bench(ctx):
        ctx.set(dut.divisor, divisor)
        await ctx.tick().repeat(5)
        for byte in MESSAGE:
            await send(ctx, dut, byte, divisor * factor)
        await ctx.tick().repeat(2 * divisor + 5)

    simulate(dut, bench, cycles=8000, background=[received(dut, got)])
    assert got == MESSAGE


def test_receiver_drops_a_glitch_and_a_byte_without_stop_bit():
    dut, got = Receiver(), []

    async def bench(ctx):
        ctx.set(dut.divisor, 8)
        ctx.set(dut.serial, 0)
        await ctx.tick().repeat(2)
        ctx.set(dut.serial, 1)
        await ctx.tick().repeat(100)
        await send(ctx, dut, 0xFF, 8, stop=0)
        await ctx.tick().repeat(100)
        await send(ctx, dut, 0x42, 8)
        await ctx.tick().repeat(20)

    simulate(dut, bench, cycles=1000, background=[received(dut, got)])
    assert got == [0x42]


@pytest.mark.parametrize("divisor", [MIN_DIVISOR, 7])
@pytest.mark.parametrize("pattern", ["flowing", "half"])
def test_transmitter(divisor, pattern):
    dut = Transmitter()
    rng = random.Random(divisor)
    message = MESSAGE + [rng.randrange(256) for _ in range(10)]
    source = Source(Channel.of(dut.i), stall(pattern, 1))
    for byte in message:
        source.put({"payload": byte})
    line = []

    class Line:
        signals = [dut.serial]

        def drive(self, ctx, cycle):
            ctx.set(dut.divisor, divisor)

        def observe(self, cycle, level):
            line.append(level)

    run(dut, [source, Line()], lambda: not source.items, cycles=3000, extra=FRAME_BITS * divisor + 4)
    got = []
    place = 0
    while 0 in line[place:]:
        place = line.index(0, place)
        bits = [line[place + bit * divisor : place + (bit + 1) * divisor] for bit in range(FRAME_BITS)]
        assert all(len(set(bit)) == 1 for bit in bits)  # every bit is `divisor` cycles long
        assert bits[-1][0] == 1
        got.append(sum(bit[0] << index for index, bit in enumerate(bits[1:-1])))
        place += FRAME_BITS * divisor
    assert got == message
    if pattern == "flowing":
        assert len(line) < (len(message) + 2) * (FRAME_BITS * divisor + 1)
