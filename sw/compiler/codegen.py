"""From planned layers to instructions: one CONV and one DRAIN per tile, loads before and stores behind."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import Config
from weft.rtl.isa import Instruction, Opcode, Space, instruction

from ..cycles.playing import Course, Order
from ..lowering.layers import Layer
from .allocate import WeightStore, predecessors
from .arrangement import IMAGE, Arrangement, Move, Slot
from .constants import Constants, Resident
from .mapping import Span
from .schedule import Schedule, TokensError, thinned
from .streaming import Key, WeightStream
from .tile_code import columns_of, conv_fields, drain_fields, tiles_of
from .tiling import LONGEST_LOAD, Plan, Shape, Tile, bytes_finished, bytes_needed, parts_of, shape_of

INPUT_PIECES = 24
"""An input is loaded in up to this many pieces, so that the first tile need not wait for all of it."""

LOAD_WORDS = 2048
"""Memory words of a load of what is needed later: between these pieces others may pass."""


@dataclass
class Arrivals:
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
    """A piece under way."""

    index: int
    """Of the layer."""
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


@dataclass
class Memory:
    """What was done to a tensor in memory."""

    stores: list[tuple[int, int, int]] = field(default_factory=list)
    """First byte, the one behind the last, and the number of the STORE."""
    load: int = -1
    """The last LOAD."""


class Generator:
    """Emits the instructions of one inference, slot after slot."""

    def __init__(
        self,
        config: Config,
        arrangement: Arrangement,
        course: Course,
        addresses: Mapping[str, int],
        careful: bool,
    ) -> None:
        self.config = config
        self.arrangement = arrangement
        self.course = course
        self.addresses = addresses
        self.before = predecessors(arrangement.buffers, addresses)
        self.schedule = Schedule((1 << config.token_bits) - 1, careful)
        # All pieces of a layer have the same weights, in the same portions.
        self.plans = {piece.index: plan for piece, plan in zip(arrangement.pieces, course.plans, strict=True)}
        plans = self.plans.values()
        resident = sum(plan.weight_tiles for plan in plans if not plan.streamed)
        room = config.weight_tiles - resident if any(plan.streamed for plan in plans) else 0
        self.weights = WeightStore(config, room)
        self.columns: dict[int, dict[int, NDArray[np.int8]]] = {}
        blocks = [[mapping.block for mapping in self.plans[index].mappings] for index in range(len(arrangement.layers))]
        self.constants = Constants(config, self.schedule, arrangement.layers, blocks, IMAGE)
        groups: dict[int, set[int]] = defaultdict(set)
        for slot in arrangement.slots:
            groups[slot.group].update(self._layers(slot))
        for group in groups.values():
            self.constants.check(sorted(group))
        self.stream = WeightStream(config, self.schedule, self._portions(), room, IMAGE, len(self.constants.image))
        self.unwritten: Counter[str] = Counter()
        for piece, plan in zip(arrangement.pieces, course.plans, strict=True):
            self.unwritten[piece.layer.target] += len(plan.tiles)
        self.arrivals = {buffer.name: Arrivals() for buffer in arrangement.buffers}
        # Units work in order, so that the last access of each is enough.
        self.accesses: dict[str, dict[Opcode, int]] = {buffer.name: {} for buffer in arrangement.buffers}
        self.memory: dict[str, Memory] = defaultdict(Memory)
        self.loads: deque[tuple[Move, Span]] = deque()
        self.queued: set[str] = set()

    def slot(self, slot: Slot, following: Slot, order: Order) -> None:
        """The tiles of the pieces of a slot, in the order given, with the loads for the following one between them."""
        layers, later = self._layers(slot), self._layers(following)
        self.constants.prepare(layers)
        runs = {number: self._run(number) for number in slot.pieces}
        for move in slot.loads:
            if move.buffer not in self.queued:
                self._queue(move, self._cuts(move, runs))
                self._next_load()
        for move in following.loads:
            # What the slot itself stores is loaded behind it.
            if not following.loads_late and not any(move.meets(store) for store in slot.stores):
                self._queue(move, range(0, move.bytes, LOAD_WORDS * self.config.memory_bytes))
        stores = {move.buffer: move for move in slot.stores}
        for position, (number, tile) in enumerate(order):
            self._tile(runs[number], tile, len(order) - position)
            if not self.loads:
                self.constants.prepare_next(layers, later)
            made = runs[number].layer.target
            if made in stores and not self.unwritten[made]:
                self._store(stores.pop(made))
        while self.loads:
            self._next_load()
        self.constants.prepare_next(layers, later)
        for move in stores.values():
            self._store(move)

    def _layers(self, slot: Slot) -> list[int]:
        return sorted({self.arrangement.pieces[number].index for number in slot.pieces})

    def _columns_of(self, index: int) -> dict[int, NDArray[np.int8]]:
        if index not in self.columns:
            self.columns[index] = columns_of(self.arrangement.layers[index], self.plans[index], self.config)
        return self.columns[index]

    def _portions(self) -> list[tuple[Key, NDArray[np.int8]]]:
        """The portions of weights that come from memory, as they are used."""
        found: list[tuple[Key, NDArray[np.int8]]] = []
        for number, one in self.course.order:
            piece, plan = self.arrangement.pieces[number], self.course.plans[number]
            if not plan.streamed:
                continue
            tile = plan.tiles[one]
            mapping = plan.mappings[tile.block]
            for part in parts_of(piece.layer, mapping, tile):
                key = (piece.index + 1, *plan.key(tile, part.number))
                if not found or found[-1][0] != key:
                    found.append((key, tiles_of(self._columns_of(piece.index)[mapping.shared], tile, part)))
        return found

    def _run(self, number: int) -> Run:
        config, piece, plan = self.config, self.arrangement.pieces[number], self.course.plans[number]
        layer = piece.layer
        shapes = [shape_of(layer, plan, tile, config) for tile in plan.tiles]
        finished = [layer.target_offset + count for count in bytes_finished(layer, plan, config)]
        return Run(piece.index, layer, plan, self._columns_of(piece.index), shapes, finished)

    def _tile(self, run: Run, number: int, left: int) -> None:
        layer, tile, shape = run.layer, run.plan.tiles[number], run.shapes[number]
        conv = self._convs(run, tile, shape, left)
        drain = self._drain(run, tile, shape, conv)
        made = self.arrivals[layer.target]
        if layer.whole and run.finished[number] > max(made.bytes, default=0):
            made.add(run.finished[number], drain)
        self.unwritten[layer.target] -= 1
        if not layer.whole and not self.unwritten[layer.target]:
            # The drain works in order: all that others have written is there, too.
            made.add(layer.target_bytes, drain)

    def _cuts(self, move: Move, runs: Mapping[int, Run]) -> Sequence[int]:
        """Where to cut a load whose first readers wait for it: they need no more for their first tiles."""
        needs = {
            run.layer.offset_of(operand) + bytes_needed(run.layer, run.plan.mappings[tile.block], shape, end)
            for run in runs.values()
            for operand, name in enumerate(run.layer.sources)
            if name == move.buffer
            for tile, shape in zip(run.plan.tiles, run.shapes, strict=True)
            for end in tile.ends
        }
        ends = sorted({*needs, move.bytes})
        return [0, *ends[: INPUT_PIECES - 1]] if len(ends) > INPUT_PIECES else [0, *ends[:-1]]

    def _queue(self, move: Move, starts: Sequence[int]) -> None:
        """Let a buffer be loaded in pieces that start there."""
        self.queued.add(move.buffer)
        ends = [*starts[1:], move.bytes]
        self.loads += [(move, (start, end - start)) for start, end in zip(starts, ends, strict=True)]

    def _next_load(self) -> None:
        if not self.loads:
            return
        move, (start, count) = self.loads.popleft()
        first, memory = move.first + start, self.memory[move.tensor]
        made = [store for begin, end, store in memory.stores if begin < first + count and first < end]
        number = self.schedule.load(
            f"the tensor {move.tensor!r}",
            count,
            self.config.memory_bytes,
            after=[*self._overwritten(move.buffer), *made],
            space=Space.SCRATCHPAD,
            base=move.base,
            offset=move.offset + first,
            local=self.addresses[move.buffer] + start,
        )
        memory.load = number
        self.arrivals[move.buffer].add(start + count, number)
        self.accesses[move.buffer][Opcode.LOAD] = number

    def _overwritten(self, buffer: str) -> Iterator[int]:
        """Whatever used the bytes that `buffer` now takes over."""
        return (number for earlier in self.before[buffer] for number in self.accesses[earlier].values())

    def _available(self, buffer: str, count: int) -> int:
        """The instruction after which the first `count` bytes of `buffer` are in the scratchpad."""
        while self.loads and max(self.arrivals[buffer].bytes, default=0) < count:
            self._next_load()
        return self.arrivals[buffer].until(count)

    def _convs(self, run: Run, tile: Tile, shape: Shape, left: int) -> int:
        """The CONV of a tile, or several that add up or lie side by side; the last one's number. With `left` tiles to
        come, this one among them, loads are spread over them."""
        config, layer, plan = self.config, run.layer, run.plan
        mapping = plan.mappings[tile.block]
        parts = parts_of(layer, mapping, tile)
        number = -1
        for index, part in enumerate(parts):
            key = (run.tag, *plan.key(tile, part.number))
            line, loads = self._weights_of(key, tiles_of(run.columns[mapping.shared], tile, part), plan.streamed)
            source, offset = layer.sources[part.operand], layer.offset_of(part.operand)
            values = conv_fields(layer, mapping, tile, shape, part, self.addresses[source] + offset, config)
            needs = offset + bytes_needed(layer, mapping, shape, part.end)
            number = self.schedule.add(
                Opcode.CONV,
                f"{layer.op} {layer.name!r}",
                after=[self._available(source, needs), *loads],
                tag=run.tag,
                acquire=index == 0,
                commit=index == len(parts) - 1,
                weights=line,
                **values,
            )
            self.accesses[source][Opcode.CONV] = number
            if plan.streamed:
                self.stream.use(key, number)
            for _ in range(-(-len(self.loads) // (left + len(parts) - 1 - index))):
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
        target = self.addresses[layer.target] + layer.target_offset
        number = self.schedule.add(
            Opcode.DRAIN,
            f"{layer.op} {layer.name!r}",
            after=[*self.constants.needed(run.index), *self._overwritten(layer.target)],
            implied=[conv],
            tag=run.tag,
            parameters=line,
            **drain_fields(layer, mapping, tile, shape, target, config),
        )
        self.accesses[layer.target][Opcode.DRAIN] = number
        self.constants.use(run.index, number)
        return number

    def _store(self, move: Move) -> None:
        """Send a finished buffer to memory."""
        memory = self.memory[move.tensor]
        replaced = [self.memory[name].load for name in self.arrangement.memory_before.get(move.tensor, ())]
        for strips in move.strips:
            number = self.schedule.add(
                Opcode.STORE,
                f"the tensor {move.tensor!r}",
                after=[self.arrivals[move.buffer].until(move.bytes), *(load for load in replaced if load >= 0)],
                tag=len(self.arrangement.layers) + 1,
                space=Space.SCRATCHPAD,
                base=move.base,
                offset=move.offset + strips.first,
                local=self.addresses[move.buffer] + strips.start,
                bytes=strips.bytes,
                rows=strips.count,
                step=strips.step,
                local_step=strips.bytes * (strips.count > 1),
            )
            memory.stores.append((strips.first, strips.stop, number))
            self.accesses[move.buffer][Opcode.STORE] = number


def generate(arrangement: Arrangement, course: Course, addresses: Mapping[str, int], config: Config) -> Code:
    """The program of one inference: layer i has the tag i + 1, loads of activations have 0, and stores the tag after
    the last layer's.

    Raises
    ------
    UserError
        If weights or parameters do not fit on the chip, or a number does not fit its field.
    """
    try:
        return _generated(config, arrangement, course, addresses, careful=False)
    except TokensError:
        return _generated(config, arrangement, course, addresses, careful=True)


def _generated(
    config: Config, arrangement: Arrangement, course: Course, addresses: Mapping[str, int], careful: bool
) -> Code:
    """`careful` as in Schedule."""
    generator = Generator(config, arrangement, course, addresses, careful)
    slots = arrangement.slots
    place = {number: index for index, slot in enumerate(slots) for number in slot.pieces}
    order: list[list[tuple[int, int]]] = [[] for _ in slots]
    for one in course.order:
        order[place[one[0]]].append(one)
    for slot, following, some in zip(slots, [*slots[1:], Slot()], order, strict=True):
        generator.slot(slot, following, tuple(some))
    weights = generator.weights
    resident = Resident(Space.WEIGHTS, weights.first * config.weight_steps * config.weight_line_bytes, weights.image())
    return Code(
        generator.schedule.finish(),
        generator.constants.image + generator.stream.image,
        (resident, *generator.constants.resident),
        tuple(range(1, len(arrangement.layers) + 1)),
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
