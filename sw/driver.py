"""The host's side of an inference. It drives whatever is behind a Transport (the functional machine, the
simulated RTL, a board) and does not know which.

Memory, from address 0: the program's image (base 0; where that is too much, the instructions alone: see staging), the
input buffers (base 1), the program's workspace (base 3) and the output buffers (base 2), buffers of as many samples as
fit, up to `chunk`. So what the NPU may read, all but the output, and what it may write, workspace and output, are one
piece each, which the fences are set to. A network goes stage by stage, each for all samples; what passes from one to
the next is kept by the host.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from weft.rtl.registers import IDENTITY, INTERFACE_VERSION, ErrorCause, Feature

from .errors import UserError
from .graph import Operator, Tensor
from .host import operators as host_operators
from .network import Network
from .program import Port, Program
from .scrub import scrub_program
from .staging import batches, run_code
from .transport import DeviceError, Job, RunReport, Transport, total_report

PAGE = 4096
"""Regions start at a multiple of this, and no sample's buffer crosses such a boundary needlessly: AXI bursts
break there, and all samples should take the same cycles."""

WIDEST_WORD = 128
"""Bytes; a buffer spans whole words of the widest memory."""

Progress = Callable[[int, int], None]
"""Called with the number of samples done and that of all samples."""

Inputs = Mapping[str, NDArray[Any]] | Sequence[NDArray[Any]] | NDArray[Any]

Model = Network | Program
"""What can be run."""


class Result(NamedTuple):
    """The outputs by name, samples on axis 0, and the report on the runs."""

    outputs: dict[str, NDArray[Any]]
    report: RunReport


class Device:
    """A device behind a transport, which takes up to `chunk` samples at a time. A run in which nothing happens for
    `watchdog` cycles fails.

    Raises
    ------
    DeviceError
        If what answers is not such a device, or is of another interface version.
    """

    def __init__(self, transport: Transport, chunk: int = 256, watchdog: int = 1 << 20):
        self.transport = transport
        self.chunk = chunk
        self.watchdog = watchdog
        self.program: Program | None = None
        """The program that is loaded."""
        self.scrub = False
        """Memories on the chip may hold bits that have changed: all are written before the next program is loaded."""
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
        self._protect(layout)
        # A setup program copies parts of the image, at a byte in several cycles at worst.
        limit = 1_000_000 + 100 * len(program.image)
        if self.scrub:
            self.transport.write(0, np.frombuffer(scrub_program(program.config), np.uint8))
            self._execute(Job(0, (0, 0, 0, 0), cycle_limit=100_000_000))
            self.scrub = False
        if layout.image is not program.image:
            for batch in batches(program, layout.output):
                self.transport.write(0, np.frombuffer(batch, np.uint8))
                self._execute(Job(0, (0, 0, 0, 0), cycle_limit=limit))
        self.transport.write(0, np.frombuffer(layout.image, np.uint8))
        if layout.image is program.image and program.setup >= 0:
            self._execute(Job(program.setup, layout.bases, cycle_limit=limit))
        self.program = program

    def run(self, model: Model, inputs: Inputs, progress: Progress | None = None) -> Result:
        """Infer one sample after the other.

        Parameters
        ----------
        inputs
            An array per input, by name or in order, with the samples on axis 0; one input may stand alone.
        progress
            Called after each chunk; a network counts the samples of all its programs.

        Raises
        ------
        UserError
            If the inputs do not suit the model.
        DeviceError
            If the device fails; it is reset, and the program is loaded afresh next time.
        """
        arrays = prepare(model, inputs)
        if isinstance(model, Program):
            outputs, report = self._run(model, arrays, len(arrays[0]), progress)
            return Result(dict(zip([port.name for port in model.outputs], outputs, strict=True)), report)
        return self._run_network(model, arrays, progress)

    def _run_network(self, network: Network, arrays: list[NDArray[Any]], progress: Progress | None) -> Result:
        samples, programs = len(arrays[0]), len(network.programs)
        values = {
            name: array.reshape(samples, *network.tensors[name].shape)
            for name, array in zip(network.inputs, arrays, strict=True)
        }
        lasts = {name: index for index, stage in enumerate(network.stages) for name in _read(stage)}
        reports: list[RunReport] = []

        def advance(done: int, _: int) -> None:
            if progress is not None:
                progress(len(reports) * samples + done, programs * samples)

        for index, stage in enumerate(network.stages):
            if isinstance(stage, Operator):
                sources = [network.tensors[name] for name in stage.inputs]
                some, target = [values[name] for name in stage.inputs], network.tensors[stage.output]
                values[stage.output] = host_operators.run(stage, some, sources, target, samples)
            else:
                made, report = self._run(stage, [values[port.name] for port in stage.inputs], samples, advance)
                reports.append(report)
                for port, array in zip(stage.outputs, made, strict=True):
                    values[port.name] = array.reshape(samples, *network.tensors[port.name].shape)
            for name in _read(stage):
                if lasts[name] == index and name not in network.outputs:
                    values.pop(name, None)
        # The batch of the model, which is 1, is not told apart from the samples.
        outputs = {name: np.ascontiguousarray(values[name][:, 0]) for name in network.outputs}
        return Result(outputs, total_report(reports))

    def _run(
        self, program: Program, arrays: list[NDArray[Any]], samples: int, progress: Progress | None
    ) -> tuple[list[NDArray[Any]], RunReport]:
        """The outputs in order, and the report."""
        self.load(program)
        layout = self._layout(program)
        raw = np.empty((samples, program.output_bytes), np.uint8)
        cycles, report = [], RunReport()
        for start in range(0, samples, layout.chunk):
            part = slice(start, min(start + layout.chunk, samples))
            count = part.stop - start
            packed = np.zeros((count, layout.input_step), np.uint8)
            for port, array in zip(program.inputs, arrays, strict=True):
                content = np.ascontiguousarray(array[part].reshape(count, -1)).view(np.uint8)
                packed[:, port.offset : port.offset + port.bytes] = content
            self.transport.write(layout.input, packed.reshape(-1))
            try:
                report = self._execute(Job(layout.run, layout.bases, layout.steps, count, _cycle_limit(program)))
            except DeviceError as error:
                raise DeviceError(f"{error} (samples {start} to {part.stop - 1})") from None
            if report.cycles is not None:
                cycles.append(report.cycles)
            got = self.transport.read(layout.output, count * layout.output_step)
            raw[part] = got.reshape(count, -1)[:, : program.output_bytes]
            if progress is not None:
                progress(part.stop, samples)
        total = np.concatenate(cycles) if cycles else None
        return [_unpack(port, raw) for port in program.outputs], RunReport(total, report.trace, report.counters)

    def _execute(self, job: Job) -> RunReport:
        try:
            return self.transport.run(job)
        except DeviceError:
            self.program = None
            self.scrub |= self.transport.read_register("ERROR") & 0xFF == ErrorCause.CONTENTS
            self.transport.reset()
            raise

    def _protect(self, layout: "_Layout") -> None:
        """Set fences and watchdog, where they are built."""
        features = self.transport.read_register("FEATURES")
        values: dict[str, int] = {}
        if features >> Feature.FENCES & 1:
            values |= {"READ_FIRST": 0, "READ_LAST": layout.output - 1}
            values |= {"WRITE_FIRST": layout.workspace, "WRITE_LAST": _round_up(layout.end, PAGE) - 1}
        if features >> Feature.AUTOPSY & 1:
            values["WATCHDOG"] = self.watchdog
        for name, value in values.items():
            self.transport.write_register(name, value)

    def _layout(self, program: Program) -> "_Layout":
        memory_bytes = min(self.transport.memory_bytes, 1 << program.config.address_width)
        layout = _Layout.plan(program, program.image, program.run, memory_bytes, self.chunk)
        if layout.end > memory_bytes:
            code = run_code(program)
            if code is not None:
                layout = _Layout.plan(program, code, 0, memory_bytes, self.chunk)
        if layout.end > memory_bytes:
            raise DeviceError(f"the program needs {layout.end} bytes of memory, the device has {memory_bytes}")
        return layout


@dataclass(frozen=True)
class _Layout:
    """Where things lie in memory."""

    image: bytes
    """What is at address 0: the program's image, or the instructions of an inference."""
    run: int
    """Address of the program of an inference."""
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
    def plan(program: Program, image: bytes, run: int, memory_bytes: int, chunk: int) -> "_Layout":
        # Where no burst can break and no fence stands, pages would only take room.
        page = PAGE if program.config.axi or program.config.fences else WIDEST_WORD
        first = _round_up(len(image), page)
        workspace_bytes = _round_up(program.workspace_bytes, page)
        input_step, output_step = _step(program.input_bytes), _step(program.output_bytes)
        room = memory_bytes - first - workspace_bytes - page
        count = max(1, min(chunk, room // (input_step + output_step)))
        workspace = _round_up(first + count * input_step, page)
        output = workspace + workspace_bytes
        return _Layout(image, run, workspace, first, output, input_step, output_step, count)


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


def _read(stage: Operator | Program) -> tuple[str, ...]:
    return stage.inputs if isinstance(stage, Operator) else tuple(port.name for port in stage.inputs)


def _slots(model: Model) -> list[Port | Tensor]:
    """The inputs in order."""
    return list(model.inputs) if isinstance(model, Program) else [model.tensors[name] for name in model.inputs]


def in_order(model: Model, inputs: Inputs) -> list[NDArray[Any]]:
    """The inputs in the order of the model's, as the caller gives them.

    Raises
    ------
    UserError
        If there are too few or too many, or they differ in the number of samples.
    """
    slots = [slot.name for slot in _slots(model)]
    names = ", ".join(slots)
    if isinstance(inputs, Mapping):
        if set(inputs) != set(slots):
            raise UserError(f"the program has the inputs {names}, not {', '.join(map(str, inputs))}")
        given = [inputs[name] for name in slots]
    else:
        given = [inputs] if isinstance(inputs, np.ndarray) else list(inputs)
        if len(given) != len(slots):
            raise UserError(f"the program has {len(slots)} inputs ({names}), not {len(given)}")
    arrays = [np.asarray(array) for array in given]
    counts = sorted({len(array) if array.ndim else 0 for array in arrays})
    if len(counts) > 1 or counts[0] == 0:
        numbers = " and ".join(map(str, counts))
        raise UserError(f"all inputs must have the same number of samples, at least 1, not {numbers}")
    return arrays


def prepare(model: Model, inputs: Inputs) -> list[NDArray[Any]]:
    """The inputs in order, samples on axis 0.

    Raises
    ------
    UserError
        As in_order, and if shapes, types or values are not those that the model takes.
    """
    arrays = in_order(model, inputs)
    for slot, array in zip(_slots(model), arrays, strict=True):
        if array.shape[1:] != slot.shape[1:]:
            shape = f"({', '.join(['samples', *map(str, slot.shape[1:])])})"
            raise UserError(f"input {slot.name!r} must have the shape {shape}, not {array.shape}")
        if array.dtype != np.dtype(slot.dtype):
            raise UserError(f"input {slot.name!r} must be {slot.dtype}, not {array.dtype}")
        if slot.dtype == "float32" and np.isnan(array).any():
            raise UserError(f"input {slot.name!r} must be numbers, and it has NaN")
    return arrays


def _unpack(port: Port, raw: NDArray[np.uint8]) -> NDArray[Any]:
    part = np.ascontiguousarray(raw[:, port.offset : port.offset + port.bytes])
    return part.view(np.dtype(port.dtype)).reshape(len(raw), *port.shape[1:])
