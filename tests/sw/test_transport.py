"""What the registers of a device that failed say, in words."""

import numpy as np
import pytest
from weft.rtl.isa import Opcode, assemble, instruction
from weft.rtl.registers import Control, ErrorCause, Status, Unit
from weft.sw.transport import Job, RunReport, diagnose, soft_reset, total_report

JOB = Job(0x40, (0, 0, 0, 0), runs=3, cycle_limit=500)


class Stopped:
    """A device with given registers, whose memory holds one legal instruction and zeros."""

    def __init__(self, **registers: int):
        self.registers = {"FEATURES": 0, "INSTRUCTIONS": 0, "PROGRAM": 0} | registers
        legal = assemble([instruction(Opcode.END)])
        self.memory = np.frombuffer(legal + bytes(64), np.uint8)

    @property
    def memory_bytes(self):
        return len(self.memory)

    def read(self, address, count):
        return self.memory[address : address + count]

    def read_register(self, name):
        return self.registers[name]


def error(cause: int, unit: int, address: int) -> Stopped:
    return Stopped(STATUS=1 << Status.ERROR, ERROR=cause | unit << 8, ERROR_ADDRESS=address)


def test_a_run_that_is_done_has_no_error():
    assert diagnose(Stopped(STATUS=1 << Status.DONE), JOB, 0) is None


@pytest.mark.parametrize(
    "device, sentence",
    [
        (
            error(ErrorCause.ILLEGAL_INSTRUCTION, 7, 64),
            "stopped: illegal instruction at address 0x40 (0 is not an opcode)",
        ),
        (
            error(ErrorCause.ILLEGAL_INSTRUCTION, 7, 0),
            "stopped: illegal instruction at address 0x0 (the host reads a well-formed END there: a number in it does "
            "not fit the configuration, or the NPU read something else)",
        ),
        (
            error(ErrorCause.ILLEGAL_INSTRUCTION, 7, 65),
            "stopped: illegal instruction at address 0x41 (outside memory)",
        ),
        (error(ErrorCause.READ_ERROR, Unit.LOAD, 0x123), "stopped: read error of the load unit at address 0x123"),
        (error(ErrorCause.WRITE_ERROR, Unit.STORE, 5), "stopped: write error of the store unit at address 0x5"),
        (error(ErrorCause.TOKEN_OVERFLOW, Unit.DRAIN, 0), "stopped: token overflow of the drain unit"),
        (
            Stopped(STATUS=4, ERROR=ErrorCause.TOKEN_OVERFLOW | Unit.DRAIN << 8, ERROR_ADDRESS=3, FEATURES=4),
            "stopped: token overflow of the drain unit in instruction 3 of the drain unit",
        ),
        (error(ErrorCause.FENCE, Unit.STORE, 0x5000), "stopped: fence of the store unit at address 0x5000"),
        (
            error(ErrorCause.READ_DECODE_ERROR, Unit.LOAD, 8),
            "stopped: read decode error of the load unit at address 0x8",
        ),
        (error(ErrorCause.LEFT_OVER, 7, 0x80), "stopped: left over at address 0x80"),
        (
            Stopped(STATUS=4, ERROR=ErrorCause.NO_PROGRESS | 7 << 8, ERROR_ADDRESS=0, WATCHDOG=99, UNITS=0),
            "stopped: no progress for 99 cycles: the load unit is idle, the array unit is idle, the drain unit is "
            "idle, the store unit is idle",
        ),
        (
            Stopped(STATUS=4, ERROR=ErrorCause.TIME_LIMIT | 7 << 8, ERROR_ADDRESS=0, LIMIT=50, UNITS=1),
            "stopped: not done after 50 cycles: the load unit is busy, the array unit is idle, the drain unit is idle, "
            "the store unit is idle",
        ),
        (error(ErrorCause.READ_ERROR, 7, 0x80), "stopped: read error at address 0x80"),
        (error(77, 7, 0), "stopped: error 77 at address 0x0"),
        (
            Stopped(STATUS=1 << Status.BUSY, INSTRUCTIONS=4, UNITS=0x0321),
            "did not finish within 500 cycles; 4 instructions were dispatched, the load unit is busy, the array unit "
            "waits for a token of the load unit, the drain unit waits for a token or sums of the array, "
            "the store unit is idle",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_error_is_one_sentence(device, sentence):
    assert str(diagnose(device, JOB, 1)) == f"run 2 of 3 of the program at 0x40 {sentence}"


@pytest.mark.parametrize("polls, quiet", [(3, False), (4, True), (100, True)])
def test_a_soft_reset_waits_for_memory(polls, quiet):
    """The memory of this device is quiet at the fourth look."""
    log = []

    class Resetting:
        def write_register(self, name, value):
            log.append((name, value))

        def read_register(self, name):
            log.append(name)
            return (len(log) < 5) << Status.MEMORY

    assert soft_reset(Resetting(), polls) is quiet
    assert log == [("CONTROL", 1 << Control.RESET)] + ["STATUS"] * min(polls, 4)


def test_programs_that_follow_each_other_add_up():
    one = RunReport(np.array([3, 4]), None, {"CYCLES": 4, "LOAD_BUSY": 1})
    two = RunReport(np.array([30, 40]), None, {"CYCLES": 40, "LOAD_BUSY": 2})
    total = total_report([one, two])
    assert total.cycles.tolist() == [33, 44]
    assert total.counters == {"CYCLES": 44, "LOAD_BUSY": 3}
    assert total.parts == (one, two)
    assert total.trace is None
    assert total_report([one]) is one
    assert total_report([RunReport(), RunReport()]).cycles is None
    assert total_report([]) == RunReport()
