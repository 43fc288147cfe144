"""Transports on this computer: the functional machine, and several simulations of the RTL at once."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import Config
from weft.rtl.registers import BASES, BY_NAME, IDENTITY, INTERFACE_VERSION
from weft.sw.driver import Device, Inputs, Model, Progress, Result, in_order, prepare
from weft.sw.errors import UserError
from weft.sw.transport import DeviceError, Job, RunReport

from .library import npu_library
from .machine import Machine, MachineError
from .verilated import MEMORY_BYTES, MemoryModel, VerilatedNpu


class MachineTransport:
    """The functional machine with `memory_bytes` of memory: a Transport without time.

    `seed` is Machine.run's: with it, units take turns at random as far as tokens allow.
    """

    def __init__(self, config: Config, memory_bytes: int = MEMORY_BYTES, seed: int | None = None):
        self.config = config
        self.machine = Machine(config, min(memory_bytes, 1 << config.address_width))
        self.seed = seed
        self._registers = dict.fromkeys(("PROGRAM", *(f"BASE_{index}" for index in range(BASES))), 0)

    @property
    def memory_bytes(self) -> int:
        """Size of the memory."""
        return self.machine.memory.size

    def _region(self, address: int, count: int) -> slice:
        if not 0 <= address <= address + count <= self.memory_bytes:
            raise UserError(f"{count} bytes at {address:#x} are outside the memory of {self.memory_bytes} bytes")
        return slice(address, address + count)

    def write(self, address: int, data: NDArray[np.uint8]) -> None:
        """Copy bytes to memory."""
        self.machine.memory[self._region(address, len(data))] = data

    def read(self, address: int, count: int) -> NDArray[np.uint8]:
        """Copy bytes from memory."""
        return self.machine.memory[self._region(address, count)].copy()

    def write_register(self, name: str, value: int) -> None:
        """Set an address register; the machine runs through `run` alone."""
        if name not in self._registers:
            raise DeviceError(f"the functional machine has no register {name} to write")
        self._registers[name] = value

    def read_register(self, name: str) -> int:
        """Read an address register or one that identifies the device; all others read as zero."""
        constant = {"IDENTITY": IDENTITY, "VERSION": INTERFACE_VERSION, "DIGEST": self.config.digest32}
        return int(self._registers.get(name, constant.get(BY_NAME[name].name, 0)))

    def reset(self) -> None:
        """Forget what an error left behind; memories stay."""
        self.machine.reset()

    def run(self, job: Job) -> RunReport:
        """Do all runs of a job.

        Raises
        ------
        DeviceError
            If one does something undefined, or hangs.
        """
        for run in range(job.runs):
            bases = [base + run * step for base, step in zip(job.bases, job.steps, strict=True)]
            try:
                self.machine.run(job.program, bases, None if self.seed is None else self.seed + run)
            except MachineError as error:
                what = f"run {run + 1} of {job.runs} of the program at {job.program:#x}"
                raise DeviceError(f"{what} stopped: {error}") from None
        return RunReport()


def _worker(
    library: Path, model: MemoryModel | None, program: Model, inputs: list[NDArray[Any]], memory_bytes: int
) -> Result:
    """Run one share of the samples, inputs in the program's order."""
    npu = VerilatedNpu(program.config, memory_bytes, model, library)
    return Device(npu).run(program, inputs)


def _joined(reports: Sequence[RunReport]) -> RunReport:
    """The reports on all shares; trace and counters are those of the last one."""
    last = reports[-1]
    cycles = [report.cycles for report in reports if report.cycles is not None]
    parts = tuple(_joined([report.parts[index] for report in reports]) for index in range(len(last.parts)))
    return RunReport(np.concatenate(cycles) if cycles else None, last.trace, last.counters, parts)


def run_many(
    program: Model,
    inputs: Inputs,
    processes: int = 2,
    progress: Progress | None = None,
    model: MemoryModel | None = None,
    memory_bytes: int = MEMORY_BYTES,
    library: Path | None = None,
    share: int = 500,
) -> Result:
    """Device.run on the simulated RTL, the samples spread over processes, `share` at a time.

    Each share has a simulation of its own, so that the result does not depend on `processes`. The trace and the
    counters are those of the last sample.

    Raises
    ------
    UserError, DeviceError
        As Device.run and VerilatedNpu do.
    """
    if processes < 1 or share < 1:
        raise UserError(f"processes and share must be at least 1, not {processes} and {share}")
    arrays = in_order(program, inputs)
    prepare(program, arrays)  # what is wrong with the inputs comes up before anything is compiled
    samples = len(arrays[0])
    library = library or npu_library(program.config)
    shares = [slice(start, min(start + share, samples)) for start in range(0, samples, share)]

    done = 0
    results: dict[int, Result] = {}
    # Spawned, not forked: a fork would copy the threads' locks of whoever calls.
    with ProcessPoolExecutor(min(processes, len(shares)), get_context("spawn")) as pool:
        futures = {
            pool.submit(_worker, library, model, program, [array[part] for array in arrays], memory_bytes): index
            for index, part in enumerate(shares)
        }
        try:
            for future in as_completed(futures):
                index = futures[future]
                results[index] = future.result()
                done += shares[index].stop - shares[index].start
                if progress is not None:
                    progress(done, samples)
        except BrokenProcessPool:
            raise DeviceError("a process that simulated the RTL ended abnormally") from None
        finally:
            pool.shutdown(cancel_futures=True)
    ordered = [results[index] for index in range(len(shares))]
    outputs = {name: np.concatenate([result.outputs[name] for result in ordered]) for name in ordered[0].outputs}
    return Result(outputs, _joined([result.report for result in ordered]))
