"""From planned layers to instructions: one CONV and one DRAIN per tile, loads before and stores behind."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import Config
from weft.rtl.isa import Instruction, Opcode, Space, instruction

from .allocate import Buffer, WeightStore, predecessors
from .constants import Constants, Resident
from .layers import Layer
from .mapping import Span
from .planning import Course
from .playing import Order
from .schedule import Schedule, thinned
from .streaming import Key, WeightStream
from .tile_code import columns_of, conv_fields, drain_fields, tiles_of
from .tiling import LONGEST_LOAD, Plan, Shape, Tile, bytes_finished, bytes_needed, parts_of, shape_of

IMAGE, INPUT, OUTPUT = 0, 1, 2
"""Base registers."""

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


@dataclass(frozen=True)
class Run:
    """A layer under way."""

    index: int
    layer: Layer
    plan: Plan
    columns: dict[int, NDArray[np.int8]]
    """The weights of its blocks, by the first block that has them."""
    shapes: Sequence[Shape]
    finished: Sequence[int]
    """Bytes of the target that are there behind each tile."""

    @property
    def tag(self) -> int:
        """Of its instructions."""
        return self.index + 1


class Generator:
    """Emits the instructions of one inference, layer after layer."""

    def __init__(
        self,
        config: Config,
        addresses: Mapping[str, int],
        buffers: Sequence[Buffer],
        inputs: Sequence[Transfer],
        layers: Sequence[Layer],
        course: Course,
    ) -> None:
        plans = course.plans
        self.config = config
        self.layers = layers
        self.plans = plans
        self.addresses = addresses
        self.before = predecessors(buffers, addresses)
        self.schedule = Schedule()
        resident = sum(plan.weight_tiles for plan in plans if not plan.streamed)
        room = config.weight_tiles - resident if any(plan.streamed for plan in plans) else 0
        self.weights = WeightStore(config, room)
        blocks = [[mapping.block for mapping in plan.mappings] for plan in plans]
        self.constants = Constants(config, self.schedule, layers, blocks, IMAGE)
        portions = _stream_order(layers, course, config)
        self.stream = WeightStream(config, self.schedule, portions, room, IMAGE, len(self.constants.image))
        self.writers = Counter(layer.target for layer in layers)
        self.pieces = {buffer.name: Pieces() for buffer in buffers}
        self.accesses: dict[str, list[int]] = {buffer.name: [] for buffer in buffers}
        self.loads: list[tuple[Transfer, Span]] = []
        self.waiting_inputs = {transfer.buffer: transfer for transfer in inputs}

    def group(self, group: range, following: range, order: Order) -> None:
        """The tiles of some layers, in the order given; `following` are the layers behind them."""
        self.constants.prepare(group)
        runs = {index: self._run(index) for index in group}
        for index, tile in order:
            self._tile(runs[index], tile)
            if not self.loads:
                self.constants.prepare_next(group, following)
        while self.loads:
            self._next_load()
        self.constants.prepare_next(group, following)

    def _run(self, index: int) -> Run:
        config, layer, plan = self.config, self.layers[index], self.plans[index]
        shapes = [shape_of(layer, plan, tile, config) for tile in plan.tiles]
        for name in layer.sources:
            if name in self.waiting_inputs:
                needs = [
                    bytes_needed(layer, plan.mappings[tile.block], shape, tile.ends[-1])
                    for tile, shape in zip(plan.tiles, shapes, strict=True)
                ]
                self._load(self.waiting_inputs.pop(name), needs)
        self.writers[layer.target] -= 1
        return Run(index, layer, plan, columns_of(layer, plan, config), shapes, bytes_finished(layer, plan, config))

    def _tile(self, run: Run, number: int) -> None:
        layer, tile, shape = run.layer, run.plan.tiles[number], run.shapes[number]
        conv = self._convs(run, tile, shape)
        drain = self._drain(run, tile, shape, conv)
        made = self.pieces[layer.target]
        if layer.whole and run.finished[number] > max(made.bytes, default=0):
            made.add(run.finished[number], drain)
        if not layer.whole and not self.writers[layer.target] and number == len(run.plan.tiles) - 1:
            # The drain works in order: all that others have written is there, too.
            made.add(layer.target_bytes, drain)

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

    def _convs(self, run: Run, tile: Tile, shape: Shape) -> int:
        """The CONV of a tile, or several that add up or lie side by side; the last one's number."""
        config, layer, plan = self.config, run.layer, run.plan
        mapping = plan.mappings[tile.block]
        parts = parts_of(layer, mapping, tile)
        number = -1
        for index, part in enumerate(parts):
            key = (run.tag, *plan.key(tile, part.number))
            line, loads = self._weights_of(key, tiles_of(run.columns[mapping.shared], tile, part), plan.streamed)
            source = layer.sources[part.operand]
            values = conv_fields(layer, mapping, tile, shape, part, self.addresses[source], config)
            number = self.schedule.add(
                Opcode.CONV,
                f"{layer.op} {layer.name!r}",
                after=[self._available(source, bytes_needed(layer, mapping, shape, part.end)), *loads],
                tag=run.tag,
                acquire=index == 0,
                commit=index == len(parts) - 1,
                weights=line,
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

    def _drain(self, run: Run, tile: Tile, shape: Shape, conv: int) -> int:
        config, layer, mapping = self.config, run.layer, run.plan.mappings[tile.block]
        line = self.constants.lines[run.index][tile.block] + tile.columns[0] * config.cols // config.lanes
        number = self.schedule.add(
            Opcode.DRAIN,
            f"{layer.op} {layer.name!r}",
            after=[*self.constants.needed(run.index), *self._overwritten(layer.target)],
            implied=[conv],
            tag=run.tag,
            parameters=line,
            **drain_fields(layer, mapping, tile, shape, self.addresses[layer.target], config),
        )
        self.accesses[layer.target].append(number)
        self.constants.use(run.index, number)
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


def _stream_order(layers: Sequence[Layer], course: Course, config: Config) -> list[tuple[Key, NDArray[np.int8]]]:
    """The portions of weights that come from memory, as they are used."""
    found: list[tuple[Key, NDArray[np.int8]]] = []
    columns: dict[int, dict[int, NDArray[np.int8]]] = {}
    for index, number in course.order:
        layer, plan = layers[index], course.plans[index]
        if not plan.streamed:
            continue
        if index not in columns:
            columns = {index: columns_of(layer, plan, config)}
        tile = plan.tiles[number]
        mapping = plan.mappings[tile.block]
        for part in parts_of(layer, mapping, tile):
            key = (index + 1, *plan.key(tile, part.number))
            if not found or found[-1][0] != key:
                found.append((key, tiles_of(columns[index][mapping.shared], tile, part)))
    return found


def generate(
    layers: Sequence[Layer],
    course: Course,
    groups: Sequence[range],
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
    generator = Generator(config, addresses, buffers, inputs, layers, course)
    tiles = {group: [one for one in course.order if one[0] in group] for group in groups}
    for group, following in zip(groups, [*groups[1:], range(0)], strict=True):
        generator.group(group, following, tuple(tiles[group]))
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
