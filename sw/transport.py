"""The seam between the driver and what it drives: memory, registers, jobs, reports, and errors in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from weft.rtl.isa import INSTRUCTION_BYTES, decode
from weft.rtl.registers import Control, ErrorCause, Feature, Status, Unit

from .autopsy import Listing, autopsy
from .errors import UserError


class DeviceError(UserError):
    """The device stopped with an error, did not finish, or is not the one that the program is for."""

    more_lines = True


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


BY_NUMBER = (ErrorCause.ILLEGAL_INSTRUCTION, ErrorCause.TOKEN_OVERFLOW)
"""Causes for which a unit names its instruction by number."""


def diagnose(transport: Transport, job: Job, run: int) -> DeviceError | None:
    """What went wrong in run `run` of a job, from the registers of a device that has stopped or hangs; None
    if it is done without error."""
    status = transport.read_register("STATUS")
    what = f"run {run + 1} of {job.runs} of the program at {job.program:#x}"
    if status >> Status.ERROR & 1:
        return DeviceError(f"{what} stopped: {_cause(transport)}")
    if not status >> Status.DONE & 1:
        dispatched = transport.read_register("INSTRUCTIONS")
        return DeviceError(
            f"{what} did not finish within {job.cycle_limit} cycles; {dispatched} instructions were dispatched, "
            f"{autopsy(transport)}"
        )
    return None


def _cause(transport: Transport) -> str:
    """The first error of a run."""
    error = transport.read_register("ERROR")
    address = transport.read_register("ERROR_ADDRESS")
    code, unit = error & 0xFF, error >> 8 & 7
    cause = ErrorCause(code).name.lower().replace("_", " ") if code < len(ErrorCause) else f"error {code}"
    if code == ErrorCause.NO_PROGRESS:
        return f"no progress for {transport.read_register('WATCHDOG')} cycles: {autopsy(transport)}"
    if code == ErrorCause.TIME_LIMIT:
        return f"not done after {transport.read_register('LIMIT')} cycles: {autopsy(transport)}"
    if unit >= len(Unit):
        why = f" ({_illegal(transport, address)})" if code == ErrorCause.ILLEGAL_INSTRUCTION else ""
        return f"{cause} at address {address:#x}{why}"
    of = f"{cause} of the {Unit(unit).name.lower()} unit"
    if code == ErrorCause.CONTENTS:
        return f"{of}: a memory of it gave a byte that is not as it was written"
    if code not in BY_NUMBER:
        return f"{of} at address {address:#x}"
    if transport.read_register("FEATURES") >> Feature.CHECKS & 1:
        return f"{of} in {Listing(transport).name(Unit(unit), address)}"
    return of


def soft_reset(transport: Transport, polls: int = 1000) -> bool:
    """Reset the NPU over its registers, and wait until memory has answered what was outstanding.

    Returns
    -------
    Whether memory did, within so many looks at STATUS. If not, Control.DISCONNECT makes the NPU forget it, once the
    memory is known not to answer any more.
    """
    transport.write_register("CONTROL", 1 << Control.RESET)
    return any(not transport.read_register("STATUS") >> Status.MEMORY & 1 for _ in range(polls))


def _illegal(transport: Transport, address: int) -> str:
    """Why the instruction at `address` is illegal, as the assembler sees it."""
    if address + INSTRUCTION_BYTES > transport.memory_bytes:
        return "outside memory"
    try:
        found = decode(transport.read(address, INSTRUCTION_BYTES).tobytes())
    except ValueError as error:
        return str(error)
    return (
        f"the host reads a well-formed {found.opcode.name} there: "
        "a number in it does not fit the configuration, or the NPU read something else"
    )
