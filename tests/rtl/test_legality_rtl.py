"""Illegal instructions on the compiled RTL: reported with their address, and refused by the functional machine, too."""

from functools import cache, partial

import numpy as np
import pytest
from weft.rtl.isa import Opcode, Rounding, assemble, instruction
from weft.rtl.registers import ErrorCause, Unit
from weft.sim import illegal
from weft.sim.faulty import FaultyNpu
from weft.sim.fuzz import mask
from weft.sim.illegal import BASES, CONV, DRAIN, END, LOAD, MEMORY_BYTES, STORE
from weft.sim.machine import Machine, MachineError
from weft.sw.transport import DeviceError, Job

from tests.configurations import TRUSTED, TRUSTED_REGISTERED

CONFIG = TRUSTED

program, memory = partial(illegal.program, CONFIG), partial(illegal.memory, CONFIG)

CONFIGS = {"plain": TRUSTED, "registered": TRUSTED_REGISTERED}


@cache
def device(name) -> FaultyNpu:
    return FaultyNpu(CONFIGS[name], MEMORY_BYTES)


@pytest.fixture(params=CONFIGS)
def npu(request) -> FaultyNpu:
    return device(request.param)


def on_rtl(npu, instructions) -> tuple[int, str]:
    """The cause and the sentence; 0 and none if the run is done, which must leave the memory of the machine."""
    npu.power_cycle()
    npu.write(0, memory(instructions))
    npu.write_register("WATCHDOG", 2000)
    npu.fence((0, 0x7FFF), (0x8000, 0x8FFF))
    try:
        npu.run(Job(0, BASES, cycle_limit=100_000))
    except DeviceError as error:
        assert npu.strays[0] == 0
        return npu.read_register("ERROR") & 0xFF, str(error)
    return 0, ""


def on_machine(instructions):
    """The index of the instruction that the machine refuses, None if it refuses none."""
    machine = Machine(CONFIG, memory(instructions))
    try:
        machine.run(0, BASES)
    except MachineError as error:
        return error.index
    return None


def test_the_program_is_legal(npu):
    assert on_rtl(npu, program()) == (0, "")
    machine = Machine(CONFIG, memory(program()))
    machine.run(0, BASES)
    assert (machine.memory == npu.memory).all()


@pytest.mark.parametrize("place, changes", illegal.changes(CONFIG), ids=str)
def test_an_illegal_instruction_is_reported_with_its_address(npu, place, changes):
    instructions = program(place, **changes)
    cause, sentence = on_rtl(npu, instructions)
    assert cause == ErrorCause.ILLEGAL_INSTRUCTION
    assert f"at address {64 * place:#x}" in sentence
    assert on_machine(instructions) == place


@pytest.mark.parametrize(
    "place, bit",
    [(LOAD, 12), (LOAD, 37), (LOAD, 200), (CONV, 430), (CONV, 511), (DRAIN, 15), (DRAIN, 33), (END, 32), (END, 509)],
)
def test_a_reserved_bit_or_value_is_reported_with_its_address(npu, place, bit):
    """Bit 33 of a DRAIN makes its rounding mode 3."""
    instructions = program(DRAIN, rounding=Rounding.NEAREST_EVEN)
    raw = bytearray(assemble(instructions))
    raw[64 * place + bit // 8] |= 1 << bit % 8
    npu.power_cycle()
    npu.write(0, memory(instructions))
    npu.write(0, np.frombuffer(bytes(raw), np.uint8))
    with pytest.raises(DeviceError, match=f"illegal instruction at address {64 * place:#x}"):
        npu.run(Job(0, BASES))
    machine = Machine(CONFIG, memory(instructions))
    machine.memory[: len(raw)] = list(raw)
    with pytest.raises(MachineError) as error:
        machine.run(0, BASES)
    assert error.value.index == place


@pytest.mark.parametrize(
    "place, changes, cause",
    [
        (CONV, {"wait": 1 | mask(Unit.STORE)}, ErrorCause.NO_PROGRESS),
        (CONV, {"commit": 0}, ErrorCause.NO_PROGRESS),
        (STORE, {"wait": 0}, ErrorCause.LEFT_OVER),
        (LOAD, {"signal": mask(Unit.STORE)}, ErrorCause.LEFT_OVER),
        (DRAIN, {"release": 0}, ErrorCause.LEFT_OVER),
    ],
)
def test_tokens_and_halves_that_do_not_add_up(npu, place, changes, cause):
    instructions = program(place, **changes)
    found, sentence = on_rtl(npu, instructions)
    assert found == cause
    assert on_machine(instructions) is not None
    if cause == ErrorCause.LEFT_OVER:
        assert f"left over at address {64 * END:#x}" in sentence
    elif "wait" in changes:
        assert f"the CONV at address {64 * CONV:#x} with tag {CONV} lacks a token of store" in sentence
    else:
        assert f"it is at the DRAIN at address {64 * DRAIN:#x} with tag {DRAIN}" in sentence
        assert "1 are free and 0 wait" in sentence


def test_a_token_too_many_is_reported_with_the_instruction_that_gave_it(npu):
    give = instruction(Opcode.LOAD, base=1, bytes=8, rows=1, signal=mask(Unit.STORE))
    instructions = [give] * 70 + [instruction(Opcode.END)]
    cause, sentence = on_rtl(npu, instructions)
    assert cause == ErrorCause.TOKEN_OVERFLOW
    assert f"of the load unit in the LOAD at address {64 * 63:#x}" in sentence
    assert on_machine(instructions) == 63


def test_a_half_is_not_acquired_twice(npu):
    first, second = program()[CONV], program(CONV, wait=0)[CONV]
    instructions = program(CONV, commit=0)
    instructions.insert(CONV + 1, second)
    cause, sentence = on_rtl(npu, instructions)
    assert (cause, on_machine(instructions)) == (ErrorCause.ILLEGAL_INSTRUCTION, CONV + 1)
    assert f"at address {64 * (CONV + 1):#x}" in sentence
    assert first.acquire
