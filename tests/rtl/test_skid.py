import numpy as np
import pytest
from weft.rtl.skid import SkidBuffer

from tests.rtl.common import simulate

ITEMS = [7 * index & 0xFF for index in range(60)]


@pytest.mark.parametrize("stall_in, stall_out", [(0, 0), (0.5, 0), (0, 0.5), (0.6, 0.6)])
def test_items_pass_in_order(stall_in, stall_out):
    dut = SkidBuffer(8)
    random = np.random.default_rng(1)
    taken, given = [], []

    async def source(ctx):
        for item in ITEMS:
            while random.random() < stall_in:
                await ctx.tick()
            ctx.set(dut.i.payload, item)
            ctx.set(dut.i.valid, 1)
            await ctx.tick().until(dut.i.ready)
            ctx.set(dut.i.valid, 0)

    async def sink(ctx):
        while len(given) < len(ITEMS):
            ctx.set(dut.o.ready, random.random() >= stall_out)
            cycle = len(taken)
            _, _, into, out_of, payload = await ctx.tick().sample(
                dut.i.valid & dut.i.ready, dut.o.valid & dut.o.ready, dut.o.payload
            )
            taken.append(into)
            if out_of:
                given.append((cycle, payload))

    simulate(dut, source, sink, cycles=2000)
    assert [payload for _, payload in given] == ITEMS
    if stall_in == stall_out == 0:
        assert [cycle - SkidBuffer.LATENCY for cycle, _ in given] == [cycle for cycle, into in enumerate(taken) if into]


def test_neither_side_sees_the_other():
    """Its ready and its valid come from registers: they do not move within a cycle."""
    dut = SkidBuffer(8)

    async def bench(ctx):
        for valid, ready in ((1, 0), (1, 1), (0, 1), (1, 1), (1, 0), (1, 0), (0, 0)):
            await ctx.tick()
            before = ctx.get(dut.i.ready), ctx.get(dut.o.valid)
            ctx.set(dut.i.valid, valid)
            ctx.set(dut.o.ready, ready)
            assert (ctx.get(dut.i.ready), ctx.get(dut.o.valid)) == before

    simulate(dut, bench, cycles=20)
