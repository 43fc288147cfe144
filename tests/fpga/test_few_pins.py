# amaranth: UnusedElaboratable=no

from amaranth.hdl import Module
from amaranth.lib.wiring import Component, In, Out
from weft.fpga.few_pins import FewPins

from tests.rtl.common import simulate


class Adder(Component):
    a: In(2)
    b: In(2)
    sum: Out(3)
    carry: Out(1)

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [self.sum.eq(self.a + self.b), self.carry.eq(self.sum[2])]
        return m


def test_every_input_and_every_output_counts():
    """The first bit that goes in is the highest of the inputs four cycles later; the outputs come out folded."""
    dut = FewPins(Adder())

    async def testbench(ctx):
        for bit in (1, 0, 1, 1):  # b = 0b10, a = 0b11
            ctx.set(dut.i, bit)
            await ctx.tick()
        assert (ctx.get(dut.inner.a), ctx.get(dut.inner.b)) == (3, 2)
        ctx.set(dut.i, 0)
        seen = []
        for _ in range(12):
            seen.append(ctx.get(dut.o))
            await ctx.tick()
        assert 1 in seen

    simulate(dut, testbench, cycles=40)


def test_pins_are_three():
    assert list(FewPins(Adder()).signature.members) == ["i", "o"]
