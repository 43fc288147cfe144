"""Traffic for the memories behind the memory port, and what all of them must do."""

import random

from tests.rtl.common import simulate
from tests.rtl.ports import Channel, Probe, Sink, Source, run, stall

BYTES = 1024


class Traffic:
    """Random traffic of the three masters, each in a third of memory of its own, which is all a word's order asks."""

    def __init__(self, dut, width, pattern, seed):
        self.rng = random.Random(seed)
        self.word = width // 8
        self.memory = bytearray(self.rng.randbytes(BYTES))
        self.expected = []
        self.got = []
        self.responses = 0
        pauses = [stall(pattern, seed + index) for index in range(6)]
        self.requests = Source(Channel.of(dut.read.request, "address", "words"), pauses[0])
        self.words = Sink(Channel.of(dut.read.data, "data", "last", "error"), pauses[1], self._read)
        self.writes = Source(Channel.of(dut.write.request, "address", "words"), pauses[2])
        self.data = Source(Channel.of(dut.write.data, "data", "strobe"), pauses[3])
        self.answers = Sink(Channel.of(dut.write.response, "error"), pauses[4], self._answered)
        host = Channel(
            dut.host.valid,
            dut.host.ready,
            {name: getattr(dut.host, name) for name in ("write", "address", "write_data")},
        )
        self.host = Source(host, pauses[5])
        self.host_expected = []
        self.host_got = []
        self.host_reads = []
        self.probe = Probe(self._host_data, dut.host.valid, dut.host.ready, dut.host.write, dut.host.read_data)
        self.pending = False
        self.models = [
            *(self.requests, self.words, self.writes, self.data, self.answers, self.host),
            self.probe,
        ]
        self.asked = 0

    def _read(self, item, cycle):
        self.got.append((item["data"], item["last"], item["error"]))

    def _answered(self, item, cycle):
        self.responses += 1

    def _host_data(self, cycle, valid, ready, write, data):
        if self.pending:
            self.host_got.append(data)
        self.pending = bool(valid and ready and not write)

    def plan(self, count):
        third = BYTES // 4
        for _ in range(count):
            words = self.rng.randint(1, 6)
            address = self.rng.randrange(third // self.word - words) * self.word
            self.requests.put({"address": address, "words": words})
            for index in range(words):
                raw = self.memory[address + index * self.word :][: self.word]
                self.expected.append((int.from_bytes(raw, "little"), index == words - 1, 0))
            address += third
            self.writes.put({"address": address, "words": words})
            self.asked += 1
            for index in range(words):
                raw, strobe = self.rng.randbytes(self.word), self.rng.randrange(1 << self.word)
                self.data.put({"data": int.from_bytes(raw, "little"), "strobe": strobe})
                for byte in range(self.word):
                    if strobe >> byte & 1:
                        self.memory[address + index * self.word + byte] = raw[byte]
            address = 2 * third + 4 * self.rng.randrange(third // 4)
            if self.rng.random() < 0.5:
                raw = self.rng.randbytes(4)
                self.memory[address : address + 4] = raw
                item = {"write": 1, "address": address // 4, "write_data": int.from_bytes(raw, "little")}
            else:
                self.host_expected.append(int.from_bytes(self.memory[address : address + 4], "little"))
                item = {"write": 0, "address": address // 4, "write_data": 0}
            self.host.put(item)

    def fill(self):
        for address in range(0, BYTES, 4):
            word = int.from_bytes(self.memory[address : address + 4], "little")
            self.host.put({"write": 1, "address": address // 4, "write_data": word})

    def dump(self):
        for address in range(0, BYTES, 4):
            self.host_expected.append(int.from_bytes(self.memory[address : address + 4], "little"))
            self.host.put({"write": 0, "address": address // 4, "write_data": 0})

    def done(self):
        return (
            not self.host.items
            and len(self.got) == len(self.expected)
            and self.responses == self.asked
            and len(self.host_got) == len(self.host_expected)
        )


def check_three_masters(dut, width, pattern):
    """The NPU's reads and writes and the host, at once."""
    traffic = Traffic(dut, width, pattern, 1)
    state = iter(("work", "dump", "end"))
    traffic.fill()

    def step():
        if not traffic.done():
            return False
        now = next(state, "end")
        if now == "work":
            traffic.plan(40)
        elif now == "dump":
            traffic.dump()
        return now == "end"

    finished = []

    def until():
        if not finished and step():
            finished.append(True)
        return bool(finished)

    run(dut, traffic.models, until, cycles=20000)
    assert traffic.got == traffic.expected
    assert traffic.host_got == traffic.host_expected


def check_a_word_per_cycle(dut):
    """A request takes no more."""
    requests = Source(Channel.of(dut.read.request, "address", "words"))
    requests.put({"address": 0, "words": 16})
    words = Sink(Channel.of(dut.read.data, "data", "last", "error"))
    run(dut, [requests, words], lambda: len(words.taken) == 16, cycles=100)
    first = requests.taken[0] + dut.READ_LATENCY
    assert words.taken == list(range(first, first + 16))


def check_abandon(dut):
    """What is under way is forgotten."""

    async def bench(ctx):
        ctx.set(dut.read.request.payload.words, 5)
        ctx.set(dut.read.request.valid, 1)
        ctx.set(dut.write.request.payload.words, 5)
        ctx.set(dut.write.request.valid, 1)
        await ctx.tick()
        ctx.set(dut.read.request.valid, 0)
        ctx.set(dut.write.request.valid, 0)
        await ctx.tick().repeat(dut.READ_LATENCY + 1)
        assert ctx.get(dut.read.data.valid)
        assert not ctx.get(dut.write.request.ready)
        ctx.set(dut.abandon, 1)
        await ctx.tick()
        ctx.set(dut.abandon, 0)
        assert not ctx.get(dut.read.data.valid)
        assert ctx.get(dut.read.request.ready)
        assert ctx.get(dut.write.request.ready)
        for _ in range(dut.READ_LATENCY + 1):
            await ctx.tick()
            assert not ctx.get(dut.read.data.valid)

    simulate(dut, bench, cycles=50)
