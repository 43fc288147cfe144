# amaranth: UnusedElaboratable=no

import numpy as np
import pytest
from weft.rtl.config import PARAMETER_RECORD_BYTES, Config
from weft.rtl.parameters import ParameterMemory

from tests.rtl.common import simulate

SHAPES = [(4, 1, 32, 6), (4, 2, 64, 10), (5, 5, 128, 15), (4, 4, 512, 4), (2, 1, 512, 3), (1, 1, 32, 1)]


def make(cols, lanes, memory_width, channels):
    config = Config(cols=cols, lanes=lanes, memory_width=memory_width, parameter_channels=channels, axi_width=512)
    return config, ParameterMemory(config)


def record(raw):
    """The record in its bytes; what lies behind is not kept."""
    return {
        "bias": int.from_bytes(raw[0:4], "little", signed=True),
        "multiplier": int.from_bytes(raw[4:8], "little"),
        "shift": int.from_bytes(raw[8:9], "little", signed=True),
    }


def line_records(image, config, line):
    start = line * config.parameter_line_bytes
    return [
        record(image[start + lane * PARAMETER_RECORD_BYTES :][:PARAMETER_RECORD_BYTES]) for lane in range(config.lanes)
    ]


async def write(ctx, dut, config, image, address, raw, strobe):
    ctx.set(
        dut.write.payload,
        {"address": address, "data": int.from_bytes(raw, "little"), "strobe": strobe},
    )
    ctx.set(dut.write.valid, 1)
    assert ctx.get(dut.write.ready)
    await ctx.tick()
    ctx.set(dut.write.valid, 0)
    for byte in range(config.memory_bytes):
        if strobe >> byte & 1:
            image[address + byte] = raw[byte]


async def read(ctx, dut, config, line):
    ctx.set(dut.read, {"enable": 1, "line": line})
    await ctx.tick().repeat(dut.latency)
    ctx.set(dut.read, {"enable": 0, "line": 0})
    lanes = [ctx.get(dut.read_data[lane]) for lane in range(config.lanes)]
    return [{"bias": one.bias, "multiplier": one.multiplier, "shift": one.shift} for one in lanes]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("cols, lanes, memory_width, channels", SHAPES)
def test_records_come_back_as_written(cols, lanes, memory_width, channels, seed):
    """The whole memory is written, then random words of it, with random strobes, between random reads."""
    config, dut = make(cols, lanes, memory_width, channels)
    random = np.random.default_rng(seed)
    size = config.parameter_lines * config.parameter_line_bytes
    words = size // config.memory_bytes
    image = bytearray(size)

    async def testbench(ctx):
        for step in range(words + 100):
            word = step if step < words else int(random.integers(words))
            strobe = -1 if step < words else int.from_bytes(random.bytes(config.memory_bytes), "little")
            strobe &= (1 << config.memory_bytes) - 1
            raw = random.bytes(config.memory_bytes)
            await write(ctx, dut, config, image, word * config.memory_bytes, raw, strobe)
            if step >= words:
                line = int(random.integers(config.parameter_lines))
                assert await read(ctx, dut, config, line) == line_records(image, config, line)
        for line in range(config.parameter_lines):
            assert await read(ctx, dut, config, line) == line_records(image, config, line)

    simulate(dut, testbench, cycles=3 * words + 400)


def test_a_write_without_valid_changes_nothing():
    config, dut = make(4, 1, 32, 4)
    image = bytearray(config.parameter_lines * config.parameter_line_bytes)

    async def testbench(ctx):
        await write(ctx, dut, config, image, 16, b"\x01\x02\x03\x84", 0b1111)
        ctx.set(dut.write.payload, {"address": 16, "data": 0, "strobe": 0b1111})
        await ctx.tick()
        (one,) = await read(ctx, dut, config, 1)
        assert one["bias"] == int.from_bytes(b"\x01\x02\x03\x84", "little", signed=True)

    simulate(dut, testbench, cycles=20)


def test_read_data_stays_until_the_next_read():
    config, dut = make(4, 1, 32, 4)
    image = bytearray(config.parameter_lines * config.parameter_line_bytes)

    async def testbench(ctx):
        await write(ctx, dut, config, image, 0, b"\x07\x00\x00\x00", 0b1111)
        await read(ctx, dut, config, 0)
        await write(ctx, dut, config, image, 0, b"\x09\x00\x00\x00", 0b1111)
        await ctx.tick().repeat(3)
        assert ctx.get(dut.read_data[0].bias) == 7

    simulate(dut, testbench, cycles=20)


def test_read_latency_is_one_cycle():
    assert [ParameterMemory(Config(memory_latency=cycles)).latency for cycles in (1, 2)] == [1, 2]
