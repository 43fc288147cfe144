"""The seam between the driver and what it drives: memory, registers, jobs, reports, and errors in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from weft.rtl.isa import INSTRUCTION_BYTES, decode
from weft.rtl.registers import Activity, ErrorCause, Status, Unit

from .errors import UserError


class DeviceError(UserError):
    """The device stopped with an error, did not finish, or is not the one that the program is for."""


class Job(NamedTuple):
    """`runs` runs of the program at address `program`; base b holds `bases[b] + run * steps[b]`."""

    program: int
    bases: tuple[int, int, int, int]
    steps: tuple[int, int, int, int] = (0, 0, 0, 0)
    runs: int = 1
    cycle_limit: int = 1_000_000
    """Cycles after which one run is given up."""


@dataclass(frozen=True)
class Trace:
    """What each unit did for each tag in one run; cycles count from the start of the run."""

    tags: tuple[int, ...]
    """In ascending order."""
    activity: NDArray[np.int64]
    """Shape (tags, units, activities): cycles; idle cycles belong to no tag and are left out."""
    first: NDArray[np.int64]
    """Shape (tags, units): the first cycle in which the unit was not idle, -1 if it never was."""
    completed: NDArray[np.int64]
    """Shape (tags, units): the cycle in which the unit completed its last instruction, -1 if it had none."""


@dataclass(frozen=True)
class RunReport:
    """What a job took."""

    cycles: NDArray[np.int64] | None = None
    """Per run: cycles from the write that starts it to the interrupt; None where there is no clock."""
    trace: Trace | None = None
    """Of the last run; None where units cannot be watched."""
    counters: Mapping[str, int] | None = None
    """The counter registers after the last run, by name; None where there are none."""
    parts: tuple["RunReport", ...] = ()
    """Where several programs run for each sample: what each took. Cycles and counters are then the sums, and there is
    no trace."""


def total_report(parts: Sequence[RunReport]) -> RunReport:
    """What several programs took, one after the other."""
    if len(parts) == 1:
        return parts[0]
    cycles = [part.cycles for part in parts if part.cycles is not None]
    counters = [part.counters for part in parts if part.counters is not None]
    total = None
    if counters:
        total = {name: sum(some[name] for some in counters) for name in counters[0]}
    return RunReport(np.sum(cycles, axis=0) if cycles else None, None, total, tuple(parts))


class Transport(Protocol):
    """A device: memory and registers. Addresses and sizes are in bytes; registers go by their names."""

    @property
    def memory_bytes(self) -> int:
        """Size of the memory, which starts at address 0."""

    def write(self, address: int, data: NDArray[np.uint8]) -> None:
        """Copy bytes to memory."""

    def read(self, address: int, count: int) -> NDArray[np.uint8]:
        """Copy bytes from memory."""

    def write_register(self, name: str, value: int) -> None:
        """Write a register."""

    def read_register(self, name: str) -> int:
        """Read a register."""

    def run(self, job: Job) -> RunReport:
        """Do all runs of a job. Raises DeviceError when one fails (see `diagnose`)."""

    def reset(self) -> None:
        """Stop whatever is running; memory stays."""


WORDS = {
    Activity.IDLE: "is idle",
    Activity.BUSY: "is busy",
    Activity.WAIT_LOAD: "waits for a token of the load unit",
    Activity.WAIT_ARRAY: "waits for a token or sums of the array",
    Activity.WAIT_DRAIN: "waits for a token of the drain or a free accumulator half",
    Activity.WAIT_STORE: "waits for a token of the store unit",
    Activity.WAIT_MEMORY: "waits for memory",
    Activity.WAIT_SCRATCHPAD: "waits for the scratchpad",
    Activity.WAIT_WEIGHTS: "waits for weights to arrive",
}


def units_text(units: int) -> str:
    """The UNITS register in words."""
    parts = []
    for unit in Unit:
        value = units >> 4 * unit & 15
        words = WORDS[Activity(value)] if value < len(Activity) else f"is in the undefined state {value}"
        parts.append(f"the {unit.name.lower()} unit {words}")
    return ", ".join(parts)


def diagnose(transport: Transport, job: Job, run: int) -> DeviceError | None:
    """What went wrong in run `run` of a job, from the registers of a device that has stopped or hangs; None
    if it is done without error."""
    status = transport.read_register("STATUS")
    what = f"run {run + 1} of {job.runs} of the program at {job.program:#x}"
    if status >> Status.ERROR & 1:
        error = transport.read_register("ERROR")
        address = transport.read_register("ERROR_ADDRESS")
        code, unit = error & 0xFF, error >> 8 & 7
        cause = ErrorCause(code).name.lower().replace("_", " ") if code < len(ErrorCause) else f"error {code}"
        if code == ErrorCause.ILLEGAL_INSTRUCTION:
            why = _illegal(transport, address)
            return DeviceError(f"{what} stopped: {cause} at address {address:#x} ({why})")
        of = f" of the {Unit(unit).name.lower()} unit" if unit < len(Unit) else ""
        return DeviceError(f"{what} stopped: {cause}{of} at address {address:#x}")
    if not status >> Status.DONE & 1:
        units = units_text(transport.read_register("UNITS"))
        dispatched = transport.read_register("INSTRUCTIONS")
        return DeviceError(
            f"{what} did not finish within {job.cycle_limit} cycles; {dispatched} instructions were dispatched, {units}"
        )
    return None


def _illegal(transport: Transport, address: int) -> str:
    """Why the instruction at `address` is illegal, as the assembler sees it."""
    if address + INSTRUCTION_BYTES > transport.memory_bytes:
        return "outside memory"
    try:
        found = decode(transport.read(address, INSTRUCTION_BYTES).tobytes())
    except ValueError as error:
        return str(error)
    return f"the host reads a legal {found.opcode.name} there"
