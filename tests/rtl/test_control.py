import pytest
from weft.rtl import registers
from weft.rtl.config import Config
from weft.rtl.control import ControlRegisters
from weft.rtl.registers import BY_NAME, SEQUENCER, Activity, Control, ErrorCause, Feature, Status, Unit

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
        # A window's bounds are the first and the last byte of a page.
        special = {"CONTROL": 1 << Control.INTERRUPT_ENABLE, "READ_LAST": 0x12345FFF, "WRITE_LAST": 0x12345FFF}
        value = special.get(name, 0x12345000)
        await write_register(ctx, dut.port, name, value)
        assert await read_register(ctx, dut.port, name) == value

    check(testbench, Config(fences=True, autopsy=True))


@pytest.mark.parametrize("name", ["WATCHDOG", "LIMIT", "READ_FIRST", "READ_LAST", "WRITE_FIRST", "WRITE_LAST"])
def test_registers_of_options_that_are_off_read_zero(name):
    async def testbench(ctx, dut):
        await write_register(ctx, dut.port, name, 0xFFFF_FFFF)
        assert await read_register(ctx, dut.port, name) == 0

    check(testbench)


def test_reset_opens_the_windows():
    async def testbench(ctx, dut):
        for name in ("READ", "WRITE"):
            assert await read_register(ctx, dut.port, f"{name}_FIRST") == 0
            assert await read_register(ctx, dut.port, f"{name}_LAST") == 0xFFFF_FFFF

    check(testbench, Config(fences=True))


@pytest.mark.parametrize("option", list(Feature))
def test_features_are_the_options(option):
    options = dict.fromkeys((one.name.lower() for one in Feature), False) | {option.name.lower(): True}

    async def testbench(ctx, dut):
        assert await read_register(ctx, dut.port, "FEATURES") == 1 << option

    check(testbench, Config(**options))


async def cycles_to_interrupt(ctx, dut, progress=0):
    """Cycles from a start to the interrupt; progress is made in the first `progress` of them."""
    await write_register(ctx, dut.port, "CONTROL", 1 << Control.INTERRUPT_ENABLE | 1 << Control.START)
    ctx.set(dut.busy, 1)
    for cycle in range(200):
        ctx.set(dut.progress, cycle < progress)
        if ctx.get(dut.interrupt):
            return cycle
        await ctx.tick()
    return None


@pytest.mark.parametrize("progress", [0, 7, 30])
def test_the_watchdog_counts_cycles_without_progress(progress):
    async def testbench(ctx, dut):
        await write_register(ctx, dut.port, "WATCHDOG", 20)
        assert 0 <= await cycles_to_interrupt(ctx, dut, progress) - progress - 20 <= 3
        assert await read_register(ctx, dut.port, "STATUS") == 1 << Status.ERROR
        assert await read_register(ctx, dut.port, "ERROR") == ErrorCause.NO_PROGRESS | SEQUENCER << 8

    check(testbench, Config(autopsy=True))


def test_a_run_ends_at_its_limit():
    async def testbench(ctx, dut):
        await write_register(ctx, dut.port, "LIMIT", 50)
        assert 0 <= await cycles_to_interrupt(ctx, dut, progress=100) - 50 <= 3
        assert await read_register(ctx, dut.port, "ERROR") == ErrorCause.TIME_LIMIT | SEQUENCER << 8

    check(testbench, Config(autopsy=True))


def test_zero_is_no_watchdog_and_no_limit():
    async def testbench(ctx, dut):
        assert await cycles_to_interrupt(ctx, dut) is None

    check(testbench, Config(autopsy=True))


def test_the_memory_bit_and_the_disconnect_pulse():
    async def testbench(ctx, dut):
        ctx.set(dut.outstanding, 1)
        assert await read_register(ctx, dut.port, "STATUS") == 1 << Status.MEMORY
        ctx.set(dut.port.address, BY_NAME["CONTROL"].offset)
        ctx.set(dut.port.write_data, 1 << Control.DISCONNECT)
        ctx.set(dut.port.write, 1)
        assert ctx.get(dut.disconnect)
        assert not ctx.get(dut.reset)

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
