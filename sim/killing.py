"""Shows that the tests kill every mutant of the RTL: `make mutants`.

    python -m weft.sim.killing

Each mutant runs random programs (weft.sim.fuzz), then LeNet-5, then transfers that memory answers with an error and
resets, until one of them shows a difference: bytes of memory, an error, a misuse of the bus, a hang, or cycles that
differ from those of the unbroken RTL on LeNet-5. All share one build, see weft.sim.mutated.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import Config
from weft.rtl.isa import Opcode, Space, assemble, instruction
from weft.rtl.registers import Control, Unit
from weft.sim.fuzz import RandomProgram, random_program
from weft.sim.machine import Machine
from weft.sim.mutants import MUTANTS
from weft.sim.mutated import mutated_library
from weft.sim.verification import Row
from weft.sim.verilated import MemoryModel, VerilatedNpu
from weft.sw.transport import DeviceError, Job

CONFIG = Config(
    rows=4, cols=4, weight_rows=2, lanes=2, depthwise=True, tables=True, axi_width=64, axi_burst=16, accumulators=256
)
"""Everything that can be built is, and each ratio of sizes is more than one."""

COUNTED = 10
"""Programs that every mutant runs, so that it can be said how many of them kill it."""

MOST = 150
"""Programs after which a mutant has survived them."""

MODELS = (MemoryModel(), MemoryModel(read_latency=23, write_latency=5, stalls=0.4, stall_seed=1))
"""Programs with even seeds have a memory that is always ready, those with odd ones another."""

MEMORY_BYTES = 4 << 20

SLOWER = 3
"""A mutant that takes so many times the cycles hangs."""


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant."""

    what: str
    killer: str | None
    """The first that killed it, and how; None if it survived."""
    programs: int
    """How many of the first COUNTED programs killed it."""


class Killers:
    """The programs and what they give on the unbroken RTL.

    Raises
    ------
    RuntimeError
        If the unbroken RTL fails one of them.
    """

    def __init__(self) -> None:
        library = mutated_library(CONFIG)
        self.devices = [VerilatedNpu(CONFIG, MEMORY_BYTES, model, library) for model in MODELS]
        self._programs: dict[int, tuple[RandomProgram, NDArray[np.uint8], int]] = {}
        self._lenet: tuple[object, list[NDArray[np.int8]], NDArray[np.int8], int] | None = None
        for name, said in self.run_all(1):
            if said is not None:
                raise RuntimeError(f"the unbroken RTL fails: {name}: {said}")

    def choose(self, number: int) -> None:
        """Break the RTL in this way."""
        for device in self.devices:
            device.choose_mutant(number)
            device.reset()

    def run_all(self, programs: int) -> Iterator[tuple[str, str | None]]:
        """Name and complaint of one killer after the other."""
        for seed in range(programs):
            yield f"program {seed}", self.program(seed)
        yield "LeNet-5", self.lenet()
        yield "bus errors", self.errors()
        yield "reset", self.reset()

    def _known(self, seed: int) -> tuple[RandomProgram, NDArray[np.uint8], int]:
        if seed not in self._programs:
            program = random_program(CONFIG, seed)
            machine = Machine(CONFIG, program.memory.copy())
            machine.run(0, program.bases)
            self._programs[seed] = program, machine.memory, 0
        return self._programs[seed]

    def program(self, seed: int) -> str | None:
        """What is wrong with a random program's results; None if nothing is."""
        program, expected, cycles = self._known(seed)
        device = self.devices[seed % len(MODELS)]
        device.reset()
        device.write(0, program.memory)
        try:
            report = device.run(Job(0, program.bases, cycle_limit=SLOWER * cycles if cycles else 1_000_000))
        except DeviceError as error:
            return _kind(error)
        if not cycles:
            assert report.cycles is not None
            self._programs[seed] = program, expected, int(report.cycles[0])
        return None if (device.memory[: len(expected)] == expected).all() else "other bytes in memory"

    def lenet(self) -> str | None:
        """What is wrong with LeNet-5 on one digit."""
        from weft.sim.golden_graph import run_graph
        from weft.sw.commands.shared import LENET
        from weft.sw.compiler.model_compiler import compile_model
        from weft.sw.datasets import scikit_digits, to_input
        from weft.sw.driver import Device
        from weft.sw.onnx.reader import read_onnx

        device = self.devices[0]
        device.reset()
        if self._lenet is None:
            graph = read_onnx(LENET)
            inputs = [to_input(scikit_digits("held").images[:1])]
            self._lenet = compile_model(graph, CONFIG), inputs, run_graph(graph, inputs)[0], 0
        network, inputs, expected, cycles = self._lenet
        try:
            outputs, report = Device(device).run(network, inputs)  # type: ignore[arg-type]
        except DeviceError as error:
            return _kind(error)
        if not (next(iter(outputs.values())) == expected).all():
            return "other logits"
        assert report.cycles is not None
        taken = int(report.cycles[0])
        if not cycles:
            self._lenet = network, inputs, expected, taken
        return None if cycles in (0, taken) else f"{taken:,} cycles, not {cycles:,}"

    def errors(self) -> str | None:
        """What is wrong with the report on a transfer that memory answers with an error."""
        device = self.devices[0]
        row = {"space": Space.SCRATCHPAD, "base": 1, "bytes": 8, "rows": 1, "offset": 0x40}
        for unit, opcode in ((Unit.LOAD, Opcode.LOAD), (Unit.STORE, Opcode.STORE)):
            device.reset()
            code = np.frombuffer(assemble([instruction(opcode, **row), instruction(Opcode.END)]), np.uint8)
            device.write(0, code)
            try:
                device.run(Job(0, (0, MEMORY_BYTES, 0, 0), cycle_limit=5000))
            except DeviceError:
                error, address = device.read_register("ERROR"), device.read_register("ERROR_ADDRESS")
                if (error >> 8, address) != (unit, MEMORY_BYTES + 0x40):
                    return f"an error of the {unit.name.lower()} unit is told as {error:#x} at {address:#x}"
            else:
                return f"an error of the {unit.name.lower()} unit is not told"
        return None

    def reset(self) -> str | None:
        """What is wrong with a program after a soft reset in the middle of another."""
        program, expected, cycles = self._known(0)
        device = self.devices[1]
        for part in range(1, 8):
            device.reset()
            device.write(0, program.memory)
            try:
                device.run(Job(0, program.bases, cycle_limit=cycles * part // 8))
            except DeviceError:
                device.write_register("CONTROL", 1 << Control.RESET)
                device.write(0, program.memory)
                try:
                    device.run(Job(0, program.bases, cycle_limit=3 * SLOWER * cycles))
                except DeviceError as error:
                    return _kind(error)
                if (device.memory[: len(expected)] != expected).any():
                    return "other bytes in memory after a reset"
            else:
                return "done too soon"
        return None


def _kind(error: DeviceError) -> str:
    """A device's error without what differs from run to run."""
    text = str(error)
    if "bus was misused" in text:
        return text.partition(" at address")[0].partition(": ")[2]
    return "a hang" if "did not finish" in text else "an error is reported"


def verdict(killers: Killers, number: int) -> Verdict:
    """Whether the tests kill the mutant of this number."""
    killers.choose(number)
    first: str | None = None
    programs = 0
    for index, (name, said) in enumerate(killers.run_all(MOST)):
        if index >= COUNTED and first is not None:
            break
        if said is not None:
            programs += index < COUNTED
            first = first or f"{name}: {said}"
    killers.choose(0)
    return Verdict(MUTANTS[number - 1].what, first, programs)


def verdicts(
    numbers: Sequence[int], killers: Killers | None = None, progress: Callable[[Verdict], None] | None = None
) -> list[Verdict]:
    """What becomes of the mutants of these numbers."""
    killers = killers or Killers()
    found = []
    for number in numbers:
        found.append(verdict(killers, number))
        if progress is not None:
            progress(found[-1])
    return found


def campaign(part: int = 0, parts: int = 1) -> Iterator[Row]:
    """Every `parts`-th mutant."""
    start = perf_counter()
    numbers = range(1 + part, len(MUTANTS) + 1, parts)
    found = verdicts(numbers)
    failures = [
        f"{MUTANTS[number - 1].module}: {one.what}: survives"
        for number, one in zip(numbers, found, strict=True)
        if one.killer is None
    ]
    killed = len(found) - len(failures)
    yield Row(
        "mutants of the RTL killed", killed, failures, len(found), perf_counter() - start, f"programs 0 to {MOST - 1}"
    )


def _main() -> None:
    from rich.progress import track
    from weft.sw.commands.figures import Sheet
    from weft.sw.commands.progress import standard_output

    killers = Killers()
    rows = []
    for number in track(range(1, len(MUTANTS) + 1), "Mutants"):
        one = verdict(killers, number)
        rows.append((f"{MUTANTS[number - 1].module}: {one.what}", one.killer or "SURVIVES", f"{one.programs}"))
    heads = ("mutant", "killed first by", f"killed by, of {COUNTED} programs")
    standard_output().print(Sheet("Mutants of the RTL", heads, rows).terminal())
    survivors = sum(row[1] == "SURVIVES" for row in rows)
    print(f"{len(rows) - survivors} of {len(rows)} killed")
    raise SystemExit(survivors > 0)


if __name__ == "__main__":
    _main()
