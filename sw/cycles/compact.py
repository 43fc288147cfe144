"""When each instruction is complete on an NPU with `Config.compact`.

There each unit has one instruction at a time, and what it waits for was dispatched before; so a program is gone through
in its own order, once.
"""

from collections import defaultdict, deque
from collections.abc import Sequence
from typing import NamedTuple

from weft.rtl.config import Config
from weft.rtl.isa import LAYOUTS, Instruction, Opcode
from weft.rtl.registers import Unit

from .estimate import (
    FIRST_FETCH,
    HALVES,
    LOAD_LATENCY,
    READ_LATENCY,
    UNIT_OF,
    Memory,
    Times,
    array_latency,
    conv_cycles,
    drain_cycles,
    drain_latency,
    value_cycles,
)

PASS = 2
"""From an instruction's first word to asking memory for the others, if its unit is free."""
READ = 1
"""From asking memory to the first word, besides the latency of memory."""
FREE = 2
"""From an instruction's completion to asking memory for the words of its unit's next one."""
STORE_WORD = 4
"""Cycles per word of a STORE."""
ROW = 2
"""From a row's last word to the request of the next."""


class _Draining(NamedTuple):
    """A DRAIN reads `window` sums in every `step` cycles from `first` on and before `end`."""

    first: int
    end: int
    step: int
    window: int

    def reads(self, start: int, stop: int) -> int:
        """Sums read from `start` on and before `stop`."""
        start, stop = max(start, self.first), min(stop, self.end)
        return max(stop - start, 0) * self.window // self.step


def compact_timeline(config: Config, program: Sequence[Instruction], memory: Memory) -> list[Times]:
    """The times of all instructions but END."""
    port = READ + memory.latency
    word_cycles = config.memory_bytes / memory.bytes_per_cycle(config)
    asks = FIRST_FETCH - READ_LATENCY
    complete: dict[Unit, int] = dict.fromkeys(Unit, -FREE)
    tokens: dict[tuple[Unit, Unit], deque[int]] = defaultdict(deque)
    halves = deque([0] * HALVES)
    committed: deque[int] = deque()
    draining: deque[_Draining] = deque(maxlen=HALVES)
    reading = 0
    """When the reading half of the memory port is free."""
    times = []
    for one in program:
        if one.opcode is Opcode.END:
            break
        unit = UNIT_OF[one.opcode]
        words = -(-LAYOUTS[one.opcode].size // config.memory_width) - 1
        # Loads and stores are one component's.
        before = max(complete[Unit.LOAD], complete[Unit.STORE]) if unit in (Unit.LOAD, Unit.STORE) else complete[unit]
        first = asks + port
        asked = max(first + PASS, before + FREE, reading)
        # With its last word an instruction is whole, and the next one is asked for.
        accepted = asks = reading = int(asked + port + words * word_cycles)
        for giver in Unit:
            if one.wait >> giver & 1:
                accepted = max(accepted, tokens[giver, unit].popleft())
        match one.opcode:
            case Opcode.CONV:
                if one.acquire:
                    accepted = max(accepted, halves.popleft())
                start = accepted + 1
                pixels = one.ox_count * one.oy_count
                chunks = -(-one.run // config.rows)
                cycles = conv_cycles(config, one.n_count * one.ky_count * one.kx_count * chunks, pixels)
                end = start + cycles
                # A pass that waits for weights has room for the drain's reads.
                if pixels >= config.weight_steps:
                    while end != (later := start + cycles + sum(drain.reads(start, end) for drain in draining)):
                        end = later
                done = end - 1 - max(config.weight_steps - pixels, 0) + array_latency(config)
                if one.commit:
                    committed.append(done)
            case Opcode.DRAIN:
                window = one.window_height * one.window_width
                full = committed.popleft() if one.release else committed[0]
                start = max(accepted + 1, full)
                cycles = drain_cycles(config, one.rows * one.pixels, one.channels, window)
                step = value_cycles(config, window)
                last = start + cycles - step + window - 1
                draining.append(_Draining(start, last, step, window))
                if one.release:
                    halves.append(last + 1)
                done = last + drain_latency(config)
            case _:
                start = accepted
                # The next instruction's first word comes before the first row of a LOAD.
                now = accepted + 1 + (port if one.opcode is Opcode.LOAD else 0)
                for row in range(one.rows):
                    skew = (one.offset + row * one.step) % config.memory_bytes
                    count = -(-(skew + one.bytes) // config.memory_bytes)
                    if one.opcode is Opcode.LOAD:
                        now = int(max(now, reading) + port + count * word_cycles) + ROW
                        reading = now - ROW
                    else:
                        now += int(count * max(STORE_WORD, word_cycles)) + memory.latency + ROW + 2
                done = now - ROW + LOAD_LATENCY
        complete[unit] = done
        for taker in Unit:
            if one.signal >> taker & 1:
                tokens[unit, taker].append(done)
        times.append(Times(accepted, start, done))
    return times
