"""How many cycles instructions take, from the latencies of the units that execute them.

The array issues one pixel of a pass per cycle, the drain one group of lanes per cycle; each waits for the other as
tokens and accumulator halves demand, and both for instructions to be fetched. The constants are properties of the
hardware; those of memory are what a memory of 10 cycles gives. Pipeline is quick, for choosing between plans, and
takes memory to answer in the order of the program; timeline.py plays a finished program through exactly.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from weft.rtl.config import Config
from weft.rtl.isa import INSTRUCTION_BYTES, Opcode
from weft.rtl.registers import Unit

FEEDER_LATENCY = 2
"""From issuing a pixel to its activations at the array's edge, besides the scratchpad's memory."""
SUM_LATENCY = 1
"""From a product to the partial sum of its processing element."""
DRAIN_LATENCY = 9
"""From issuing the last position of a DRAIN to its completion, besides the accumulator's memory: pool, requantize,
write."""
TABLES = 2
"""Memories of look-up tables on a value's way through the drain."""
PIPELINED_FEEDER, PIPELINED_DRAIN, PIPELINED_GATE, PIPELINED_WORD, PIPELINED_REQUEST = 2, 8, 1, 1, 1
"""What the registers of a pipelined NPU add: to the scratchpad's reads, to the drain, wherever a unit waits for a half
or its own last step, to a word from memory, and to asking for it."""
PIPELINED_TOKEN, PIPELINED_REFILL, PIPELINED_FETCH, PIPELINED_START = 2, 1, 1, 1
"""And wherever a unit waits for a token, to putting its next instruction together while it works, to asking for an
instruction, and to the array's beginning one."""
MEMORY_LATENCY = 10
"""Of the memory that is reckoned with, if nothing else is said: from an address to the first word, and from the last
word to the response."""
FIRST_FETCH = 2 + MEMORY_LATENCY
"""From the start of a run to the first word of its first instruction."""
READ_LATENCY = 4 + MEMORY_LATENCY
"""From asking memory to the first word, if nothing was asked for before."""
DISPATCH_LATENCY = 3
"""From an instruction's last word to its being offered to its unit, if that is idle."""
LOAD_LATENCY = 1
"""From a LOAD's last word to its completion."""
STORE_LATENCY = 3 + MEMORY_LATENCY
"""From a STORE's acceptance to its completion, besides the scratchpad's memory and one cycle per word."""
HALVES = 2
COMPACT_CYCLES = 13
"""Cycles in which a compact drain requantizes a value."""
COMPACT_READ = 9
"""From a compact drain's issuing the last position of a window to its issuing the first of the next one, if the
requantizer is free: the way to the accumulator, the reading, and the window's register."""
COMPACT_DRAIN_LATENCY = 23
"""Of a compact drain, from issuing the last position of a DRAIN to its completion."""

UNIT_OF = {
    Opcode.LOAD: Unit.LOAD,
    Opcode.CONV: Unit.ARRAY,
    Opcode.DRAIN: Unit.DRAIN,
    Opcode.STORE: Unit.STORE,
}


@dataclass(frozen=True)
class Memory:
    """The memory behind the port."""

    latency: int = MEMORY_LATENCY
    """Cycles from an address to its first word, and from the last word of a write to its response."""
    bandwidth: float | None = None
    """Bytes per cycle of reads and writes together; None is no limit but the width of the port, each way."""

    def bytes_per_cycle(self, config: Config) -> float:
        """What the port moves at most in one direction."""
        width: int = config.memory_bytes
        return width if self.bandwidth is None else min(width, self.bandwidth)


USUAL_MEMORY = Memory()


def array_latency(config: Config) -> int:
    """From issuing the last pixel of a CONV to its completion, when the sums of the last column are written."""
    element = config.multiply_latency + SUM_LATENCY
    read = FEEDER_LATENCY + config.memory_latency + PIPELINED_FEEDER * config.pipelined
    latency: int = read + config.rows - 1 + element + (1 if config.compact else config.cols)
    return latency


def drain_latency(config: Config) -> int:
    """From issuing the last position of a DRAIN to its completion, when its bytes are written."""
    if config.compact:
        return COMPACT_DRAIN_LATENCY
    memories = 1 + TABLES if config.tables else 1
    latency: int = DRAIN_LATENCY + memories * config.memory_latency + PIPELINED_DRAIN * config.pipelined
    return latency


def store_latency(config: Config, memory: int = MEMORY_LATENCY) -> int:
    """From a STORE's acceptance to its completion, besides one cycle per word; `memory` is the latency of memory."""
    read = config.memory_latency + PIPELINED_FEEDER * config.pipelined
    latency: int = STORE_LATENCY - MEMORY_LATENCY + gate_latency(config) + read + memory
    return latency


def read_latency(config: Config) -> int:
    """From asking the memory that is reckoned with to the first word, if nothing was asked for before."""
    latency: int = READ_LATENCY + PIPELINED_REQUEST * config.pipelined
    return latency


def dispatch_latency(config: Config) -> int:
    """From an instruction's last word to its being offered to its gate, if its unit is idle."""
    latency: int = DISPATCH_LATENCY + PIPELINED_WORD * config.pipelined
    return latency


def load_latency(config: Config) -> int:
    """From a LOAD's last word to its completion."""
    latency: int = LOAD_LATENCY + PIPELINED_WORD * config.pipelined
    return latency


def gate_latency(config: Config) -> int:
    """From a token, an accumulator half or a unit's last step to what waits for it."""
    latency: int = PIPELINED_GATE * config.pipelined
    return latency


def token_latency(config: Config) -> int:
    """From an instruction's completion to what waits for its token."""
    latency: int = PIPELINED_TOKEN * config.pipelined
    return latency


def start_latency(config: Config) -> int:
    """From the array's taking a CONV to the cycle before its first pixel."""
    latency: int = PIPELINED_START * config.pipelined
    return latency


def refill(config: Config) -> int:
    """From a unit's taking an instruction to the next one's being offered, if that waits in its queue."""
    cycles: int = instruction_words(config) + PIPELINED_REFILL * config.pipelined
    return cycles


def value_cycles(config: Config, window: int) -> int:
    """Cycles from a value of the drain to the next one: its sums are read one by one, or while the value before is
    requantized."""
    return max(COMPACT_CYCLES, window + COMPACT_READ) if config.compact else window


def conv_cycles(config: Config, passes: int, pixels: int) -> int:
    """Cycles that passes occupy the array: one per pixel, but no less than the weights take to arrive."""
    cycles: int = passes * max(pixels, config.weight_steps)
    return cycles


def drain_cycles(config: Config, pixels: int, channels: int, window: int) -> int:
    """Cycles that the drain issues positions: `pixels` outputs of `channels` channels, from `window` sums each."""
    cycles: int = pixels * -(-channels // config.lanes) * value_cycles(config, window)
    return cycles


@dataclass(frozen=True)
class Times:
    """When an instruction was accepted by its unit, began to work, and was complete."""

    accepted: int
    start: int
    done: int


def instruction_words(config: Config) -> int:
    """Memory words of an instruction."""
    words: int = -(-8 * INSTRUCTION_BYTES // config.memory_width)
    return words


class Pipeline:
    """The units' state while a program goes through them; times are cycles from the start of the run."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.words = instruction_words(config)
        self.dispatched = 0
        """When the last word of the last instruction went to its queue."""
        first = FIRST_FETCH + (PIPELINED_REQUEST + PIPELINED_FETCH) * config.pipelined
        self.memory: int = first + config.fetch_depth * self.words
        """When all words that memory was asked for have arrived."""
        self.fetched = deque(first + self.words * (index + 1) for index in range(config.fetch_depth))
        """When the instructions that are fetched ahead are there."""
        slots = config.queue_depth + 1
        self.accepted: dict[Unit, deque[int]] = {unit: deque([-self.words] * slots, slots) for unit in Unit}
        self.free: dict[Unit, int] = dict.fromkeys(Unit, 0)
        """When a unit may accept its next instruction."""
        self.halves = deque([0] * HALVES)
        """When the halves that are not filled became free."""
        self.committed: deque[int] = deque()

    def copy(self) -> "Pipeline":
        """A pipeline in the same state."""
        other = object.__new__(Pipeline)
        other.__dict__ |= self.__dict__
        other.accepted = {unit: times.copy() for unit, times in self.accepted.items()}
        other.free = dict(self.free)
        other.fetched = self.fetched.copy()
        other.halves = self.halves.copy()
        other.committed = self.committed.copy()
        return other

    @property
    def array_free(self) -> int:
        """When the array could start a tile whose input is there."""
        return max(self.free[Unit.ARRAY], self.halves[0])

    def _accept(self, unit: Unit, after: int) -> int:
        """Dispatch an instruction, and let its unit take it when it is free, no earlier than `after`."""
        waiting = self.accepted[unit]
        # A full queue keeps this instruction, and so all behind it, from being dispatched.
        self.dispatched = max(self.fetched.popleft(), max(self.dispatched, waiting[0]) + self.words)
        self.fetched.append(self._read(self.dispatched, self.words))
        # The queue puts one instruction together while the unit works on the one before.
        offered = max(self.dispatched + dispatch_latency(self.config), waiting[-1] + refill(self.config))
        return max(offered + gate_latency(self.config), after + token_latency(self.config), self.free[unit])

    def _read(self, asked: int, words: int) -> int:
        """When `words` words that memory is asked for at `asked` have arrived; it answers in order."""
        self.memory = max(self.memory, asked + read_latency(self.config)) + words
        return self.memory

    def conv(self, cycles: int, short: int = 0, acquire: bool = True, commit: bool = True, after: int = 0) -> Times:
        """A CONV that occupies the array for `cycles` and issues its last pixel `short` cycles before their end."""
        accepted = self._accept(Unit.ARRAY, after)
        if acquire:
            accepted = max(accepted, self.halves.popleft() + gate_latency(self.config))
        self.accepted[Unit.ARRAY].append(accepted)
        start = accepted + start_latency(self.config)
        self.free[Unit.ARRAY] = start + cycles + gate_latency(self.config)
        done = start + cycles - short + array_latency(self.config)
        if commit:
            self.committed.append(done)
        return Times(accepted, start + 1, done)

    def drain(self, cycles: int, release: bool = True, after: int = 0) -> Times:
        """A DRAIN that issues `cycles` positions."""
        accepted = self._accept(Unit.DRAIN, after)
        full = self.committed.popleft() if release else self.committed[0]
        start = max(accepted + 1, full + gate_latency(self.config))
        last = start + cycles - 1
        self.accepted[Unit.DRAIN].append(accepted)
        self.free[Unit.DRAIN] = last + gate_latency(self.config)
        if release:
            self.halves.append(last)
        return Times(accepted, start, last + drain_latency(self.config))

    def load(self, words: int, after: int = 0) -> Times:
        """A LOAD of `words` memory words; its requests go out while the words of the one before arrive."""
        accepted = self._accept(Unit.LOAD, after)
        self.accepted[Unit.LOAD].append(accepted)
        self.free[Unit.LOAD] = accepted + 1 + gate_latency(self.config)
        arrived = self._read(accepted + gate_latency(self.config), words)
        return Times(accepted, accepted, arrived + load_latency(self.config))

    def load_arrivals(self, count: int) -> "LoadArrivals":
        """When the first bytes of an input of `count` bytes would be there, if it were loaded from now on."""
        asked = self.dispatched + self.words + dispatch_latency(self.config)
        start = max(asked + read_latency(self.config), self.memory + self.words) + load_latency(self.config)
        return LoadArrivals(count, start, self.config.memory_bytes)


@dataclass(frozen=True)
class LoadArrivals(Sequence[tuple[int, int]]):
    """Bytes of an input and the time when they are there, word after word."""

    size: int
    start: int
    step: int

    def __len__(self) -> int:
        return -(-self.size // self.step)

    @overload
    def __getitem__(self, index: int) -> tuple[int, int]: ...

    @overload
    def __getitem__(self, index: slice) -> list[tuple[int, int]]: ...

    def __getitem__(self, index: int | slice) -> tuple[int, int] | list[tuple[int, int]]:
        numbers = range(1, len(self) + 1)[index]
        if isinstance(numbers, range):
            return [self[number - 1] for number in numbers]
        return min(numbers * self.step, self.size), self.start + numbers
