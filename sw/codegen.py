"""From planned layers to instructions: one CONV and one DRAIN per tile, loads before and stores behind."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import Config
from weft.rtl.isa import Instruction, Opcode, Rounding, Space, instruction

from .allocate import Buffer, ParameterStore, WeightStore, predecessors
from .lower import Layer
from .mapping import column_weights
from .schedule import Schedule, thinned
from .streaming import Key, WeightStream
from .tiling import LONGEST_LOAD, Plan, Shape, Span, Tile, bytes_finished, bytes_needed, shape_of

IMAGE, INPUT, OUTPUT = 0, 1, 2
"""Base registers."""

ENTRY_BITS = 16

INPUT_PIECES = 4
"""An input is loaded in up to this many pieces, so that the first tile need not wait for all of it."""


@dataclass(frozen=True)
class Transfer:
    """A buffer that comes from or goes to memory, and its offset there."""

    buffer: str
    offset: int
    bytes: int


@dataclass
class Pieces:
    """Who makes a buffer, in order: the first `bytes` of it are there when `instruction` is complete."""

    bytes: list[int] = field(default_factory=list)
    instructions: list[int] = field(default_factory=list)

    def add(self, count: int, number: int) -> None:
        """One more piece."""
        self.bytes.append(count)
        self.instructions.append(number)

    def until(self, count: int) -> int:
        """The instruction after which the first `count` bytes are there, if a little more must be waited for."""
        useful = thinned(self.instructions)
        return next(
            number
            for have, number in zip(self.bytes, self.instructions, strict=True)
            if have >= count and number in useful
        )


@dataclass(frozen=True)
class Code:
    """The program of one inference and what it takes for granted on the chip."""

    instructions: list[Instruction]
    streamed: bytes
    """Weights that the program loads itself; they come first in the image."""
    weights: bytes
    """Resident weights, for the lines from `first_line` on."""
    first_line: int
    parameters: bytes
    tags: tuple[int, ...]
    """Per layer."""


class Generator:
    """Emits the instructions of one inference, layer after layer."""

    def __init__(
        self,
        config: Config,
        addresses: Mapping[str, int],
        buffers: Sequence[Buffer],
        inputs: Sequence[Transfer],
        layers: Sequence[Layer],
        plans: Sequence[Plan],
    ) -> None:
        self.config = config
        self.addresses = addresses
        self.before = predecessors(buffers, addresses)
        self.schedule = Schedule()
        resident = sum(plan.weight_tiles for plan in plans if not plan.streamed)
        room = config.weight_tiles - resident if any(plan.streamed for plan in plans) else 0
        self.weights = WeightStore(config, room)
        self.stream = WeightStream(config, self.schedule, _stream_order(layers, plans, config), room, IMAGE)
        self.parameters = ParameterStore(config)
        self.pieces = {buffer.name: Pieces() for buffer in buffers}
        self.accesses: dict[str, list[int]] = {buffer.name: [] for buffer in buffers}
        self.loads: list[tuple[Transfer, Span]] = []
        self.waiting_inputs = {transfer.buffer: transfer for transfer in inputs}

    def layer(self, layer: Layer, plan: Plan, tag: int) -> None:
        """All tiles of one layer."""
        config = self.config
        columns = _columns(layer, plan, config)
        lines = []
        for block in layer.blocks:
            channels = slice(block.first_output, block.first_output + block.outputs)
            lines.append(self.parameters.add(layer.bias[channels], layer.multiplier[channels], layer.shift[channels]))
        if layer.source in self.waiting_inputs:
            shapes = [shape_of(layer, plan, tile, config) for tile in plan.tiles]
            needs = [bytes_needed(layer, shape, tile.ends[-1]) for tile, shape in zip(plan.tiles, shapes, strict=True)]
            self._load(self.waiting_inputs.pop(layer.source), needs)
        for tile, complete in zip(plan.tiles, bytes_finished(layer, plan, config), strict=True):
            shape = shape_of(layer, plan, tile, config)
            conv = self._convs(layer, plan, tile, shape, columns, tag)
            drain = self._drain(layer, plan, tile, shape, lines[tile.block], conv, tag)
            made = self.pieces[layer.target]
            if complete > (made.bytes[-1] if made.bytes else 0):
                made.add(complete, drain)
        while self.loads:
            self._next_load()

    def _load(self, transfer: Transfer, needs: Sequence[int]) -> None:
        """Queue the loads of an input, cut where the tiles that read it first need no more."""
        ends = sorted({*needs, transfer.bytes})
        ends = [*ends[: INPUT_PIECES - 1], transfer.bytes] if len(ends) > INPUT_PIECES else ends
        starts = [0, *ends[:-1]]
        self.loads = [(transfer, (start, end - start)) for start, end in zip(starts, ends, strict=True)]
        self._next_load()

    def _next_load(self) -> None:
        if not self.loads:
            return
        transfer, (start, count) = self.loads.pop(0)
        number = self.schedule.add(
            Opcode.LOAD,
            f"the input {transfer.buffer!r}",
            after=self._overwritten(transfer.buffer),
            space=Space.SCRATCHPAD,
            base=INPUT,
            offset=transfer.offset + start,
            local=self.addresses[transfer.buffer] + start,
            bytes=count,
            rows=1,
        )
        self.pieces[transfer.buffer].add(start + count, number)
        self.accesses[transfer.buffer].append(number)

    def _overwritten(self, buffer: str) -> Iterator[int]:
        """Whatever used the bytes that `buffer` now takes over."""
        return (number for earlier in self.before[buffer] for number in self.accesses[earlier])

    def _available(self, buffer: str, count: int) -> int:
        """The instruction after which the first `count` bytes of `buffer` are in the scratchpad."""
        while self.loads and self.pieces[buffer].bytes[-1] < count:
            self._next_load()
        return self.pieces[buffer].until(count)

    def _convs(
        self, layer: Layer, plan: Plan, tile: Tile, shape: Shape, columns: Sequence[NDArray[np.int8]], tag: int
    ) -> int:
        """The CONV of a tile, or several that add up; the last one's number."""
        config, mapping, block = self.config, plan.mappings[tile.block], layer.blocks[tile.block]
        (first_row, rows), (first_pixel, _) = shape.sums_rows, shape.sums_pixels
        pitch, width = layer.input_channels, layer.input_size[1]
        row_pitch = width * pitch
        y0 = first_row * layer.stride[0] - layer.before[0]
        x0 = (first_pixel * layer.stride[1] - layer.before[1]) * pitch
        number = -1
        for part, chunks in enumerate(mapping.chunks_of(tile.ends)):
            key = (tag, tile.block, tile.columns, part)
            line, loads = self._weights_of(key, _tiles(columns, tile, chunks), plan.streamed)
            start, end = chunks.start * mapping.chunk, tile.ends[part]
            number = self.schedule.add(
                Opcode.CONV,
                f"{layer.op} {layer.name!r}",
                after=[self._available(layer.source, bytes_needed(layer, shape, end)), *loads],
                tag=tag,
                acquire=part == 0,
                commit=end == mapping.run,
                accumulate=part > 0,
                zero_point=layer.padding_value,
                address=(self.addresses[layer.source] + block.first_input + y0 * row_pitch) % config.scratchpad_bytes,
                y_pitch=layer.stride[0] * row_pitch % config.scratchpad_bytes,
                ky_pitch=layer.dilation[0] * row_pitch % config.scratchpad_bytes,
                row_bytes=row_pitch,
                x0=x0 + start,
                x_step=mapping.packed * layer.stride[1] * pitch,
                kx_step=layer.dilation[1] * pitch,
                run=end - start,
                height=layer.input_size[0],
                y0=y0,
                y_step=layer.stride[0],
                ky_step=layer.dilation[0],
                ky_count=mapping.kernel_rows,
                kx_count=mapping.taps,
                ox_count=shape.groups,
                oy_count=rows,
                n_count=tile.columns[1],
                weights=line,
                entry=0,
                entry_step=tile.columns[1],
            )
            self.accesses[layer.source].append(number)
            if plan.streamed:
                self.stream.use(key, number)
            self._next_load()
        return number

    def _weights_of(self, key: Key, tiles: NDArray[np.int8], streamed: bool) -> tuple[int, list[int]]:
        """The line of these weights, and the instructions that load them."""
        if not streamed:
            return self.weights.add(key, tiles), []
        line, load = self.stream.get(key)
        return line, [load]

    def _drain(self, layer: Layer, plan: Plan, tile: Tile, shape: Shape, line: int, conv: int, tag: int) -> int:
        config, mapping, window = self.config, plan.mappings[tile.block], layer.window
        block = layer.blocks[tile.block]
        (first_row, rows), (first_pixel, pixels) = tile.rows, tile.pixels
        count = tile.columns[1]
        y0 = first_row * window.stride[0] - window.before[0] - shape.sums_rows[0]
        x0 = first_pixel * window.stride[1] - window.before[1] - shape.sums_pixels[0]
        row_entries = shape.groups * count
        if mapping.packed == 1:
            entry = y0 * row_entries + x0 * count
            group, group_step = 1, window.stride[1] * count
            pixel, along = (0, 0), (count, 0)
        else:
            entry = y0 * row_entries
            group, group_step = mapping.packed // window.stride[1], count
            pixel = divmod(window.stride[1] * mapping.pitch, config.cols)
            along = divmod(mapping.pitch, config.cols)
        width, channels = layer.output_size[1], layer.output_channels
        first_channel = block.first_output + tile.columns[0] * config.cols
        number = self.schedule.add(
            Opcode.DRAIN,
            f"{layer.op} {layer.name!r}",
            after=self._overwritten(layer.target),
            implied=[conv],
            tag=tag,
            rounding=Rounding(layer.rounding),
            release=1,
            zero_point=layer.zero_point,
            minimum=layer.minimum,
            maximum=layer.maximum,
            entry=entry % (1 << ENTRY_BITS),
            row_step=window.stride[0] * row_entries % (1 << ENTRY_BITS),
            group_step=group_step % (1 << ENTRY_BITS),
            pixel_step=pixel[0],
            pixel_column_step=pixel[1],
            window_row_step=row_entries,
            window_step=along[0],
            window_column_step=along[1],
            rows=rows,
            pixels=pixels,
            group=group,
            window_height=window.size[0],
            window_width=window.size[1],
            y0=y0,
            y_stride=window.stride[0],
            height=shape.sums_rows[1],
            x0=x0,
            x_stride=window.stride[1],
            width=shape.sums_pixels[1],
            channels=shape.channels,
            parameters=line + tile.columns[0] * config.cols // config.lanes,
            address=self.addresses[layer.target] + (first_row * width + first_pixel) * channels + first_channel,
            row_pitch=width * channels,
            pixel_pitch=channels,
        )
        self.accesses[layer.target].append(number)
        return number

    def store(self, transfer: Transfer, tag: int) -> None:
        """Send a finished buffer to memory."""
        number = self.schedule.add(
            Opcode.STORE,
            f"the output {transfer.buffer!r}",
            after=[self.pieces[transfer.buffer].until(transfer.bytes)],
            tag=tag,
            space=Space.SCRATCHPAD,
            base=OUTPUT,
            offset=transfer.offset,
            local=self.addresses[transfer.buffer],
            bytes=transfer.bytes,
            rows=1,
        )
        self.accesses[transfer.buffer].append(number)


def _columns(layer: Layer, plan: Plan, config: Config) -> list[NDArray[np.int8]]:
    """The weights of each block as the array holds them."""
    return [
        column_weights(layer, block, mapping, config)
        for block, mapping in zip(layer.blocks, plan.mappings, strict=True)
    ]


def _tiles(columns: Sequence[NDArray[np.int8]], tile: Tile, chunks: range) -> NDArray[np.int8]:
    """The weight tiles of one CONV, in the order of its passes."""
    some = columns[tile.block][tile.columns[0] : sum(tile.columns), :, :, chunks.start : chunks.stop]
    return some.reshape(-1, *some.shape[-2:])


def _stream_order(layers: Sequence[Layer], plans: Sequence[Plan], config: Config) -> list[tuple[Key, NDArray[np.int8]]]:
    """The portions of weights that come from memory, as they are used."""
    order: list[tuple[Key, NDArray[np.int8]]] = []
    for tag, (layer, plan) in enumerate(zip(layers, plans, strict=True), 1):
        columns = _columns(layer, plan, config) if plan.streamed else []
        for tile in plan.tiles if plan.streamed else ():
            for part, chunks in enumerate(plan.mappings[tile.block].chunks_of(tile.ends)):
                key = (tag, tile.block, tile.columns, part)
                if not order or order[-1][0] != key:
                    order.append((key, _tiles(columns, tile, chunks)))
    return order


def generate(
    layers: Sequence[Layer],
    plans: Sequence[Plan],
    buffers: Sequence[Buffer],
    addresses: Mapping[str, int],
    inputs: Sequence[Transfer],
    outputs: Sequence[Transfer],
    config: Config,
) -> Code:
    """The program of one inference: layer i has the tag i + 1, loads have 0, stores the tag after the last layer's.

    Raises
    ------
    UserError
        If weights or parameters do not fit on the chip, or a number does not fit its field.
    """
    generator = Generator(config, addresses, buffers, inputs, layers, plans)
    for tag, (layer, plan) in enumerate(zip(layers, plans, strict=True), 1):
        generator.layer(layer, plan, tag)
    for transfer in outputs:
        generator.store(transfer, len(layers) + 1)
    return Code(
        generator.schedule.finish(),
        generator.stream.image,
        generator.weights.image(),
        generator.weights.first * config.weight_steps,
        generator.parameters.image(),
        tuple(range(1, len(layers) + 1)),
    )


def setup_program(code: Code, weights_at: int, parameters_at: int, config: Config) -> list[Instruction]:
    """Loads of the resident weights and of the parameters, which lie at these offsets of the image."""
    loads = []
    for space, data, offset, local in (
        (Space.WEIGHTS, code.weights, weights_at, code.first_line * config.weight_line_bytes),
        (Space.PARAMETERS, code.parameters, parameters_at, 0),
    ):
        for start in range(0, len(data), LONGEST_LOAD):
            count = min(LONGEST_LOAD, len(data) - start)
            loads.append(
                instruction(
                    Opcode.LOAD,
                    space=space,
                    base=IMAGE,
                    offset=offset + start,
                    local=local + start,
                    bytes=count,
                    rows=1,
                )
            )
    return [*loads, instruction(Opcode.END)]
