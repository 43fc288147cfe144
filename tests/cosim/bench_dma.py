"""The simulator half of test_dma_cosim: cocotb tests of DmaTop, with memory and host from cocotbext-axi."""

import logging
import random
from collections import deque
from itertools import repeat

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam, AxiResp
from weft.rtl import bus, isa
from weft.rtl.axi import AxiMaster
from weft.rtl.dma import LoadUnit, StoreUnit
from weft.rtl.isa import Opcode, Space
from weft.rtl.scratchpad import Scratchpad, read_latency

from tests.cosim import common
from tests.cosim.common import CONFIG, PATTERN, PERIOD, SEED
from tests.rtl.ports import stall, write

MEMORY = 1 << CONFIG.address_width
BASES = (0, 0x1234, 0xFFF0, 0x8001)
CYCLES = 40_000

LOAD_TO_ARVALID = LoadUnit.LATENCY + AxiMaster.LATENCY
STORE_TO_AWVALID = StoreUnit.LATENCY + AxiMaster.LATENCY + 1
STORE_TO_WVALID = StoreUnit.LATENCY + read_latency(CONFIG) + 2
"""The buffer behind the scratchpad, and the register in front of WDATA."""
RAM_LATENCY = 2
"""Cycles that the simulated memory takes from an address to its data, anyway."""
WRITE_ROUND_TRIP = 5
"""Cycles from a burst of one beat to the burst that takes its place when its response is there."""

LOCAL = bus.local_write_layout(CONFIG, isa.LOCAL_BITS)
READ = bus.read_layout(CONFIG)
REQUEST = bus.request_layout(CONFIG)
INPUTS = (
    *("load__valid", "load__payload", "store__valid", "store__payload", "fetch__request__valid"),
    *("fetch__request__payload", "fetch__data__ready", "weights__ready", "parameters__ready", "array_reads"),
    *("drain_writes", "abandon", "registers__read_data"),
)


def pauses(pattern, seed):
    """The pattern as an endless generator."""
    if pattern == "flowing":
        return repeat(False)
    pause = stall(pattern, seed)
    return (pause() for _ in repeat(None))


class Bench:
    """Everything around the top."""

    def __init__(self, dut, pattern=PATTERN, latency=0):
        self.dut = dut
        self.rng = random.Random(SEED)
        self.pattern = pattern
        self.latency = latency
        self.local = {space: bytearray(1 << 12) for space in (Space.WEIGHTS, Space.PARAMETERS)}
        self.done = {"load": [], "store": []}
        self.accepted = {"load": [], "store": []}
        self.errors = {"load": [], "store": []}
        """Address, and whether nothing is there (DECERR); the fields of weft.rtl.dma.error_layout."""
        self.handshakes = {name: [] for name in ("ar", "r", "aw", "w", "b")}
        self.outstanding = {"r": 0, "b": 0}
        self.first_valid = {}

    @property
    def cycle(self):
        return common.cycle()

    async def start(self):
        dut = self.dut
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.WARNING)
        for name in INPUTS:
            getattr(dut, name).value = 0
        dut.bases.value = sum(base << index * CONFIG.address_width for index, base in enumerate(BASES))
        dut.rst.value = 1
        self.ram = AxiRam(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, size=MEMORY)
        self.host = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        self.ram.write(0, self.rng.randbytes(MEMORY))
        for index, channel in enumerate(self.channels()):
            channel.set_pause_generator(pauses(self.pattern, SEED + index))
        if self.latency:
            self.delay_reads()
        Clock(dut.clk, PERIOD, unit="ns").start()
        await ClockCycles(dut.clk, 3)
        dut.rst.value = 0
        await ClockCycles(dut.clk, 2)
        cocotb.start_soon(self.watch())
        cocotb.start_soon(self.take(Space.WEIGHTS, dut.weights__valid, dut.weights__payload, dut.weights__ready))
        cocotb.start_soon(
            self.take(Space.PARAMETERS, dut.parameters__valid, dut.parameters__payload, dut.parameters__ready)
        )
        if self.pattern != "flowing":
            cocotb.start_soon(self.disturb(dut.array_reads, SEED + 20))
            cocotb.start_soon(self.disturb(dut.drain_writes, SEED + 21))

    def channels(self):
        writes, reads = self.ram.write_if, self.ram.read_if
        return writes.aw_channel, writes.w_channel, writes.b_channel, reads.ar_channel, reads.r_channel

    def delay_reads(self):
        """Each beat of read data comes `latency` cycles after its address, however many bursts are
        outstanding."""
        reads = self.ram.read_if
        reads.ar_channel.queue_occupancy_limit = -1
        reads.r_channel.queue_occupancy_limit = -1
        waiting = deque()
        send = reads.r_channel.send

        async def later(beat):
            waiting.append((self.cycle + self.latency, beat))

        async def forward():
            while True:
                await RisingEdge(self.dut.clk)
                while waiting and waiting[0][0] <= self.cycle:
                    await send(waiting.popleft()[1])

        reads.r_channel.send = later
        cocotb.start_soon(forward())

    async def watch(self):
        """Record pulses and handshakes, and hold the master to AXI's rules."""
        dut = self.dut
        offered = {}
        signals = {
            "ar": (dut.m_axi_araddr, dut.m_axi_arlen, dut.m_axi_arsize, dut.m_axi_arburst),
            "aw": (dut.m_axi_awaddr, dut.m_axi_awlen, dut.m_axi_awsize, dut.m_axi_awburst),
            "w": (dut.m_axi_wdata, dut.m_axi_wstrb, dut.m_axi_wlast),
            "r": (dut.m_axi_rlast,),
            "b": (),
        }
        handles = {name: (getattr(dut, f"m_axi_{name}valid"), getattr(dut, f"m_axi_{name}ready")) for name in signals}
        while True:
            await RisingEdge(dut.clk)
            for name, (valid, ready) in handles.items():
                item = tuple(int(signal.value) for signal in signals[name]) if valid.value else None
                if item is not None:
                    self.first_valid.setdefault(name, self.cycle)
                if name in offered:
                    assert item == offered.pop(name), f"{name} changed before it was taken"
                if item is None:
                    continue
                if not ready.value:
                    offered[name] = item
                    continue
                self.handshakes[name].append(self.cycle)
                self.count(name, item)
            for unit in ("load", "store"):
                if getattr(dut, f"{unit}_done").value:
                    self.done[unit].append(self.cycle)
                error = getattr(dut, f"{unit}_error").value
                # Without `valid` the rest means nothing: it comes from what the bus does not drive yet.
                if str(error[0]) == "1":
                    self.errors[unit].append((int(error) >> 2, bool(int(error) & 2)))

    def count(self, name, item):
        if name in ("ar", "aw"):
            _, length, size, burst = item
            assert length < CONFIG.axi_burst
            assert (8 << size, burst) == (CONFIG.axi_width, 1)
            answer = {"ar": "r", "aw": "b"}[name]
            self.outstanding[answer] += 1
            assert self.outstanding[answer] <= CONFIG.axi_outstanding
        elif name == "b" or (name == "r" and item == (1,)):
            self.outstanding[name] -= 1

    async def disturb(self, signal, seed):
        pause = stall(self.pattern, seed)
        while True:
            signal.value = int(pause())
            await RisingEdge(self.dut.clk)

    async def take(self, space, valid, payload, ready):
        pause = stall(self.pattern, SEED + 10 + space.value)
        while True:
            taking = not pause()
            ready.value = int(taking)
            await RisingEdge(self.dut.clk)
            if taking and valid.value:
                word = LOCAL.from_bits(int(payload.value))
                write(self.local[space], word.address, word.data, word.strobe, CONFIG.memory_bytes)

    async def issue(self, *program):
        """Hand instructions over, to loads' and stores' units as fast as they take them, and wait for all."""
        waits = []
        for unit, opcode in (("load", Opcode.LOAD), ("store", Opcode.STORE)):
            mine = [one for one in program if one.opcode is opcode]
            waits.append((unit, len(self.done[unit]) + len(mine)))
            cocotb.start_soon(self.feed(unit, mine))
        for unit, count in waits:
            for _ in range(CYCLES):
                if len(self.done[unit]) >= count:
                    break
                await RisingEdge(self.dut.clk)
            assert len(self.done[unit]) == count
        await ClockCycles(self.dut.clk, Scratchpad.WRITE_LATENCY)

    async def feed(self, unit, program):
        valid, ready, payload = (getattr(self.dut, f"{unit}__{name}") for name in ("valid", "ready", "payload"))
        for one in program:
            raw = int.from_bytes(isa.encode(one), "little")
            payload.value = raw & (1 << len(payload)) - 1
            valid.value = 1
            await RisingEdge(self.dut.clk)
            while not ready.value:
                await RisingEdge(self.dut.clk)
            self.accepted[unit].append(self.cycle)
        valid.value = 0

    async def fetch(self, requests):
        """Read instructions like a sequencer beside the load unit; returns the bytes."""
        dut = self.dut
        words = []
        count = isa.INSTRUCTION_BYTES // CONFIG.memory_bytes

        async def ask():
            for address in requests:
                request = REQUEST.const({"address": address, "words": count})
                dut.fetch__request__payload.value = request.as_bits()
                dut.fetch__request__valid.value = 1
                await RisingEdge(dut.clk)
                while not dut.fetch__request__ready.value:
                    await RisingEdge(dut.clk)
                dut.fetch__request__valid.value = 0
                await ClockCycles(dut.clk, 1 + self.rng.randrange(30))

        cocotb.start_soon(ask())
        dut.fetch__data__ready.value = 1
        while len(words) < count * len(requests):
            await RisingEdge(dut.clk)
            if dut.fetch__data__valid.value:
                words.append(READ.from_bits(int(dut.fetch__data__payload.value)).data)
        return b"".join(word.to_bytes(CONFIG.memory_bytes, "little") for word in words)

    async def quiet(self):
        """Nothing is left under way."""
        await ClockCycles(self.dut.clk, 20)
        assert self.dut.busy.value == 0
        assert self.outstanding == {"r": 0, "b": 0}


def addresses(one):
    for row in range(one.rows):
        external = (BASES[one.base] + one.offset + row * one.step) % MEMORY
        yield external, (one.local + row * one.local_step) % (1 << isa.LOCAL_BITS)


def copy(source, target, pairs, count):
    """What an instruction does to bytes; addresses wrap on both sides."""
    for start, end in pairs:
        for byte in range(count):
            target[(end + byte) % len(target)] = source[(start + byte) % len(source)]


def backwards(pairs):
    return [(second, first) for first, second in pairs]


def transfer(opcode, rng, space=Space.SCRATCHPAD, low=0, high=CONFIG.scratchpad_bytes):
    """A random instruction; the scratchpad's part of it lies in one half of it."""
    word = CONFIG.memory_bytes
    unit = 1 if space is Space.SCRATCHPAD else word
    rows = rng.choice((1, rng.randint(1, 5)))
    size = rng.choice((unit, rng.randint(1, 4) * unit, rng.randint(1, 100 // unit) * unit))
    local_step = rng.choice((0, size, rng.randrange(80) // unit * unit))
    base = rng.randrange(len(BASES))
    room = high - low - (rows - 1) * local_step - size
    offset = rng.randrange(MEMORY)
    return isa.instruction(
        opcode,
        space=space,
        base=base,
        offset=offset - (BASES[base] + offset) % unit if unit > 1 else offset,
        step=rng.choice((0, rng.randrange(100), rng.randrange(1 << 32))) // unit * unit,
        local=low + (rng.randrange(room) if unit == 1 else rng.randrange(1024) // unit * unit),
        local_step=local_step,
        bytes=size,
        rows=rows,
    )


def whole(opcode, offset):
    """The whole scratchpad, from or to `offset`."""
    return isa.instruction(opcode, offset=offset, bytes=CONFIG.scratchpad_bytes, rows=1)


async def started(dut, **options):
    bench = Bench(dut, **options)
    await bench.start()
    return bench


limited = cocotb.test(timeout_time=CYCLES * PERIOD, timeout_unit="ns")


@limited
async def random_transfers(dut):
    """Every byte that a random program moves is where it belongs, and no other has changed."""
    bench = await started(dut)
    rng = bench.rng
    half = CONFIG.scratchpad_bytes // 2
    await bench.issue(whole(Opcode.LOAD, 0x4321))
    image = bytearray(bench.ram.read(0, MEMORY))
    local = {space: bytearray(1 << 12) for space in bench.local}
    local[Space.SCRATCHPAD] = scratchpad = image[0x4321 : 0x4321 + CONFIG.scratchpad_bytes]
    for turn in range(3):
        mine, other = turn % 2 * half, (turn + 1) % 2 * half
        # Loads, with a sequencer's fetches between them.
        loads = [transfer(Opcode.LOAD, rng, rng.choice(list(local)), mine, mine + half) for _ in range(8)]
        for one in loads:
            copy(image, local[Space(one.space)], addresses(one), one.bytes)
        fetches = [rng.randrange(MEMORY // 64) * 64 for _ in range(4)]
        fetched = cocotb.start_soon(bench.fetch(fetches))
        await bench.issue(*loads)
        assert await fetched == b"".join(image[address : address + 64] for address in fetches)

        stores = [transfer(Opcode.STORE, rng, low=mine, high=mine + half) for _ in range(6)]
        for one in stores:
            copy(scratchpad, image, backwards(addresses(one)), one.bytes)
        await bench.issue(*stores)
        assert bench.ram.read(0, MEMORY) == image

        # Both at once, far from each other in memory and in the scratchpad.
        sizes = {"bytes": 59 + turn, "step": 64, "local_step": 62, "rows": 3}
        load = isa.instruction(Opcode.LOAD, offset=0x9003, local=other + 5, **sizes)
        store = isa.instruction(Opcode.STORE, offset=0x2001, local=mine + 3, **sizes)
        copy(image, scratchpad, addresses(load), load.bytes)
        copy(scratchpad, image, backwards(addresses(store)), store.bytes)
        await bench.issue(load, store)
    await bench.issue(whole(Opcode.STORE, 0x6000))
    image[0x6000 : 0x6000 + CONFIG.scratchpad_bytes] = scratchpad
    assert bench.ram.read(0, MEMORY) == image
    assert {space: local[space] for space in bench.local} == bench.local
    assert bench.errors == {"load": [], "store": []}
    await bench.quiet()


@limited
async def cycles_of_a_load(dut):
    """A long load moves one word per cycle; what is paid once is the way there and back."""
    bench = await started(dut, pattern="flowing")
    words = CONFIG.scratchpad_bytes // CONFIG.memory_bytes
    await bench.issue(whole(Opcode.LOAD, 0x2000))
    accepted, done = bench.accepted["load"][0], bench.done["load"][0]
    assert bench.first_valid["ar"] - accepted == LOAD_TO_ARVALID
    assert done == bench.handshakes["r"][-1] + LoadUnit.DONE_LATENCY
    assert done - bench.first_valid["r"] == words - 1 + LoadUnit.DONE_LATENCY


@limited
async def cycles_of_a_store(dut):
    """A long store moves one word per cycle, unless its bursts are over sooner than their responses come back."""
    bench = await started(dut, pattern="flowing")
    words = CONFIG.scratchpad_bytes // CONFIG.memory_bytes
    await bench.issue(whole(Opcode.LOAD, 0x2000))
    await bench.issue(whole(Opcode.STORE, 0x4000))
    accepted, done = bench.accepted["store"][0], bench.done["store"][0]
    assert bench.first_valid["aw"] - accepted == STORE_TO_AWVALID
    assert bench.first_valid["w"] - accepted == STORE_TO_WVALID + CONFIG.axi_width // CONFIG.memory_width - 1
    last = words - 1
    if CONFIG.axi_outstanding * CONFIG.axi_burst * CONFIG.axi_width // CONFIG.memory_width < WRITE_ROUND_TRIP:
        assert CONFIG.axi_burst * CONFIG.axi_width == CONFIG.memory_width
        last = last // CONFIG.axi_outstanding * WRITE_ROUND_TRIP + last % CONFIG.axi_outstanding
    assert bench.handshakes["w"][-1] - accepted == STORE_TO_WVALID + last
    assert done == bench.handshakes["b"][-1]


@limited
async def outstanding_reads_hide_latency(dut):
    """Over a latency of 40 cycles a load still moves one word per cycle when the bursts under way cover
    it."""
    covered = (CONFIG.axi_outstanding - 1) * CONFIG.axi_burst * CONFIG.axi_width // CONFIG.memory_width
    bench = await started(dut, pattern="flowing", latency=40)
    words = CONFIG.scratchpad_bytes // CONFIG.memory_bytes
    await bench.issue(whole(Opcode.LOAD, 0x2000))
    flowing = bench.handshakes["r"][-1] - bench.first_valid["r"] == words - 1
    assert flowing == (covered >= 40 + RAM_LATENCY)


@limited
async def errors_are_reported_and_transfers_end(dut):
    """SLVERR and DECERR reach the error outputs with the row's address; everything under way is finished."""
    bench = await started(dut)
    await bench.issue(whole(Opcode.LOAD, 0))
    reads, writes = bench.ram.read_if, bench.ram.write_if
    send_read, send_write = reads.r_channel.send, writes.b_channel.send
    answers = {"r": 0, "b": 0}

    async def read(beat):
        answers["r"] += 1
        if answers["r"] == 1:
            beat.rresp = AxiResp.SLVERR
        await send_read(beat)

    async def written(beat):
        answers["b"] += 1
        if answers["b"] == 1:
            beat.bresp = AxiResp.DECERR
        await send_write(beat)

    reads.r_channel.send, writes.b_channel.send = read, written
    sizes = {"bytes": 10, "rows": 3, "step": 0x100, "local_step": 16}
    await bench.issue(isa.instruction(Opcode.LOAD, offset=0x1001, **sizes))
    await bench.issue(isa.instruction(Opcode.STORE, offset=0x3002, **sizes))
    # A word of the erroneous beat each: of two where the row's first beat holds two words of it.
    assert set(bench.errors["load"]) == {(0x1001, False)}
    assert bench.errors["store"] == [(0x3002, True)]
    await bench.quiet()
    bench.errors = {"load": [], "store": []}
    before = bytearray(bench.ram.read(0x100, CONFIG.scratchpad_bytes))
    await bench.issue(whole(Opcode.LOAD, 0x100))
    await bench.issue(whole(Opcode.STORE, 0x5000))
    assert bench.ram.read(0x5000, CONFIG.scratchpad_bytes) == before
    assert bench.errors == {"load": [], "store": []}


@limited
async def registers(dut):
    """A host's random accesses over AXI4-Lite."""
    bench = await started(dut)
    host, rng = bench.host, bench.rng
    channels = (
        *(host.write_if.aw_channel, host.write_if.w_channel, host.write_if.b_channel),
        *(host.read_if.ar_channel, host.read_if.r_channel),
    )
    for index, channel in enumerate(channels):
        channel.set_pause_generator(pauses(PATTERN, SEED + 30 + index))
    behind = {}

    async def serve():
        while True:
            await RisingEdge(dut.clk)
            if dut.registers__write.value:
                behind[int(dut.registers__address.value)] = int(dut.registers__write_data.value)
            if dut.registers__read.value:
                address = int(dut.registers__address.value)
                dut.registers__read_data.value = behind.get(address, address)
            else:
                dut.registers__read_data.value = 0xDEAD

    cocotb.start_soon(serve())
    expected = {}
    for _ in range(40):
        address = rng.randrange(64) * 4
        if rng.random() < 0.5:
            value = rng.randrange(1 << 32)
            answer = await host.write(address, value.to_bytes(4, "little"))
            assert answer.resp == AxiResp.OKAY
            expected[address] = value
        else:
            answer = await host.read(address, 4)
            assert answer.resp == AxiResp.OKAY
            assert int.from_bytes(answer.data, "little") == expected.get(address, address)
    # A write of less than a register is refused and changes nothing.
    answer = await host.write(0x10, b"x")
    assert answer.resp == AxiResp.SLVERR
    # Reads and writes at the same time.
    reads = [cocotb.start_soon(host.read(0x200 + 4 * index, 4)) for index in range(8)]
    writes = [cocotb.start_soon(host.write(0x300 + 4 * index, bytes([index] * 4))) for index in range(8)]
    for index, task in enumerate(reads):
        assert int.from_bytes((await task).data, "little") == 0x200 + 4 * index
    for task in writes:
        assert (await task).resp == AxiResp.OKAY
    assert behind == expected | {0x300 + 4 * index: index * 0x01010101 for index in range(8)}


@limited
async def abandoned_transfers_leave_the_bus_clean(dut):
    """The units are reset in the midst of their transfers: all bursts end, and what comes next is right."""
    bench = await started(dut)
    size = CONFIG.scratchpad_bytes
    image = bench.ram.read(0, MEMORY)
    await bench.issue(whole(Opcode.LOAD, 0))
    feeding = [
        cocotb.start_soon(bench.feed("load", [whole(Opcode.LOAD, 0x2000)])),
        cocotb.start_soon(bench.feed("store", [whole(Opcode.STORE, 0x5000)])),
    ]
    await ClockCycles(dut.clk, 60)
    for task in feeding:
        assert task.done()
    assert dut.busy.value == 1
    done = {name: list(cycles) for name, cycles in bench.done.items()}
    dut.abandon.value = 1
    await RisingEdge(dut.clk)
    dut.abandon.value = 0
    # Not waiting for the end of the abandoned bursts.
    await bench.issue(whole(Opcode.LOAD, 0x3000))
    await bench.issue(whole(Opcode.STORE, 0x7000))
    assert {name: len(cycles) for name, cycles in bench.done.items()} == {"load": 2, "store": 1}
    assert done == {"load": bench.done["load"][:1], "store": []}
    await bench.quiet()
    after = bench.ram.read(0, MEMORY)
    assert after[0x7000 : 0x7000 + size] == image[0x3000 : 0x3000 + size]
    assert after[:0x5000] == image[:0x5000]
    assert after[0x5000 + size : 0x7000] == image[0x5000 + size : 0x7000]
    assert after[0x7000 + size :] == image[0x7000 + size :]
    assert bench.errors == {"load": [], "store": []}
