"""The order of everything: slots of parts of layers that are computed side by side, what is loaded for them and stored
behind them, and how long each buffer lives."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate

from ..lowering.layers import Layer, Place
from .allocate import Buffer, buffers_of, pack, predecessors
from .bands import Held, part
from .cutting import Cut, Need, bands_of, levels, need
from .dataflow import Dataflow
from .mapping import Span
from .merging import steps_of
from .spilling import Choice

MOST_STRIPS = (1 << 16) - 1
"""Rows of a STORE."""

IMAGE, INPUT, OUTPUT, WORKSPACE = 0, 1, 2, 3
"""Base registers."""


@dataclass(frozen=True)
class Transfer:
    """A tensor in the memory of the inputs, or of the outputs, and its offset there."""

    buffer: str
    offset: int
    bytes: int


@dataclass(frozen=True)
class Strips:
    """Neighbours in a buffer that lie apart in a tensor: `count` times `bytes` in a row, `step` from each other."""

    start: int
    """First byte in the buffer."""
    first: int
    """First byte in the tensor."""
    bytes: int
    count: int = 1
    step: int = 0

    @property
    def stop(self) -> int:
        """The byte of the tensor behind the last one."""
        return self.first + (self.count - 1) * self.step + self.bytes


@dataclass(frozen=True)
class Move:
    """Bytes between a whole buffer and memory."""

    buffer: str
    tensor: str
    first: int
    """Byte of the tensor that is the buffer's first one."""
    bytes: int
    base: int
    """Base register of the tensor's memory."""
    offset: int
    """Of the tensor's first byte there."""
    scattered: tuple[Strips, ...] = ()
    """Where the buffer's bytes go that are not neighbours in the tensor."""

    @property
    def strips(self) -> tuple[Strips, ...]:
        """All bytes."""
        return self.scattered or (Strips(0, self.first, self.bytes),)

    def meets(self, other: "Move") -> bool:
        """Both move some of the same bytes of a tensor, or bytes between those of the other one."""
        ends = [max(strips.stop for strips in one.strips) for one in (self, other)]
        apart = ends[0] <= other.first or ends[1] <= self.first
        return self.tensor == other.tensor and not apart


@dataclass(frozen=True)
class Piece:
    """A layer, or a band of one."""

    layer: Layer
    index: int
    """Of the layer."""


@dataclass
class Slot:
    """Pieces that are computed side by side."""

    group: int = 0
    """Number of the group of layers."""
    loads_late: bool = False
    """Nothing is loaded ahead, for there is no room."""
    stores_at_once: bool = False
    """Nor is there for what is still on its way to memory."""
    pieces: list[int] = field(default_factory=list)
    loads: list[Move] = field(default_factory=list)
    """What they are the first to read."""
    stores: list[Move] = field(default_factory=list)
    """What they complete."""


@dataclass(frozen=True)
class Arrangement:
    """A whole program before it is cut into tiles."""

    layers: tuple[Layer, ...]
    pieces: tuple[Piece, ...]
    slots: tuple[Slot, ...]
    buffers: tuple[Buffer, ...]
    workspace_bytes: int = 0
    memory_before: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Per tensor in the workspace: those whose bytes it takes over."""


def resident(
    layers: Sequence[Layer],
    groups: Sequence[range],
    sizes: Mapping[str, int],
    inputs: Sequence[Transfer],
    outputs: Sequence[Transfer],
) -> Arrangement:
    """Everything stays on the chip, from the loads of the inputs to the stores of the outputs."""
    slots = [Slot(number, pieces=list(group)) for number, group in enumerate(groups)]
    step = steps_of(groups)
    for one in inputs:
        first = min(step[index] for index, layer in enumerate(layers) if one.buffer in layer.sources)
        slots[first - 1].loads.append(Move(one.buffer, one.buffer, 0, one.bytes, INPUT, one.offset))
    slots[-1].stores += [Move(one.buffer, one.buffer, 0, one.bytes, OUTPUT, one.offset) for one in outputs]
    buffers = buffers_of(layers, sizes, [one.buffer for one in inputs], [one.buffer for one in outputs], step)
    return Arrangement(
        tuple(layers), tuple(Piece(layer, index) for index, layer in enumerate(layers)), tuple(slots), tuple(buffers)
    )


def banded(
    flow: Dataflow,
    choice: Choice,
    inputs: Sequence[Transfer],
    outputs: Sequence[Transfer],
    tight: frozenset[int] = frozenset(),
) -> Arrangement:
    """Groups band by band; layers of a group work on different bands in the same slot, so that none waits for another.

    The first loads of a group come, and its last stores go, while its neighbours are computed; not those of the groups
    with the numbers in `tight`.
    """
    return _Banding(flow, choice, inputs, outputs, tight).arrangement()


def crowded(arrangement: Arrangement, room: int) -> frozenset[int]:
    """The slots whose buffers, and those of their neighbours, do not fit into `room` bytes together."""
    change = [0] * (len(arrangement.slots) + 4)
    for buffer in arrangement.buffers:
        change[buffer.first] += buffer.size
        change[buffer.last + 1] -= buffer.size
    return frozenset(
        slot
        for step, alive in enumerate(accumulate(change))
        if alive > room
        for slot in (step - 2, step - 1, step)
        if 0 <= slot < len(arrangement.slots)
    )


class _Banding:
    def __init__(
        self,
        flow: Dataflow,
        choice: Choice,
        inputs: Sequence[Transfer],
        outputs: Sequence[Transfer],
        tight: frozenset[int],
    ) -> None:
        self.tight = tight
        self.flow = flow
        self.choice = choice
        self.pieces: list[Piece] = []
        self.slots: list[Slot] = []
        self.sizes: dict[str, int] = {}
        self.lives: dict[str, list[int]] = {}
        self.memory_lives: dict[str, list[int]] = {}
        self.memory_before: dict[str, tuple[str, ...]] = {}
        self.homes = {one.buffer: (OUTPUT, one.offset) for one in outputs}
        self.homes |= {one.buffer: (INPUT, one.offset) for one in inputs}
        self.inputs = inputs
        self.outputs = outputs

    def arrangement(self) -> Arrangement:
        """Of the whole network."""
        flow = self.flow
        for one in self.inputs:
            if one.buffer not in self.choice.spilled:
                self._use(one.buffer, one.bytes, [0])
        for number, (group, cut) in enumerate(zip(self.choice.groups, self.choice.cuts, strict=True)):
            self._group(number, group, cut)
        workspace = self._workspace()
        # Tensors that stay on the chip are loaded where they are first read, and stored at the end.
        for one in self.inputs:
            if one.buffer not in self.choice.spilled:
                slot = next(slot for slot in self.slots if self._reads(slot, one.buffer))
                slot.loads.append(self._move(one.buffer, one.buffer, 0, one.bytes))
        for one in self.outputs:
            if one.buffer not in self.choice.spilled:
                self._use(one.buffer, one.bytes, [len(self.slots) + 1])
                self.slots[-1].stores.append(self._move(one.buffer, one.buffer, 0, one.bytes))
        buffers = [Buffer(name, self.sizes[name], min(some), max(some)) for name, some in self.lives.items()]
        return Arrangement(
            flow.layers, tuple(self.pieces), tuple(self.slots), tuple(buffers), workspace, self.memory_before
        )

    def _reads(self, slot: Slot, buffer: str) -> bool:
        return any(buffer in self.pieces[piece].layer.sources for piece in slot.pieces)

    def _use(self, buffer: str, size: int, steps: Iterable[int]) -> None:
        """The buffer is alive in these steps; slot i is step i + 1."""
        self.sizes[buffer] = size
        self.lives.setdefault(buffer, []).extend(steps)

    def _group(self, index: int, group: range, cut: Cut) -> None:
        flow = self.flow
        level = levels(flow, group)
        bands = bands_of(flow, group, cut.count)
        first = len(self.slots)
        self.slots += [Slot(index, cut.lean, cut.lean) for _ in range(len(bands) + max(level.values()))]
        if index in self.tight:
            self.slots[first].loads_late = self.slots[-1].stores_at_once = True
        needs = [need(flow, group, rows) for rows in bands]
        held: list[dict[str, Held]] = [{} for _ in bands]
        for number in range(first, len(self.slots)):
            for layer in group:
                band = number - first - level[layer]
                if 0 <= band < len(bands):
                    inside = flow.inside(flow.layers[layer].target, group)
                    self._piece(layer, inside, needs[band], held[band], number)

    def _piece(self, index: int, inside: bool, needs: Need, held: dict[str, Held], number: int) -> None:
        """One layer's part of a band, in slot `number`; if `inside`, it makes what only the group reads."""
        flow, spilled = self.flow, self.choice.spilled
        layer, rows, slot = flow.layers[index], needs.rows[index], self.slots[number]
        step = number + 1
        for name in dict.fromkeys(layer.sources):
            if name not in held:
                held[name] = Held(name, 0)
                if name in spilled:
                    start, stop = needs.reads[name]
                    held[name] = Held(f"{name}@{number}", start)
                    slot.loads.append(self._move(held[name].buffer, name, start, stop - start))
                    self._use(held[name].buffer, stop - start, [step if slot.loads_late else step - 1])
                    self.memory_lives.setdefault(name, []).append(step)
            size = self.sizes.get(held[name].buffer, flow.sizes[name])
            self._use(held[name].buffer, size, [step])
        name, pitch = layer.target, layer.row_bytes
        target = Held(name, 0)
        if inside or name in spilled:
            target = Held(f"{name}@{number}", rows[0] * pitch)
            self._use(target.buffer, rows[1] * pitch, [step])
        else:
            self._use(name, flow.sizes[name], [step])
        if not inside and name in spilled:
            strips = strips_of(layer, rows)
            move = self._move(target.buffer, name, strips[0].first, rows[1] * pitch)
            slot.stores.append(move if len(strips) == strips[0].count == 1 else replace(move, scattered=strips))
            self._use(target.buffer, rows[1] * pitch, [step if slot.stores_at_once else step + 1])
            self.memory_lives.setdefault(name, []).append(step)
            # The strips are scattered on their way to memory, not on the chip.
            layer = replace(layer, place=Place(layer.output_size, layer.output_channels))
        held[name] = target
        slot.pieces.append(len(self.pieces))
        self.pieces.append(Piece(part(layer, rows, [held[one] for one in layer.sources], target), index))

    def _move(self, buffer: str, tensor: str, first: int, count: int) -> Move:
        base, offset = self.homes.get(tensor, (WORKSPACE, 0))
        return Move(buffer, tensor, first, count, base, offset)

    def _workspace(self) -> int:
        """Give each tensor that is only for the program itself its place in memory; returns how much they take."""
        flow = self.flow
        buffers = [
            Buffer(name, flow.sizes[name], min(some), max(some))
            for name, some in self.memory_lives.items()
            if name not in self.homes
        ]
        addresses, total = pack(buffers, max(flow.config.memory_bytes, 64))
        self.memory_before = predecessors(buffers, addresses)
        for slot in self.slots:
            slot.loads = [_moved(one, addresses) for one in slot.loads]
            slot.stores = [_moved(one, addresses) for one in slot.stores]
        return total


def strips_of(layer: Layer, rows: Span) -> tuple[Strips, ...]:
    """Where in its target these rows of a layer's output belong, in as few strips as can be."""
    place, (first, count) = layer.place, rows
    (down, across), width, channels = place.step, layer.output_size[1], layer.output_channels
    at = (place.origin[0] + first * down) * place.row_pitch + place.origin[1] * place.channels + place.channel
    pixel, row = across * place.channels, down * place.row_pitch
    if channels == pixel:
        if layer.row_bytes == row:
            return (Strips(0, at, count * layer.row_bytes),)
        return tuple(
            Strips(start * layer.row_bytes, at + start * row, layer.row_bytes, min(MOST_STRIPS, count - start), row)
            for start in range(0, count, MOST_STRIPS)
        )
    # Pixels of all rows are one sequence of strips where the last one of a row is as far from the next row's first.
    runs = [(0, count * width)] if width * pixel == row else [(number, width) for number in range(count)]
    return tuple(
        Strips(
            number * layer.row_bytes + start * channels,
            at + number * row + start * pixel,
            channels,
            min(MOST_STRIPS, pixels - start),
            pixel,
        )
        for number, pixels in runs
        for start in range(0, pixels, MOST_STRIPS)
    )


def _moved(move: Move, addresses: Mapping[str, int]) -> Move:
    return replace(move, offset=addresses.get(move.tensor, move.offset))
