"""The memory port while a program is played through: bursts, latency, bandwidth, and who waits for whom."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, inf
from typing import Protocol

from weft.rtl.config import Config
from weft.rtl.isa import Instruction

from .estimate import MEMORY_LATENCY, Memory, read_latency

Event = Callable[[], None]


class Clock(Protocol):
    """What time it is, and what happens when."""

    config: Config
    memory: Memory
    now: int

    def at(self, time: int, event: Event) -> None:
        """Let something happen at a time."""


def _nobody(pace: float) -> None:
    """Nobody writes."""


AHEAD = 4
"""Words that a slow memory has ready when it had a pause."""

RECENT = 4
"""DRAINs that may still write while a burst for the scratchpad arrives."""


@dataclass(frozen=True)
class Writes:
    """A DRAIN writes to the scratchpad in cycle `first`, then every `step` cycles up to `last`."""

    first: int
    last: int
    step: int
    share: float
    """Of the writes, those to the bank that a LOAD needs."""

    def delay(self, start: int, stop: int) -> float:
        """What writes from `start` on and before `stop` cost the words of a LOAD."""
        return self.share * (self._before(stop) - self._before(start))

    def _before(self, time: int) -> int:
        return max((min(time, self.last + 1) - self.first + self.step - 1) // self.step, 0)


def share_of(config: Config, one: Instruction) -> float:
    """How many of a DRAIN's writes are to the bank that a LOAD needs: what both write goes through the banks by turns,
    so that after a while a LOAD finds one free for as many bytes as the DRAIN writes to the other."""
    word = config.word_bytes
    if one.window_height * one.window_width > 1:
        return 0.5
    if one.channels <= word and one.pixel_pitch % (2 * word) == 0:
        # All are to the same bank.
        return 1.0
    share: float = max(1 - config.lanes / config.memory_bytes, 0.0)
    return share


def burst_beats(config: Config) -> int:
    """Beats of the bursts in the middle of a long transfer: a power of two, and no more than 4 KB."""
    longest: int = min(config.axi_burst, 4096 * 8 // config.axi_width)
    return 1 << longest.bit_length() - 1


def burst_words(config: Config) -> int:
    """Words of such a burst."""
    words: int = burst_beats(config) * config.axi_width // config.memory_width
    return words


@dataclass
class _Request:
    """Words that memory is asked for."""

    bursts: deque[int]
    """Words of each burst."""
    scratchpad: bool
    taken: Event | None
    """Called when the next request may be made."""
    done: Event
    """Called when the last word is there."""
    left: int
    """Bursts that are not there yet."""


class MemoryPort:
    """The reading half of the memory port: fetch and load take turns, requests are cut into bursts, a few bursts are
    outstanding, and a word arrives per cycle, in order. Words for the scratchpad wait where the drain writes.

    Memory answers reads first. `left` is told, whenever that changes, how many words per cycle it takes meanwhile.
    """

    def __init__(self, clock: Clock, left: Callable[[float], None] = _nobody) -> None:
        self.clock = clock
        config = clock.config
        self.burst_words = burst_words(config)
        self.outstanding = config.axi_outstanding
        self.latency = read_latency(clock.config) - MEMORY_LATENCY + clock.memory.latency
        self.word_cycles = config.memory_bytes / clock.memory.bytes_per_cycle(config)
        bandwidth = clock.memory.bandwidth
        self.total = inf if bandwidth is None else bandwidth / config.memory_bytes
        """Words per cycle of reads and writes together."""
        self.left = left
        left(min(self.total, 1.0))
        self.waiting: dict[bool, deque[_Request]] = {False: deque(), True: deque()}
        """Requests of fetch (False) and load (True)."""
        self.turn = False
        self.current: _Request | None = None
        self.ready = clock.now
        """When the next burst, or request, can be taken."""
        self.arriving: deque[tuple[int, int, _Request]] = deque()
        """When the first word of a burst comes at the earliest, and how many words it has."""
        self.expecting = False
        self.writes: deque[Writes] = deque(maxlen=RECENT)
        self.free = 0.0
        self.paid = -inf

    def ask(
        self, load: bool, offset: int, words: int, scratchpad: bool, done: Event, taken: Event | None = None
    ) -> None:
        """Request words from a memory address on, which counts words; `taken` is called when the port has taken the
        request, and `done` when the last word is there."""
        first = min(self.burst_words - offset % self.burst_words, words)
        rest = words - first
        bursts = deque([first, *[self.burst_words] * (rest // self.burst_words)])
        if rest % self.burst_words:
            bursts.append(rest % self.burst_words)
        self.waiting[load].append(_Request(bursts, scratchpad, taken, done, len(bursts)))
        self._offer()
        self._issue()

    def _offer(self) -> None:
        """What is offered is not withdrawn: a request that waits alone will be the next one."""
        for load in (False, True):
            if self.waiting[load] and not self.waiting[not load]:
                self.turn = load

    def _issue(self) -> None:
        if self.ready > self.clock.now:
            return
        if self.current is None:
            chosen = self.turn if self.waiting[self.turn] else not self.turn
            if not self.waiting[chosen]:
                return
            self.current = self.waiting[chosen].popleft()
            self.turn = not chosen
            self._offer()
            if self.current.taken is not None:
                self.clock.at(self.clock.now + 1, self.current.taken)
        if not self.outstanding:
            return
        self.outstanding -= 1
        request = self.current
        self.arriving.append((self.clock.now + self.latency, request.bursts.popleft(), request))
        if not request.bursts:
            self.current = None
        self.ready = self.clock.now + 1
        self.clock.at(self.ready, self._issue)
        self._expect()

    def _expect(self) -> None:
        """Look again when the burst that comes next may be complete."""
        if not self.expecting:
            if self.total < 2:
                self._share()
            if self.arriving:
                self.expecting = True
                self.clock.at(max(self._complete_at(), self.clock.now), self._arrive)

    def _share(self) -> None:
        """Tell what reads leave to writes."""
        begin = max(self.free, self.arriving[0][0]) if self.arriving else inf
        if begin <= self.clock.now:
            words = self.arriving[0][1] / (self._complete_at() - begin)
            self.left(max(min(self.total - words, 1.0), 0.0))
        else:
            self.left(min(self.total, 1.0))
            if self.arriving:
                self.clock.at(ceil(begin), self._share)

    def _complete_at(self) -> int:
        """When the burst that comes next is complete, as far as writes of the drain are known. A word that waits for
        one does not keep memory from having the next one ready."""
        first, words, request = self.arriving[0]
        start = max(self.free, first)
        soonest = max(start + words, self._paid_behind(start, words))
        finish = soonest
        if request.scratchpad:
            while finish != (later := max(soonest, start + words + self._delay(start, finish))):
                finish = later
        complete: int = ceil(finish)
        return complete

    def _paid_behind(self, start: float, words: int) -> float:
        """When as many words have passed as a slow memory can give."""
        paid: float = max(self.paid, start - AHEAD * self.word_cycles) + words * self.word_cycles
        return paid

    def _delay(self, start: float, finish: float) -> float:
        return sum(one.delay(int(start), int(finish)) for one in self.writes)

    def _arrive(self) -> None:
        self.expecting = False
        if self._complete_at() <= self.clock.now:
            first, words, request = self.arriving.popleft()
            self.paid = self._paid_behind(max(self.free, first), words)
            self.free = max(self.free, self.clock.now)
            self.outstanding += 1
            request.left -= 1
            if not request.left:
                request.done()
            self._issue()
        self._expect()
