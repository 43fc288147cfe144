import numpy as np
import pytest
from weft.rtl import isa
from weft.rtl.registers import Activity, Unit
from weft.rtl.tokens import TOKEN_BITS, UNITS, Gate, Tokens

from tests.rtl.common import simulate

HEADER_ONLY = isa.END


@pytest.mark.parametrize("seed", range(4))
def test_counts_equal_a_model(seed):
    """A token counts in the cycle in which it is given, and never more are taken than were given."""
    dut = Tokens()
    random = np.random.default_rng(seed)

    async def testbench(ctx):
        model = np.zeros((UNITS, UNITS), int)  # [source][sink]
        for _ in range(300):
            given = random.integers(2, size=(UNITS, UNITS)) * (1 - np.eye(UNITS, dtype=int))
            ctx.set(dut.given, given.tolist())
            available = np.array([[int(value) for value in row] for row in ctx.get(dut.available)])
            assert (((model + given) > 0) == available.T).all()
            taken = random.integers(2, size=(UNITS, UNITS)) * available
            ctx.set(dut.taken, taken.tolist())
            model += given - taken.T
            assert ctx.get(dut.overflow) == 0
            await ctx.tick()
            model = np.minimum(model, (1 << TOKEN_BITS) - 1)

    simulate(dut, testbench, cycles=400)


def test_overflow_names_the_giver():
    dut = Tokens()

    async def testbench(ctx):
        ctx.set(dut.given[Unit.LOAD][Unit.DRAIN], 1)
        for _ in range((1 << TOKEN_BITS) - 1):
            assert ctx.get(dut.overflow) == 0
            await ctx.tick()
        assert ctx.get(dut.overflow) == 1 << Unit.LOAD

    simulate(dut, testbench, cycles=100)


def header(**fields):
    return {"header": {"opcode": isa.Opcode.END, **fields}}


def test_gate_waits_for_every_token_and_says_for_which():
    dut = Gate(HEADER_ONLY)

    async def testbench(ctx):
        ctx.set(dut.i.payload, header(wait=1 << Unit.ARRAY | 1 << Unit.STORE))
        ctx.set(dut.i.valid, 1)
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.available, 0)
        assert ctx.get(dut.activity) == Activity.WAIT_ARRAY
        ctx.set(dut.available, 1 << Unit.ARRAY)
        assert ctx.get(dut.activity) == Activity.WAIT_STORE
        assert not ctx.get(dut.o.valid)
        assert ctx.get(dut.take) == 0
        ctx.set(dut.available, 1 << Unit.ARRAY | 1 << Unit.STORE)
        assert ctx.get(dut.o.valid)
        assert ctx.get(dut.take) == 1 << Unit.ARRAY | 1 << Unit.STORE
        ctx.set(dut.o.ready, 0)
        assert ctx.get(dut.take) == 0

    simulate(dut, testbench, cycles=10)


def test_gate_gives_tokens_in_order_of_completion():
    dut = Gate(HEADER_ONLY)

    async def testbench(ctx):
        ctx.set(dut.o.ready, 1)
        assert ctx.get(dut.idle)
        for signal, tag in ((1, 10), (6, 11)):
            ctx.set(dut.i.payload, header(signal=signal, tag=tag))
            ctx.set(dut.i.valid, 1)
            await ctx.tick()
        ctx.set(dut.i.valid, 0)
        await ctx.tick()
        assert not ctx.get(dut.idle)
        assert ctx.get(dut.give) == 0
        ctx.set(dut.done, 1)
        for signal, tag in ((1, 10), (6, 11)):
            assert ctx.get(dut.give) == signal
            assert ctx.get(dut.retired_tag) == tag
            await ctx.tick()
        ctx.set(dut.done, 0)
        assert ctx.get(dut.idle)

    simulate(dut, testbench, cycles=20)


def test_gate_bounds_the_instructions_in_flight():
    dut = Gate(HEADER_ONLY)

    async def testbench(ctx):
        ctx.set(dut.o.ready, 1)
        ctx.set(dut.i.valid, 1)
        for _ in range(Gate.IN_FLIGHT):
            assert ctx.get(dut.o.valid)
            await ctx.tick()
        assert not ctx.get(dut.o.valid)

    simulate(dut, testbench, cycles=20)
