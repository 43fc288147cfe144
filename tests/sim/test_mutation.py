"""An expression of which an input chooses the form."""

import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data
from amaranth.sim import Simulator
from weft.sim.mutation import MUTANT, mutated

PAIR = data.StructLayout({"low": signed(4), "high": 4})


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_input_chooses(number):
    m = Module()
    value, out = Signal(signed(8)), Signal(signed(12))
    m.d.comb += out.eq(mutated(2, value, value + 200))
    found = []

    async def bench(ctx):
        ctx.set(MUTANT, number)
        ctx.set(value, -3)
        found.append(ctx.get(out))

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    # The shape is the right one's: 197 is -59 there.
    assert found == [-59 if number == 2 else -3]


def test_the_shape_is_that_of_the_right_expression():
    assert mutated(1, Signal(signed(5)), Signal(9)).shape() == signed(5)
    assert mutated(1, Signal(5), -1).shape().width == 5
    view = mutated(1, Signal(PAIR), Signal(PAIR))
    assert view.shape() == PAIR
    assert view.low.shape() == signed(4)
