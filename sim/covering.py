"""The runs whose coverage is counted: random programs, LeNet-5, and all that can go wrong.

    python -m weft.sim.covering [PROGRAMS]

prints the table of lines and bits per module, and names the lines that never ran.
"""

from collections.abc import Iterator
from contextlib import suppress
from itertools import permutations, starmap
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from weft.rtl.isa import INSTRUCTION_BYTES, Instruction, Opcode, Space, assemble, fields, instruction
from weft.rtl.registers import REGISTERS, Unit
from weft.sim import illegal
from weft.sim.coverage import CONFIG, Coverage, coverage_library, named, unexplained, unmoved, unused
from weft.sim.faulty import Channel, FaultyNpu, Response
from weft.sim.fuzz import OPCODES, random_program
from weft.sim.killing import MODELS
from weft.sim.library import npu_verilog
from weft.sim.verification import Row
from weft.sw.commands.figures import Sheet
from weft.sw.commands.progress import standard_output
from weft.sw.transport import DeviceError, Job

PROGRAMS = 168
FAR = 60
LINES_BAR = 98.0


def _legal(npu: FaultyNpu, seeds: range) -> None:
    for seed in seeds:
        program = random_program(CONFIG, seed)
        npu.write(0, program.memory)
        npu.run(Job(0, program.bases))


def _lenet(npu: FaultyNpu) -> None:
    from weft.sw.commands.shared import LENET
    from weft.sw.compiler.model_compiler import compile_model
    from weft.sw.datasets import scikit_digits, to_input
    from weft.sw.driver import Device
    from weft.sw.onnx.reader import read_onnx

    Device(npu).run(compile_model(read_onnx(LENET), CONFIG), [to_input(scikit_digits("held").images[:1])])


KINDS = 6


def _code(program: list[Instruction]) -> NDArray[np.uint8]:
    return np.frombuffer(assemble(program), np.uint8)


def _extreme(program: list[Instruction], random: np.random.Generator) -> NDArray[np.uint8]:
    """The program with one field of one instruction as large, or as small, as its bits allow."""
    place = int(random.integers(len(program) - 1))
    one = program[place]
    names = [name for name in one.fields if name not in ("wait", "signal", "tag")]
    name = names[int(random.integers(len(names)))]
    shape = fields(one.opcode)[name][1]
    low, high = (-(1 << shape.width - 1), (1 << shape.width - 1) - 1) if shape.signed else (0, (1 << shape.width) - 1)
    changed = Instruction(one.opcode, one.fields | {name: (low, high)[int(random.integers(2))]})
    return _code([*program[:place], changed, *program[place + 1 :]])


def _overflow(unit: Unit, taker: Unit) -> NDArray[np.uint8]:
    """A unit that gives another one more tokens than can be counted."""
    program = [one for _ in range(70) for one in _instructions(unit, signal=1 << taker)]
    return _code([*program, instruction(Opcode.END)])


def _instructions(unit: Unit, **tokens: int) -> list[Instruction]:
    """A small instruction of a unit with these tokens; for the array and the drain one of each, which need each other's
    halves."""
    row = {"space": Space.SCRATCHPAD, "base": 1, "bytes": 64, "rows": 1, "offset": 0}
    counts = dict.fromkeys(("run", "ky_count", "kx_count", "ox_count", "oy_count", "n_count"), 1)
    names = ("rows", "pixels", "group", "window_height", "window_width", "y_stride", "x_stride", "channels")
    windows = dict.fromkeys(names, 1)
    of = {
        Unit.LOAD: (Opcode.LOAD, row),
        Unit.ARRAY: (Opcode.CONV, counts | {"acquire": 1, "commit": 1, "entry_step": 1}),
        Unit.DRAIN: (Opcode.DRAIN, windows | {"release": 1, "maximum": 127}),
        Unit.STORE: (Opcode.STORE, row | {"base": 2}),
    }
    units = (Unit.ARRAY, Unit.DRAIN) if unit in (Unit.ARRAY, Unit.DRAIN) else (unit,)
    return [instruction(of[one][0], **of[one][1], **(tokens if one is unit else {})) for one in units]


def _pairs(late: bool) -> NDArray[np.uint8]:
    """Every unit waits once for a token of every other one, which comes early or late."""
    program = []
    for giver in Unit:
        for taker in Unit:
            if giver is not taker:
                gives, takes = _instructions(giver, signal=1 << taker), _instructions(taker, wait=1 << giver)
                # A drain in front of the one that gives the token would wait for the array, too.
                early = not late or {giver, taker} == {Unit.ARRAY, Unit.DRAIN}
                program += [*gives, *takes] if early else [*takes, *gives]
    return _code([*program, instruction(Opcode.END)])


def _attempt(npu: FaultyNpu, job: Job) -> None:
    """Run what may fail, and look at all registers."""
    with suppress(DeviceError):
        npu.run(job)
    for register in REGISTERS:
        npu.read_register(register.name)


def _open(npu: FaultyNpu) -> None:
    """Make the NPU as new, without bounds."""
    npu.reset()
    for name, value in (("READ_FIRST", 0), ("READ_LAST", ~0), ("WRITE_FIRST", 0), ("WRITE_LAST", ~0)):
        npu.write_register(name, value & 0xFFFF_FFFF)


def _one_by_one(npu: FaultyNpu) -> None:
    """Each illegal instruction, each beat of a program that fails, each window that it leaves, and tokens without
    end."""
    _open(npu)
    npu.write_register("WATCHDOG", 1000)
    job = Job(0, illegal.BASES, cycle_limit=20_000)
    for place, changed in illegal.changes(CONFIG):
        npu.write(0, illegal.memory(CONFIG, illegal.program(CONFIG, place, **changed)))
        _attempt(npu, job)
        npu.reset()
    for changed in ({"rows": 2, "local_step": (1 << 24) - CONFIG.memory_bytes}, {}):
        # The local addresses of a STORE may wrap.
        npu.write(0, illegal.memory(CONFIG, illegal.program(CONFIG, illegal.STORE, **changed)))
        npu.behave()
        npu.run(job)
    for channel in (Channel.R, Channel.W):
        for number in range(npu.transfers(channel)):
            for response in (Response.SLVERR, Response.DECERR):
                npu.inject(channel, number, response)
                _attempt(npu, job)
                npu.behave()
                npu.reset()
    for name in ("READ_LAST", "WRITE_LAST"):
        npu.write_register(name, 0xFFF)
        _attempt(npu, job)
        _open(npu)
    for program in (*starmap(_overflow, permutations(Unit, 2)), _pairs(late=False), _pairs(late=True)):
        npu.write(0, program)
        _attempt(npu, job)
        npu.reset()


def _far(npu: FaultyNpu, random: np.random.Generator) -> None:
    """Programs and data anywhere in memory, instructions of random bits, and registers of random bits."""
    for index in range(FAR):
        tags = random.integers(1 << 16, size=illegal.END)
        tagged = [
            Instruction(one.opcode, one.fields | {"tag": int(tag)})
            for one, tag in zip(illegal.program(CONFIG), tags, strict=False)
        ]
        content = illegal.memory(CONFIG, [*tagged, instruction(Opcode.END)])
        bases = [int(page) << 12 for page in random.choice(npu.memory_bytes >> 12, 4, replace=False)]
        for base, start in zip(bases, illegal.BASES[:3], strict=False):
            npu.write(base, content[start:][: 1 << 12])
        for name in ("WATCHDOG", "LIMIT"):
            npu.write_register(name, int(random.integers(1 << 15, 1 << 32)))
        if index % 4 == 3:
            for name in ("READ_FIRST", "READ_LAST", "WRITE_FIRST", "WRITE_LAST"):
                npu.write_register(name, int(random.integers(1 << 32)))
        # Half of them at any byte, which the whole words of some transfers do not allow.
        offsets = random.integers(0, 1 << 12, 4) * (index % 2)
        moved = [base + int(offset) for base, offset in zip(bases, offsets, strict=True)]
        job = Job(bases[0], (moved[0], moved[1], moved[2], moved[3]), cycle_limit=20_000)
        _attempt(npu, job)
        npu.reset()
        for unit in Unit:
            raw = random.integers(0, 256, INSTRUCTION_BYTES, np.uint8)
            raw[0] = raw[0] & 0xF0 | OPCODES[unit].value
            before = _code(_instructions(unit))[: INSTRUCTION_BYTES * (index % 3)]
            npu.write(bases[0], np.concatenate([before, raw]))
            _attempt(npu, job)
            npu.reset()
        _open(npu)


def _wrong(npu: FaultyNpu, seeds: range) -> None:
    """Faults of every kind on every channel, fences, flipped bits, fields out of range, resets in the middle of a
    run."""
    random = np.random.default_rng(seeds.start)
    for seed in seeds:
        program = random_program(CONFIG, seed)
        raw = program.memory.copy()
        limit = 20_000
        kind = seed % KINDS
        hung = False
        if kind == 0:
            channel = (Channel.R, Channel.W, Channel.AR, Channel.AW, Channel.B)[seed // KINDS % 5]
            response = (Response.SLVERR, Response.DECERR, Response.NONE)[seed // KINDS % 3]
            if channel not in (Channel.R, Channel.W):
                response = Response.NONE
            hung = response is Response.NONE
            npu.inject(channel, int(random.integers(1, (8, 200)[seed % 2])), response)
        elif kind in (1, 2):
            # A bit of a field, and an opcode that is none.
            place = INSTRUCTION_BYTES * int(random.integers(len(program.program)))
            place += int(random.integers(1, INSTRUCTION_BYTES)) if kind == 1 else 0
            raw[place] ^= 1 << int(random.integers(8))
        elif kind == 3:
            limit = int(random.integers(200, 4000))
        elif kind == 4:
            code = _extreme(program.program, random)
            raw[: len(code)] = code
        else:
            first = 4096 * int(random.integers(0, 300))
            npu.write_register("READ_FIRST", first * int(seed % 2))
            npu.write_register("READ_LAST", (1 << 20) + first)
            npu.write_register("WRITE_FIRST", (2 << 20) * int(seed % 2))
            npu.write_register("WRITE_LAST", (2 << 20) + (4096 if seed % 2 else -1))
        npu.write_register("WATCHDOG", 1000)
        npu.write_register("LIMIT", (0, 3000)[seed % 2])
        npu.write(0, raw)
        _attempt(npu, Job(0, program.bases, cycle_limit=limit))
        if not hung:
            npu.behave()
        _open(npu)


def collect(programs: int = PROGRAMS) -> Coverage:
    """The coverage of all runs, `programs` random programs among them, half of them with something wrong."""
    coverage = Coverage()
    with TemporaryDirectory() as folder:
        for index, model in enumerate(MODELS):
            npu = FaultyNpu(CONFIG, 1 << CONFIG.address_width, model, coverage_library(CONFIG))
            share = programs // (2 * len(MODELS))
            _legal(npu, range(index * share, (index + 1) * share))
            if index == 0:
                _lenet(npu)
            _one_by_one(npu)
            _far(npu, np.random.default_rng(index))
            _wrong(npu, range(index * share, (index + 1) * share))
            npu.power_cycle()
            npu.write_coverage(Path(folder) / "coverage.dat")
            coverage.read(Path(folder) / "coverage.dat")
            npu.close()
    return coverage


def campaign(programs: int = PROGRAMS) -> Iterator[Row]:
    """Lines covered or explained, and bits moved."""
    start = perf_counter()
    coverage = collect(programs)
    missed = named(npu_verilog(CONFIG), {number for number, count in coverage.lines.items() if not count})
    failures = [f"{line.name} ({line.text})" for line in unexplained(missed)]
    failures += [f"{pattern} is reached, which has a reason not to be" for pattern in unused(missed)]
    seeds = f"0 to {programs // 2 - 1}"
    seconds = perf_counter() - start
    yield Row("lines of the RTL that ran", round(coverage.share(), 2), [], LINES_BAR, seconds, seeds, "%")
    yield Row("lines of the RTL that ran or are explained", len(coverage.lines), failures, 1, 0, seeds)
    yield Row("rises and falls of the RTL's bits", round(coverage.toggled(), 2), [], 0, 0, seeds, "%")
    total = len(coverage.toggles)
    known = round(100 - 100 * unmoved(coverage)[""] / total, 2)
    yield Row("rises and falls of bits that took place or are explained", known, [], 0, 0, seeds, "%")


def report(coverage: Coverage) -> Sheet:
    """Lines and bits per module."""
    lines: dict[str, list[int]] = {}
    for line in named(npu_verilog(CONFIG), set(coverage.lines)):
        counts = lines.setdefault(line.name.partition(":")[0], [0, 0])
        counts[0] += 1
        counts[1] += coverage.lines[line.number] > 0
    bits: dict[str, list[int]] = {}
    for (module, _), count in coverage.toggles.items():
        counts = bits.setdefault(module, [0, 0])
        counts[0] += 1
        counts[1] += count > 0
    rows = []
    for module in sorted(set(lines) | set(bits)):
        all_lines, ran = lines.get(module, [0, 0])
        all_bits, moved = bits.get(module, [0, 0])
        shares = (
            f"{100 * part / whole:.1f}%" if whole else "" for part, whole in ((ran, all_lines), (moved, all_bits))
        )
        rows.append((module, f"{all_lines:,}", *shares))
    rows.append(("all", f"{len(coverage.lines):,}", f"{coverage.share():.1f}%", f"{coverage.toggled():.1f}%"))
    return Sheet("Coverage of the RTL", ("module", "lines", "ran", "bits moved"), rows)


def covering(
    programs: Annotated[int, typer.Argument(min=2, help="Random ones, half of them legal.")] = PROGRAMS,
) -> None:
    """Count the lines and bits of the RTL that run, and name those that do not."""
    coverage = collect(programs)
    console = standard_output()
    console.print(report(coverage).terminal())
    rows = [(why or "not explained", f"{count:,}") for why, count in unmoved(coverage).most_common()]
    console.print(Sheet("Rises and falls that did not take place", ("reason", "count"), rows).terminal())
    for line in named(npu_verilog(CONFIG), {number for number, count in coverage.lines.items() if not count}):
        print(f"{'' if line in unexplained([line]) else '(explained) '}{line.number}: {line.name}: {line.text}")


if __name__ == "__main__":
    typer.run(covering)
