"""The functional instruction-set simulator: programs on NumPy state, every byte as in hardware, no clock.

It refuses what a program must not do, where the hardware would hang or give something undefined.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import TOKEN_BITS, Config
from weft.rtl.fields import misfit
from weft.rtl.isa import INSTRUCTION_BYTES, Instruction, Opcode, Space, decode
from weft.rtl.legality import UNIT_OF
from weft.rtl.registers import BASES, Unit

from . import units
from .units import Fault

MAX_TOKENS = (1 << TOKEN_BITS) - 1
"""Tokens of one unit for another that can wait, but with `Config.compact`."""

TRANSFERS = (Unit.LOAD, Unit.STORE)

_decode = lru_cache(maxsize=1 << 14)(decode)


class MachineError(Exception):
    """A program did something undefined, or hangs.

    Attributes
    ----------
    index : position of the instruction in the program, from 0.
    """

    def __init__(self, index: int, text: str) -> None:
        super().__init__(text)
        self.index = index


class Halves:
    """Who has the two accumulator halves: the array fills them in turn and the drain empties them in turn.

    They start free. An acquire takes the array's next half, a commit gives it to the drain, a release frees
    it.
    """

    def __init__(self) -> None:
        self.array = 0
        self.drain = 0
        self.held = False
        self.committed = [False, False]

    def acquire(self) -> None:
        """The array takes its next half, which must be free."""
        if self.held:
            raise Fault(f"acquires a half while half {self.array} is not committed")
        self.held = True

    def commit(self) -> None:
        """The array's half goes to the drain."""
        self.committed[self.array] = True
        self.held = False
        self.array ^= 1

    def release(self) -> None:
        """The drain's half is free again."""
        self.committed[self.drain] = False
        self.drain ^= 1

    def can_start(self, one: Instruction) -> bool:
        """Whether an instruction need not wait for a half."""
        if one.opcode is Opcode.CONV and one.acquire:
            return self.held or not self.committed[self.array]
        return one.opcode is not Opcode.DRAIN or self.committed[self.drain]


class Machine:
    """One NPU and its external memory.

    Attributes
    ----------
    memory : the external memory, uint8; write inputs and read outputs here.
    scratchpad, weights, parameters : the local memories, int8, in the address order of LOAD.
    sums : the accumulators, int32, (half, entry, column).

    Contents stay from run to run, so that resident weights are loaded once.

    Parameters
    ----------
    config : the configuration of the hardware.
    memory : the external memory, or its size in bytes.
    """

    def __init__(self, config: Config, memory: int | NDArray[np.uint8]) -> None:
        self.config = config
        self.memory = np.zeros(memory, np.uint8) if isinstance(memory, int) else memory
        if self.memory.dtype != np.uint8 or self.memory.ndim != 1:
            raise ValueError(f"memory must be one row of uint8, not {self.memory.ndim}-D {self.memory.dtype}")
        self._state = units.State(config, self.memory)
        self.scratchpad = self._state.local[Space.SCRATCHPAD].data
        self.weights = self._state.local[Space.WEIGHTS].data
        self.parameters = self._state.local[Space.PARAMETERS].data
        self.sums = self._state.sums
        self.reset()

    def reset(self) -> None:
        """Forget queues, tokens and halves, as after an error; memories keep their contents."""
        self._queues: dict[Unit, deque[tuple[int, Instruction]]] = {unit: deque() for unit in Unit}
        self._current: dict[Unit, tuple[int, Instruction] | None] = dict.fromkeys(Unit)
        self._tokens = {(giver, taker): 0 for giver in Unit for taker in Unit}
        self._halves = Halves()

    def run(
        self,
        program: int,
        bases: Sequence[int],
        seed: int | None = None,
        observe: Callable[[int, Instruction], None] | None = None,
    ) -> int:
        """Execute a program up to its END.

        Parameters
        ----------
        program : memory address of the first instruction.
        bases : the four base addresses.
        seed : without it the earliest instruction that can start goes first; with it a random one. A program
            whose result depends on the seed lacks a token.
        observe : called with index and instruction after each one.

        Returns
        -------
        The number of instructions dispatched, END included, as the INSTRUCTIONS register counts them.

        Raises
        ------
        ValueError
            For a program address that is not a multiple of 64, or another number of bases than four.
        MachineError
            For an instruction that asks for something undefined, reads what was never written, or breaks the
            order of acquire, commit and release; for a deadlock; and for an END that leaves tokens or halves
            behind. Reset before the next run.
        """
        if program % INSTRUCTION_BYTES:
            raise ValueError(f"a program starts at a multiple of {INSTRUCTION_BYTES}, not at {program:#x}")
        if len(bases) != BASES:
            raise ValueError(f"there are {BASES} base addresses, not {len(bases)}")
        random = None if seed is None else np.random.default_rng(seed)
        source = self._fetch(program)
        waiting = next(source)
        while True:
            while waiting[1].opcode is not Opcode.END and self._has_room(waiting[1]):
                self._dispatch(*waiting)
                waiting = next(source)
            accepted = sum([self._accept(unit) for unit in Unit])
            ready = [
                (one[0], unit)
                for unit, one in self._current.items()
                if one is not None and self._halves.can_start(one[1])
            ]
            if ready:
                _, unit = min(ready) if random is None else ready[random.integers(len(ready))]
                index, one = self._finish(unit, bases)
                if observe is not None:
                    observe(index, one)
            elif not accepted:
                break
        self._check_end(*waiting)
        return waiting[0] + 1

    def _fetch(self, program: int) -> Iterator[tuple[int, Instruction]]:
        for index, start in enumerate(range(program, self.memory.size, INSTRUCTION_BYTES)):
            try:
                yield index, _decode(self.memory[start : start + INSTRUCTION_BYTES].tobytes())
            except ValueError as error:
                raise MachineError(index, f"instruction {index} at {start:#x}: {error}") from None
        raise MachineError(self.memory.size // INSTRUCTION_BYTES, "the program runs off the memory's end")

    def _dispatch(self, index: int, one: Instruction) -> None:
        unit = UNIT_OF[one.opcode]
        if (one.wait | one.signal) >> unit & 1:
            raise MachineError(index, f"{_name(index, one)}: a unit neither waits for itself nor signals itself")
        sentence = misfit(self.config, one)
        if sentence:
            raise MachineError(index, f"{_name(index, one)}: {sentence}")
        self._queues[unit].append((index, one))

    def _has_room(self, one: Instruction) -> bool:
        unit = UNIT_OF[one.opcode]
        if self.config.compact:
            # An instruction at a time per unit, and loads and stores are one unit's.
            units = TRANSFERS if unit in TRANSFERS else (unit,)
            return not any(self._queues[one] or self._current[one] for one in units)
        room: int = self.config.queue_depth - len(self._queues[unit])
        return room > 0

    def _accept(self, unit: Unit) -> bool:
        """Let a free unit take its next instruction, once all tokens that it waits for are there."""
        if self._current[unit] is not None or not self._queues[unit] or self._missing(unit):
            return False
        index, one = self._queues[unit].popleft()
        for giver in _units(one.wait):
            self._tokens[giver, unit] -= 1
        self._current[unit] = index, one
        return True

    def _missing(self, unit: Unit) -> list[Unit]:
        _, one = self._queues[unit][0]
        return [giver for giver in _units(one.wait) if not self._tokens[giver, unit]]

    def _finish(self, unit: Unit, bases: Sequence[int]) -> tuple[int, Instruction]:
        """Execute what the unit has accepted, and give its tokens."""
        current = self._current[unit]
        assert current is not None
        index, one = current
        try:
            units.check(one)
            self._execute(one, bases)
            for taker in _units(one.signal):
                most = (1 << self.config.token_bits) - 1
                if self._tokens[unit, taker] == most:
                    raise Fault(f"gives {taker.name} one token more than the {most} that can wait")
                self._tokens[unit, taker] += 1
        except Fault as fault:
            raise MachineError(index, f"{_name(index, one)}: {fault}") from None
        self._current[unit] = None
        return current

    def _execute(self, one: Instruction, bases: Sequence[int]) -> None:
        state, halves = self._state, self._halves
        match one.opcode:
            case Opcode.LOAD:
                units.load(state, one, bases)
            case Opcode.STORE:
                units.store(state, one, bases)
            case Opcode.CONV:
                if one.acquire:
                    halves.acquire()
                    state.known[halves.array] = False
                if not halves.held:
                    raise Fault("fills a half that was not acquired")
                units.conv(state, one, halves.array)
                if one.commit:
                    halves.commit()
            case Opcode.DRAIN:
                units.drain(state, one, halves.drain)
                if one.release:
                    halves.release()

    def _check_end(self, index: int, waiting: Instruction) -> None:
        """Refuse an end that is none: a deadlock, or something left for the next run."""
        stuck = [
            (one[0], f"{_name(*one)} waits for a {'free' if unit is Unit.ARRAY else 'committed'} half")
            for unit, one in self._current.items()
            if one is not None
        ]
        for unit in Unit:
            if self._current[unit] is None and self._queues[unit]:
                givers = " and ".join(giver.name for giver in self._missing(unit))
                head = self._queues[unit][0]
                stuck.append((head[0], f"{_name(*head)} waits for a token of {givers}"))
        if stuck:
            raise MachineError(min(stuck)[0], "deadlock: " + "; ".join(text for _, text in sorted(stuck)))
        if waiting.wait or waiting.signal:
            raise MachineError(index, f"{_name(index, waiting)}: END neither waits nor signals")
        left = [f"{count} from {giver.name} to {taker.name}" for (giver, taker), count in self._tokens.items() if count]
        if left:
            raise MachineError(index, f"{_name(index, waiting)}: tokens are left, {', '.join(left)}")
        if self._halves.held or any(self._halves.committed):
            raise MachineError(index, f"{_name(index, waiting)}: an accumulator half is not released")


@cache
def _units(mask: int) -> tuple[Unit, ...]:
    return tuple(unit for unit in Unit if mask >> unit & 1)


def _name(index: int, one: Instruction) -> str:
    return f"instruction {index} ({one.opcode.name}, tag {one.tag})"
