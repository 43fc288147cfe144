"""A board behind a serial port: a Transport over the serial link."""

import errno
import os
import termios
from collections.abc import Mapping

import numpy as np
import serial
from numpy.typing import NDArray
from weft.rtl.config import Config
from weft.rtl.link_protocol import DEFAULT_BAUD, LINK_IDENTITY, REGISTERS_BIT, WORD_BYTES, LinkRegister
from weft.rtl.registers import BY_NAME, COUNTERS_OFFSET, Activity, Control, Status, Unit

from ..errors import UserError
from ..transport import DeviceError, Job, RunReport, diagnose
from .link import LinkError, SerialLink

COUNTER_BYTES = 64 * len(Unit)


def open_port(port: str, baud: int = DEFAULT_BAUD) -> serial.Serial:
    """The serial port, opened for the link.

    Raises
    ------
    UserError
        If there is no such port, it is no serial port, it is in use, or the user may not use it.
    """
    try:
        line = serial.Serial(port, baud, timeout=1.0, write_timeout=10.0, exclusive=True)
        line.reset_input_buffer()
    except (OSError, ValueError, termios.error) as error:
        code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        if code in (errno.EAGAIN, errno.EBUSY):
            raise UserError(f"the serial port {port} is in use by another program") from None
        reason = os.strerror(code) if code else str(error)
        raise UserError(f"the serial port {port} cannot be opened: {reason}") from None
    return line


class SerialTransport:
    """The board at the other end of a link: a Transport.

    Parameters
    ----------
    link
        The link; the board behind it is identified and its NPU reset.
    config
        What the board was built for, if known; without it a report has no counters.

    Raises
    ------
    LinkError
        From every method, as SerialLink's.
    """

    def __init__(self, link: SerialLink, config: Config | None = None) -> None:
        self.link = link
        self.config = config
        identity = self._own(LinkRegister.IDENTITY)
        if identity != LINK_IDENTITY:
            raise LinkError(
                f"{link.name} speaks another version of the link: {identity:#010x}, not {LINK_IDENTITY:#010x}"
            )
        self._memory_bytes = self._own(LinkRegister.MEMORY_BYTES)
        self.clock_hz = self._own(LinkRegister.CLOCK_HZ)
        """The frequency of the board's clock."""
        self.digest = self.read_register("DIGEST")
        """The first 32 bits of the digest of the board's configuration."""
        self._addresses: tuple[int, ...] = ()  # what PROGRAM and the base registers hold
        self.reset()

    @property
    def memory_bytes(self) -> int:
        """Size of the board's memory."""
        return self._memory_bytes

    def _own(self, register: LinkRegister) -> int:
        return int.from_bytes(self.link.read(1 << REGISTERS_BIT | register, WORD_BYTES), "little")

    def _check(self, address: int, count: int) -> None:
        if not 0 <= address <= address + count <= self._memory_bytes:
            raise UserError(f"{count} bytes at {address:#x} are outside the memory of {self._memory_bytes} bytes")

    def write(self, address: int, data: NDArray[np.uint8]) -> None:
        """Copy bytes to memory."""
        self._check(address, len(data))
        if not len(data):
            return
        begin, end = address % WORD_BYTES, -(address + len(data)) % WORD_BYTES
        first, last = address - begin, address + len(data) + end
        content = bytearray(data.tobytes())
        # The link writes whole words: the bytes around what is written are written as they are.
        if end:
            content += self.link.read(last - WORD_BYTES, WORD_BYTES)[-end:]
        if begin:
            content[:0] = self.link.read(first, WORD_BYTES)[:begin]
        self.link.write(first, bytes(content))

    def read(self, address: int, count: int) -> NDArray[np.uint8]:
        """Copy bytes from memory."""
        self._check(address, count)
        begin, end = address % WORD_BYTES, -(address + count) % WORD_BYTES
        raw = self.link.read(address - begin, begin + count + end)
        return np.frombuffer(raw, np.uint8)[begin : begin + count].copy()

    def write_register(self, name: str, value: int) -> None:
        """Write a register."""
        self.link.write(1 << REGISTERS_BIT | BY_NAME[name].offset, value.to_bytes(WORD_BYTES, "little"))

    def read_register(self, name: str) -> int:
        """Read a register."""
        return self._registers(BY_NAME[name].offset, WORD_BYTES)[BY_NAME[name].offset]

    def _registers(self, offset: int, count: int) -> Mapping[int, int]:
        """The registers in a range, by their offsets."""
        words = np.frombuffer(self.link.read(1 << REGISTERS_BIT | offset, count), "<u4").tolist()
        return {offset + WORD_BYTES * index: word for index, word in enumerate(words)}

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
        cycles = []
        for run in range(job.runs):
            bases = [base + run * step for base, step in zip(job.bases, job.steps, strict=True)]
            self._place(job.program, *bases)
            self.write_register("CONTROL", 1 << Control.START)
            cycles.append(self._finish(job, run))
        return RunReport(np.array(cycles, np.int64), None, self._counters())

    def _place(self, *addresses: int) -> None:
        """PROGRAM and the base registers, which lie side by side."""
        if addresses != self._addresses:
            self._addresses = ()
            content = np.array(addresses, "<u4").tobytes()
            self.link.write(1 << REGISTERS_BIT | BY_NAME["PROGRAM"].offset, content)
            self._addresses = addresses

    def _finish(self, job: Job, run: int) -> int:
        """Wait for the end of a run; the cycles it took. The board's own clock says when it is overdue."""
        first, last = BY_NAME["STATUS"].offset, BY_NAME["CYCLES"].offset
        while True:
            registers = self._registers(first, last + WORD_BYTES - first)
            status, cycles = registers[first], registers[last]
            if status >> Status.ERROR & 1 or (status >> Status.BUSY & 1 and cycles > job.cycle_limit):
                error = diagnose(self, job, run)
                raise error or DeviceError(f"{self.link.name} finished late, after the cycle limit")
            if status >> Status.DONE & 1:
                return cycles
            if not status >> Status.BUSY & 1:
                raise DeviceError(f"{self.link.name} does not run what was started; was it reset?")

    def _counters(self) -> Mapping[str, int] | None:
        if self.config is None or not self.config.counters:
            return None
        counts = self._registers(COUNTERS_OFFSET, COUNTER_BYTES)
        names = [f"{unit.name}_{activity.name}" for unit in Unit for activity in Activity if activity]
        registers = {name: self.read_register(name) for name in ("CYCLES", "INSTRUCTIONS")}
        return registers | {name: counts[BY_NAME[name].offset] for name in names}
