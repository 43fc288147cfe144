import random
from collections import deque

import pytest
from weft.rtl import bus
from weft.rtl.bus import ReadArbiter
from weft.rtl.config import Config

from .ports import STALLS, Channel, MemoryReader, Sink, Source, run, stall

CONFIG = Config(address_width=16, axi_outstanding=3)
WORD = CONFIG.memory_bytes
SIDES = ("fetch", "load")


class Bench:
    """Requests of both sides, and memory behind the arbiter."""

    def __init__(self, requests, seed=0, side="flowing", memory="flowing", latency=3):
        self.image = random.Random(seed).randbytes(1 << 16)
        self.requests = requests
        self.dut = ReadArbiter(CONFIG)
        pauses = (stall(memory, seed), stall(memory, seed + 1))
        self.memory = MemoryReader(self.dut.port, self.image, WORD, latency, pauses)
        self.sources = {}
        self.sinks = {}
        self.received = {name: [] for name in SIDES}
        for index, name in enumerate(SIDES):
            port = getattr(self.dut, name)
            self.sources[name] = Source(Channel.of(port.request, "address", "words"), stall(side, seed + 2 + index))
            for address, words in requests[name]:
                self.sources[name].put({"address": address, "words": words})
            self.sinks[name] = Sink(
                Channel.of(port.data, "data", "last", "error"),
                stall(side, seed + 4 + index),
                lambda item, cycle, name=name: self.received[name].append((item["data"], item["last"])),
            )
        self.models = [*self.memory.models, *self.sources.values(), *self.sinks.values()]

    def expected(self, name):
        words = []
        for address, count in self.requests[name]:
            for index in range(count):
                at = (address + index * WORD) % len(self.image)
                words.append((int.from_bytes(self.image[at : at + WORD], "little"), index == count - 1))
        return words

    def run(self, cycles=5_000):
        wanted = {name: self.expected(name) for name in SIDES}
        run(
            self.dut,
            self.models,
            lambda: all(len(self.received[name]) >= len(wanted[name]) for name in SIDES),
            cycles,
        )
        assert self.received == wanted


@pytest.mark.parametrize("memory", STALLS)
@pytest.mark.parametrize("side", STALLS)
def test_each_side_gets_what_it_asked_for_in_order(side, memory):
    seed = STALLS.index(side) * 3 + STALLS.index(memory)
    rng = random.Random(seed)
    requests = {name: [(rng.randrange(1 << 14) * WORD, rng.randint(1, 6)) for _ in range(40)] for name in SIDES}
    Bench(requests, seed, side, memory, latency=rng.randint(1, 9)).run()


def test_waiting_sides_take_turns():
    bench = Bench({"fetch": [(0, 2)] * 6, "load": [(0x1000, 2)] * 6})
    bench.run()
    assert bench.memory.requests == [(0, 2), (0x1000, 2)] * 6


def test_a_side_that_waits_is_next_although_the_other_asks_in_every_cycle():
    bench = Bench({"fetch": [], "load": [(0x1000, 1)] * 30})
    late = bench.sources["fetch"]
    late.items = deque([(10, {"address": 0, "words": 1})])
    bench.requests["fetch"] = [(0, 1)]
    bench.run()
    assert late.taken[0] <= 11


def test_requests_and_data_pass_in_their_own_cycle():
    bench = Bench({"fetch": [], "load": [(0, 4)]})
    bench.run()
    assert bench.dut.LATENCY == 0
    assert bench.memory.request.first_offer == 0
    assert bench.sinks["load"].taken == bench.memory.data.taken == [3, 4, 5, 6]


def test_as_many_requests_are_under_way_as_memory_can_have():
    bench = Bench({"fetch": [], "load": [(0, 1)] * 6}, latency=30)
    bench.run()
    under_way = bus.requests_in_flight(CONFIG)
    assert under_way == CONFIG.axi_outstanding + 1
    assert bench.memory.request.taken[:under_way] == list(range(under_way))
    assert bench.memory.request.taken[under_way] == bench.memory.data.taken[0] + 1
