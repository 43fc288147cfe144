"""The compiler: from a graph of quantized operators to a program for one configuration."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from weft.rtl.config import Config
from weft.rtl.fields import misfit
from weft.rtl.isa import Instruction, assemble

from ..cycles.estimate import USUAL_MEMORY, Memory
from ..cycles.playing import Course, work_of
from ..cycles.timeline import layer_cycles, timeline
from ..errors import UserError
from ..graph import Graph, Tensor
from ..lowering.layers import Layer
from ..lowering.lower import lower
from ..program import LayerInfo, Port, Program, traffic_of
from .allocate import buffers_of, pack, place
from .arrangement import Arrangement, Transfer, banded, crowded, resident
from .band_plans import plan_bands
from .bands import by_rows, row_bytes, subsampled
from .boundary import split
from .codegen import Code, generate, setup_program
from .dataflow import Dataflow
from .merging import groups_of, one_by_one
from .overlaying import UNITS, lives_of, pack_lives
from .passes import simplify
from .planning import plan
from .spilling import spill
from .tiling import pass_cycles

MOST_SEARCHED = 40
"""Layers whose plans are searched for one by one, each knowing what comes before it; that takes seconds. Longer
networks are planned as those that do not fit on the chip are, in bands."""

SHARES = (1.0, 0.9, 0.75, 0.0)
"""Parts of the scratchpad for buffers of layers that take turns, tried one after the other."""

PORT_ALIGNMENT = 64
"""Inputs and outputs start at multiples of this in their buffers, and constants in the image: a word of the widest
memory port."""


def compile_graph(graph: Graph, config: Config, memory: Memory = USUAL_MEMORY) -> Program:
    """Compile a network, with an eye on the memory that it will run with.

    Raises
    ------
    UserError
        One sentence: what is not supported, or does not fit, and by how much.
    """
    return _package(_built(graph, config, memory), config, memory)


def check_graph(graph: Graph, config: Config, memory: Memory = USUAL_MEMORY) -> None:
    """Find out whether a network compiles, in less time than it takes to compile it.

    Raises
    ------
    UserError
        Where compile_graph raises one, the same.
    """
    _built(graph, config, memory)


@dataclass(frozen=True)
class _Built:
    """All that a program is made of; nothing is refused behind it."""

    graph: Graph
    inputs: tuple[Transfer, ...]
    outputs: tuple[Transfer, ...]
    arrangement: Arrangement
    course: Course
    code: Code
    offsets: Sequence[int]
    """In the image: of what the program loads itself, of each resident part, and of the setup program."""
    setup: Sequence[Instruction]


def _built(graph: Graph, config: Config, memory: Memory) -> _Built:
    graph = simplify(graph)
    boundary = split(graph)
    layers = lower(graph, boundary, config)
    inputs, outputs = (_transfers(graph, names) for names in (boundary.inputs, boundary.outputs))
    arrangement, course, addresses = _arranged(graph, layers, inputs, outputs, config, memory)
    code = generate(arrangement, course, addresses, config)
    # What is loaded in the run comes first, for the program names its offsets.
    offsets = [0]
    for content in (code.streamed, *(one.content for one in code.resident)):
        offsets.append(_aligned(offsets[-1] + len(content)))
    setup = setup_program(code.resident, offsets[1:-1])
    for one in [*setup, *code.instructions] if config.compact else ():
        sentence = misfit(config, one)
        if sentence:
            raise UserError(f"{graph.name} does not fit into a compact NPU: {one.opcode.name}: {sentence}")
    return _Built(graph, inputs, outputs, arrangement, course, code, offsets, setup)


def _arranged(
    graph: Graph,
    layers: tuple[Layer, ...],
    inputs: tuple[Transfer, ...],
    outputs: tuple[Transfer, ...],
    config: Config,
    memory: Memory,
) -> tuple[Arrangement, Course, Mapping[str, int]]:
    """Everything on the chip, layer after layer, if it fits; else in bands."""
    read, made = (tuple(one.buffer for one in some) for some in (inputs, outputs))
    sizes = {one.buffer: one.bytes for one in inputs}
    sizes |= {layer.target: layer.target_bytes for layer in layers}
    buffers = buffers_of(layers, sizes, read, made)
    fits = pack(buffers, config.word_bytes)[1] <= config.scratchpad_bytes
    if fits and len(layers) <= MOST_SEARCHED:
        return _resident(layers, sizes, inputs, outputs, config)
    layers = tuple(subsampled(layers, config))
    sizes |= {layer.target: layer.target_bytes for layer in layers}
    pitches = row_bytes(layers, {name: _pitch(graph.tensors[name]) for name in read})
    rows = tuple(by_rows(layer, pitches[layer.target], config) for layer in layers)
    flow = Dataflow(rows, sizes, read, made, config, memory)
    arrangement = _in_bands(flow, inputs, outputs)
    return arrangement, plan_bands(arrangement, config), place(arrangement.buffers, config)


def _resident(
    layers: tuple[Layer, ...],
    sizes: Mapping[str, int],
    inputs: tuple[Transfer, ...],
    outputs: tuple[Transfer, ...],
    config: Config,
) -> tuple[Arrangement, Course, Mapping[str, int]]:
    """Everything on the chip. Layers that take turns keep more buffers alive; where gaps between these take too much,
    less of the scratchpad is promised to them."""
    read, made = ([one.buffer for one in some] for some in (inputs, outputs))
    groups = groups_of(layers, config)
    for share in SHARES:
        course = plan(layers, read, config, groups if share else (), sizes, made, share)
        arrangement = resident(layers, course.groups or one_by_one(layers), sizes, inputs, outputs)
        if pack(arrangement.buffers, config.word_bytes)[1] <= config.scratchpad_bytes:
            return arrangement, course, place(arrangement.buffers, config)
        works = [work_of(layer, one, config) for layer, one in zip(layers, course.plans, strict=True)]
        unit = max(config.scratchpad_bytes // UNITS, config.word_bytes)
        lives = lives_of(works, course.order, sizes, made, unit)
        starts = pack_lives(lives, config.scratchpad_bytes // unit)
        if starts is not None:
            return arrangement, course, {name: start * unit for name, start in starts.items()}
    raise AssertionError("one layer after the other fits")


def _in_bands(flow: Dataflow, inputs: tuple[Transfer, ...], outputs: tuple[Transfer, ...]) -> Arrangement:
    """In bands that leave room for the gaps between buffers; if there are any, the buffers try several orders, since no
    wider gap helps where it is the order that makes them."""
    config = flow.config
    room = config.scratchpad_bytes
    gaps: Counter[int] = Counter()
    choice, tight = spill(flow, room), frozenset[int]()
    while True:
        arrangement = banded(flow, choice, inputs, outputs, tight)
        addresses, end = pack(arrangement.buffers, config.word_bytes, room if gaps else None)
        if end <= room:
            return arrangement
        groups = {arrangement.slots[slot].group for slot in crowded(arrangement, room)}
        if groups <= tight:
            for index, missing in _sticking_out(arrangement, addresses, room).items():
                gaps[index] += max(missing, room // 32)
            choice, tight = spill(flow, room, gaps), frozenset()
        else:
            tight |= groups


def _sticking_out(arrangement: Arrangement, addresses: Mapping[str, int], room: int) -> dict[int, int]:
    """Layers in whose time a buffer ends behind the scratchpad, and by how many bytes."""
    found: dict[int, int] = {}
    for buffer in arrangement.buffers:
        missing = addresses[buffer.name] + buffer.size - room
        if missing > 0:
            groups = {slot.group for slot in arrangement.slots[max(buffer.first - 1, 0) : buffer.last]}
            for slot in arrangement.slots:
                if slot.group in groups:
                    for piece in slot.pieces:
                        index = arrangement.pieces[piece].index
                        found[index] = max(found.get(index, 0), missing)
    return found


def _pitch(tensor: Tensor) -> int:
    """Bytes of a row of an input."""
    return tensor.size // tensor.shape[1] if len(tensor.shape) == 4 else tensor.size


def _transfers(graph: Graph, names: tuple[str, ...]) -> tuple[Transfer, ...]:
    offset, found = 0, []
    for name in names:
        size = graph.tensors[name].size
        found.append(Transfer(name, offset, size))
        offset = _aligned(offset + size)
    return tuple(found)


def _aligned(offset: int) -> int:
    return -(-offset // PORT_ALIGNMENT) * PORT_ALIGNMENT


def _package(built: _Built, config: Config, memory: Memory) -> Program:
    graph, arrangement, course, code = built.graph, built.arrangement, built.course, built.code
    setup, run = assemble(built.setup), assemble(code.instructions)
    run_at = built.offsets[-1] + len(setup)
    image = bytearray(run_at + len(run))
    parts = [code.streamed, *(one.content for one in code.resident), setup, run]
    for offset, part in zip([*built.offsets, run_at], parts, strict=True):
        image[offset : offset + len(part)] = part
    passes: Counter[int] = Counter()
    for piece, planned in zip(arrangement.pieces, course.plans, strict=True):
        passes[piece.index] += pass_cycles(piece.layer, planned, config)
    predicted = layer_cycles(code.instructions, timeline(config, code.instructions, memory))
    traffic = traffic_of(code.instructions, code.tags, config)
    return Program(
        config=config,
        image=bytes(image),
        setup=built.offsets[-1],
        run=run_at,
        workspace_bytes=arrangement.workspace_bytes,
        inputs=_ports(graph, graph.inputs, built.inputs),
        outputs=_ports(graph, graph.outputs, built.outputs),
        layers=tuple(
            LayerInfo(layer.name, layer.op, tag, layer.macs, passes[index], predicted[tag], *traffic[tag])
            for index, (layer, tag) in enumerate(zip(arrangement.layers, code.tags, strict=True))
        ),
        name=graph.name,
    )


def _ports(graph: Graph, names: Sequence[str], transfers: Sequence[Transfer]) -> tuple[Port, ...]:
    return tuple(_port(graph, name, transfer) for name, transfer in zip(names, transfers, strict=True))


def _port(graph: Graph, name: str, transfer: Transfer) -> Port:
    tensor = graph.tensors[transfer.buffer]
    return Port(
        name=name,
        shape=_sample_shape(tensor),
        dtype=tensor.dtype,
        scale=tensor.scale,
        zero_point=tensor.zero_point,
        offset=transfer.offset,
        bytes=transfer.bytes,
    )


def _sample_shape(tensor: Tensor) -> tuple[int, ...]:
    return tensor.shape if tensor.shape[:1] == (1,) else (1, prod(tensor.shape[:-1]), tensor.shape[-1])
