"""The scratchpad's reads, which the array leaves to STOREs, and memory's writes, which reads leave to them."""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, inf
from typing import Protocol

from weft.rtl.config import Config
from weft.rtl.isa import Instruction, Mode

from .estimate import Memory
from .memory_port import Event, burst_words

PATIENCE = 15
"""Reads of the array between two times that it leaves some out, while a STORE waits."""

LEFT_OUT = 2
"""Reads that it leaves out then: a word of the STORE each, and a cycle of the array's."""

ANSWER_CYCLES = 2
"""From a response to the cycle before the first word of the burst that has waited for it."""

CLOSE = 1e-6
"""What sums of fractions of a word may be off."""


class Clock(Protocol):
    """What time it is, and what happens when."""

    now: int

    def at(self, time: int, event: Event) -> None:
        """Let something happen at a time."""


@dataclass(frozen=True)
class Gaps:
    """What a CONV leaves to STOREs."""

    pace: float
    """Words per cycle, at most."""
    costly: bool
    """Each word costs the array a cycle."""


def gaps_of(config: Config, one: Instruction) -> Gaps:
    """A pass that waits for weights leaves the cycles in which it does. Other passes are held up behind their first
    pixel; those down the columns between two rows of pixels."""
    pixels = one.ox_count * one.oy_count
    if pixels < config.weight_steps:
        return Gaps(1 - pixels / config.weight_steps, False)
    if one.mode == Mode.COLUMNS.value:
        between = ceil(PATIENCE / one.ox_count) * one.ox_count
    elif pixels > 1:
        between = PATIENCE
    else:
        return Gaps(0.0, False)
    return Gaps(LEFT_OUT / (between + LEFT_OUT), True)


def answered(config: Config, rows: int, words: int, memory: Memory) -> float:
    """Words per cycle of a STORE of so many in `rows` rows, if it has to wait for responses: few bursts are under way
    at once, and a burst ends with its row."""
    outstanding: int = config.axi_outstanding
    if rows <= outstanding:
        return inf
    each = min(words / rows, burst_words(config))
    return outstanding * each / (memory.latency + ANSWER_CYCLES + each)


@dataclass
class _Work:
    """What a unit is doing."""

    left: float
    """Cycles of the array, or words of a STORE."""
    done: Event


class Sharing:
    """The array's CONV and a STORE, each at the pace that the other leaves it.

    A pace changes when a CONV or a STORE begins or ends, and when words begin or cease to arrive from memory; the time
    between is gone through in one step.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._time = clock.now
        self._array: _Work | None = None
        self._gaps = Gaps(inf, False)
        self._store: _Work | None = None
        self._answers = inf
        """Words per cycle of the STORE, as memory answers."""
        self._writes = 1.0
        """Words per cycle that memory takes."""
        self._plans = 0
        """Number of the plan that holds: a change makes what was announced before void."""

    def convolve(self, cycles: int, gaps: Gaps, done: Event) -> None:
        """The array begins a CONV."""
        self._change()
        self._array, self._gaps = _Work(cycles, done), gaps
        self._plan()

    def store(self, words: int, pace: float, done: Event) -> None:
        """A STORE begins, of at most so many words per cycle; done when its last word is on its way to memory."""
        self._change()
        self._store, self._answers = _Work(words, done), pace
        self._plan()

    def take(self, pace: float) -> None:
        """Memory takes so many words per cycle from now on."""
        if pace != self._writes:
            self._change()
            self._writes = pace
            self._plan()

    def _paces(self) -> tuple[float, float]:
        """Of the array, and of the STORE."""
        words = 0.0 if self._store is None else min(self._writes, self._answers)
        if self._array is None:
            return 0.0, words
        words = min(words, self._gaps.pace)
        return 1.0 - words * self._gaps.costly, words

    def _change(self) -> None:
        """Go through the time since the last change."""
        passed = self.clock.now - self._time
        if passed:
            array, words = self._paces()
            if self._array is not None:
                self._array.left -= passed * array
            if self._store is not None:
                self._store.left -= passed * words
            self._time = self.clock.now

    def _plan(self) -> None:
        """Announce what is completed next."""
        self._plans += 1
        array, words = self._paces()
        left = []
        if self._array is not None:
            left.append(self._array.left / array)
        if self._store is not None and words:
            left.append(self._store.left / words)
        if left:
            plan = self._plans
            self.clock.at(self.clock.now + max(ceil(min(left) - CLOSE), 0), lambda: self._reached(plan))

    def _reached(self, plan: int) -> None:
        if plan != self._plans:
            return
        self._change()
        completed: list[Callable[[], None]] = []
        if self._array is not None and self._array.left <= CLOSE:
            completed.append(self._array.done)
            self._array = None
        if self._store is not None and self._store.left <= CLOSE:
            completed.append(self._store.done)
            self._store = None
        self._plan()
        for done in completed:
            done()
