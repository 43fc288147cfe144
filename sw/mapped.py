"""An NPU in the address space of the processor that drives it: a Transport for PYNQ."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import Config
from weft.rtl.registers import BY_NAME, Activity, Control, Status, Unit

from .errors import UserError
from .transport import DeviceError, Job, RunReport, diagnose

ADDRESSES = ("PROGRAM", "READ_FIRST", "READ_LAST", "WRITE_FIRST", "WRITE_LAST")
"""Registers that hold addresses, besides the bases."""


class Registers(Protocol):
    """What pynq.MMIO does."""

    def read(self, offset: int) -> int:
        """The register at an offset."""

    def write(self, offset: int, value: int) -> None:
        """Write it."""


class Buffer(Protocol):
    """What pynq.allocate gives: memory that processor and NPU see, at `device_address` for the NPU."""

    device_address: int

    def flush(self) -> None:
        """Let the NPU see what was written."""

    def invalidate(self) -> None:
        """See what the NPU has written."""


class MappedTransport:
    """An NPU behind mapped registers, with a buffer of contiguous memory.

    The transport's addresses begin with the buffer; the NPU is given those of the bus.

    Parameters
    ----------
    registers
        As pynq.MMIO.
    buffer
        As pynq.allocate's, of uint8; at a multiple of 4096.
    config
        What the NPU was built for, if known; without it a report has no counters.
    """

    def __init__(self, registers: Registers, buffer: Any, config: Config | None = None) -> None:
        if buffer.device_address % 4096:
            raise UserError(f"the buffer must begin at a multiple of 4096, not at {buffer.device_address:#x}")
        self.registers = registers
        self.buffer = buffer
        self.config = config

    @property
    def memory_bytes(self) -> int:
        """Size of the buffer."""
        return len(self.buffer)

    def _region(self, address: int, count: int) -> slice:
        if not 0 <= address <= address + count <= self.memory_bytes:
            raise UserError(f"{count} bytes at {address:#x} are outside the memory of {self.memory_bytes} bytes")
        return slice(address, address + count)

    def write(self, address: int, data: NDArray[np.uint8]) -> None:
        """Copy bytes to memory."""
        self.buffer[self._region(address, len(data))] = data
        self.buffer.flush()

    def read(self, address: int, count: int) -> NDArray[np.uint8]:
        """Copy bytes from memory."""
        self.buffer.invalidate()
        return np.array(self.buffer[self._region(address, count)], np.uint8)

    def write_register(self, name: str, value: int) -> None:
        """Write a register; addresses count from the buffer on."""
        moved = self.buffer.device_address if name in ADDRESSES or name.startswith("BASE_") else 0
        self.registers.write(BY_NAME[name].offset, value + moved)

    def read_register(self, name: str) -> int:
        """Read a register, as it is but for ERROR_ADDRESS, which counts from the buffer on where it is inside."""
        value = self.registers.read(BY_NAME[name].offset)
        inside = 0 <= value - self.buffer.device_address < self.memory_bytes
        return value - self.buffer.device_address if name == "ERROR_ADDRESS" and inside else value

    def reset(self) -> None:
        """Stop whatever is running; memory stays."""
        self.write_register("CONTROL", 1 << Control.RESET)

    def run(self, job: Job) -> RunReport:
        """Do all runs of a job.

        Raises
        ------
        DeviceError
            If one ends with an error or does not end.
        """
        self.write_register("PROGRAM", job.program)
        cycles = []
        for run in range(job.runs):
            for index, (base, step) in enumerate(zip(job.bases, job.steps, strict=True)):
                if run == 0 or step:
                    self.write_register(f"BASE_{index}", base + run * step)
            self.write_register("CONTROL", 1 << Control.START)
            while not (status := self.read_register("STATUS")) >> Status.DONE & 1:
                if status >> Status.ERROR & 1 or self.read_register("CYCLES") > job.cycle_limit:
                    raise diagnose(self, job, run) or DeviceError("the NPU finished late, after the cycle limit")
            cycles.append(self.read_register("CYCLES"))
        return RunReport(np.array(cycles, np.int64), None, self._counters())

    def _counters(self) -> Mapping[str, int] | None:
        if self.config is None or not self.config.counters:
            return None
        names = ["CYCLES", "INSTRUCTIONS"]
        names += [f"{unit.name}_{activity.name}" for unit in Unit for activity in Activity if activity]
        return {name: self.read_register(name) for name in names}


def open_overlay(bitfile: str, memory_bytes: int, config: Config | None = None) -> MappedTransport:
    """The NPU of an overlay that `weft package zynq` and Vivado have made, on a PYNQ board.

    Raises
    ------
    UserError
        If this is no PYNQ board.
    """
    try:
        import pynq
    except ImportError:
        raise UserError("a Zynq is driven from its own processor, with the Python package pynq") from None
    overlay = pynq.Overlay(bitfile)
    place = overlay.ip_dict["npu"]
    registers = pynq.MMIO(place["phys_addr"], place["addr_range"])
    return MappedTransport(registers, pynq.allocate(memory_bytes, np.uint8), config)
