import random
from collections import defaultdict, deque
from itertools import product

import pytest
from weft.rtl.axi import AxiLite, AxiMaster, Splitter, burst_words
from weft.rtl.config import Config

from .ports import STALLS, Channel, Probe, Sink, Source, run, stall, write

BASE = Config(address_width=16)
MEMORY = 1 << 16
FLOW = ("flowing",) * 5
SHAPES = pytest.mark.parametrize("ratio, burst", list(product((1, 2, 4), (1, 4, 16))))


def configuration(ratio=1, burst=16, **changes):
    return BASE.replace(axi_width=32 * ratio, axi_burst=burst, **changes)


class AxiSlave:
    """Memory on AXI4 that checks the rules it can see: lengths, the 4 KB rule, WLAST, outstanding bursts.
    Reads see it as it was before all writes."""

    def __init__(self, dut, config, image, seed=0, stalls=FLOW, latency=1, faults=(), order="any"):
        self.config, self.image, self.latency = config, image, latency
        self.before = bytes(image)
        self.width = config.axi_width // 8
        self.faults = set(faults)
        self.reads = []
        self.writes = []
        self.addresses = deque()
        self.beats = deque()
        pauses = [stall(pattern, seed + index) for index, pattern in enumerate(stalls)]
        self.ar = Sink(Channel.axi(dut, "m_axi_ar", "addr", "len", "size", "burst"), pauses[0], self._ar)
        self.r = Source(Channel.axi(dut, "m_axi_r", "data", "resp", "last"), pauses[1])
        self.aw = Sink(Channel.axi(dut, "m_axi_aw", "addr", "len", "size", "burst"), pauses[2], self._aw)
        self.w = Sink(Channel.axi(dut, "m_axi_w", "data", "strb", "last"), pauses[3], self._w)
        self.b = Source(Channel.axi(dut, "m_axi_b", "resp"), pauses[4])
        if order == "address waits for data":
            self.aw.pause = lambda: self.w.waiting is None
            self.w.pause = lambda: not self.addresses
        if order == "address waits for all data":
            self.aw.pause = lambda: not any(beat["last"] for beat in self.beats)
        if order == "data waits for address":
            self.w.pause = lambda: not self.addresses
        self.models = [self.ar, self.r, self.aw, self.w, self.b, self]
        self.signals = []

    def drive(self, ctx, cycle):
        pass

    def observe(self, cycle):
        assert len(self.reads) - self._complete() <= self.config.axi_outstanding
        assert len(self.writes) - len(self.b.taken) <= self.config.axi_outstanding

    def _complete(self):
        """Read bursts whose last beat was taken."""
        done = len(self.r.taken)
        for index, (_, beats) in enumerate(self.reads):
            done -= beats
            if done < 0:
                return index
        return len(self.reads)

    def _check(self, item):
        beats = item["len"] + 1
        assert item["burst"] == 1
        assert 1 << item["size"] == self.width
        assert item["addr"] % self.width == 0
        assert beats <= self.config.axi_burst
        assert item["addr"] // 4096 == (item["addr"] + beats * self.width - 1) // 4096
        return item["addr"], beats

    def _ar(self, item, cycle):
        address, beats = self._check(item)
        self.reads.append((address, beats))
        for index in range(beats):
            at = address + index * self.width
            beat = {
                "data": int.from_bytes(self.before[at : at + self.width], "little"),
                "resp": 2 if at in self.faults else 0,
                "last": index == beats - 1,
            }
            self.r.put(beat, cycle + self.latency)

    def _aw(self, item, cycle):
        address, beats = self._check(item)
        self.writes.append((address, beats))
        self.addresses.append((address, beats))
        self._finish(cycle)

    def _w(self, item, cycle):
        self.beats.append(item)
        self._finish(cycle)

    def _finish(self, cycle):
        while self.addresses and len(self.beats) >= self.addresses[0][1]:
            address, beats = self.addresses.popleft()
            for index in range(beats):
                beat = self.beats.popleft()
                assert beat["last"] == (index == beats - 1)
                write(self.image, address + index * self.width, beat["data"], beat["strb"], self.width)
            self.b.put({"resp": 2 if address in self.faults else 0}, cycle + self.latency)


class Bench:
    """Requests in front of the master, a slave behind it."""

    def __init__(self, config, seed=0, front="flowing", **slave):
        self.config = config
        self.word = config.memory_bytes
        self.rng = random.Random(seed)
        self.before = self.rng.randbytes(MEMORY)
        self.image = bytearray(self.before)
        self.dut = dut = AxiMaster(config)
        self.slave = AxiSlave(dut, config, self.image, seed, **slave)
        pauses = [stall(front, seed + 10 + index) for index in range(5)]
        self.read_request = Source(Channel.of(dut.read.request, "address", "words"), pauses[0])
        self.read_data = Sink(
            Channel.of(dut.read.data, "data", "last", "error"),
            pauses[1],
            lambda item, cycle: self.words.append((item["data"], item["last"], item["error"])),
        )
        self.write_request = Source(Channel.of(dut.write.request, "address", "words"), pauses[2])
        self.write_data = Source(Channel.of(dut.write.data, "data", "strobe"), pauses[3])
        self.response = Sink(
            Channel.of(dut.write.response, "error"),
            pauses[4],
            lambda item, cycle: self.responses.append(item["error"]),
        )
        self.words = []
        self.responses = []
        self.expected_words = []
        self.expected_responses = []
        self.expected = bytearray(self.before)
        self.written_bytes = defaultdict(list)
        self.front = [
            self.read_request,
            self.read_data,
            self.write_request,
            self.write_data,
            self.response,
        ]
        self.busy = []
        probe = Probe(lambda cycle, busy: self.busy.append(busy), dut.busy)
        self.models = [*self.slave.models, *self.front, probe]

    def request(self):
        """A random run of words; some wrap at the end of memory, some cross 4 KB, most are short."""
        words = self.rng.choice((1, self.rng.randint(1, 9), self.rng.randint(1, 80)))
        near = self.rng.choice((0, 0x1000, self.rng.randrange(MEMORY)))
        return (near - self.rng.randrange(200) * self.word) % MEMORY // self.word * self.word, words

    def bad(self, address):
        return address // self.slave.width * self.slave.width in self.slave.faults

    def add_read(self, address, words):
        self.read_request.put({"address": address, "words": words})
        for index in range(words):
            at = (address + index * self.word) % MEMORY
            data = int.from_bytes(self.before[at : at + self.word], "little")
            self.expected_words.append((data, index == words - 1, self.bad(at)))

    def add_write(self, address, words):
        self.write_request.put({"address": address, "words": words})
        for index in range(words):
            data = self.rng.randrange(1 << 8 * self.word)
            strobe = self.rng.choice(((1 << self.word) - 1, self.rng.randrange(1 << self.word)))
            self.write_data.put({"data": data, "strobe": strobe})
            write(self.expected, address + index * self.word, data, strobe, self.word)
            for byte in range(self.word):
                if strobe >> byte & 1:
                    at = (address + index * self.word + byte) % MEMORY
                    self.written_bytes[at].append(data >> 8 * byte & 0xFF)

    def finished(self):
        return len(self.words) >= len(self.expected_words) and len(self.responses) >= self.written()

    def written(self):
        return len(self.write_request.taken) + len(self.write_request.items)

    def run(self, cycles=20_000):
        run(self.dut, self.models, self.finished, cycles)
        assert self.words == self.expected_words
        assert len(self.responses) == self.written()
        assert self.image == self.expected
        assert self.busy[-1] == 0


def stalls_of(seed):
    rng = random.Random(seed)
    return FLOW if seed == 0 else tuple(rng.choice(STALLS) for _ in range(5))


@pytest.mark.parametrize("seed", range(3))
@SHAPES
def test_reads_give_every_word_and_mark_the_last(ratio, burst, seed):
    bench = Bench(
        configuration(ratio, burst),
        seed,
        STALLS[seed],
        stalls=stalls_of(seed),
        latency=(1, 10, 3)[seed],
    )
    for _ in range(12):
        bench.add_read(*bench.request())
    bench.run()
    assert set(bench.responses) == set()


@pytest.mark.parametrize("seed", range(3))
@SHAPES
def test_writes_change_the_strobed_bytes_and_no_other(ratio, burst, seed):
    bench = Bench(
        configuration(ratio, burst),
        seed,
        STALLS[seed],
        stalls=stalls_of(seed),
        latency=(1, 10, 3)[seed],
    )
    for _ in range(12):
        bench.add_write(*bench.request())
    bench.run()
    assert set(bench.responses) == {0}


@pytest.mark.parametrize("order", ["address waits for data", "address waits for all data", "data waits for address"])
def test_neither_address_nor_data_waits_for_the_other(order):
    bench = Bench(configuration(2, 4), order=order)
    for _ in range(10):
        bench.add_write(*bench.request())
    bench.run(3_000)


def test_reads_and_writes_do_not_block_each_other():
    bench = Bench(configuration(2, 4))
    bench.slave.aw.pause = lambda: len(bench.words) < 200
    bench.add_write(0x100, 64)
    bench.add_read(0x8000, 200)
    bench.run()


@pytest.mark.parametrize(
    "width, burst, beats", [(32, 1, 1), (32, 20, 16), (32, 256, 256), (128, 256, 256), (1024, 256, 32)]
)
def test_bursts_are_the_longest_aligned_ones(width, burst, beats):
    config = BASE.replace(axi_width=width, axi_burst=burst)
    assert burst_words(config) == beats
    bench = Bench(config)
    size = beats * width // 8
    start = size - width // 8  # the first burst is one beat
    bench.add_read(start, (width // 8 + 2 * size) // 4)
    bench.run()
    assert bench.slave.reads == [(start, 1), (size, beats), (2 * size, beats)]


def test_latencies():
    bench = Bench(configuration(2))
    bench.add_read(0, 4)
    bench.add_write(0x100, 4)
    bench.run()
    slave = bench.slave
    assert Splitter.LATENCY == AxiMaster.LATENCY == 1
    assert slave.ar.first_offer == bench.read_request.taken[0] + AxiMaster.LATENCY
    assert bench.read_data.first_offer == slave.r.taken[0] - 1
    assert slave.aw.first_offer == bench.write_request.taken[0] + AxiMaster.LATENCY + 1
    assert slave.w.taken == [cycle + 1 for cycle in bench.write_data.taken[1::2]]
    assert bench.response.taken == slave.b.taken


@pytest.mark.parametrize("ratio", (1, 2, 4))
def test_long_requests_move_one_word_per_cycle(ratio):
    bench = Bench(configuration(ratio))
    bench.add_read(0x10, 300)
    bench.add_read(0x2000, 300)
    bench.add_write(0x10, 300)
    bench.add_write(0x2000, 300)
    bench.run()
    # Cycle 0 takes the request, 1 has the address, 2 the first word.
    assert bench.read_data.taken == list(range(2, 602))
    assert bench.write_data.taken == list(range(2, 602))


@pytest.mark.parametrize("ratio, burst, outstanding", [(1, 8, 6), (2, 16, 3), (4, 4, 4), (1, 64, 2)])
def test_outstanding_bursts_hide_a_latency_of_40_cycles(ratio, burst, outstanding):
    bench = Bench(configuration(ratio, burst, axi_outstanding=outstanding), latency=40)
    assert (outstanding - 1) * burst * ratio >= 40
    bench.add_read(0, 400)
    bench.run()
    assert bench.read_data.taken == list(range(41, 441))


def test_too_few_outstanding_bursts_do_not_hide_it():
    bench = Bench(configuration(1, 8, axi_outstanding=5), latency=40)
    bench.add_read(0, 400)
    bench.run()
    assert bench.read_data.taken != list(range(41, 441))


def test_a_read_error_marks_its_words():
    bench = Bench(configuration(2, 4), faults=[0x108, 0x130])
    bench.add_read(0x104, 20)
    bench.add_read(0x200, 4)
    bench.run()
    assert [index for index, (_, _, error) in enumerate(bench.words) if error] == [1, 2, 11, 12]


def test_a_response_is_an_error_when_any_burst_of_its_request_failed():
    bench = Bench(configuration(1, 4), faults=[0x100, 0x208])
    for address, words in ((0x100, 12), (0x140, 12), (0x208, 1), (0x240, 1)):
        bench.add_write(address, words)
    bench.run()
    assert bench.responses == [1, 0, 1, 0]


@pytest.mark.parametrize("seed", range(12))
def test_abandoned_requests_end_without_effect_and_new_ones_follow(seed):
    """The core behind the port is reset in the middle of its transfers."""
    rng = random.Random(seed)
    bench = Bench(
        configuration(rng.choice((1, 2, 4)), rng.choice((4, 16))),
        seed,
        rng.choice(STALLS),
        stalls=stalls_of(seed),
        latency=rng.choice((1, 12)),
    )
    for _ in range(6):
        bench.add_read(*bench.request())
        bench.add_write(*bench.request())
    moment = rng.randint(1, 120)
    old = bench.written_bytes
    words = []

    class Abandon:
        signals = []

        def drive(self, ctx, cycle):
            ctx.set(bench.dut.abandon, cycle == moment)
            if cycle == moment:
                bench.read_data.waiting = bench.response.waiting = None

        def observe(self, cycle):
            if cycle != moment:
                return
            words.append(len(bench.words))
            for source in (bench.read_request, bench.write_request, bench.write_data):
                source.items.clear()
                source.taken.clear()
                source.offered = False
            bench.written_bytes = defaultdict(list)
            bench.words.clear()
            bench.responses.clear()
            bench.expected_words.clear()
            for _ in range(4):
                bench.add_read(*bench.request())
                bench.add_write(*bench.request())

    # Last: it sees what the others did in its cycle.
    bench.models.append(Abandon())
    run(bench.dut, bench.models, lambda: bool(words) and bench.finished(), 10_000)
    assert bench.words == bench.expected_words
    assert bench.responses == [0] * 4
    assert bench.busy[-1] == 0
    # What the new requests wrote is there; elsewhere is what was there before or what an abandoned request
    # brought.
    new = bench.written_bytes
    for byte in range(MEMORY):
        allowed = new[byte][-1:] or [bench.before[byte], *old[byte]]
        assert bench.image[byte] in allowed


def test_the_error_of_an_abandoned_request_is_forgotten():
    bench = Bench(configuration(1, 4), faults=[0x100])
    bench.slave.aw.pause = lambda: len(bench.slave.writes) == 1
    bench.add_write(0x100, 16)
    moment = 40

    class Abandon:
        signals = [bench.dut.busy]

        def drive(self, ctx, cycle):
            ctx.set(bench.dut.abandon, cycle == moment)

        def observe(self, cycle, busy):
            if cycle == moment:
                # The first burst has failed, the second waits for its address to be taken; the fourth is
                # never made.
                assert len(bench.slave.b.taken) == 1
                assert busy
                bench.slave.aw.pause = lambda: False
                bench.write_data.items.clear()
                bench.write_request.taken.clear()
                bench.add_write(0x200, 1)

    bench.models.append(Abandon())
    run(bench.dut, bench.models, lambda: bool(bench.responses), 200)
    assert bench.responses == [0]


class LiteBench:
    """A host in front of the AXI-Lite slave and registers behind it; read number n gives n."""

    def __init__(self, accesses, seed=0, stalls=FLOW):
        self.dut = dut = AxiLite()
        pauses = [stall(pattern, seed + index) for index, pattern in enumerate(stalls)]
        self.aw = Source(Channel.axi(dut, "s_axil_aw", "addr"), pauses[0])
        self.w = Source(Channel.axi(dut, "s_axil_w", "data", "strb"), pauses[1])
        self.b = Sink(
            Channel.axi(dut, "s_axil_b", "resp"), pauses[2], lambda item, _: self.b_items.append(item["resp"])
        )
        self.ar = Source(Channel.axi(dut, "s_axil_ar", "addr"), pauses[3])
        self.r = Sink(Channel.axi(dut, "s_axil_r", "data", "resp"), pauses[4], self._r)
        self.b_items = []
        self.r_items = []
        self.writes = []
        self.reads = []
        for access in accesses:
            if len(access) == 1:
                self.ar.put({"addr": access[0]})
            else:
                address, data, strobe = access
                self.aw.put({"addr": address})
                self.w.put({"data": data, "strb": strobe})
        self.wanted = (len(self.aw.items), len(self.ar.items))
        self.answer = 0xDEAD
        port = dut.registers
        self.signals = [port.address, port.write, port.write_data, port.read]
        self.models = [self.aw, self.w, self.b, self.ar, self.r, self]

    def _r(self, item, cycle):
        assert item["resp"] == 0
        self.r_items.append(item["data"])

    def drive(self, ctx, cycle):
        ctx.set(self.dut.registers.read_data, self.answer)
        self.answer = 0xDEAD

    def observe(self, cycle, address, write, data, read):
        assert not (write and read)
        if write:
            self.writes.append((address, data))
        if read:
            self.answer = len(self.reads)
            self.reads.append(address)

    def run(self):
        run(self.dut, self.models, lambda: (len(self.b_items), len(self.r_items)) == self.wanted, 2_000)
        assert (len(self.b_items), len(self.r_items)) == self.wanted
        assert self.r_items == list(range(self.wanted[1]))


@pytest.mark.parametrize("seed", range(8))
def test_register_accesses_arrive_once_and_in_order(seed):
    rng = random.Random(seed)
    accesses = [
        (rng.randrange(1 << 12),)
        if rng.random() < 0.5
        else (rng.randrange(1 << 12), rng.randrange(1 << 32), rng.choice((0xF, 0xF, 0, rng.randrange(16))))
        for _ in range(60)
    ]
    bench = LiteBench(accesses, seed, stalls_of(seed))
    bench.run()
    assert bench.reads == [access[0] // 4 * 4 for access in accesses if len(access) == 1]
    writes = [access for access in accesses if len(access) == 3]
    assert bench.writes == [(address // 4 * 4, data) for address, data, strobe in writes if strobe == 0xF]
    assert bench.b_items == [0 if strobe in (0, 0xF) else 2 for _, _, strobe in writes]


def test_latencies_of_registers():
    bench = LiteBench([(0x10,)])
    bench.run()
    assert bench.r.first_offer == bench.ar.taken[0] + bench.dut.READ_LATENCY
    bench = LiteBench([(0x10, 1, 0xF)])
    bench.run()
    assert bench.b.first_offer == bench.aw.taken[0] + AxiLite.WRITE_LATENCY


def test_reads_are_not_starved_by_writes():
    bench = LiteBench([(0x10, value, 0xF) for value in range(40)] + [(0x20,)])
    bench.run()
    assert bench.ar.taken[0] <= 2
    assert bench.aw.taken[-1] <= 42
