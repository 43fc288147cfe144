"""Bursts of the memory port, one after the other, and the writes of the drain between them."""

import heapq

import pytest
from weft.rtl.config import Config
from weft.rtl.isa import Opcode, instruction
from weft.sw.cycles.estimate import READ_LATENCY, Memory
from weft.sw.cycles.memory_port import AHEAD, MemoryPort, Writes, burst_beats, share_of

CONFIG = Config(memory_width=64, axi_width=64)


class Clock:
    """Time that goes from event to event."""

    def __init__(self, memory=None):
        self.config = CONFIG
        self.memory = memory or Memory()
        self.now = 0
        self.events = []

    def at(self, time, event):
        heapq.heappush(self.events, (time, len(self.events), event))

    def run(self):
        while self.events:
            self.now, _, event = heapq.heappop(self.events)
            event()


def times(*requests, memory=None, writes=()):
    """When requests for so many words are answered, all asked for at 0; (load, words, scratchpad)."""
    clock = Clock(memory)
    port = MemoryPort(clock)
    port.writes.extend(writes)
    done = [0] * len(requests)
    for index, (load, words, scratchpad) in enumerate(requests):
        port.ask(load, 0, words, scratchpad, lambda index=index: done.__setitem__(index, clock.now))
    clock.run()
    return done


def test_a_word_comes_each_cycle_behind_the_latency():
    assert times((True, 200, False)) == [READ_LATENCY + 200]


def test_a_narrow_memory_takes_its_time():
    # It has some words ready when it is asked for them.
    assert times((True, 200, False), memory=Memory(bandwidth=2)) == [READ_LATENCY + 4 * (200 - AHEAD)]


def test_fetch_and_load_take_turns():
    loads = [(True, 64, False)] * 3
    first, second, third, fetched = times(*loads, (False, 8, False))
    # The second one was offered before there was anything to fetch.
    assert first < second < fetched < third


def test_writes_of_the_drain_are_in_the_way_of_the_scratchpad_alone():
    busy = [Writes(0, 1000, 2, 1.0)]
    inside, outside = (times((True, 100, one), writes=busy)[0] for one in (True, False))
    assert outside == READ_LATENCY + 100
    assert inside == READ_LATENCY + 200


def test_a_narrow_memory_has_the_next_word_ready_while_one_waits_for_the_drain():
    busy = [Writes(0, 1000, 2, 1.0)]
    inside, outside = (times((True, 64, one), memory=Memory(bandwidth=4), writes=busy)[0] for one in (True, False))
    assert inside == outside + 2 * AHEAD


@pytest.mark.parametrize(
    "bandwidth, idle, reading",
    [(None, 1.0, 1.0), (16, 1.0, 1.0), (12, 1.0, 0.5), (8, 1.0, 0.0), (4, 0.5, 0.0)],
)
def test_writes_get_what_reads_leave(bandwidth, idle, reading):
    """Words of 8 bytes: reads come first."""
    clock = Clock(Memory(bandwidth=bandwidth))
    told = []
    port = MemoryPort(clock, lambda pace: told.append((clock.now, pace)))
    port.ask(True, 0, 64, False, lambda: None)
    clock.run()
    paces = dict(told)
    assert paces[0] == idle
    assert paces.get(READ_LATENCY, 1.0) == pytest.approx(reading, abs=0.13)
    assert told[-1][1] == idle


def test_a_request_is_taken_when_the_one_before_has_been_cut_into_bursts():
    clock = Clock()
    port = MemoryPort(clock)
    taken = []
    for words in (1, 64 * (CONFIG.axi_outstanding + 1), 1):
        port.ask(True, 0, words, False, lambda: None, lambda: taken.append(clock.now))
    clock.run()
    first, second, third = taken
    assert (first, second) == (1, 2)
    # Its last burst waits for two others to be complete.
    assert third == READ_LATENCY + 1 + 64 + 2


@pytest.mark.parametrize("beats, width, wanted", [(64, 64, 64), (16, 64, 16), (64, 1024, 32), (24, 64, 16)])
def test_bursts_are_powers_of_two_below_4_kb(beats, width, wanted):
    assert burst_beats(CONFIG.replace(axi_burst=beats, axi_width=width)) == wanted


@pytest.mark.parametrize(
    "writes, wanted",
    [
        (Writes(10, 19, 1, 1.0), 5),
        (Writes(10, 10, 1, 1.0), 1),
        (Writes(0, 30, 4, 1.0), 1),
        (Writes(3, 9, 2, 1.0), 0),
        (Writes(20, 9, 1, 1.0), 0),
    ],
)
def test_writes_that_are_in_the_way(writes, wanted):
    assert writes.delay(10, 15) == wanted


@pytest.mark.parametrize(
    "changes, values, wanted",
    [
        ({}, {"channels": 64, "pixel_pitch": 64}, 1 - 2 / 8),
        ({"lanes": 8}, {"channels": 64, "pixel_pitch": 64}, 0),
        ({}, {"channels": 8, "pixel_pitch": 64}, 1),
        ({}, {"channels": 8, "pixel_pitch": 8}, 1 - 2 / 8),
        ({}, {"channels": 64, "pixel_pitch": 64, "window_height": 2, "window_width": 2}, 0.5),
    ],
)
def test_banks_are_taken_by_turns(changes, values, wanted):
    config = Config(**{"rows": 8, "cols": 8, "lanes": 2, "memory_width": 64, "axi_width": 64} | changes)
    one = instruction(Opcode.DRAIN, **{"window_height": 1, "window_width": 1} | values)
    assert share_of(config, one) == wanted
