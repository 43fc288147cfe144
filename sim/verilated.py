"""The RTL in simulation, with a memory behind its bus: a transport for the driver. harness.cpp is its other half."""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import Config
from weft.rtl.registers import BASES, BY_NAME, Activity, Control, Status, Unit
from weft.sim.library import npu_library
from weft.sw.errors import UserError
from weft.sw.transport import DeviceError, Job, RunReport, Trace, diagnose

MEMORY_BYTES = 64 << 20

ACTIVITIES = 16
"""Values of the activity ports, as the harness counts them."""

FINISHED, TIMEOUT, DEVICE_ERROR, FAULT, NO_ANSWER = range(5)


@dataclass(frozen=True)
class MemoryModel:
    """How the memory behind the AXI4 port behaves: it answers in order, at most one data beat per cycle.

    Raises
    ------
    UserError
        For a value out of range.
    """

    read_latency: int = 10
    """Cycles from the cycle in which an address is accepted to that of its first data beat."""
    write_latency: int = 10
    """Cycles from the last data beat of a write to its response."""
    bandwidth: float | None = None
    """Bytes per cycle of reads and writes together; None is no limit but the width of the port."""
    stalls: float = 0.0
    """Chance per channel and cycle that a ready or a new valid is withheld, on the register port, too."""
    stall_seed: int = 0
    """Two simulations with the same seed stall alike."""

    def __post_init__(self) -> None:
        for name in ("read_latency", "write_latency"):
            value = getattr(self, name)
            if not isinstance(value, int) or not 1 <= value <= 1 << 20:
                raise UserError(f"{name} must be an integer from 1 to {1 << 20} cycles, not {value!r}")
        if self.bandwidth is not None and not 1 / 256 <= self.bandwidth <= 1 << 20:
            raise UserError(f"bandwidth must be from 1/256 to {1 << 20} bytes per cycle, not {self.bandwidth!r}")
        if not 0 <= self.stalls <= 0.95:
            raise UserError(f"stalls must be a chance from 0 to 0.95, not {self.stalls!r}")
        if not isinstance(self.stall_seed, int) or not 0 <= self.stall_seed < 1 << 32:
            raise UserError(f"stall_seed must be an integer from 0 to 2^32 - 1, not {self.stall_seed!r}")


class _Registers(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_uint64) for name in ("control", "status", "program")),
        ("base", ctypes.c_uint64 * BASES),
        *((name, ctypes.c_uint64) for name in ("start", "interrupt_enable", "done", "error")),
    ]


class _Settings(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint64) for name in ("read_latency", "write_latency", "bandwidth", "stall_seed", "stalls")
    ]


def _registers() -> _Registers:
    return _Registers(
        BY_NAME["CONTROL"].offset,
        BY_NAME["STATUS"].offset,
        BY_NAME["PROGRAM"].offset,
        (ctypes.c_uint64 * BASES)(*(BY_NAME[f"BASE_{index}"].offset for index in range(BASES))),
        1 << Control.START,
        1 << Control.INTERRUPT_ENABLE,
        1 << Status.DONE,
        1 << Status.ERROR,
    )


def _pointer(array: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def _open(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    pointer, word, integer = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int
    for name, result, arguments in (
        ("new", pointer, (pointer, word, pointer, pointer)),
        ("delete", None, (pointer,)),
        ("reset", None, (pointer,)),
        ("choose_mutant", None, (pointer, ctypes.c_uint)),
        ("coverage", None, (pointer, ctypes.c_char_p)),
        ("cycle", word, (pointer,)),
        ("fault", ctypes.c_char_p, (pointer,)),
        ("idle", None, (pointer, word)),
        ("forget", None, (pointer,)),
        ("stall", None, (pointer, word)),
        ("inject", None, (pointer, integer, word, ctypes.c_uint32)),
        ("transfers", word, (pointer, integer)),
        ("injected_at", word, (pointer,)),
        ("window", None, (pointer, integer, word, word)),
        ("strays", word, (pointer, pointer)),
        ("memory", word, (pointer, word, pointer)),
        ("flip", None, (pointer, word, word, word, word)),
        ("write_register", integer, (pointer, word, ctypes.c_uint32)),
        ("read_register", integer, (pointer, word, pointer)),
        ("run", integer, (pointer, ctypes.c_uint32, pointer, pointer, word, word, pointer, pointer)),
        ("tags", word, (pointer,)),
        ("trace", None, (pointer,) * 5),
    ):
        function = getattr(library, f"weft_{name}")
        function.restype, function.argtypes = result, arguments
    return library


class VerilatedNpu:
    """The RTL of one configuration with `memory_bytes` of memory: a Transport (weft.sw.driver).

    `library` is for a top of one's own with the same ports, as library.compile_library gives it.

    Raises
    ------
    UserError
        If the RTL cannot be compiled.
    """

    def __init__(
        self,
        config: Config,
        memory_bytes: int = MEMORY_BYTES,
        model: MemoryModel | None = None,
        library: Path | None = None,
    ):
        model = model or MemoryModel()
        self.config = config
        self.memory = np.zeros(min(memory_bytes, 1 << config.address_width), np.uint8)
        """All memory; what is changed here is changed for the NPU, too."""
        self.interrupted = False
        """Whether the last run ended with the interrupt."""
        self._library = _open(library or npu_library(config))
        settings = _Settings(
            model.read_latency,
            model.write_latency,
            round(256 * (model.bandwidth or 0)),
            model.stall_seed,
            round(256 * model.stalls),
        )
        self._sim: int | None = self._library.weft_new(
            _pointer(self.memory), len(self.memory), ctypes.byref(_registers()), ctypes.byref(settings)
        )

    def close(self) -> None:
        """Free the simulation."""
        if self._sim is not None:
            self._library.weft_delete(self._sim)
            self._sim = None

    def __del__(self) -> None:
        if hasattr(self, "_sim"):
            self.close()

    @property
    def memory_bytes(self) -> int:
        """Size of the memory."""
        return len(self.memory)

    @property
    def cycle(self) -> int:
        """Cycles simulated since the simulation was made."""
        return int(self._library.weft_cycle(self._sim))

    def _region(self, address: int, count: int) -> slice:
        if not 0 <= address <= address + count <= len(self.memory):
            raise UserError(f"{count} bytes at {address:#x} are outside the memory of {len(self.memory)} bytes")
        return slice(address, address + count)

    def write(self, address: int, data: NDArray[np.uint8]) -> None:
        """Copy bytes to memory."""
        self.memory[self._region(address, len(data))] = data

    def read(self, address: int, count: int) -> NDArray[np.uint8]:
        """Copy bytes from memory."""
        return self.memory[self._region(address, count)].copy()

    def write_register(self, name: str, value: int) -> None:
        """Write a register over AXI4-Lite."""
        self._answered(self._library.weft_write_register(self._sim, BY_NAME[name].offset, value), name)

    def read_register(self, name: str) -> int:
        """Read a register over AXI4-Lite."""
        value = ctypes.c_uint32()
        outcome = self._library.weft_read_register(self._sim, BY_NAME[name].offset, ctypes.byref(value))
        self._answered(outcome, name)
        return value.value

    def _answered(self, outcome: int, name: str) -> None:
        if outcome:
            raise DeviceError(f"the register port did not answer an access to {name}")

    def reset(self) -> None:
        """Pulse the reset of the NPU and forget all transfers under way."""
        self._library.weft_reset(self._sim)

    def choose_mutant(self, number: int) -> None:
        """Break a library of weft.sim.mutated in this way, from the next cycle on; 0 is not at all."""
        self._library.weft_choose_mutant(self._sim, number)

    def write_coverage(self, path: Path) -> None:
        """Write what was used since the last call, for a library of weft.sim.coverage."""
        self._library.weft_coverage(self._sim, str(path).encode())

    def run(self, job: Job) -> RunReport:
        """Do all runs of a job.

        Raises
        ------
        DeviceError
            If one ends with an error, does not end, or breaks a rule of the bus.
        """
        cycles = np.zeros(job.runs, np.int64)
        finished = ctypes.c_uint64()
        bases, steps = (np.array(values, np.uint64) for values in (job.bases, job.steps))
        outcome = self._library.weft_run(
            self._sim,
            job.program,
            _pointer(bases),
            _pointer(steps),
            job.runs,
            job.cycle_limit,
            _pointer(cycles),
            ctypes.byref(finished),
        )
        self.interrupted = outcome in (FINISHED, DEVICE_ERROR)
        if outcome == NO_ANSWER:
            raise DeviceError("the register port did not answer while a job was started or checked")
        if outcome == FAULT:
            raise DeviceError(f"the bus was misused: {self._library.weft_fault(self._sim).decode()}")
        if outcome != FINISHED:
            error = diagnose(self, job, finished.value)
            raise error or DeviceError("the device raised its interrupt late, after the cycle limit")
        return RunReport(cycles, self._trace(), self._counters())

    def _trace(self) -> Trace:
        count = self._library.weft_tags(self._sim)
        tags = np.zeros(count, np.int64)
        activity = np.zeros((count, len(Unit), ACTIVITIES), np.int64)
        first, completed = (np.zeros((count, len(Unit)), np.int64) for _ in range(2))
        self._library.weft_trace(self._sim, *map(_pointer, (tags, activity, first, completed)))
        order = np.argsort(tags)
        return Trace(tuple(tags[order].tolist()), activity[order, :, : len(Activity)], first[order], completed[order])

    def _counters(self) -> Mapping[str, int] | None:
        if not self.config.counters:
            return None
        names = ["CYCLES", "INSTRUCTIONS"]
        names += [f"{unit.name}_{activity.name}" for unit in Unit for activity in Activity if activity]
        return {name: self.read_register(name) for name in names}
