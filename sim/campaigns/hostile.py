"""Programs that are broken: none may hang, none may reach beyond its fence, and a legal one afterwards is right."""

from collections.abc import Iterator
from time import process_time

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from weft.gen.presets import SMALL
from weft.rtl.config import Config
from weft.rtl.isa import INSTRUCTION_BYTES, Opcode
from weft.rtl.legality import must_be_zero
from weft.rtl.registers import ErrorCause, Status
from weft.sim.faulty import FaultyNpu
from weft.sim.fuzz import REGION, RandomProgram, random_program
from weft.sim.machine import Machine
from weft.sim.verification import Row
from weft.sw.transport import DeviceError, Job

WATCHDOG = 1000
LIMIT = 20_000
GRACE = 20_000
"""Cycles from the limit until a run certainly hangs."""
PER_PROGRAM = 25
"""Broken programs made of one legal one, which runs in between."""
END = REGION * 3


def broken(config: Config, program: RandomProgram, random: Generator) -> NDArray[np.uint8]:
    """A program's bytes with a few bits flipped, mostly bits that are 1 in some legal program; or an instruction
    replaced by random bits; or random throughout."""
    count = len(program.program)
    size = INSTRUCTION_BYTES * count
    raw = program.memory[:size].copy()
    kind = random.integers(10)
    if kind < 7:
        flips = int(random.integers(1, 5))
        while flips:
            place, bit = int(random.integers(count)), int(random.integers(8 * INSTRUCTION_BYTES))
            if kind < 5 and must_be_zero(config, program.program[place].opcode) >> bit & 1:
                continue
            raw[INSTRUCTION_BYTES * place + bit // 8] ^= 1 << bit % 8
            flips -= 1
    elif kind < 9:
        place = INSTRUCTION_BYTES * int(random.integers(size // INSTRUCTION_BYTES))
        raw[place : place + INSTRUCTION_BYTES] = random.integers(0, 256, INSTRUCTION_BYTES)
        raw[place] = raw[place] & 0xF0 | int(random.choice([opcode.value for opcode in Opcode]))
    else:
        raw[:] = random.integers(0, 256, size)
    return raw


class Bench:
    """An NPU whose programs may read the first two regions of memory, and write the third."""

    def __init__(self, config: Config = SMALL) -> None:
        self.config = config
        self.npu = FaultyNpu(config, END)
        self.npu.fence((0, 2 * REGION - 1), (2 * REGION, END - 1))
        self._protect()

    def _protect(self) -> None:
        values = {"READ_LAST": 2 * REGION - 1, "WRITE_FIRST": 2 * REGION, "WRITE_LAST": END - 1}
        for name, value in (values | {"WATCHDOG": WATCHDOG, "LIMIT": LIMIT}).items():
            self.npu.write_register(name, value)

    def restart(self) -> None:
        """As new, at the reset pin."""
        self.npu.power_cycle()
        self._protect()
        self.npu.fence((0, 2 * REGION - 1), (2 * REGION, END - 1))

    def legal(self, program: RandomProgram, expected: NDArray[np.uint8]) -> str:
        """Run it; what is wrong, or nothing."""
        self.npu.memory[:] = program.memory
        self.npu.write_register("LIMIT", 0)
        try:
            self.npu.run(Job(0, program.bases, cycle_limit=200_000))
        except DeviceError as error:
            return f"the legal program afterwards failed: {error}"
        finally:
            self.npu.write_register("LIMIT", LIMIT)
        return "" if np.array_equal(self.npu.memory, expected) else "the legal program afterwards is wrong"

    def attack(self, raw: NDArray[np.uint8], program: RandomProgram) -> tuple[int, str]:
        """Run a broken program: the cause that was reported (0 if it ended well), and what is wrong, or nothing."""
        npu = self.npu
        npu.memory[: len(raw)] = raw
        before = npu.memory[: 2 * REGION].copy()
        cause = ErrorCause.NONE.value
        problem = ""
        try:
            npu.run(Job(0, program.bases, cycle_limit=LIMIT + GRACE))
        except DeviceError as error:
            if npu.read_register("STATUS") >> Status.ERROR & 1:
                cause = npu.read_register("ERROR") & 0xFF
                problem = "" if npu.interrupted else "no interrupt is raised"
            else:
                problem = f"it hangs: {error}"
        if npu.strays[0]:
            problem = f"it reached beyond the fence, at {npu.strays[1]:#x}"
        npu.reset()
        problem = problem or npu.misuse
        if not np.array_equal(npu.memory[: 2 * REGION], before):
            problem = problem or "memory changed outside the fence"
        npu.memory[: len(raw)] = program.memory[: len(raw)]
        return cause, problem


def campaign(first: int = 0, programs: int = 200, each: int = PER_PROGRAM, config: Config = SMALL) -> Iterator[Row]:
    """`each` broken programs of every legal one."""
    start, failures = process_time(), []
    bench = Bench(config)
    causes: dict[int, int] = {}
    for seed in range(first, first + programs):
        random = np.random.default_rng(seed)
        program = random_program(bench.config, seed, tiles=3)
        machine = Machine(bench.config, program.memory.copy())
        machine.run(0, program.bases)
        for index in range(each):
            cause, problem = bench.attack(broken(bench.config, program, random), program)
            causes[cause] = causes.get(cause, 0) + 1
            if problem:
                failures.append(f"seed {seed}, program {index}: {problem}")
                bench.restart()
        problem = bench.legal(program, machine.memory)
        if problem:
            failures.append(f"seed {seed}: {problem}")
            bench.restart()
    seconds, seeds = process_time() - start, f"{first} to {first + programs - 1}"
    yield Row("illegal or flipped programs", programs * each, failures, programs * each, seconds, seeds)
    for cause, count in sorted(causes.items()):
        name = ErrorCause(cause).name.lower().replace("_", " ") if cause else "done without error"
        yield Row(f"of them: {name}", count, [], 0, 0, seeds)
