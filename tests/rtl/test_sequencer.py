import numpy as np
import pytest
from weft.rtl import isa
from weft.rtl.config import Config
from weft.rtl.legality import UNIT_OF
from weft.rtl.registers import ErrorCause, Unit
from weft.rtl.sequencer import Sequencer

from tests.rtl.common import simulate

PROGRAM = 0x400


def make(width=32, fetch_depth=3, **options):
    config = Config(memory_width=width, axi_width=width, fetch_depth=fetch_depth, scratchpad_bytes=8192, **options)
    return config, Sequencer(config)


def memory_process(dut, config, image, random, stall, failing=()):
    """Answers requests in order from `image` at PROGRAM, zeros behind it; words at the failing addresses are errors."""

    async def process(ctx):
        pending = []
        while True:
            ctx.set(dut.memory.request.ready, int(random.random() >= stall))
            word = None
            if pending and random.random() >= stall:
                word, last = pending[0]
                offset = word - PROGRAM
                raw = image[offset : offset + config.memory_bytes].ljust(config.memory_bytes, b"\0")
                ctx.set(dut.memory.data.payload.data, int.from_bytes(raw, "little"))
                ctx.set(dut.memory.data.payload.error, word in failing)
                ctx.set(dut.memory.data.payload.last, last)
            ctx.set(dut.memory.data.valid, int(word is not None))
            request = ctx.get(dut.memory.request.payload)
            taken = ctx.get(dut.memory.request.valid) and ctx.get(dut.memory.request.ready)
            if word is not None and ctx.get(dut.memory.data.ready):
                pending.pop(0)
            if taken:
                address = int(request.address)
                words = int(request.words)
                pending += [(address + index * config.memory_bytes, index == words - 1) for index in range(words)]
            await ctx.tick()

    return process


def queue_process(queue, received, random, stall):
    async def process(ctx):
        while True:
            ctx.set(queue.ready, int(random.random() >= stall))
            if ctx.get(queue.valid) and ctx.get(queue.ready):
                received.append(ctx.get(queue.payload))
            await ctx.tick()

    return process


def run(dut, config, raw, *, stall=0.0, seed=0, failing=(), cycles=4000):
    """Run a program to its end or error; returns the words per unit, instructions dispatched, and the error."""
    random = np.random.default_rng(seed)
    received = {unit: [] for unit in Unit}
    outcome = {"dispatched": 0, "error": None}

    async def host(ctx):
        ctx.set(dut.program, PROGRAM)
        ctx.set(dut.idle_units, 1)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        finished = False
        while not finished:
            _, _, dispatched, error, cause, address, finished = await ctx.tick().sample(
                dut.dispatched, dut.error, dut.error_cause, dut.error_address, dut.finished
            )
            outcome["dispatched"] += dispatched
            if error:
                outcome["error"] = (cause, address)

    background = [memory_process(dut, config, raw, random, stall, failing)]
    background += [queue_process(dut.queues[unit], received[unit], random, stall) for unit in Unit]
    simulate(dut, host, cycles=cycles, background=background)
    return received, outcome


@pytest.mark.parametrize("stall", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("width", [32, 128, 512])
@pytest.mark.parametrize("seed", range(2))
def test_every_word_reaches_its_unit_in_order(width, stall, seed):
    config, dut = make(width)
    random = np.random.default_rng(seed + 100)
    codes = [list(UNIT_OF)[index] for index in random.integers(len(UNIT_OF), size=12)]
    program = [isa.instruction(code, tag=int(random.integers(1 << 16)), wait=3) for code in codes]
    program.append(isa.instruction(isa.Opcode.END))
    received, outcome = run(dut, config, isa.assemble(program), stall=stall, seed=seed)
    for code, unit in UNIT_OF.items():
        raw = b"".join(isa.encode(one) for one in program if one.opcode is code)
        words = [int.from_bytes(raw[at : at + width // 8], "little") for at in range(0, len(raw), width // 8)]
        assert received[unit] == words
    assert outcome == {"dispatched": len(program), "error": None}


@pytest.mark.parametrize("width", [32, 64, 128, 512])
def test_checks_see_fields_in_one_word_and_in_two(width):
    """Counts of one bit, the lowest or another, in whatever words of the program they lie; then one count of 0."""
    for value in (1, 4, 1 << 7):
        config, dut = make(width, checks=True)
        counts = dict.fromkeys(("run", "ky_count", "kx_count", "ox_count", "oy_count"), value)
        good = isa.instruction(isa.Opcode.CONV, **counts, n_count=1)
        program = [good, good, isa.instruction(isa.Opcode.END)]
        assert run(dut, config, isa.assemble(program))[1] == {"dispatched": 3, "error": None}
        for name in counts:
            config, dut = make(width, checks=True)
            program[1] = isa.instruction(isa.Opcode.CONV, **counts | {name: 0}, n_count=1)
            outcome = run(dut, config, isa.assemble(program))[1]
            assert outcome["error"] == (ErrorCause.ILLEGAL_INSTRUCTION, PROGRAM + 64)


def test_illegal_opcode_stops_with_its_address():
    config, dut = make()
    good = isa.encode(isa.instruction(isa.Opcode.LOAD))
    received, outcome = run(dut, config, good + bytes(64) + good)
    assert outcome["error"] == (ErrorCause.ILLEGAL_INSTRUCTION, PROGRAM + 64)
    assert len(received[Unit.LOAD]) == 16


def test_read_error_counts_only_where_the_program_goes():
    config, dut = make()
    program = isa.assemble([isa.instruction(isa.Opcode.STORE), isa.instruction(isa.Opcode.END)])
    _, behind = run(dut, config, program, failing={PROGRAM + 128})
    assert behind["error"] is None
    config, dut = make()
    _, inside = run(dut, config, program, failing={PROGRAM + 68})
    assert inside["error"] == (ErrorCause.READ_ERROR, PROGRAM + 64)


def test_runs_again_after_the_end():
    config, dut = make()
    first = isa.assemble([isa.instruction(isa.Opcode.CONV, tag=1), isa.instruction(isa.Opcode.END)])
    seen = []

    async def host(ctx):
        ctx.set(dut.program, PROGRAM)
        ctx.set(dut.idle_units, 1)
        for _ in range(3):
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            await ctx.tick().until(dut.finished)
            seen.append(len(received))

    received = []
    random = np.random.default_rng(0)
    background = [
        memory_process(dut, config, first, random, 0.2),
        queue_process(dut.queues[Unit.ARRAY], received, random, 0.2),
    ]
    simulate(dut, host, cycles=2000, background=background)
    assert seen == [16, 32, 48]
