import pytest
from weft.rtl import registers
from weft.rtl.config import Config
from weft.rtl.control import ControlRegisters
from weft.rtl.registers import BY_NAME, Activity, Control, ErrorCause, Status, Unit

from tests.rtl.common import read_register, simulate, write_register


def check(testbench, config=None, cycles=500):
    dut = ControlRegisters(config or Config())

    async def bound(ctx):
        await testbench(ctx, dut)

    simulate(dut, bound, cycles=cycles)


def test_identity_and_digest():
    config = Config(rows=3)

    async def testbench(ctx, dut):
        assert await read_register(ctx, dut.port, "IDENTITY") == int.from_bytes(b"WEFT", "little")
        assert await read_register(ctx, dut.port, "VERSION") == registers.INTERFACE_VERSION
        assert await read_register(ctx, dut.port, "DIGEST") == int(config.digest[:8], 16)

    check(testbench, config)


@pytest.mark.parametrize("name", [register.name for register in registers.REGISTERS if register.access == "rw"])
def test_written_is_read(name):
    async def testbench(ctx, dut):
        value = 1 << Control.INTERRUPT_ENABLE if name == "CONTROL" else 0x12345640
        await write_register(ctx, dut.port, name, value)
        assert await read_register(ctx, dut.port, name) == value

    check(testbench)


def test_a_run_from_start_to_interrupt():
    """Cycles count from the start to the end; done and the interrupt stay until the host clears them."""

    async def testbench(ctx, dut):
        await write_register(ctx, dut.port, "CONTROL", 1 << Control.INTERRUPT_ENABLE | 1 << Control.START)
        assert await read_register(ctx, dut.port, "STATUS") == 1 << Status.BUSY
        await ctx.tick().repeat(9)
        ctx.set(dut.finished, 1)
        await ctx.tick()
        ctx.set(dut.finished, 0)
        assert ctx.get(dut.interrupt)
        assert await read_register(ctx, dut.port, "STATUS") == 1 << Status.DONE
        assert await read_register(ctx, dut.port, "CYCLES") == 11
        await write_register(ctx, dut.port, "STATUS", 1 << Status.DONE)
        assert not ctx.get(dut.interrupt)
        assert await read_register(ctx, dut.port, "STATUS") == 0

    check(testbench)


def test_start_is_refused_while_busy():
    async def testbench(ctx, dut):
        await write_register(ctx, dut.port, "CONTROL", 1 << Control.START)
        ctx.set(dut.port.address, BY_NAME["CONTROL"].offset)
        ctx.set(dut.port.write_data, 1 << Control.START)
        ctx.set(dut.port.write, 1)
        assert not ctx.get(dut.start)

    check(testbench)


def test_the_first_error_is_kept():
    async def testbench(ctx, dut):
        await write_register(ctx, dut.port, "CONTROL", 1 << Control.INTERRUPT_ENABLE | 1 << Control.START)
        for cause, unit, address in (
            (ErrorCause.WRITE_ERROR, Unit.STORE, 0x1234),
            (ErrorCause.READ_ERROR, Unit.LOAD, 0x5678),
        ):
            ctx.set(dut.error, 1)
            ctx.set(dut.error_cause, cause)
            ctx.set(dut.error_unit, unit)
            ctx.set(dut.error_address, address)
            await ctx.tick()
        ctx.set(dut.error, 0)
        assert ctx.get(dut.interrupt)
        assert await read_register(ctx, dut.port, "STATUS") == 1 << Status.ERROR
        assert await read_register(ctx, dut.port, "ERROR") == ErrorCause.WRITE_ERROR | Unit.STORE << 8
        assert await read_register(ctx, dut.port, "ERROR_ADDRESS") == 0x1234
        await write_register(ctx, dut.port, "CONTROL", 1 << Control.RESET)
        assert await read_register(ctx, dut.port, "STATUS") == 0

    check(testbench)


@pytest.mark.parametrize("unit", list(Unit))
def test_counters_count_what_the_unit_does(unit):
    async def testbench(ctx, dut):
        await write_register(ctx, dut.port, "CONTROL", 1 << Control.START)
        for activity, cycles in ((Activity.BUSY, 5), (Activity.WAIT_MEMORY, 3), (Activity.IDLE, 4)):
            ctx.set(dut.activity[unit], activity)
            await ctx.tick().repeat(cycles)
        assert await read_register(ctx, dut.port, f"{unit.name}_BUSY") == 5
        assert await read_register(ctx, dut.port, f"{unit.name}_WAIT_MEMORY") == 3
        assert await read_register(ctx, dut.port, f"{unit.name}_WAIT_ARRAY") == 0
        units = await read_register(ctx, dut.port, "UNITS")
        assert units == 0
        ctx.set(dut.activity[unit], Activity.WAIT_DRAIN)
        assert await read_register(ctx, dut.port, "UNITS") == Activity.WAIT_DRAIN << 4 * unit

    check(testbench)


def test_counters_cost_nothing_when_off():
    async def testbench(ctx, dut):
        await write_register(ctx, dut.port, "CONTROL", 1 << Control.START)
        ctx.set(dut.activity[0], Activity.BUSY)
        await ctx.tick().repeat(3)
        assert await read_register(ctx, dut.port, "LOAD_BUSY") == 0

    check(testbench, Config(counters=False))
