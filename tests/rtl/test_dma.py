import random
from collections import deque

import pytest
from weft.rtl import isa
from weft.rtl.config import Config
from weft.rtl.dma import LoadUnit, Rows, StoreUnit
from weft.rtl.isa import Opcode, Space
from weft.rtl.registers import Activity
from weft.rtl.scratchpad import Scratchpad, read_latency

from .ports import STALLS, Channel, MemoryReader, MemoryWriter, Probe, Sink, Source, run, stall, write

SMALL = Config(address_width=16, scratchpad_bytes=512)
CONFIGS = {
    "32": SMALL,
    "64": SMALL.replace(memory_width=64, axi_width=64, tables=True),
    "512": SMALL.replace(memory_width=512, axi_width=512, axi_outstanding=1),
}
WIDTHS = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
MEMORY = 1 << 16
BASES = (0, 0x1234, 0xFFF0, 0x8001)


def spaces(config):
    """The spaces that a configuration has."""
    return [space for space in Space if space is not Space.TABLES or config.tables]


def random_transfer(rng, config, opcode, space=Space.SCRATCHPAD):
    word = config.memory_bytes
    unit = 1 if space is Space.SCRATCHPAD else word
    base = rng.randrange(4)
    offset = rng.randrange(MEMORY)
    return isa.instruction(
        opcode,
        tag=rng.randrange(1 << 16),
        space=space,
        base=base,
        offset=offset - (BASES[base] + offset) % unit if unit > 1 else offset,
        step=rng.choice((0, rng.randrange(100), rng.randrange(1 << 32))) // unit * unit,
        local=rng.randrange(config.scratchpad_bytes) // unit * unit,
        local_step=rng.choice((0, rng.randrange(100), rng.randrange(1 << 24))) // unit * unit,
        bytes=rng.choice((unit, rng.randint(1, 4) * unit, rng.randint(1, 5 * word // unit) * unit)),
        rows=rng.choice((1, rng.randint(1, 9))),
    )


def payload(instruction):
    raw = int.from_bytes(isa.encode(instruction), "little")
    layout = isa.LAYOUTS[instruction.opcode]
    return {"payload": layout.from_bits(raw & (1 << layout.size) - 1)}


def rows(one):
    for row in range(one.rows):
        external = (BASES[one.base] + one.offset + row * one.step) % MEMORY
        yield external, (one.local + row * one.local_step) % (1 << isa.LOCAL_BITS)


class LoadBench:
    """A load unit with memory behind it and bytes in place of the local memories."""

    def __init__(self, config, program, seed=0, memory="flowing", local="flowing", latency=1, faults=()):
        self.config = config
        self.program = program
        self.image = random.Random(seed).randbytes(MEMORY)
        self.dut = LoadUnit(config)
        pauses = (stall(memory, seed + 1), stall(memory, seed + 2))
        self.memory = MemoryReader(self.dut.memory, self.image, config.memory_bytes, latency, pauses, faults)
        self.instructions = Source(Channel.of(self.dut.instruction))
        for one in program:
            self.instructions.put(payload(one))
        self.local = {space: bytearray(self.size(space)) for space in spaces(config)}
        self.targets = {}
        for space in spaces(config):
            channel = Channel.of(getattr(self.dut, space.name.lower()), "address", "data", "strobe")
            self.targets[space] = Sink(channel, stall(local, seed + 3 + space.value), self._writer(space))
        self.done = []
        self.errors = []
        self.activities = []
        # In front of the targets: it sees the writes of the cycles before its own.
        assert LoadUnit.DONE_LATENCY == 1
        data = self.dut.memory.data
        probe = Probe(
            self._watch,
            self.dut.done,
            self.dut.error.valid,
            self.dut.error.address,
            self.dut.activity,
            self.dut.tag,
            data.valid,
            data.ready,
        )
        self.models = [self.instructions, *self.memory.models, probe, *self.targets.values()]
        self.models += [Constant(self.dut.bases[index], base) for index, base in enumerate(BASES)]

    def size(self, space):
        return self.config.scratchpad_bytes if space is Space.SCRATCHPAD else 1 << 10

    def _writer(self, space):
        def take(item, cycle):
            write(self.local[space], item["address"], item["data"], item["strobe"], self.config.memory_bytes)

        return take

    def _watch(self, cycle, done, error, address, activity, tag, valid, ready):
        self.activities.append(Activity(activity))
        if done:
            self.done.append(cycle)
            assert self.local == self.expected(len(self.done))
        if Activity(activity) is Activity.BUSY:
            # Without a word it is the instruction that has just been completed.
            assert tag == self.program[len(self.done) - (not (valid and ready))].tag
        if error:
            self.errors.append(address)

    def expected(self, count):
        local = {space: bytearray(self.size(space)) for space in spaces(self.config)}
        for one in self.program[:count]:
            target = local.get(Space(one.space), bytearray(1))
            for external, address in rows(one):
                for byte in range(one.bytes):
                    target[(address + byte) % len(target)] = self.image[(external + byte) % MEMORY]
        return local

    def run(self, cycles=20_000):
        run(self.dut, self.models, lambda: len(self.done) >= len(self.program), cycles)
        assert len(self.done) == len(self.program)


class Constant:
    """Holds a signal at a value."""

    def __init__(self, signal, value):
        self.signal, self.value, self.signals = signal, value, []

    def drive(self, ctx, cycle):
        ctx.set(self.signal, self.value)

    def observe(self, cycle):
        pass


class StoreBench:
    """A store unit between a scratchpad's read port and memory."""

    def __init__(self, config, program, seed=0, memory="flowing", local="flowing", latency=1, faults=()):
        self.config = config
        self.program = program
        rng = random.Random(seed)
        self.before = rng.randbytes(MEMORY)
        self.image = bytearray(self.before)
        self.scratchpad = rng.randbytes(config.scratchpad_bytes)
        self.dut = StoreUnit(config)
        pauses = tuple(stall(memory, seed + index) for index in range(1, 4))
        self.memory = MemoryWriter(self.dut.memory, self.image, config.memory_bytes, latency, pauses, faults)
        self.instructions = Source(Channel.of(self.dut.instruction))
        for one in program:
            self.instructions.put(payload(one))
        self.reads = Sink(Channel.of(self.dut.store_read), stall(local, seed + 4), self._read)
        self.pipeline = deque()
        self.done = []
        self.errors = []
        self.activities = []
        probe = Probe(
            self._watch,
            self.dut.done,
            self.dut.error.valid,
            self.dut.error.address,
            self.dut.activity,
            self.dut.memory.data.valid,
            self.dut.memory.data.payload,
        )
        self.models = [self.instructions, *self.memory.models, self.reads, self, probe]
        self.models += [Constant(self.dut.bases[index], base) for index, base in enumerate(BASES)]
        self.signals = []

    def _read(self, item, cycle):
        size = self.config.scratchpad_bytes
        word = bytes(self.scratchpad[(item["payload"] + byte) % size] for byte in range(self.config.memory_bytes))
        self.pipeline.append((cycle + read_latency(self.config), int.from_bytes(word, "little")))

    def drive(self, ctx, cycle):
        valid = bool(self.pipeline) and self.pipeline[0][0] == cycle
        ctx.set(self.dut.store_valid, valid)
        # Undefined outside of its cycle.
        ctx.set(self.dut.store_data, self.pipeline.popleft()[1] if valid else 0x5A)

    def observe(self, cycle):
        pass

    def _watch(self, cycle, done, error, address, activity, valid, word):
        self.activities.append(Activity(activity))
        if valid:
            for byte in range(self.config.memory_bytes):
                assert word.strobe >> byte & 1 or word.data >> 8 * byte & 0xFF == 0
        if error:
            self.errors.append(address)
        if done:
            self.done.append(cycle)
            responses = sum(one.rows for one in self.program[: len(self.done)])
            assert self.memory.response.taken[responses - 1 :] == [cycle]

    def expected(self):
        image = bytearray(self.before)
        for one in self.program:
            for external, address in rows(one):
                for byte in range(one.bytes):
                    value = self.scratchpad[(address + byte) % len(self.scratchpad)]
                    image[(external + byte) % MEMORY] = value
        return image

    def run(self, cycles=20_000):
        run(self.dut, self.models, lambda: len(self.done) >= len(self.program), cycles)
        assert len(self.done) == len(self.program)
        assert self.image == self.expected()


@pytest.mark.parametrize("local", STALLS)
@pytest.mark.parametrize("memory", STALLS)
@WIDTHS
def test_loads_put_every_byte_in_its_place_and_no_other(config, memory, local):
    seed = STALLS.index(memory) * 3 + STALLS.index(local)
    rng = random.Random(seed)
    program = [random_transfer(rng, config, Opcode.LOAD, rng.choice(spaces(config))) for _ in range(12)]
    bench = LoadBench(config, program, seed, memory, local, latency=rng.choice((1, 5)))
    bench.run()
    assert bench.errors == []


@pytest.mark.parametrize("local", STALLS)
@pytest.mark.parametrize("memory", STALLS)
@WIDTHS
def test_stores_write_every_byte_and_no_other(config, memory, local):
    seed = STALLS.index(memory) * 3 + STALLS.index(local)
    rng = random.Random(seed)
    program = [random_transfer(rng, config, Opcode.STORE) for _ in range(12)]
    bench = StoreBench(config, program, seed, memory, local, latency=rng.choice((1, 5)))
    bench.run()
    assert bench.errors == []


@WIDTHS
def test_a_load_is_one_request_per_row_of_the_words_that_cover_it(config):
    word = config.memory_bytes
    one = isa.instruction(
        Opcode.LOAD, base=1, offset=word + 1, step=3 * word, local=7, local_step=2 * word, bytes=word, rows=3
    )
    bench = LoadBench(config, [one])
    bench.run()
    assert bench.memory.requests == [
        (external // word * word, (external % word + word - 1) // word + 1) for external, _ in rows(one)
    ]


def test_addresses_add_base_offset_and_steps_and_wrap_at_their_width():
    dut = Rows(SMALL.replace(address_width=32))
    bases = (0x10, 0x89AB_CDE0, 0xFFFF_FF00, 0x7FFF_FFF0)
    seen = []
    source = Source(Channel.of(dut.instruction))
    sink = Sink(
        Channel.of(dut.row, "external", "final"),
        take=lambda item, cycle: seen.append((item["external"], item["final"])),
    )
    for base in range(4):
        source.put(
            payload(isa.instruction(Opcode.LOAD, base=base, offset=0xFEDC_BA98, step=0x1234_5678, bytes=4, rows=20))
        )
    constants = [Constant(dut.bases[index], base) for index, base in enumerate(bases)]
    run(dut, [source, sink, *constants], lambda: len(seen) >= 80, 200)
    assert seen == [
        ((base + 0xFEDC_BA98 + row * 0x1234_5678) % (1 << 32), row == 19) for base in bases for row in range(20)
    ]
    assert sink.taken == list(range(source.taken[0] + Rows.LATENCY, source.taken[0] + Rows.LATENCY + 80))


def aligned(opcode, rows=1, words=1, config=SMALL, **fields):
    size = words * config.memory_bytes
    return isa.instruction(opcode, bytes=size, rows=rows, step=size, local_step=size, **fields)


def test_a_load_into_a_space_that_is_not_built_completes_and_changes_nothing():
    bench = LoadBench(SMALL, [aligned(Opcode.LOAD, 3, 2, space=Space.TABLES)], local="half")
    bench.run()


def test_latencies_of_a_load():
    bench = LoadBench(SMALL, [aligned(Opcode.LOAD, words=4)])
    bench.run()
    accepted = bench.instructions.taken[0]
    assert bench.memory.request.first_offer == accepted + LoadUnit.LATENCY
    assert LoadUnit.LATENCY == Rows.LATENCY == 1
    assert bench.targets[Space.SCRATCHPAD].taken == bench.memory.data.taken
    # A read behind `done` is a read WRITE_LATENCY cycles after the last write.
    assert LoadUnit.DONE_LATENCY == Scratchpad.WRITE_LATENCY - 1
    assert bench.done == [bench.memory.data.taken[-1] + LoadUnit.DONE_LATENCY]


def test_latencies_of_a_store():
    bench = StoreBench(SMALL, [aligned(Opcode.STORE, words=4)])
    bench.run()
    accepted = bench.instructions.taken[0]
    assert bench.memory.request.first_offer == accepted + StoreUnit.LATENCY
    assert bench.reads.first_offer == accepted + StoreUnit.LATENCY
    assert StoreUnit.LATENCY == 1
    # The scratchpad, and the buffer behind it.
    assert bench.memory.data.first_offer == bench.reads.first_offer + read_latency(bench.config) + 1
    assert bench.done == bench.memory.response.taken


@pytest.mark.parametrize("rows, words", [(64, 1), (8, 8), (1, 64)])
def test_loads_move_one_word_per_cycle_across_rows_and_instructions(rows, words):
    program = [aligned(Opcode.LOAD, rows, words) for _ in range(3)]
    bench = LoadBench(SMALL, program)
    bench.run()
    cycles = bench.memory.data.taken
    assert cycles == list(range(cycles[0], cycles[0] + 3 * 64))


@pytest.mark.parametrize("rows, words", [(64, 1), (8, 8), (1, 64)])
def test_stores_move_one_word_per_cycle_across_rows_and_instructions(rows, words):
    program = [aligned(Opcode.STORE, rows, words) for _ in range(3)]
    bench = StoreBench(SMALL, program)
    bench.run()
    cycles = bench.memory.data.taken
    assert cycles == list(range(cycles[0], cycles[0] + 3 * 64))


def test_requests_run_ahead_of_the_data_across_instructions():
    config = SMALL.replace(axi_outstanding=4)
    bench = LoadBench(config, [aligned(Opcode.LOAD, words=8) for _ in range(6)], latency=40)
    bench.run()
    first = bench.memory.request.taken[0]
    # Five are under way before the first word comes; then it flows.
    assert bench.memory.request.taken[:5] == list(range(first, first + 5))
    assert bench.memory.request.taken[5] > bench.memory.data.taken[0]
    assert bench.memory.data.taken[:40] == list(range(first + 40, first + 80))


def test_a_read_error_is_reported_with_the_address_of_the_row_and_the_load_goes_on():
    one = isa.instruction(Opcode.LOAD, offset=0x101, step=0x20, bytes=10, rows=4, local=0, local_step=16)
    bench = LoadBench(SMALL, [one, one], faults=[0x124])
    bench.run()
    assert bench.errors == [0x121, 0x121]


def test_a_write_error_is_reported_with_the_address_of_the_row_and_the_store_goes_on():
    one = isa.instruction(Opcode.STORE, offset=0x101, step=0x20, bytes=10, rows=4, local=0, local_step=16)
    bench = StoreBench(SMALL, [one, one], faults=[0x140])
    bench.run()
    assert bench.errors == [0x141, 0x141]


def test_activities_of_a_load_add_up():
    bench = LoadBench(SMALL, [aligned(Opcode.LOAD, words=10)], latency=7, local="half", seed=3)
    bench.run()
    target = bench.targets[Space.SCRATCHPAD]
    busy = [cycle for cycle, activity in enumerate(bench.activities) if activity is Activity.BUSY]
    assert busy == [*target.taken, bench.done[0]]
    blocked = bench.activities.count(Activity.WAIT_SCRATCHPAD)
    assert blocked == bench.done[0] - target.first_offer + 1 - len(busy)
    # The cycle in which the instruction is taken, and from the first request to the first word.
    assert bench.activities.count(Activity.WAIT_MEMORY) == 1 + LoadUnit.LATENCY + 6
    assert set(bench.activities[bench.done[0] + 1 :]) == {Activity.IDLE}


def test_activities_of_a_store_end_with_the_response():
    bench = StoreBench(SMALL, [aligned(Opcode.STORE, words=10)], latency=7)
    bench.run()
    busy = [cycle for cycle, activity in enumerate(bench.activities) if activity is Activity.BUSY]
    assert busy == bench.memory.data.taken
    assert bench.activities[busy[-1] + 1 : bench.done[0] + 1] == [Activity.WAIT_MEMORY] * 7
    assert set(bench.activities[bench.done[0] + 1 :]) == {Activity.IDLE}


def test_a_store_that_the_array_keeps_from_reading_waits_for_the_scratchpad():
    bench = StoreBench(SMALL, [aligned(Opcode.STORE, words=2)])
    bench.reads.pause = iter([True] * 9 + [False] * 1000).__next__
    bench.run()
    assert bench.activities.count(Activity.WAIT_SCRATCHPAD) == 8


def test_the_longest_row_on_the_narrowest_port_fits_a_request():
    bench = LoadBench(SMALL, [isa.instruction(Opcode.LOAD, offset=3, bytes=(1 << 24) - 1, rows=1)])
    requests = []
    bench.memory.request.take = lambda item, cycle: requests.append(item)
    run(bench.dut, bench.models, lambda: bool(requests), 20)
    assert requests == [{"address": 0, "words": (1 << 22) + 1}]
