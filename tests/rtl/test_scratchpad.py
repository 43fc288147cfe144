import numpy as np
import pytest
from weft.rtl.config import Config
from weft.rtl.scratchpad import Scratchpad, drain_write_latency, read_latency

from tests.rtl.common import pack, simulate

# rows, cols, lanes, memory_width, scratchpad_bytes: words of 4 to 64 bytes, narrow and wide writers, few lines.
SHAPES = [
    (1, 1, 1, 32, 16),
    (4, 4, 2, 32, 64),
    (5, 5, 5, 32, 64),
    (3, 6, 3, 64, 32),
    (16, 8, 4, 32, 256),
    (2, 33, 33, 128, 256),
    (4, 4, 1, 512, 256),
]

REGISTERED = {"memory_latency": 2, "pipelined": True}
"""All registers that a scratchpad may have."""


def make(rows, cols, lanes, memory_width, scratchpad_bytes, **changes):
    config = Config(
        rows=rows,
        cols=cols,
        lanes=lanes,
        memory_width=memory_width,
        axi_width=memory_width,
        scratchpad_bytes=scratchpad_bytes,
        parameter_channels=lanes,
        **changes,
    )
    return config, Scratchpad(config)


class Model:
    """The bytes, and the cycle in which each was last granted a write."""

    def __init__(self, size):
        self.size = size
        self.bytes = np.zeros(size, np.int64)
        self.written = np.full(size, np.iinfo(np.int64).max)

    def write(self, cycle, address, values, strobe):
        for index, value in enumerate(values):
            if strobe >> index & 1:
                self.bytes[(address + index) % self.size] = value
                self.written[(address + index) % self.size] = cycle

    def read(self, cycle, address, count):
        """The bytes from an address on; -1 where a read that is granted in this cycle need not see the write."""
        places = (address + np.arange(count)) % self.size
        settled = self.written[places] <= cycle - Scratchpad.WRITE_LATENCY
        return np.where(settled, self.bytes[places], -1)


def random_bits(random, count):
    return int.from_bytes(random.bytes(count), "little") >> 7 * count


def banks(config, address, strobe):
    """The banks, 0 and 1, that a write needs."""
    places = [(address + index) % config.scratchpad_bytes for index in range(config.word_bytes) if strobe >> index & 1]
    return {place // config.word_bytes % 2 for place in places}


def compare(expected, got):
    known = expected >= 0
    assert got[known].tolist() == expected[known].tolist()
    return int(known.sum())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_random_traffic_on_all_ports(shape, seed):
    """Every grant, every byte read and every store_valid of 400 cycles, against an array of bytes."""
    config, dut = make(*shape, **(REGISTERED if seed == 2 else {}))
    size, lanes, memory_bytes = config.scratchpad_bytes, config.lanes, config.memory_bytes
    random = np.random.default_rng(seed)
    model = Model(size)
    compared = stalls = together = 0

    async def testbench(ctx):
        nonlocal compared, stalls, together
        # Reads under way: the cycle in which the data come, and what they are.
        array_reads, store_reads = {}, {}
        load = store = None
        drained = (False, 0, b"", 0)
        for cycle in range(400):
            array_enable, drain_enable = bool(random.integers(2)), bool(random.integers(2))
            array_address, drain_address = random.integers(size, size=2).tolist()
            drain_bytes, drain_strobe = random.bytes(lanes), random_bits(random, lanes)
            ctx.set(dut.array_read, {"enable": array_enable, "address": array_address})
            ctx.set(
                dut.drain_write,
                {
                    "enable": drain_enable,
                    "address": drain_address,
                    "data": list(drain_bytes),
                    "strobe": drain_strobe,
                },
            )
            if load is None and random.integers(2):
                strobe = random_bits(random, memory_bytes)
                load = (int(random.integers(size)), random.bytes(memory_bytes), strobe)
                ctx.set(
                    dut.load_write.payload,
                    {"address": load[0], "data": int.from_bytes(load[1], "little"), "strobe": strobe},
                )
            if store is None and random.integers(2):
                store = int(random.integers(size))
                ctx.set(dut.store_read.payload, store)
            ctx.set(dut.load_write.valid, load is not None)
            ctx.set(dut.store_read.valid, store is not None)

            if config.pipelined:
                # The drain's write of the cycle before is at the banks now, and a load's strobes are not looked at.
                drained, late = (drain_enable, drain_address, drain_bytes, drain_strobe), drained
                drain_enable, drain_address, drain_bytes, drain_strobe = late
            reach = (1 << memory_bytes) - 1 if config.pipelined else load[2] if load else 0
            meets = banks(config, drain_address, drain_strobe) & (banks(config, load[0], reach) if load else set())
            taken = load is not None and not (drain_enable and meets)
            assert load is None or ctx.get(dut.load_write.ready) == taken
            assert ctx.get(dut.store_read.ready) == (not array_enable)
            if array_enable:
                stalls += store is not None
                array_reads[cycle + read_latency(config)] = model.read(cycle, array_address, config.word_bytes)
            elif store is not None:
                store_reads[cycle + read_latency(config)] = model.read(cycle, store, memory_bytes)
                store = None
            if drain_enable:
                stalls += load is not None and not taken
                together += taken
                model.write(cycle, drain_address, drain_bytes, drain_strobe)
            if taken:
                model.write(cycle, *load)
                load = None

            if cycle in array_reads:
                got = [ctx.get(dut.array_data[index]) for index in range(config.word_bytes)]
                compared += compare(array_reads[cycle], np.array(got))
            assert ctx.get(dut.store_valid) == (cycle in store_reads)
            if cycle in store_reads:
                got = ctx.get(dut.store_data).to_bytes(memory_bytes, "little")
                compared += compare(store_reads[cycle], np.array(list(got)))
            await ctx.tick()

    simulate(dut, testbench, cycles=500)
    assert compared > 200
    assert stalls > 40
    assert together > 5


@pytest.mark.parametrize("shape", SHAPES[:2], ids=str)
def test_a_store_is_starved_until_it_is_served(shape):
    _, dut = make(*shape)

    async def testbench(ctx):
        ctx.set(dut.array_read.enable, 1)
        await ctx.tick().repeat(2 * Scratchpad.PATIENCE)
        assert not ctx.get(dut.starved)
        ctx.set(dut.store_read.valid, 1)
        for _ in range(Scratchpad.PATIENCE):
            assert not ctx.get(dut.starved)
            await ctx.tick()
        for _ in range(5):
            assert ctx.get(dut.starved)
            await ctx.tick()
        ctx.set(dut.array_read.enable, 0)
        await ctx.tick()
        ctx.set(dut.array_read.enable, 1)
        for _ in range(Scratchpad.PATIENCE):
            assert not ctx.get(dut.starved)
            await ctx.tick()
        assert ctx.get(dut.starved)

    simulate(dut, testbench, cycles=5 * Scratchpad.PATIENCE + 20)


@pytest.mark.parametrize("writer", ["drain", "load"])
@pytest.mark.parametrize("shape", SHAPES[:5], ids=str)
def test_a_read_sees_a_write_after_write_latency_at_every_address(shape, writer):
    """The last addresses wrap around to the first."""
    config, dut = make(*shape)
    size = config.scratchpad_bytes
    count = config.lanes if writer == "drain" else config.memory_bytes
    random = np.random.default_rng(7)
    model = np.zeros(size, np.int64)

    async def put(ctx, address, values):
        strobe = (1 << count) - 1
        if writer == "drain":
            payload = {"enable": 1, "address": address, "data": values, "strobe": strobe}
            ctx.set(dut.drain_write, payload)
        else:
            ctx.set(dut.load_write.payload, {"address": address, "data": pack(values, 8), "strobe": strobe})
            ctx.set(dut.load_write.valid, 1)
        model[(address + np.arange(count)) % size] = values
        await ctx.tick()
        ctx.set(dut.drain_write.enable, 0)
        ctx.set(dut.load_write.valid, 0)

    async def testbench(ctx):
        for address in range(size):
            await put(ctx, address, random.integers(256, size=count).tolist())
        for address in range(size):
            await put(ctx, address, random.integers(256, size=count).tolist())
            await ctx.tick().repeat(Scratchpad.WRITE_LATENCY - 1)
            ctx.set(dut.array_read, {"enable": 1, "address": address})
            await ctx.tick().repeat(read_latency(config))
            ctx.set(dut.array_read.enable, 0)
            got = [ctx.get(dut.array_data[index]) for index in range(config.word_bytes)]
            assert got == model[(address + np.arange(config.word_bytes)) % size].tolist()

    simulate(dut, testbench, cycles=size * 8)


def test_latencies():
    assert [read_latency(Config(memory_latency=cycles)) for cycles in (1, 2)] == [2, 3]
    assert read_latency(Config(pipelined=True)) == 4
    assert Scratchpad.WRITE_LATENCY == 2
    assert [drain_write_latency(Config(pipelined=pipelined)) for pipelined in (False, True)] == [2, 3]
