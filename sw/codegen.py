"""From planned layers to instructions: one CONV and one DRAIN per tile, loads before and stores behind."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import Config
from weft.rtl.isa import Combine, Instruction, Opcode, Space, instruction

from .allocate import Buffer, WeightStore, predecessors
from .constants import Constants, Resident
from .layers import Layer
from .mapping import Span
from .schedule import Schedule, thinned
from .streaming import Key, WeightStream
from .tiling import LONGEST_LOAD, Part, Plan, Shape, Tile, bytes_finished, bytes_needed, parts_of, shape_of

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
    """Constants that the program loads itself; they come first in the image."""
    resident: tuple[Resident, ...]
    """Those that the setup program loads."""
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
        blocks = [[mapping.block for mapping in plan.mappings] for plan in plans]
        self.constants = Constants(config, self.schedule, layers, blocks, IMAGE)
        order = _stream_order(layers, plans, config)
        self.stream = WeightStream(config, self.schedule, order, room, IMAGE, len(self.constants.image))
        self.writers = Counter(layer.target for layer in layers)
        self.pieces = {buffer.name: Pieces() for buffer in buffers}
        self.accesses: dict[str, list[int]] = {buffer.name: [] for buffer in buffers}
        self.loads: list[tuple[Transfer, Span]] = []
        self.waiting_inputs = {transfer.buffer: transfer for transfer in inputs}

    def layer(self, index: int, layer: Layer, plan: Plan) -> None:
        """All tiles of one layer."""
        config = self.config
        columns = _columns(layer, plan, config)
        shapes = [shape_of(layer, plan, tile, config) for tile in plan.tiles]
        for name in layer.sources:
            if name in self.waiting_inputs:
                needs = [
                    bytes_needed(layer, plan.mappings[tile.block], shape, tile.ends[-1])
                    for tile, shape in zip(plan.tiles, shapes, strict=True)
                ]
                self._load(self.waiting_inputs.pop(name), needs)
        constants = self.constants.prepare(index)
        self.writers[layer.target] -= 1
        made = self.pieces[layer.target]
        drain = -1
        for tile, shape, complete in zip(plan.tiles, shapes, bytes_finished(layer, plan, config), strict=True):
            conv = self._convs(layer, plan, tile, shape, columns, index + 1)
            drain = self._drain(index, layer, plan, tile, shape, [*constants, *self._overwritten(layer.target)], conv)
            if layer.whole and complete > (made.bytes[-1] if made.bytes else 0):
                made.add(complete, drain)
        if not layer.whole and not self.writers[layer.target]:
            # The drain works in order: all that others have written is there, too.
            made.add(layer.target_bytes, drain)
        while self.loads:
            self._next_load()

    def _load(self, transfer: Transfer, needs: Sequence[int]) -> None:
        """Queue the loads of an input, cut where the tiles that read it first need no more."""
        ends = sorted({*needs, transfer.bytes})
        ends = [*ends[: INPUT_PIECES - 1], transfer.bytes] if len(ends) > INPUT_PIECES else ends
        starts = [0, *ends[:-1]]
        self.loads += [(transfer, (start, end - start)) for start, end in zip(starts, ends, strict=True)]
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
        while self.loads and max(self.pieces[buffer].bytes, default=0) < count:
            self._next_load()
        return self.pieces[buffer].until(count)

    def _convs(
        self, layer: Layer, plan: Plan, tile: Tile, shape: Shape, columns: Mapping[int, NDArray[np.int8]], tag: int
    ) -> int:
        """The CONV of a tile, or several that add up or lie side by side; the last one's number."""
        config, mapping = self.config, plan.mappings[tile.block]
        parts = parts_of(layer, mapping, tile)
        number = -1
        for index, part in enumerate(parts):
            key = (tag, *plan.key(tile, part.number))
            line, loads = self._weights_of(key, _tiles(columns[mapping.shared], tile, part), plan.streamed)
            source = layer.sources[part.operand]
            start = part.chunks.start * mapping.chunk
            values = mapping.fields(layer, shape.sums_rows, shape.sums_pixels, (start, part.end))
            for name in ("address", "y_pitch", "ky_pitch"):
                base = self.addresses[source] if name == "address" else 0
                values[name] = (base + values[name]) % config.scratchpad_bytes
            number = self.schedule.add(
                Opcode.CONV,
                f"{layer.op} {layer.name!r}",
                after=[self._available(source, bytes_needed(layer, mapping, shape, part.end)), *loads],
                tag=tag,
                acquire=index == 0,
                commit=index == len(parts) - 1,
                accumulate=part.number > 0,
                zero_point=layer.padding_value,
                n_count=tile.columns[1],
                weights=line,
                entry=part.operand * tile.columns[1],
                entry_step=tile.columns[1] * layer.operands,
                **values,
            )
            self.accesses[source].append(number)
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

    def _drain(
        self, index: int, layer: Layer, plan: Plan, tile: Tile, shape: Shape, after: Sequence[int], conv: int
    ) -> int:
        config, mapping, window, place = self.config, plan.mappings[tile.block], layer.window, layer.place
        (first_row, rows), (first_pixel, pixels) = tile.rows, tile.pixels
        count, operands = tile.columns[1], layer.operands
        y0 = first_row * window.stride[0] - window.before[0] - shape.sums_rows[0]
        x0 = first_pixel * window.stride[1] - window.before[1] - shape.sums_pixels[0]
        row_step, pixel_step = (
            step * count * operands for step in mapping.entry_steps(shape.sums_rows[1], shape.sums_pixels[1])
        )
        if mapping.packed == 1:
            entry = y0 * row_step + x0 * pixel_step
            group, group_step = 1, window.stride[1] * pixel_step
            pixel, along = (0, 0), (pixel_step, 0)
        else:
            entry = y0 * row_step
            group, group_step = mapping.packed // window.stride[1], count
            pixel = divmod(window.stride[1] * mapping.pitch, config.cols)
            along = divmod(mapping.pitch, config.cols)
        if operands > 1:
            # The operands of a pixel lie side by side, as a window of as many pixels.
            along = (count, 0)
        y = place.origin[0] + first_row * place.step[0]
        x = place.origin[1] + first_pixel * place.step[1]
        first_channel = mapping.block.first_output + tile.columns[0] * config.cols
        number = self.schedule.add(
            Opcode.DRAIN,
            f"{layer.op} {layer.name!r}",
            after=after,
            implied=[conv],
            tag=index + 1,
            rounding=layer.rounding,
            combine=Combine.MAX if operands == 1 else Combine.ADD,
            release=1,
            look_up_sums=layer.sum_tables is not None,
            look_up_results=layer.result_table is not None,
            zero_point=layer.zero_point,
            minimum=layer.minimum,
            maximum=layer.maximum,
            entry=entry % (1 << ENTRY_BITS),
            row_step=window.stride[0] * row_step % (1 << ENTRY_BITS),
            group_step=group_step % (1 << ENTRY_BITS),
            pixel_step=pixel[0],
            pixel_column_step=pixel[1],
            window_row_step=row_step,
            window_step=along[0],
            window_column_step=along[1],
            rows=rows,
            pixels=pixels,
            group=group,
            window_height=window.size[0],
            window_width=window.size[1] * operands,
            y0=y0,
            y_stride=window.stride[0],
            height=shape.sums_rows[1],
            x0=x0 * operands,
            x_stride=window.stride[1] * operands,
            width=shape.sums_pixels[1] * operands,
            channels=shape.channels,
            parameters=self.constants.lines[index][tile.block] + tile.columns[0] * config.cols // config.lanes,
            address=self.addresses[layer.target]
            + y * place.row_pitch
            + x * place.channels
            + place.channel
            + first_channel,
            row_pitch=place.step[0] * place.row_pitch,
            pixel_pitch=place.step[1] * place.channels,
        )
        self.accesses[layer.target].append(number)
        self.constants.use(index, number)
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


def _columns(layer: Layer, plan: Plan, config: Config) -> dict[int, NDArray[np.int8]]:
    """The weights of the blocks as the array holds them; blocks that share theirs have one entry."""
    return {
        index: mapping.weights(layer, config) for index, mapping in enumerate(plan.mappings) if mapping.shared == index
    }


def _tiles(columns: NDArray[np.int8], tile: Tile, part: Part) -> NDArray[np.int8]:
    """The weight tiles of one CONV, in the order of its passes."""
    some = columns[tile.columns[0] : sum(tile.columns), :, :, part.chunks.start : part.chunks.stop]
    return some.reshape(-1, *some.shape[-2:])


def _stream_order(layers: Sequence[Layer], plans: Sequence[Plan], config: Config) -> list[tuple[Key, NDArray[np.int8]]]:
    """The portions of weights that come from memory, as they are used."""
    order: list[tuple[Key, NDArray[np.int8]]] = []
    for tag, (layer, plan) in enumerate(zip(layers, plans, strict=True), 1):
        if not plan.streamed:
            continue
        columns = _columns(layer, plan, config)
        for tile in plan.tiles:
            mapping = plan.mappings[tile.block]
            for part in parts_of(layer, mapping, tile):
                key = (tag, *plan.key(tile, part.number))
                if not order or order[-1][0] != key:
                    order.append((key, _tiles(columns[mapping.shared], tile, part)))
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
    for index, (layer, plan) in enumerate(zip(layers, plans, strict=True)):
        generator.layer(index, layer, plan)
    for transfer in outputs:
        generator.store(transfer, len(layers) + 1)
    weights = generator.weights
    resident = Resident(Space.WEIGHTS, weights.first * config.weight_steps * config.weight_line_bytes, weights.image())
    return Code(
        generator.schedule.finish(),
        generator.constants.image + generator.stream.image,
        (resident, *generator.constants.resident),
        tuple(range(1, len(layers) + 1)),
    )


def setup_program(resident: Sequence[Resident], offsets: Sequence[int]) -> list[Instruction]:
    """Loads of what stays on the chip, which lies at these offsets of the image."""
    loads = []
    for one, offset in zip(resident, offsets, strict=True):
        for start in range(0, len(one.content), LONGEST_LOAD):
            count = min(LONGEST_LOAD, len(one.content) - start)
            loads.append(
                instruction(
                    Opcode.LOAD,
                    space=one.space,
                    base=IMAGE,
                    offset=offset + start,
                    local=one.local + start,
                    bytes=count,
                    rows=1,
                )
            )
    return [*loads, instruction(Opcode.END)]
