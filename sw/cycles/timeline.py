"""When each instruction of a program is accepted by its unit, begins to work and is complete: a simulation in discrete
events of the units, their queues, the tokens, the accumulator's halves and the memory port."""

import heapq
from collections import deque
from collections.abc import Sequence
from functools import partial

from weft.rtl.config import Config
from weft.rtl.isa import Instruction, Opcode, Space
from weft.rtl.registers import Unit

from .compact import compact_timeline
from .estimate import (
    FIRST_FETCH,
    HALVES,
    PIPELINED_FETCH,
    READ_LATENCY,
    UNIT_OF,
    USUAL_MEMORY,
    Memory,
    Times,
    array_latency,
    conv_cycles,
    dispatch_latency,
    drain_cycles,
    drain_latency,
    gate_latency,
    instruction_words,
    load_latency,
    refill,
    start_latency,
    store_latency,
    token_latency,
)
from .memory_port import Event, MemoryPort, Writes, share_of
from .sharing import Sharing, answered, gaps_of


class _Queue:
    """A unit's queue, and when it took its last instructions."""

    def __init__(self, slots: int) -> None:
        self.waiting: deque[tuple[int, int]] = deque()
        """Number of an instruction, and when it is whole."""
        self.accepted: deque[int] = deque([-(1 << 30)] * slots, slots)
        self.taken = 0
        self.dispatched = 0
        self.free: int | None = 0
        """When the unit can take an instruction; None where it is not known yet."""


def _nothing() -> None:
    """An event that changes nothing."""


class Timeline:
    """One run of a program."""

    def __init__(self, config: Config, program: Sequence[Instruction], memory: Memory) -> None:
        self.config = config
        self.memory = memory
        self.program = [one for one in program if one.opcode is not Opcode.END]
        self.words = instruction_words(config)
        self._gate = gate_latency(config)
        self.now = FIRST_FETCH - READ_LATENCY + PIPELINED_FETCH * config.pipelined
        self.times: list[Times | None] = [None] * len(self.program)
        self._left = len(self.program)
        self._events: list[tuple[int, int, Event]] = []
        self._count = 0
        self._sharing = Sharing(self)
        self._memory = MemoryPort(self, self._sharing.take)
        self._slots = config.queue_depth + 1
        self._queues = {unit: _Queue(self._slots) for unit in Unit}
        self._tokens = {(giver, taker): 0 for giver in Unit for taker in Unit}
        self._halves = HALVES
        self._committed: deque[int] = deque()
        self._draining: tuple[int, int] | None = None
        """The DRAIN that waits for its half, and when it was accepted."""
        self._arrived: deque[int] = deque()
        self._fetching = 0
        self._next = 0
        self._dispatched = 0
        self._dispatching = False

    def at(self, time: int, event: Event) -> None:
        """Let something happen at a time; what was announced first comes first."""
        self._count += 1
        heapq.heappush(self._events, (time, self._count, event))

    def _after(self, cycles: int, event: Event) -> None:
        """Let something happen so many cycles from now; at once if there are none."""
        if cycles:
            self.at(self.now + cycles, event)
        else:
            event()

    def run(self) -> list[Times]:
        """The times of all instructions but END."""
        for _ in range(self.config.fetch_depth):
            self._fetch()
        while self._left:
            self.now, _, event = heapq.heappop(self._events)
            event()
        return [times for times in self.times if times is not None]

    def _fetch(self) -> None:
        self._fetching += 1
        self._memory.ask(False, self._fetching * self.words, self.words, False, self._fetched)

    def _fetched(self) -> None:
        self._arrived.append(self.now)
        self._dispatch()

    def _dispatch(self) -> None:
        """Begin to pass the next instruction to its queue, if it is here and the queue will have room."""
        if self._dispatching or not self._arrived or self._next >= len(self.program):
            return
        queue = self._queues[UNIT_OF[self.program[self._next].opcode]]
        if queue.dispatched - queue.taken >= self._slots:
            return
        # A full queue keeps this instruction, and so all behind it, from being dispatched.
        room = queue.accepted[queue.dispatched - queue.taken]
        done = max(self._arrived.popleft(), max(self._dispatched, room) + self.words)
        queue.dispatched += 1
        self._dispatching = True
        self.at(done, partial(self._passed, queue))

    def _passed(self, queue: _Queue) -> None:
        unit = UNIT_OF[self.program[self._next].opcode]
        queue.waiting.append((self._next, self.now + dispatch_latency(self.config) + self._gate))
        self._dispatched = self.now
        self._dispatching = False
        self._next += 1
        self._fetch()
        self._dispatch()
        self._accept(unit)

    def _accept(self, unit: Unit) -> None:
        """Let a unit take its next instruction, if all that it waits for is there."""
        queue = self._queues[unit]
        if not queue.waiting or queue.free is None:
            return
        number, whole = queue.waiting[0]
        # The queue puts one instruction together while the unit works on the one before.
        time = max(whole, queue.accepted[-1] + refill(self.config) + self._gate, queue.free)
        if time > self.now:
            self.at(time, partial(self._accept, unit))
            return
        one = self.program[number]
        givers = [giver for giver in Unit if one.wait >> giver & 1]
        if any(not self._tokens[giver, unit] for giver in givers):
            return
        acquires = one.opcode is Opcode.CONV and one.acquire
        if acquires and not self._halves:
            return
        self._halves -= bool(acquires)
        for giver in givers:
            self._tokens[giver, unit] -= 1
        queue.waiting.popleft()
        queue.accepted.append(self.now)
        queue.taken += 1
        self._begin(number, one, queue)
        self._dispatch()
        self._accept(unit)

    def _begin(self, number: int, one: Instruction, queue: _Queue) -> None:
        config = self.config
        match one.opcode:
            case Opcode.CONV:
                chunks = 1 if one.mode else -(-one.run // config.rows)
                passes = one.n_count * one.ky_count * one.kx_count * chunks
                cycles = conv_cycles(config, passes, one.ox_count * one.oy_count)
                queue.free = None
                convolved = partial(self._convolved, number, one, self.now)
                convolve = partial(self._sharing.convolve, cycles, gaps_of(config, one), convolved)
                self._after(start_latency(config), convolve)
            case Opcode.DRAIN:
                queue.free = None
                self._draining = number, self.now
                self._drain()
            case Opcode.LOAD:
                queue.free = None
                self._after(self._gate, partial(self._load, number, one, self.now, 0))
            case _:
                queue.free = None
                words = sum(self._row(one, row)[1] for row in range(one.rows))
                pace = answered(config, one.rows, words, self.memory)
                self._sharing.store(words, pace, partial(self._stored, number, self.now))

    def _row(self, one: Instruction, row: int) -> tuple[int, int]:
        """The address in memory of a row of a LOAD or STORE, and how many it has, in words."""
        offset, skew = divmod(one.offset + row * one.step, self.config.memory_bytes)
        return offset, -(-(skew + one.bytes) // self.config.memory_bytes)

    def _load(self, number: int, one: Instruction, accepted: int, row: int) -> None:
        """Ask memory for the next row of a LOAD; behind the last one the unit takes the next instruction."""
        if row == one.rows:
            self._queues[Unit.LOAD].free = self.now
            self._accept(Unit.LOAD)
            return
        offset, words = self._row(one, row)
        last = partial(self._loaded, number, accepted) if row == one.rows - 1 else _nothing
        following = partial(self._load, number, one, accepted, row + 1)
        self._memory.ask(True, offset, words, one.space == Space.SCRATCHPAD.value, last, following)

    def _convolved(self, number: int, one: Instruction, accepted: int) -> None:
        """The array has gone through a CONV."""
        # A pass that waits for weights has issued its last pixel before.
        short = max(self.config.weight_steps - one.ox_count * one.oy_count, 0)
        done = self.now - short + array_latency(self.config)
        self._complete(number, accepted, accepted + 1 + start_latency(self.config), done)
        if one.commit:
            self.at(done + self._gate, self._commit)
        self._queues[Unit.ARRAY].free = self.now + self._gate
        self._accept(Unit.ARRAY)

    def _stored(self, number: int, accepted: int) -> None:
        """The last word of a STORE has gone."""
        done = self.now + store_latency(self.config, self.memory.latency)
        self._complete(number, accepted, accepted + 1, done)
        self._queues[Unit.STORE].free = self.now + self._gate
        self._accept(Unit.STORE)

    def _commit(self) -> None:
        self._committed.append(self.now)
        self._drain()

    def _drain(self) -> None:
        """Start the DRAIN that waits, if its half is full."""
        if self._draining is None or not self._committed:
            return
        number, accepted = self._draining
        self._draining = None
        one = self.program[number]
        window = one.window_height * one.window_width
        start = max(accepted + 1, self.now)
        last = start + drain_cycles(self.config, one.rows * one.pixels, one.channels, window) - 1
        latency = drain_latency(self.config)
        self._memory.writes.append(
            Writes(start + window - 2 + latency, last - 1 + latency, window, share_of(self.config, one))
        )
        if one.release:
            self._committed.popleft()
            self.at(last + self._gate, self._release)
        self._queues[Unit.DRAIN].free = last + self._gate
        self.at(last + self._gate, partial(self._accept, Unit.DRAIN))
        self._complete(number, accepted, start, last + latency)

    def _release(self) -> None:
        self._halves += 1
        self._accept(Unit.ARRAY)

    def _loaded(self, number: int, accepted: int) -> None:
        self._complete(number, accepted, accepted, self.now + load_latency(self.config))

    def _complete(self, number: int, accepted: int, start: int, done: int) -> None:
        """The instruction is complete at `done`, and gives its tokens then."""
        one = self.program[number]
        self.times[number] = Times(accepted, start, done)
        self._left -= 1
        if one.signal:
            self.at(done + token_latency(self.config), partial(self._signal, UNIT_OF[one.opcode], one.signal))

    def _signal(self, unit: Unit, takers: int) -> None:
        for taker in Unit:
            if takers >> taker & 1:
                self._tokens[unit, taker] += 1
                self._accept(taker)


def timeline(config: Config, program: Sequence[Instruction], memory: Memory = USUAL_MEMORY) -> list[Times]:
    """What happens when, for each instruction of a program but its END."""
    if config.compact:
        return compact_timeline(config, program, memory)
    return Timeline(config, program, memory).run()


def layer_cycles(program: Sequence[Instruction], times: Sequence[Times]) -> dict[int, int]:
    """Cycles per tag of a CONV or DRAIN, in ascending order: from when all before it are complete (the start of the run
    for the first) until it is, too."""
    done: dict[int, int] = {}
    for one, when in zip(program, times, strict=False):
        if one.opcode in (Opcode.CONV, Opcode.DRAIN):
            done[one.tag] = max(done.get(one.tag, 0), when.done)
    cycles, before = {}, 0
    for tag in sorted(done):
        end = max(before, done[tag])
        cycles[tag], before = end - before, end
    return cycles
