"""Windows of pages: which requests pass."""

import pytest
from weft.rtl.config import Config
from weft.rtl.fence import PAGE_BYTES, Fence, fence_ports

from tests.rtl.common import simulate

CONFIG = Config(memory_width=64, axi_width=64, fences=True)
KINDS = pytest.mark.parametrize("config", [CONFIG, CONFIG.replace(pipelined=True)], ids=["plain", "pipelined"])
FIRST, LAST = 3, 5
TOP = 1 << 32


@pytest.mark.parametrize(
    "address, words, passes",
    [
        (3 * PAGE_BYTES, 1, True),
        (3 * PAGE_BYTES - 8, 1, False),
        (3 * PAGE_BYTES - 8, 2, False),
        (5 * PAGE_BYTES, 512, True),
        (5 * PAGE_BYTES + 8, 512, False),
        (6 * PAGE_BYTES, 1, False),
        (3 * PAGE_BYTES, 3 * 512, True),
        (3 * PAGE_BYTES, 3 * 512 + 1, False),
        (0, 1, False),
        (TOP - 8, 1, False),
        (3 * PAGE_BYTES, (1 << 23) - 1, False),
    ],
)
@pytest.mark.parametrize("first, last, inside", [(FIRST, LAST, True), (LAST, FIRST, False)])
@KINDS
def test_a_request_outside_its_window_is_kept_and_shown(config, address, words, passes, first, last, inside):
    dut = Fence(config)

    async def testbench(ctx):
        ctx.set(dut.window.first, first)
        ctx.set(dut.window.last, last)
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.i.payload.address, address)
        ctx.set(dut.i.payload.words, words)
        ctx.set(dut.i.valid, 1)
        await ctx.tick()
        ctx.set(dut.i.valid, 0)
        if config.pipelined:
            assert not ctx.get(dut.o.valid | dut.refused.valid)
            await ctx.tick()
        ctx.set(dut.window.last, (1 << 20) - 1)  # too late: the verdict stands
        for _ in range(3):
            assert ctx.get(dut.o.valid) == (passes and inside)
            assert ctx.get(dut.refused.valid) == (not (passes and inside))
            if passes and inside:
                assert ctx.get(dut.o.payload) == {"address": address, "words": words}
                return
            assert ctx.get(dut.refused.address) == address
            if not config.pipelined:
                assert not ctx.get(dut.i.ready)
            await ctx.tick()
        ctx.set(dut.clear, 1)
        await ctx.tick()
        assert not ctx.get(dut.refused.valid)
        assert ctx.get(dut.i.ready)

    simulate(dut, testbench, cycles=20)


@KINDS
def test_a_request_that_wraps_around_is_outside(config):
    dut = Fence(config)

    async def testbench(ctx):
        ctx.set(dut.window.last, (1 << 20) - 1)
        ctx.set(dut.i.payload.address, TOP - 8)
        ctx.set(dut.i.payload.words, 2)
        ctx.set(dut.i.valid, 1)
        await ctx.tick().repeat(1 + config.pipelined)
        assert ctx.get(dut.refused.valid)

    simulate(dut, testbench, cycles=20)


@KINDS
def test_requests_follow_each_other_without_a_pause(config):
    dut = Fence(config)
    seen = []

    async def testbench(ctx):
        ctx.set(dut.window.last, (1 << 20) - 1)
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.i.payload.words, 1)
        for address in range(0, 80, 8):
            ctx.set(dut.i.payload.address, address)
            assert ctx.get(dut.i.ready)
            if ctx.get(dut.o.valid):
                seen.append(ctx.get(dut.o.payload.address))
            await ctx.tick()

    simulate(dut, testbench, cycles=20)
    assert seen == list(range(0, 64 if config.pipelined else 72, 8))


def test_off_it_has_no_ports():
    assert fence_ports(Config()) == {}
