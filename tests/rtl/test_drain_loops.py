import pytest
from amaranth.hdl import Module, Signal
from weft.rtl.config import Config
from weft.rtl.drain_loops import columns_to_groups, countdown

from tests.rtl.common import simulate


@pytest.mark.parametrize("cols, lanes", [(1, 1), (5, 1), (5, 5), (6, 3), (9, 3), (12, 2), (30, 5), (60, 12), (64, 8)])
def test_columns_of_whole_groups_become_groups(cols, lanes):
    m = Module()
    columns, groups = Signal(8), Signal(8)
    m.d.comb += groups.eq(columns_to_groups(Config(cols=cols, lanes=lanes, parameter_channels=lanes), columns))
    m.d.sync += Signal().eq(0)

    async def testbench(ctx):
        for group in range(cols // lanes):
            ctx.set(columns, group * lanes)
            assert ctx.get(groups) == group

    simulate(m, testbench, cycles=10)


@pytest.mark.parametrize("unit", [1, 3])
@pytest.mark.parametrize("first, again", [(1, 1), (7, 1), (1, 7), (6, 6), (255, 2)])
def test_countdown_starts_over_after_the_last_step(first, again, unit):
    """The counter of a loop that is entered with one count and repeated with another, with pauses in between."""
    m = Module()
    start, step = Signal(), Signal()
    first_value, again_value = Signal(8, init=first), Signal(8, init=again)
    left, last, _ = countdown(m, "count", start, first_value, step, 0, again_value, unit)

    async def testbench(ctx):
        ctx.set(start, 1)
        await ctx.tick()
        ctx.set(start, 0)
        for value in (first, again, again):
            for expected in range(value, 0, -unit):
                ctx.set(step, 0)
                await ctx.tick().repeat(2)
                assert (ctx.get(left), ctx.get(last)) == (expected, expected <= unit)
                ctx.set(step, 1)
                await ctx.tick()

    simulate(m, testbench, cycles=2000)
