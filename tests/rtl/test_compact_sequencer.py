import numpy as np
import pytest
from weft.rtl import isa
from weft.rtl.compact_sequencer import TARGET_OF, CompactSequencer, Target
from weft.rtl.config import Config
from weft.rtl.isa import Opcode
from weft.rtl.registers import ErrorCause

from tests.rtl.common import simulate
from tests.rtl.test_sequencer import PROGRAM, memory_process


def target_process(stream, received, random, stall):
    """A component that is ready at some time, and then takes a whole instruction without a pause."""

    async def process(ctx):
        left = 0
        while True:
            ready = left > 0 or random.random() >= stall
            ctx.set(stream.ready, int(ready))
            if ready and ctx.get(stream.valid):
                word = ctx.get(stream.payload)
                width = stream.payload.shape().width
                left = left - 1 if left else isa.words(Opcode(word & 0xF), width) - 1
                received.append(word)
            await ctx.tick()

    return process


def run(image, stall, width=8, failing=(), stop_at=None, seed=0):
    """Words that each target got, instructions dispatched, and the error."""
    config = Config(compact=True, memory_width=width, axi_width=max(width, 32))
    dut = CompactSequencer(config)
    random = np.random.default_rng(seed)
    received = {target: [] for target in Target}
    result = {"dispatched": 0, "error": None}

    async def testbench(ctx):
        ctx.set(dut.program, PROGRAM)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        ctx.set(dut.idle_units, 1)
        while not ctx.get(dut.finished):
            ctx.set(dut.stop, stop_at is not None and result["dispatched"] >= stop_at)
            await ctx.tick()
        assert ctx.get(dut.busy)
        await ctx.tick()
        assert not ctx.get(dut.busy)

    async def observe(ctx):
        while True:
            result["dispatched"] += ctx.get(dut.dispatched)
            if ctx.get(dut.error):
                assert result["error"] is None
                result["error"] = ErrorCause(ctx.get(dut.error_cause))
            await ctx.tick()

    processes = [memory_process(dut, config, image, random, stall, failing)]
    processes += [target_process(dut.targets[target], received[target], random, stall) for target in Target]
    processes.append(observe)  # last, when all inputs of a cycle are set
    simulate(dut, testbench, cycles=20_000, background=processes)
    return received, result["dispatched"], result["error"]


def words_of(raw, width):
    step = width // 8
    return [int.from_bytes(raw[index : index + step], "little") for index in range(0, len(raw), step)]


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("width", [8, 32, 512])
def test_each_target_gets_the_words_that_its_fields_reach(width, stall):
    random = np.random.default_rng(width)
    opcodes = [Opcode.LOAD, Opcode.CONV, Opcode.STORE, Opcode.DRAIN, Opcode.DRAIN, Opcode.LOAD]
    wanted = {target: [] for target in Target}
    image = b""
    for code in opcodes:
        raw = bytes([code.value | int(random.integers(16)) << 4, *random.bytes(isa.INSTRUCTION_BYTES - 1)])
        image += raw
        wanted[TARGET_OF[code]] += words_of(raw, width)[: isa.words(code, width)]
    image += isa.encode(isa.instruction(Opcode.END))
    received, dispatched, error = run(image, stall, width)
    assert received == wanted
    assert (dispatched, error) == (len(opcodes) + 1, None)


def test_an_unknown_opcode_ends_the_run():
    image = isa.encode(isa.instruction(Opcode.CONV)) + bytes(64)
    received, dispatched, error = run(image, 0.2)
    assert (dispatched, error) == (1, ErrorCause.ILLEGAL_INSTRUCTION)
    assert received[Target.DRAIN] == []


@pytest.mark.parametrize("byte", [0, 1, 30, isa.words(Opcode.CONV, 8) - 1])
def test_an_instruction_that_memory_could_not_give_is_not_whole(byte):
    image = isa.encode(isa.instruction(Opcode.CONV)) * 2 + isa.encode(isa.instruction(Opcode.END))
    received, _, error = run(image, 0.2, failing={PROGRAM + 64 + byte})
    assert error is ErrorCause.READ_ERROR
    assert len(received[Target.ARRAY]) < 2 * isa.words(Opcode.CONV, 8)


def test_nothing_is_dispatched_after_stop():
    image = isa.encode(isa.instruction(Opcode.CONV)) * 5 + isa.encode(isa.instruction(Opcode.END))
    _, dispatched, error = run(image, 0.0, stop_at=2)
    assert dispatched <= 3
    assert error is None
