import zlib

import pytest
from weft.rtl.crc import Crc32

from tests.rtl.common import simulate


async def feed(ctx, dut, raw, emit=False):
    """Take bytes, or drop the CRC's; returns the bits of `next` seen on the way."""
    bits = []
    for byte in raw:
        for place in range(8):
            bits.append(ctx.get(dut.next))
            ctx.set(dut.enable, 1)
            ctx.set(dut.emit, emit)
            ctx.set(dut.bit, byte >> place & 1)
            await ctx.tick()
    ctx.set(dut.enable, 0)
    return bits


@pytest.mark.parametrize("raw", [b"", b"123456789", bytes(range(256))], ids=["nothing", "check", "all"])
def test_equals_zlib(raw):
    dut = Crc32()

    async def bench(ctx):
        await feed(ctx, dut, b"something before")
        ctx.set(dut.clear, 1)
        await ctx.tick()
        ctx.set(dut.clear, 0)
        await feed(ctx, dut, raw)
        bits = await feed(ctx, dut, bytes(4), emit=True)
        assert sum(bit << index for index, bit in enumerate(bits)) == zlib.crc32(raw)

    simulate(dut, bench, cycles=4000)


@pytest.mark.parametrize("flipped", [None, 0, 39, 71])
def test_good_after_the_right_crc_only(flipped):
    dut = Crc32()
    raw = b"12345"
    number = int.from_bytes(raw + zlib.crc32(raw).to_bytes(4, "little"), "little")
    if flipped is not None:
        number ^= 1 << flipped

    async def bench(ctx):
        await feed(ctx, dut, number.to_bytes(9, "little"))
        assert ctx.get(dut.good) == (flipped is None)

    simulate(dut, bench, cycles=200)
