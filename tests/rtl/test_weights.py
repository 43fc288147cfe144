# amaranth: UnusedElaboratable=no

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib.wiring import Component, In, Out
from weft.rtl.array import Array
from weft.rtl.config import Config
from weft.rtl.weights import WeightStore, write_latency

from tests.rtl.common import pack, simulate, unpack
from tests.rtl.test_array import SHAPES, passes


def line_bytes(config, lines):
    """Lines of shape (W, C) as the bytes of their places in the weight space, the unused ones not zero."""
    image = np.full((len(lines), config.weight_line_bytes), 0x55, np.uint8)
    for bank in range(config.weight_rows):
        place = bank * config.weight_pitch
        image[:, place : place + config.cols] = lines[:, bank].astype(np.uint8)
    return image


async def write_word(ctx, port, address, word, strobe):
    ctx.set(port.payload.address, address)
    ctx.set(port.payload.data, pack(word, 8))
    ctx.set(port.payload.strobe, strobe)
    ctx.set(port.valid, 1)
    assert ctx.get(port.ready) == 1
    await ctx.tick()
    ctx.set(port.valid, 0)


async def write_lines(ctx, config, port, lines, random):
    """Write lines in memory words, in random order."""
    image = line_bytes(config, lines).reshape(-1, config.memory_bytes)
    for index in random.permutation(len(image)).tolist():
        await write_word(ctx, port, index * config.memory_bytes, image[index], (1 << config.memory_bytes) - 1)
    await ctx.tick().repeat(write_latency(config) - 1)


def random_lines(random, config):
    return random.integers(-128, 128, (config.weight_lines, config.weight_rows, config.cols))


@pytest.mark.parametrize("memory_width", [32, 128])
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("rows, cols, weight_rows", SHAPES)
def test_lines_come_out_skewed(rows, cols, weight_rows, memory_width, seed):
    """A line may be read in every cycle; without a read, a bank keeps its weights."""
    config = Config(
        rows=rows,
        cols=cols,
        weight_rows=weight_rows,
        weight_tiles=5,
        memory_width=memory_width,
        axi_width=memory_width,
        pipelined=bool(seed),
    )
    dut = WeightStore(config)
    random = np.random.default_rng(seed)
    lines = random_lines(random, config)
    cycles = 60
    line = random.integers(config.weight_lines, size=cycles)
    enable = random.integers(4, size=cycles) != 0
    enable[0] = True
    latest = line[np.maximum.accumulate(np.where(enable, np.arange(cycles), 0))]

    async def testbench(ctx):
        await write_lines(ctx, config, dut.write, lines, random)
        for t in range(cycles):
            ctx.set(dut.read.line, int(line[t]))
            ctx.set(dut.read.enable, int(enable[t]))
            weights = unpack(ctx.get(dut.weights.as_value()), 8, weight_rows, cols)
            for bank in range(weight_rows):
                for col in range(cols):
                    read = t - dut.latency - bank * config.weight_steps - col
                    if read >= 0:
                        assert weights[bank, col] == lines[latest[read], bank, col], (t, bank, col)
            await ctx.tick()

    simulate(dut, testbench, cycles=500)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("rows, cols, weight_rows", [(4, 4, 1), (3, 5, 3), (8, 2, 2)])
def test_strobes_choose_the_bytes_that_are_written(rows, cols, weight_rows, seed):
    config = Config(rows=rows, cols=cols, weight_rows=weight_rows, weight_tiles=2)
    dut = WeightStore(config)
    random = np.random.default_rng(seed)
    lines = random_lines(random, config)
    image = line_bytes(config, lines)

    async def testbench(ctx):
        await write_lines(ctx, config, dut.write, lines, random)
        flat = image.reshape(-1)
        for _ in range(40):
            address = int(random.integers(config.weight_space_bytes // 4)) * 4
            word, strobe = random.integers(256, size=4), int(random.integers(16))
            await write_word(ctx, dut.write, address, word, strobe)
            for byte in range(4):
                if strobe >> byte & 1:
                    flat[address + byte] = word[byte]
        ctx.set(dut.write.payload.strobe, 15)
        ctx.set(dut.write.payload.address, 0)
        ctx.set(dut.read.enable, 1)
        for line in range(config.weight_lines):
            ctx.set(dut.read.line, line)
            await ctx.tick().repeat(dut.latency + rows + cols)
            weights = unpack(ctx.get(dut.weights.as_value()), 8, weight_rows, cols)
            for bank in range(weight_rows):
                place = bank * config.weight_pitch
                assert weights[bank].tolist() == image[line, place : place + cols].astype(np.int8).tolist()

    simulate(dut, testbench, cycles=600)


def test_a_read_sees_a_write_of_two_cycles_before():
    config = Config(rows=1, cols=1, weight_tiles=4)
    dut = WeightStore(config)

    async def testbench(ctx):
        for value in (5, 6, 7):
            await write_word(ctx, dut.write, 2 * config.weight_line_bytes, [value, 0, 0, 0], 1)
            await ctx.tick().repeat(write_latency(config) - 1)
            ctx.set(dut.read.line, 2)
            ctx.set(dut.read.enable, 1)
            await ctx.tick().repeat(config.memory_latency)
            ctx.set(dut.read.enable, 0)
            assert ctx.get(dut.weights[0][0]) == value

    simulate(dut, testbench, cycles=40)


class StoreAndArray(Component):
    """The weight store connected to the array, as in the NPU."""

    def __init__(self, config):
        self.store = WeightStore(config)
        self.array = Array(config)
        store, array = self.store.signature.members, self.array.signature.members
        super().__init__(
            {
                "write": store["write"],
                "read": In(store["read"].shape),
                "activations": In(array["activations"].shape),
                "first": In(1),
                "sums": Out(array["sums"].shape),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.store = self.store
        m.submodules.array = self.array
        m.d.comb += [
            self.store.write.payload.eq(self.write.payload),
            self.store.write.valid.eq(self.write.valid),
            self.write.ready.eq(self.store.write.ready),
            self.store.read.eq(self.read),
            self.array.weights.eq(self.store.weights),
            self.array.activations.eq(self.activations),
            self.array.first.eq(self.first),
            self.sums.eq(self.array.sums),
        ]
        return m


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("rows, cols, weight_rows", SHAPES)
def test_passes_from_the_store_give_exact_products(rows, cols, weight_rows, seed):
    """The lines of a tile are read `latency` cycles ahead of the pass's pixels; passes follow back to back."""
    config = Config(rows=rows, cols=cols, weight_rows=weight_rows, weight_tiles=10)
    dut = StoreAndArray(config)
    steps, latency = config.weight_steps, dut.array.latency
    random = np.random.default_rng(seed)
    schedule = list(passes(random, config, config.weight_tiles))
    cycles = schedule[-1][0] + len(schedule[-1][1]) + latency + cols + config.memory_latency
    lines = np.stack([tile for _, _, tile in schedule])
    # Row r = bank * S + step lies in line `step` of its tile.
    lines = lines.reshape(-1, weight_rows, steps, cols).transpose(0, 2, 1, 3).reshape(-1, weight_rows, cols)
    reads, pixels_in, expected = {}, {}, {}
    for index, (start, pixels, tile) in enumerate(schedule):
        for step in range(steps):
            reads[start + step] = index * steps + step
        for number, pixel in enumerate(pixels):
            enters = start + config.memory_latency + number
            pixels_in[enters] = (pixel, number == 0)
            for col in range(cols):
                expected[enters + latency + col, col] = int(pixel @ tile[:, col])

    async def testbench(ctx):
        await write_lines(ctx, config, dut.write, lines, random)
        for t in range(cycles):
            ctx.set(dut.read.enable, int(t in reads))
            ctx.set(dut.read.line, reads.get(t, 0))
            pixel, first = pixels_in.get(t, ([0] * rows, False))
            ctx.set(dut.activations.as_value(), pack(pixel, 8))
            ctx.set(dut.first, int(first))
            sums = unpack(ctx.get(dut.sums.as_value()), 32, cols)
            for col in range(cols):
                if (t, col) in expected:
                    assert sums[col] == expected.pop((t, col)), (t, col)
            await ctx.tick()
        assert not expected

    simulate(dut, testbench, cycles=500)


def test_latency_is_one_cycle():
    assert [WeightStore(Config(memory_latency=cycles)).latency for cycles in (1, 2)] == [1, 2]
