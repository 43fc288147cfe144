"""The core behind its narrow memory port, in Amaranth's simulator: whole programs without any bus."""

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.rtl.core import Core
from weft.rtl.isa import Opcode, assemble, instruction
from weft.rtl.registers import SEQUENCER, Control, ErrorCause, Status, Unit
from weft.sim.fuzz import random_program
from weft.sim.machine import Machine

from tests.rtl.common import read_register, simulate, write_register

CONFIG = Config(
    rows=2, cols=2, weight_tiles=256, scratchpad_bytes=256, accumulators=48, parameter_channels=16, counters=False
)


def memory_process(dut, config, memory):
    """Answers both halves of the memory port without a pause, reads one cycle after their request."""
    word = config.memory_bytes

    async def process(ctx):
        reads, writes, responses = [], [], 0
        ctx.set(dut.read.request.ready, 1)
        ctx.set(dut.write.request.ready, 1)
        ctx.set(dut.write.data.ready, 1)
        while True:
            ctx.set(dut.read.data.valid, bool(reads))
            if reads:
                address, last = reads[0]
                raw = memory[address : address + word]
                ctx.set(dut.read.data.payload.data, int.from_bytes(raw.tobytes(), "little"))
                ctx.set(dut.read.data.payload.last, last)
            ctx.set(dut.write.response.valid, responses > 0)
            _, _, request, taken, read, store, write, data, written, answered = await ctx.tick().sample(
                dut.read.request.payload,
                dut.read.request.valid,
                dut.read.data.ready,
                dut.write.request.payload,
                dut.write.request.valid,
                dut.write.data.payload,
                dut.write.data.valid,
                dut.write.response.ready,
            )
            if reads and read:
                reads.pop(0)
            if taken:
                count = int(request.words)
                reads += [(int(request.address) + index * word, index == count - 1) for index in range(count)]
            if write:
                count = int(store.words)
                writes += [(int(store.address) + index * word, index == count - 1) for index in range(count)]
            if responses and answered:
                responses -= 1
            if written:
                address, last = writes.pop(0)
                raw = int(data.data).to_bytes(word, "little")
                for index in range(word):
                    if int(data.strobe) >> index & 1:
                        memory[address + index] = raw[index]
                responses += last

    return process


def run(config, memory, bases, cycles=8000):
    """Run the program at address 0; returns the STATUS and the ERROR register."""
    dut = Core(config)
    found = []

    async def host(ctx):
        await write_register(ctx, dut.registers, "PROGRAM", 0)
        for index, base in enumerate(bases):
            await write_register(ctx, dut.registers, f"BASE_{index}", base)
        await write_register(ctx, dut.registers, "CONTROL", 1 << Control.START | 1 << Control.INTERRUPT_ENABLE)
        await ctx.tick().until(dut.interrupt)
        found.append(await read_register(ctx, dut.registers, "STATUS"))
        found.append(await read_register(ctx, dut.registers, "ERROR"))

    simulate(dut, host, cycles=cycles, background=[memory_process(dut, config, memory)])
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("options", [{}, {"depthwise": True, "tables": True}], ids=["plain", "options"])
def test_random_programs_equal_the_machine(options, seed):
    config = CONFIG.replace(**options)
    program = random_program(config, seed, tiles=2)
    machine = Machine(config, program.memory.copy())
    machine.run(0, program.bases)
    memory = program.memory.copy()
    assert run(config, memory, program.bases) == [1 << Status.DONE, 0]
    assert (memory == machine.memory).all()


def test_an_illegal_instruction_ends_the_run():
    status, error = run(CONFIG, np.zeros(4096, np.uint8), (0, 0, 0, 0))
    assert status == 1 << Status.ERROR
    assert error == ErrorCause.ILLEGAL_INSTRUCTION | SEQUENCER << 8


@pytest.mark.parametrize("offset", range(4))
def test_a_store_that_waits_for_a_load_sees_its_last_word(offset):
    """The STORE is in front of its unit when the last byte arrives, and reads as soon as the token allows."""
    config = CONFIG
    memory = np.random.default_rng(offset).integers(0, 256, 1024, np.uint8)
    old, new, target = 0x200, 0x240 + offset, 0x280
    word = {"local": 20 + offset, "bytes": config.memory_bytes, "rows": 1}
    program = [
        instruction(Opcode.LOAD, offset=old, **word),
        instruction(Opcode.LOAD, offset=new, signal=1 << Unit.STORE, **word),
        instruction(Opcode.STORE, offset=target, wait=1 << Unit.LOAD, **word),
        instruction(Opcode.END),
    ]
    raw = assemble(program)
    memory[: len(raw)] = np.frombuffer(raw, np.uint8)
    assert run(config, memory, (0, 0, 0, 0), cycles=500) == [1 << Status.DONE, 0]
    stored, loaded = (memory[start : start + config.memory_bytes].tolist() for start in (target, new))
    assert stored == loaded
