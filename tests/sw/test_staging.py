"""Programs on memories smaller than their image, on the functional machine."""

from dataclasses import replace

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.rtl.isa import INSTRUCTION_BYTES, Opcode, Space, assemble, disassemble, instruction
from weft.sim.machine import Machine
from weft.sim.transports import MachineTransport
from weft.sw.commands.shared import LENET
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.driver import Device
from weft.sw.loading import load_model
from weft.sw.staging import batches, run_code
from weft.sw.transport import DeviceError

from tests.sw.programs import program

CONFIG = Config()


def lenet():
    return compile_model(load_model(LENET), CONFIG).programs[0]


def spaces(machine):
    return {name: getattr(machine, name).copy() for name in ("scratchpad", "weights", "parameters")}


@pytest.mark.parametrize("room", [1024, 5000, 1 << 16])
def test_batches_load_what_the_setup_program_loads(room):
    one = lenet()
    whole, parts = (Machine(CONFIG, 1 << 17) for _ in range(2))
    whole.memory[: len(one.image)] = np.frombuffer(one.image, np.uint8)
    whole.run(one.setup, (0, 0, 0, 0))
    for batch in batches(one, room):
        assert len(batch) <= room
        parts.memory[: len(batch)] = np.frombuffer(batch, np.uint8)
        parts.run(0, (0, 0, 0, 0))
    for name, content in spaces(whole).items():
        assert (content == getattr(parts, name)).all(), name


def test_rows_and_odd_addresses_keep_their_place_in_a_word():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, 4096, np.uint8).tobytes()
    load = instruction(
        Opcode.LOAD, space=Space.SCRATCHPAD, offset=131, step=301, local=77, local_step=290, bytes=277, rows=9
    )
    code = assemble([load, instruction(Opcode.END)])
    one = program(image=assemble([instruction(Opcode.END)]) + code + image[192:], setup=64, run=0)
    found = Machine(CONFIG, 1 << 13)
    for batch in batches(one, 600):
        found.memory[: len(batch)] = np.frombuffer(batch, np.uint8)
        found.run(0, (0, 0, 0, 0))
    for row in range(9):
        start = 131 + 301 * row
        local = 77 + 290 * row
        assert found.scratchpad[local : local + 277].tobytes() == one.image[start : start + 277]


def test_run_code_is_the_instructions_of_an_inference():
    one = lenet()
    code = run_code(one)
    assert [each.opcode for each in disassemble(code)].count(Opcode.END) == 1
    assert one.image[one.run :].startswith(code)


def test_a_run_that_reads_the_image_needs_all_of_it():
    reads = assemble([instruction(Opcode.LOAD, base=0, bytes=4, rows=1), instruction(Opcode.END)])
    assert run_code(program(image=reads)) is None
    assert run_code(program(image=bytes(INSTRUCTION_BYTES))) is None


def test_a_setup_program_that_does_more_than_load():
    code = assemble([instruction(Opcode.STORE, bytes=4, rows=1), instruction(Opcode.END)])
    with pytest.raises(ValueError, match=r"^a setup program consists of loads from the image, not of STORE$"):
        list(batches(program(image=code + code, setup=0, run=128), 4096))
    assert list(batches(program(), 4096)) == []


@pytest.mark.parametrize("memory_bytes", [1 << 15, 1 << 17])
def test_lenet_on_small_and_large_memories_is_the_same(memory_bytes):
    one = lenet()
    x = np.random.default_rng(0).integers(-128, 128, (3, *one.inputs[0].shape[1:])).astype(one.inputs[0].dtype)
    reference = Device(MachineTransport(CONFIG)).run(one, x)
    small = Device(MachineTransport(CONFIG, memory_bytes)).run(one, x)
    name = one.outputs[0].name
    assert (small.outputs[name] == reference.outputs[name]).all()


def test_a_memory_too_small_for_all_of_it():
    one = replace(lenet(), workspace_bytes=1 << 15)
    with pytest.raises(DeviceError, match=r"^the program needs [0-9]+ bytes of memory, the device has 16384$"):
        Device(MachineTransport(CONFIG, 1 << 14)).load(one)
