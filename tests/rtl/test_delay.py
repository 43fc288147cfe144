import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import Component, In, Out
from weft.rtl.delay import delay_line, delayed, delayed_in_memory

from tests.rtl.common import simulate


class Delays(Component):
    i: In(8)
    o: Out(8)
    taps: Out(32)

    def __init__(self, cycles):
        self.cycles = cycles
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.o.eq(delayed(m, "one", self.i, self.cycles))
        for index, tap in enumerate(delay_line(m, "line", self.i, 3, reset_less=True)):
            m.d.comb += self.taps.word_select(index, 8).eq(tap)
        return m


@pytest.mark.parametrize("cycles", [0, 1, 3])
def test_the_past_comes_out(cycles):
    dut = Delays(cycles)
    values = [7 * t % 251 + 1 for t in range(20)]

    async def testbench(ctx):
        for t, value in enumerate(values):
            ctx.set(dut.i, value)
            past = [values[t - age] if t >= age else 0 for age in range(4)]
            assert ctx.get(dut.o) == past[cycles]
            assert ctx.get(dut.taps).to_bytes(4, "little") == bytes(past)
            await ctx.tick()

    simulate(dut, testbench, cycles=len(values) + 1)


@pytest.mark.parametrize("cycles", [2, 7, 40])
def test_a_memory_delays_as_registers_do(cycles):
    m = Module()
    value = Signal(5)
    late = delayed_in_memory(m, "delay", value, cycles)

    async def testbench(ctx):
        for cycle in range(3 * cycles):
            ctx.set(value, cycle % 32)
            if cycle >= cycles:
                assert ctx.get(late) == (cycle - cycles) % 32
            await ctx.tick()

    simulate(m, testbench, cycles=4 * cycles)
