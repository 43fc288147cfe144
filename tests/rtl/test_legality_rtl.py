"""Illegal instructions on the compiled RTL: reported with their address, and refused by the functional machine, too."""

from functools import cache

import numpy as np
import pytest
from weft.rtl.isa import Combine, Mode, Opcode, Rounding, Space, assemble, instruction
from weft.rtl.registers import ErrorCause, Unit
from weft.sim.faulty import FaultyNpu
from weft.sim.fuzz import mask, random_parameters
from weft.sim.machine import Machine, MachineError
from weft.sw.transport import DeviceError, Job

from tests.configurations import TRUSTED

CONFIG = TRUSTED
BASES = (0, 0x4000, 0x8000, 0)
WORD = CONFIG.memory_bytes

LOAD, WEIGHTS, PARAMETERS, CONV, DRAIN, STORE, END = range(7)
"""The places in the program."""


def program(place: int | None = None, **changes):
    """Two rows of four pixels with 8 channels, a 1x1 convolution to 16 channels, and back to memory; with changes to
    one instruction."""
    n, tile = 2, CONFIG.rows * CONFIG.weight_pitch
    pixels = {"ox_count": 4, "oy_count": 2, "n_count": n, "entry_step": n, "x_step": 8, "y_pitch": 32, "y_step": 1}
    image = {"row_bytes": 32, "height": 2, "run": 8, "ky_count": 1, "kx_count": 1}
    out = {"rows": 2, "pixels": 4, "group": 1, "channels": 16, "row_step": 8, "group_step": n, "height": 2, "width": 4}
    window = {"window_height": 1, "window_width": 1, "y_stride": 1, "x_stride": 1}
    fields = [
        (Opcode.LOAD, {"base": 1, "bytes": 64, "rows": 1}),
        (Opcode.LOAD, {"base": 1, "space": Space.WEIGHTS, "bytes": 4 * tile, "rows": 1}),
        (Opcode.LOAD, {"base": 1, "space": Space.PARAMETERS, "offset": 0x800, "bytes": 256, "rows": 1, "signal": 6}),
        (Opcode.CONV, {**pixels, **image, "acquire": 1, "commit": 1, "wait": 1}),
        (Opcode.DRAIN, {**out, **window, "release": 1, "maximum": 9, "address": 256, "row_pitch": 64, "pixel_pitch": 16,
                        "wait": 1, "signal": 8}),
        (Opcode.STORE, {"base": 2, "bytes": 128, "rows": 1, "local": 256, "wait": 4}),
        (Opcode.END, {}),
    ]  # fmt: skip
    if place is not None:
        fields[place] = (fields[place][0], fields[place][1] | changes)
    return [instruction(opcode, tag=index, **values) for index, (opcode, values) in enumerate(fields)]


def memory(instructions):
    found = np.random.default_rng(0).integers(0, 256, 0x9000, np.uint8)
    raw = assemble(instructions)
    found[: len(raw)] = list(raw)
    found[0x4800 : 0x4800 + 256] = random_parameters(
        CONFIG, np.random.default_rng(1), 256 // CONFIG.parameter_line_bytes
    )
    return found


@cache
def device() -> FaultyNpu:
    return FaultyNpu(CONFIG, 0x9000)


def on_rtl(instructions) -> tuple[int, str]:
    """The cause and the sentence; 0 and none if the run is done, which must leave the memory of the machine."""
    npu = device()
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


def test_the_program_is_legal():
    assert on_rtl(program()) == (0, "")
    machine = Machine(CONFIG, memory(program()))
    machine.run(0, BASES)
    assert (machine.memory == device().memory).all()


LINES = CONFIG.weight_lines
COLUMNS = {"mode": Mode.COLUMNS, "warmup": 1, "interval": 1}

ILLEGAL = [
    # What the sequencer finds.
    *((place, {"wait": mask(unit)}) for place, unit in ((LOAD, Unit.LOAD), (CONV, Unit.ARRAY), (DRAIN, Unit.DRAIN))),
    *((place, {"signal": mask(unit)}) for place, unit in ((STORE, Unit.STORE), (CONV, Unit.ARRAY))),
    *((place, {name: 0}) for place in (LOAD, STORE) for name in ("bytes", "rows")),
    *((CONV, {name: 0}) for name in ("run", "ky_count", "kx_count", "ox_count", "oy_count", "n_count")),
    *((DRAIN, {name: 0}) for name in ("rows", "pixels", "group", "window_height", "window_width", "channels")),
    *((DRAIN, {name: 0}) for name in ("y_stride", "x_stride")),
    (STORE, {"space": Space.WEIGHTS}),
    (CONV, {"weights": LINES}),
    (CONV, {"entry": CONFIG.accumulators}),
    (CONV, {"n_count": 2 * CONFIG.accumulators}),
    (DRAIN, {"parameters": 512}),
    (DRAIN, {"channels": 512}),
    (DRAIN, {"pixel_column_step": 1}),
    (END, {"wait": 1}),
    (END, {"signal": 2}),
    # What the units find.
    (LOAD, {"bytes": CONFIG.scratchpad_bytes + 8}),
    (STORE, {"bytes": CONFIG.scratchpad_bytes + 8}),
    (WEIGHTS, {"local": CONFIG.weight_space_bytes - 8}),
    (WEIGHTS, {"local": 4}),
    (WEIGHTS, {"bytes": 60}),
    (WEIGHTS, {"offset": 2}),
    (WEIGHTS, {"rows": 2, "step": 64, "local_step": 4}),
    (WEIGHTS, {"rows": 3, "step": 0, "local_step": (1 << 24) - 8}),
    (PARAMETERS, {"local": CONFIG.parameter_lines * CONFIG.parameter_line_bytes - 128}),
    (PARAMETERS, {"space": Space.TABLES, "local": 4096}),
    (CONV, {"acquire": 0}),
    (CONV, {"weights": LINES - 1}),
    (CONV, {"entry": CONFIG.accumulators - 2}),
    (CONV, {"entry_step": 0x8000}),
    (CONV, {"entry_step": CONFIG.accumulators // 4}),
    (CONV, {"n_count": CONFIG.accumulators - 1}),
    (CONV, COLUMNS | {"run": 9}),
    (CONV, COLUMNS | {"interval": 0}),
    (CONV, COLUMNS | {"warmup": 8, "ox_count": 20}),
    (CONV, COLUMNS | {"warmup": 4}),
    (CONV, COLUMNS | {"interval": 3}),
    (DRAIN, {"minimum": 10}),
    (DRAIN, {"pixel_column_step": 8}),
    (DRAIN, {"window_column_step": 14}),
    (DRAIN, {"parameters": CONFIG.parameter_lines - 7}),
    (DRAIN, {"combine": Combine.MULTIPLY}),
    (DRAIN, {"combine": Combine.MULTIPLY, "window_height": 2, "width": 4}),
]  # fmt: skip


@pytest.mark.parametrize("place, changes", ILLEGAL, ids=str)
def test_an_illegal_instruction_is_reported_with_its_address(place, changes):
    instructions = program(place, **changes)
    cause, sentence = on_rtl(instructions)
    assert cause == ErrorCause.ILLEGAL_INSTRUCTION
    assert f"at address {64 * place:#x}" in sentence
    assert on_machine(instructions) == place


@pytest.mark.parametrize(
    "place, bit",
    [(LOAD, 12), (LOAD, 37), (LOAD, 200), (CONV, 430), (CONV, 511), (DRAIN, 15), (DRAIN, 33), (END, 32), (END, 509)],
)
def test_a_reserved_bit_or_value_is_reported_with_its_address(place, bit):
    """Bit 33 of a DRAIN makes its rounding mode 3."""
    instructions = program(DRAIN, rounding=Rounding.NEAREST_EVEN)
    raw = bytearray(assemble(instructions))
    raw[64 * place + bit // 8] |= 1 << bit % 8
    npu = device()
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
def test_tokens_and_halves_that_do_not_add_up(place, changes, cause):
    instructions = program(place, **changes)
    found, sentence = on_rtl(instructions)
    assert found == cause
    assert on_machine(instructions) is not None
    if cause == ErrorCause.LEFT_OVER:
        assert f"left over at address {64 * END:#x}" in sentence
    elif "wait" in changes:
        assert f"the CONV at address {64 * CONV:#x} with tag {CONV} lacks a token of store" in sentence
    else:
        assert f"it is at the DRAIN at address {64 * DRAIN:#x} with tag {DRAIN}" in sentence
        assert "1 are free and 0 wait" in sentence


def test_a_token_too_many_is_reported_with_the_instruction_that_gave_it():
    give = instruction(Opcode.LOAD, base=1, bytes=8, rows=1, signal=mask(Unit.STORE))
    instructions = [give] * 70 + [instruction(Opcode.END)]
    cause, sentence = on_rtl(instructions)
    assert cause == ErrorCause.TOKEN_OVERFLOW
    assert f"of the load unit in the LOAD at address {64 * 63:#x}" in sentence
    assert on_machine(instructions) == 63


def test_a_half_is_not_acquired_twice():
    first, second = program()[CONV], program(CONV, wait=0)[CONV]
    instructions = program(CONV, commit=0)
    instructions.insert(CONV + 1, second)
    cause, sentence = on_rtl(instructions)
    assert (cause, on_machine(instructions)) == (ErrorCause.ILLEGAL_INSTRUCTION, CONV + 1)
    assert f"at address {64 * (CONV + 1):#x}" in sentence
    assert first.acquire
