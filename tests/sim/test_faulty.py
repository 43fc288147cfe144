"""A memory that misbehaves, and a small program on an NPU in front of it."""

from functools import cache

import numpy as np
import pytest
from weft.rtl.isa import Opcode, assemble, instruction
from weft.rtl.registers import ErrorCause, Status
from weft.sim.faulty import Channel, FaultyNpu, Response
from weft.sw.transport import DeviceError, Job

from tests.configurations import CONFIGURATIONS, TRUSTED

SOURCE, TARGET = 0x1000, 0x2000
WATCHDOG = 300

PROGRAM = [
    instruction(Opcode.LOAD, base=1, bytes=64, rows=1, signal=8),
    instruction(Opcode.STORE, base=2, bytes=64, rows=1, wait=1),
    instruction(Opcode.END),
]


@cache
def device() -> FaultyNpu:
    return FaultyNpu(TRUSTED, 1 << 16)


def prepared(program=PROGRAM, **registers) -> FaultyNpu:
    """A device as new with the program and random bytes in its memory."""
    npu = device()
    npu.behave()
    npu.power_cycle()
    npu.memory[:] = np.random.default_rng(0).integers(0, 256, len(npu.memory))
    npu.write(0, np.frombuffer(assemble(program), np.uint8))
    npu.fence((0, (1 << 32) - 1), (0, (1 << 32) - 1))
    for name, value in ({"WATCHDOG": WATCHDOG} | registers).items():
        npu.write_register(name, value)
    npu.disconnected = 0
    return npu


def copy(npu: FaultyNpu) -> None:
    npu.run(Job(0, (0, SOURCE, TARGET, 0), cycle_limit=5000))


def stopped(npu: FaultyNpu) -> tuple[int, int]:
    """Run the copy, which must fail; the cause and the address."""
    with pytest.raises(DeviceError):
        copy(npu)
    assert npu.read_register("STATUS") >> Status.ERROR & 1
    return npu.read_register("ERROR") & 0xFF, npu.read_register("ERROR_ADDRESS")


def recovers(npu: FaultyNpu) -> None:
    """After a reset over the registers the same copy is right, and no rule of the bus was broken."""
    npu.behave()
    npu.reset()
    npu.memory[TARGET : TARGET + 64] = 0
    copy(npu)
    assert (npu.memory[TARGET : TARGET + 64] == npu.memory[SOURCE : SOURCE + 64]).all()
    assert npu.misuse == ""


def test_transfers_are_counted():
    npu = prepared()
    npu.behave()
    copy(npu)
    # Four instructions are fetched ahead, of eight words each.
    assert npu.transfers(Channel.W) == 8
    assert npu.transfers(Channel.B) == npu.transfers(Channel.AW) == 1
    assert npu.transfers(Channel.R) >= 3 * 8 + 8
    assert npu.injected_at is None


@pytest.mark.parametrize(
    "response, causes",
    [
        (Response.SLVERR, (ErrorCause.READ_ERROR, ErrorCause.WRITE_ERROR)),
        (Response.DECERR, (ErrorCause.READ_DECODE_ERROR, ErrorCause.WRITE_DECODE_ERROR)),
    ],
)
@pytest.mark.parametrize("channel", [Channel.R, Channel.W])
def test_every_beat_of_a_copy(channel, response, causes):
    """Beats of instructions behind the end have no effect."""
    npu = prepared()
    npu.behave()
    copy(npu)
    for number in range(npu.transfers(channel)):
        npu.reset()
        npu.inject(channel, number, response)
        try:
            copy(npu)
        except DeviceError:
            error, address = npu.read_register("ERROR"), npu.read_register("ERROR_ADDRESS")
            assert error & 0xFF == causes[channel is Channel.W]
            where = npu.injected_at
            assert address == (where & ~63 if where < 0x1000 else SOURCE if channel is Channel.R else TARGET)
        else:
            assert 0xC0 <= npu.injected_at < 0x1000
        recovers(npu)


@pytest.mark.parametrize("late", [True, False], ids=["late", "never"])
@pytest.mark.parametrize("number", [0, 1, 5, 24, 30])
@pytest.mark.parametrize("channel", list(Channel), ids=lambda channel: channel.name)
def test_a_channel_that_stops_ends_in_the_watchdog(channel, number, late):
    npu = prepared()
    npu.inject(channel, number, Response.NONE)
    sentence = ""
    try:
        copy(npu)
    except DeviceError as error:
        sentence = str(error)
    if sentence:
        assert "no progress for 300 cycles: \n  the load unit" in sentence
        assert npu.read_register("ERROR") & 0xFF == ErrorCause.NO_PROGRESS
        assert npu.read_register("STATUS") >> Status.MEMORY & 1
        if late:
            npu.behave()
        npu.reset()
        assert npu.disconnected == (not late)
    recovers(npu)


@pytest.mark.parametrize("which", ["READ", "WRITE"])
def test_an_access_outside_a_fence_does_not_reach_the_bus(which):
    place = SOURCE if which == "READ" else TARGET
    npu = prepared(**{f"{which}_LAST": place - 1})
    windows = {"READ": (0, (1 << 32) - 1), "WRITE": (0, (1 << 32) - 1)} | {which: (0, place - 1)}
    npu.fence(windows["READ"], windows["WRITE"])
    assert stopped(npu) == (ErrorCause.FENCE, place)
    assert npu.strays[0] == 0
    npu.write_register(f"{which}_LAST", 0xFFFF_FFFF)
    recovers(npu)
    assert npu.strays == (1, place)


@pytest.mark.parametrize("name, value", [("READ_FIRST", 0x1000), ("READ_LAST", 0)])
def test_a_program_outside_the_fence_is_not_fetched(name, value):
    npu = prepared(**{name: value})
    if name == "READ_LAST":  # the first page alone: the program, but not what it loads
        assert stopped(npu) == (ErrorCause.FENCE, SOURCE)
    else:
        assert stopped(npu) == (ErrorCause.FENCE, 0)
        assert npu.transfers(Channel.AR) == 0
    npu.write_register("READ_FIRST", 0)
    npu.write_register("READ_LAST", 0xFFFF_FFFF)
    recovers(npu)


def test_a_program_that_runs_out_of_the_fence_is_stopped_there():
    """The page is full of instructions and has no end; what is behind it must not be read."""
    nothing = instruction(Opcode.LOAD, base=1, bytes=8, rows=1)
    npu = prepared([nothing] * 64, READ_LAST=SOURCE + 0xFFF)
    npu.write(SOURCE + 0x1000, np.zeros(64, np.uint8))
    npu.write(0x1000, np.frombuffer(assemble([nothing] * 64), np.uint8))
    npu.fence((0, 0x1FFF), (0, 0))
    assert stopped(npu) == (ErrorCause.FENCE, 0x2000)
    assert npu.strays == (0, 0)


@pytest.mark.parametrize("moment", range(1, 400, 7))
def test_a_reset_at_any_cycle(moment):
    npu = prepared()
    with pytest.raises(DeviceError):
        npu.run(Job(0, (0, SOURCE, TARGET, 0), cycle_limit=moment)) if moment < 70 else stop_late(npu, moment)
    recovers(npu)
    assert npu.disconnected == 0


def stop_late(npu: FaultyNpu, moment: int) -> None:
    """As a run that is cut off, with stalls so that it lasts as long."""
    npu.stall(0.7)
    try:
        npu.run(Job(0, (0, SOURCE, TARGET, 0), cycle_limit=moment))
    finally:
        npu.stall(0)
    raise DeviceError("it was done before")


def test_a_limit_bounds_a_run():
    npu = prepared(LIMIT=40)
    assert stopped(npu)[0] == ErrorCause.TIME_LIMIT
    npu.write_register("LIMIT", 0)
    recovers(npu)


def test_options_off_leave_the_old_behaviour():
    """Without the options an error of memory is reported all the same."""
    npu = FaultyNpu(CONFIGURATIONS["8x8"], 1 << 16)
    npu.write(0, np.frombuffer(assemble(PROGRAM), np.uint8))
    npu.inject(Channel.W, 3, Response.DECERR)
    assert stopped(npu) == (ErrorCause.WRITE_DECODE_ERROR, TARGET)
    recovers(npu)
