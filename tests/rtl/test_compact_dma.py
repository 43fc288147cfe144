"""The unit between memory and local memories that stall; whole transfers run in tests/rtl/test_compact_core.py."""

from collections import deque

import numpy as np
import pytest
from weft.rtl.compact_dma import CompactTransferUnit
from weft.rtl.config import Config
from weft.rtl.isa import Opcode, Space, instruction

from tests.rtl.common import simulate

BASE = 0x100


def run(one, memory, local, width, stall, seed=0):
    """Execute a transfer between two byte arrays, changing them; returns the number of words."""
    config = Config(compact=True, memory_width=width, axi_width=max(width, 32), scratchpad_bytes=1024)
    dut = CompactTransferUnit(config)
    random = np.random.default_rng(seed)
    step = width // 8
    count = 0
    spaces = {Space.SCRATCHPAD: dut.scratchpad, Space.WEIGHTS: dut.weights, Space.PARAMETERS: dut.parameters}
    target = spaces[Space(one.space)]

    def chance():
        return int(random.random() >= stall)

    async def testbench(ctx):
        nonlocal count
        fields = {name: value for name, value in one.fields.items() if name not in ("wait", "signal", "tag")}
        ctx.set(dut.instruction.payload, fields | {"header": {"opcode": one.opcode}})
        ctx.set(dut.bases[1], BASE)
        started, done, requests = False, False, 0
        reads, way = deque(), deque([None, None])
        writing, answers = None, 0
        while not done:
            ctx.set(dut.instruction.valid, not started)
            for port in (dut.read, dut.write):
                ctx.set(port.request.ready, chance())
            for space in spaces.values():
                ctx.set(space.ready, chance())
            ctx.set(dut.store_read.ready, chance())
            valid = bool(reads) and chance()
            if valid:
                address, last = reads[0]
                raw = int.from_bytes(memory[address : address + step].tobytes(), "little")
                ctx.set(dut.read.data.payload, {"data": raw, "last": last})
            ctx.set(dut.read.data.valid, valid)
            ctx.set(dut.write.data.ready, writing is not None and chance())
            ctx.set(dut.write.response.valid, answers > 0)
            arrives = way.popleft()
            ctx.set(dut.store_valid, arrives is not None)
            if arrives is not None:
                raw = np.take(local, range(arrives, arrives + step), mode="wrap").tobytes()
                ctx.set(dut.store_data, int.from_bytes(raw, "little"))

            started |= bool(ctx.get(dut.instruction.ready))
            if ctx.get(dut.read.request.valid) and ctx.get(dut.read.request.ready):
                requests += 1
                request = ctx.get(dut.read.request.payload)
                words = int(request.words)
                reads += [(int(request.address) + step * index, index == words - 1) for index in range(words)]
            if valid and ctx.get(dut.read.data.ready):
                reads.popleft()
            if ctx.get(target.valid) and ctx.get(target.ready):
                count += 1
                place = ctx.get(target.payload)
                for byte in range(step):
                    if int(place.strobe) >> byte & 1:
                        local[(int(place.address) + byte) % len(local)] = int(place.data) >> 8 * byte & 0xFF
            if ctx.get(dut.write.response.valid) and ctx.get(dut.write.response.ready):
                answers -= 1
            if ctx.get(dut.write.request.valid) and ctx.get(dut.write.request.ready):
                assert writing is None
                requests += 1
                request = ctx.get(dut.write.request.payload)
                writing = [int(request.address), int(request.words)]
            elif ctx.get(dut.write.data.valid) and ctx.get(dut.write.data.ready):
                count += 1
                word = ctx.get(dut.write.data.payload)
                for byte in range(step):
                    if int(word.strobe) >> byte & 1:
                        memory[writing[0] + byte] = int(word.data) >> 8 * byte & 0xFF
                writing = [writing[0] + step, writing[1] - 1]
                if not writing[1]:
                    writing, answers = None, answers + 1
            granted = ctx.get(dut.store_read.valid) and ctx.get(dut.store_read.ready)
            way.append(ctx.get(dut.store_read.payload) if granted else None)
            done = ctx.get(dut.done)
            await ctx.tick()
        assert requests == one.rows

    simulate(dut, testbench, cycles=20_000)
    return count


@pytest.mark.parametrize("stall", [0.0, 0.5])
@pytest.mark.parametrize("width", [8, 32])
def test_load_and_store(width, stall):
    random = np.random.default_rng(width)
    memory, local = random.integers(0, 256, 2048, np.uint8), random.integers(0, 256, 1024, np.uint8)
    rows = {"base": 1, "offset": 5, "step": 67, "local": 1000, "local_step": 51, "bytes": 29, "rows": 4}
    wanted = local.copy()
    for row in range(4):
        for byte in range(29):
            wanted[(1000 + 51 * row + byte) % 1024] = memory[BASE + 5 + 67 * row + byte]
    run(instruction(Opcode.LOAD, **rows), memory, local, width, stall)
    assert (local == wanted).all()
    wanted = memory.copy()
    for row in range(4):
        wanted[BASE + 700 + 70 * row :][:29] = np.take(local, range(51 * row, 51 * row + 29))
    run(instruction(Opcode.STORE, **rows | {"offset": 700, "step": 70, "local": 0}), memory, local, width, stall)
    assert (memory == wanted).all()


@pytest.mark.parametrize("space", [Space.WEIGHTS, Space.PARAMETERS])
def test_other_spaces(space):
    memory, local = np.arange(2048, dtype=np.int64).astype(np.uint8), np.zeros(256, np.uint8)
    one = instruction(Opcode.LOAD, space=space, base=1, offset=8, local=16, bytes=32, rows=1)
    assert run(one, memory, local, 32, 0.3) == 8
    assert (local[16:48] == memory[BASE + 8 :][:32]).all()
    assert not local[48:].any()


def test_a_word_of_a_store_takes_a_known_time():
    assert CompactTransferUnit.WORD_CYCLES == 4
