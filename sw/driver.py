"""The host's side of an inference. It drives whatever is behind a Transport (the functional machine, the
simulated RTL, a board) and does not know which.

Memory, from address 0: the program's image (base 0), its workspace (base 3), then the input buffers (base 1)
and the output buffers (base 2) of as many samples as fit, up to `chunk`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from weft.rtl.registers import IDENTITY, INTERFACE_VERSION

from . import host
from .errors import UserError
from .program import Port, Program
from .transport import DeviceError, Job, RunReport, Transport

PAGE = 4096
"""Regions start at a multiple of this, and no sample's buffer crosses such a boundary needlessly: AXI bursts
break there, and all samples should take the same cycles."""

WIDEST_WORD = 128
"""Bytes; a buffer spans whole words of the widest memory."""

Progress = Callable[[int, int], None]
"""Called with the number of samples done and that of all samples."""

Inputs = Mapping[str, NDArray[Any]] | Sequence[NDArray[Any]] | NDArray[Any]


class Result(NamedTuple):
    """The outputs by name, samples on axis 0, and the report on the runs."""

    outputs: dict[str, NDArray[Any]]
    report: RunReport


class Device:
    """A device behind a transport, which takes up to `chunk` samples at a time.

    Raises
    ------
    DeviceError
        If what answers is not such a device, or is of another interface version.
    """

    def __init__(self, transport: Transport, chunk: int = 256):
        self.transport = transport
        self.chunk = chunk
        self.program: Program | None = None
        """The program that is loaded."""
        identity, version = transport.read_register("IDENTITY"), transport.read_register("VERSION")
        if identity != IDENTITY:
            raise DeviceError(f"the device's IDENTITY register must read {IDENTITY:#x}, not {identity:#x}")
        if version != INTERFACE_VERSION:
            raise DeviceError(f"the device's interface version must be {INTERFACE_VERSION}, not {version}")

    def load(self, program: Program) -> None:
        """Write the image and run the setup program, unless this program is the one that is loaded.

        Raises
        ------
        DeviceError
            If the program was compiled for another configuration, does not fit, or its setup fails.
        """
        if self.program is program or self.program == program:
            return
        wanted, digest = program.config.digest32, self.transport.read_register("DIGEST")
        if digest != wanted:
            raise DeviceError(f"the program was compiled for configuration {wanted:08x}, the device has {digest:08x}")
        layout = self._layout(program)
        self.program = None
        self.transport.write(0, np.frombuffer(program.image, np.uint8))
        if program.setup >= 0:
            # The setup program copies parts of the image, at a byte in several cycles at worst.
            self._execute(Job(program.setup, layout.bases, cycle_limit=1_000_000 + 100 * len(program.image)))
        self.program = program

    def run(self, program: Program, inputs: Inputs, progress: Progress | None = None) -> Result:
        """Infer one sample after the other.

        Parameters
        ----------
        inputs
            An array per input, by name or in order, with the samples on axis 0; one input may stand alone.
        progress
            Called after each chunk.

        Raises
        ------
        UserError
            If the inputs do not suit the program.
        DeviceError
            If the device fails; it is reset, and the program is loaded afresh next time.
        """
        arrays = prepare(program, inputs)
        samples = len(arrays[0])
        self.load(program)
        layout = self._layout(program)
        raw = np.empty((samples, program.output_bytes), np.uint8)
        cycles, report = [], RunReport()
        for start in range(0, samples, layout.chunk):
            part = slice(start, min(start + layout.chunk, samples))
            count = part.stop - start
            packed = np.zeros((count, layout.input_step), np.uint8)
            for port, array in zip(program.inputs, arrays, strict=True):
                content = np.ascontiguousarray(array[part]).reshape(count, -1).view(np.uint8)
                packed[:, port.offset : port.offset + port.bytes] = content
            self.transport.write(layout.input, packed.reshape(-1))
            try:
                report = self._execute(Job(program.run, layout.bases, layout.steps, count, _cycle_limit(program)))
            except DeviceError as error:
                raise DeviceError(f"{error} (samples {start} to {part.stop - 1})") from None
            if report.cycles is not None:
                cycles.append(report.cycles)
            got = self.transport.read(layout.output, count * layout.output_step)
            raw[part] = got.reshape(count, -1)[:, : program.output_bytes]
            if progress is not None:
                progress(part.stop, samples)
        outputs = {
            port.name: host.apply(program.steps_after(index), _unpack(port, raw))
            for index, port in enumerate(program.outputs)
        }
        total = np.concatenate(cycles) if cycles else None
        return Result(outputs, RunReport(total, report.trace, report.counters))

    def _execute(self, job: Job) -> RunReport:
        try:
            return self.transport.run(job)
        except DeviceError:
            self.program = None
            self.transport.reset()
            raise

    def _layout(self, program: Program) -> "_Layout":
        memory_bytes = min(self.transport.memory_bytes, 1 << program.config.address_width)
        layout = _Layout.plan(program, memory_bytes, self.chunk)
        if layout.end > memory_bytes:
            raise DeviceError(f"the program needs {layout.end} bytes of memory, the device has {memory_bytes}")
        return layout


@dataclass(frozen=True)
class _Layout:
    """Where things lie in memory."""

    workspace: int
    input: int
    output: int
    input_step: int
    output_step: int
    chunk: int

    @property
    def end(self) -> int:
        return self.output + self.chunk * self.output_step

    @property
    def bases(self) -> tuple[int, int, int, int]:
        return 0, self.input, self.output, self.workspace

    @property
    def steps(self) -> tuple[int, int, int, int]:
        return 0, self.input_step, self.output_step, 0

    @staticmethod
    def plan(program: Program, memory_bytes: int, chunk: int) -> "_Layout":
        workspace = _round_up(len(program.image), PAGE)
        first = workspace + _round_up(program.workspace_bytes, PAGE)
        input_step, output_step = _step(program.input_bytes), _step(program.output_bytes)
        room = memory_bytes - first - PAGE
        count = max(1, min(chunk, room // (input_step + output_step)))
        output = _round_up(first + count * input_step, PAGE)
        return _Layout(workspace, first, output, input_step, output_step, count)


def _round_up(value: int, unit: int) -> int:
    return -(-value // unit) * unit


def _step(size: int) -> int:
    """From one sample's buffer to the next: a power of two up to a page, then whole pages."""
    if size > PAGE:
        return _round_up(size, PAGE)
    return max(WIDEST_WORD, 1 << (size - 1).bit_length())


def _cycle_limit(program: Program) -> int:
    """Cycles after which an inference certainly hangs."""
    return 1_000_000 + 100 * sum(layer.predicted_cycles for layer in program.layers)


def in_order(program: Program, inputs: Inputs) -> list[NDArray[Any]]:
    """The inputs in the order of the program's, as the caller gives them.

    Raises
    ------
    UserError
        If there are too few or too many, or they differ in the number of samples.
    """
    ports = program.inputs
    names = ", ".join(port.name for port in ports)
    if isinstance(inputs, Mapping):
        if set(inputs) != {port.name for port in ports}:
            raise UserError(f"the program has the inputs {names}, not {', '.join(map(str, inputs))}")
        given = [inputs[port.name] for port in ports]
    else:
        given = [inputs] if isinstance(inputs, np.ndarray) else list(inputs)
        if len(given) != len(ports):
            raise UserError(f"the program has {len(ports)} inputs ({names}), not {len(given)}")
    arrays = [np.asarray(array) for array in given]
    counts = sorted({len(array) if array.ndim else 0 for array in arrays})
    if len(counts) > 1 or counts[0] == 0:
        numbers = " and ".join(map(str, counts))
        raise UserError(f"all inputs must have the same number of samples, at least 1, not {numbers}")
    return arrays


def prepare(program: Program, inputs: Inputs) -> list[NDArray[Any]]:
    """The inputs in order, in the device's layout, samples on axis 0.

    Raises
    ------
    UserError
        As in_order, and if shapes or types are not those of the program.
    """
    return [_input(program, index, array) for index, array in enumerate(in_order(program, inputs))]


def _shape(shape: tuple[int, ...]) -> str:
    return f"({', '.join(['samples', *map(str, shape[1:])])})"


def _input(program: Program, index: int, x: NDArray[Any]) -> NDArray[Any]:
    port, steps = program.inputs[index], program.steps_before(index)
    shape, dtype = (port.host_shape, port.host_dtype) if steps else (port.shape, port.dtype)
    if shape and x.shape[1:] != shape[1:]:
        raise UserError(f"input {port.name!r} must have the shape {_shape(shape)}, not {x.shape}")
    if dtype and x.dtype != host.TYPES[dtype]:
        raise UserError(f"input {port.name!r} must be {dtype}, not {x.dtype}")
    try:
        x = host.apply(steps, x)
    except UserError as error:
        raise UserError(f"input {port.name!r}: {error}") from None
    if x.shape[1:] != port.shape[1:] or x.dtype != host.TYPES[port.dtype]:
        raise UserError(
            f"input {port.name!r} must become {port.dtype} of shape {_shape(port.shape)} for the device, "
            f"not {x.dtype} of {x.shape}"
        )
    return x


def _unpack(port: Port, raw: NDArray[np.uint8]) -> NDArray[Any]:
    part = np.ascontiguousarray(raw[:, port.offset : port.offset + port.bytes])
    return part.view(host.TYPES[port.dtype]).reshape(len(raw), *port.shape[1:])
