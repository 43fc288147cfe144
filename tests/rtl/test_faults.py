"""The one fault that is reported, and the number of its instruction."""

import pytest
from weft.rtl.config import Config
from weft.rtl.faults import Faults
from weft.rtl.registers import SEQUENCER, ErrorCause, Unit

from tests.rtl.common import simulate

CONFIG = Config(fences=True, checks=True, autopsy=True)


def check(testbench, config=CONFIG):
    dut = Faults(config)

    async def bound(ctx):
        await testbench(ctx, dut)

    simulate(dut, bound, cycles=100)


def reported(ctx, dut):
    return tuple(ctx.get(getattr(dut, name)) for name in ("error", "cause", "unit", "address"))


@pytest.mark.parametrize(
    "port, values, fault",
    [
        (
            "sequencer",
            {"valid": 1, "cause": ErrorCause.FENCE, "address": 64},
            (1, ErrorCause.FENCE, SEQUENCER, 64),
        ),
        ("load", {"valid": 1, "decode": 0, "address": 5}, (1, ErrorCause.READ_ERROR, Unit.LOAD, 5)),
        ("load", {"valid": 1, "decode": 1, "address": 5}, (1, ErrorCause.READ_DECODE_ERROR, Unit.LOAD, 5)),
        ("store", {"valid": 1, "decode": 0, "address": 6}, (1, ErrorCause.WRITE_ERROR, Unit.STORE, 6)),
        ("store", {"valid": 1, "decode": 1, "address": 6}, (1, ErrorCause.WRITE_DECODE_ERROR, Unit.STORE, 6)),
        ("refused_load", {"valid": 1, "address": 7}, (1, ErrorCause.FENCE, Unit.LOAD, 7)),
        ("refused_store", {"valid": 1, "address": 8}, (1, ErrorCause.FENCE, Unit.STORE, 8)),
    ],
)
def test_each_fault_has_cause_unit_and_address(port, values, fault):
    async def testbench(ctx, dut):
        assert reported(ctx, dut)[0] == 0
        ctx.set(getattr(dut, port), values)
        assert reported(ctx, dut) == fault

    check(testbench)


def test_the_first_in_the_list_is_kept():
    async def testbench(ctx, dut):
        ctx.set(dut.store, {"valid": 1, "decode": 0, "address": 6})
        ctx.set(dut.load, {"valid": 1, "decode": 0, "address": 5})
        assert reported(ctx, dut) == (1, ErrorCause.READ_ERROR, Unit.LOAD, 5)

    check(testbench)


@pytest.mark.parametrize("unit", list(Unit))
def test_units_name_the_instruction_by_its_number(unit):
    """Seven were begun: the one that is illegal is the last of them, the one that gave a token the oldest in flight."""

    async def testbench(ctx, dut):
        ctx.set(dut.started, 1 << unit)
        await ctx.tick().repeat(7)
        ctx.set(dut.started, 0)
        assert ctx.get(dut.begun[unit]) == 7
        ctx.set(dut.flight[unit], 3)
        ctx.set(dut.illegal, 1 << unit)
        await ctx.tick()
        ctx.set(dut.illegal, 0)
        assert reported(ctx, dut) == (1, ErrorCause.ILLEGAL_INSTRUCTION, unit, 6)
        ctx.set(dut.overflow, 1 << unit)
        await ctx.tick()
        ctx.set(dut.overflow, 0)
        assert reported(ctx, dut) == (1, ErrorCause.TOKEN_OVERFLOW, unit, 4)
        ctx.set(dut.clear, 1)
        await ctx.tick()
        assert ctx.get(dut.begun[unit]) == 0
        assert reported(ctx, dut)[0] == 0

    check(testbench)


def test_what_is_left_over_is_a_fault_with_the_address_of_the_end():
    async def testbench(ctx, dut):
        ctx.set(dut.sequencer.address, 0x1C0)
        ctx.set(dut.left_over, 1)
        assert reported(ctx, dut) == (1, ErrorCause.LEFT_OVER, SEQUENCER, 0x1C0)

    check(testbench)


def test_options_that_are_off_report_nothing():
    async def testbench(ctx, dut):
        ctx.set(dut.left_over, 1)
        ctx.set(dut.illegal, 15)
        ctx.set(dut.refused_load.valid, 1)
        ctx.set(dut.started, 15)
        await ctx.tick().repeat(2)
        assert reported(ctx, dut)[0] == 0
        assert ctx.get(dut.begun[0]) == 0

    check(testbench, Config())


@pytest.mark.parametrize("unit", list(Unit))
@pytest.mark.parametrize("retired_since", [0, 1])
def test_pipelined_the_one_that_gave_a_token_is_found_two_cycles_later(unit, retired_since):
    """Of seven that were begun, five are complete when number 4 has given the token; one more may be in the cycle
    after."""

    async def testbench(ctx, dut):
        ctx.set(dut.started, 1 << unit)
        await ctx.tick().repeat(7)
        ctx.set(dut.started, 0)
        ctx.set(dut.retired, 1 << unit)
        ctx.set(dut.flight[unit], 3)
        await ctx.tick()
        ctx.set(dut.retired, retired_since << unit)
        ctx.set(dut.flight[unit], 2)
        await ctx.tick()
        ctx.set(dut.retired, 0)
        ctx.set(dut.flight[unit], 2 - retired_since)
        ctx.set(dut.overflow, 1 << unit)
        await ctx.tick()
        ctx.set(dut.overflow, 0)
        assert reported(ctx, dut) == (1, ErrorCause.TOKEN_OVERFLOW, unit, 4)

    check(testbench, CONFIG.replace(pipelined=True))
