import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import Component, In, Out
from weft.rtl.ahead import Ahead, State, restarted, stepped

from tests.rtl.common import simulate


class Loop(Component):
    """Counts `count` steps, again and again."""

    start: In(1)
    step: In(1)
    count: In(4)
    last: Out(1)
    next_last: Out(1)

    def elaborate(self, platform):
        m = Module()
        counter = Signal(4)
        last = Ahead(m, "last_step")
        state = State(m)
        with m.If(self.start | (self.step & last.now)):
            state += restarted(counter, last, self.count)
        with m.Elif(self.step):
            state += stepped(counter, last)
        m.d.comb += [self.last.eq(last.now), self.next_last.eq(last.next)]
        return m


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_the_flag_is_there_in_the_last_step_and_known_in_the_cycle_before(count):
    dut = Loop()
    seen = []

    async def bench(ctx):
        ctx.set(dut.count, count)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        for cycle in range(6 * count):
            # Every third cycle is none of the loop's.
            ctx.set(dut.step, cycle % 3 != 2)
            *_, step, last, next_last = await ctx.tick().sample(dut.step, dut.last, dut.next_last)
            seen.append((step, last, next_last))

    simulate(dut, bench, cycles=100)
    lasts = [last for step, last, _ in seen if step]
    assert lasts == [index % count == count - 1 for index in range(len(lasts))]
    assert [next_last for *_, next_last in seen[:-1]] == [last for _, last, _ in seen[1:]]
