"""The compiler: from a graph of quantized operators to a program for one configuration."""

from math import prod

from weft.rtl.config import Config
from weft.rtl.isa import assemble

from .allocate import buffers_of, place
from .boundary import Boundary, split
from .codegen import Code, Transfer, generate, setup_program
from .graph import Graph, Tensor
from .layers import Layer
from .lower import lower
from .merging import groups_of, steps_of
from .passes import simplify
from .planning import plan
from .program import LayerInfo, Port, Program
from .tiling import Plan, pass_cycles
from .timeline import layer_cycles, timeline

PORT_ALIGNMENT = 64
"""Inputs and outputs start at multiples of this in their buffers, and constants in the image: a word of the widest
memory port."""


def compile_graph(graph: Graph, config: Config) -> Program:
    """Compile a network.

    Raises
    ------
    UserError
        One sentence: what is not supported, or does not fit, and by how much.
    """
    graph = simplify(graph)
    boundary = split(graph)
    layers = lower(graph, boundary, config)
    sizes = {name: graph.tensors[name].size for name in boundary.inputs}
    sizes |= {layer.target: layer.target_bytes for layer in layers}
    groups = groups_of(layers, sizes, boundary.inputs, boundary.outputs, config)
    buffers = buffers_of(layers, sizes, boundary.inputs, boundary.outputs, steps_of(groups))
    addresses = place(buffers, config)
    course = plan(layers, boundary.inputs, config, groups)
    inputs, outputs = (_transfers(graph, names) for names in (boundary.inputs, boundary.outputs))
    code = generate(layers, course, groups, buffers, addresses, inputs, outputs, config)
    return _package(graph, boundary, layers, course.plans, inputs, outputs, code, config)


def _transfers(graph: Graph, names: tuple[str, ...]) -> tuple[Transfer, ...]:
    offset, found = 0, []
    for name in names:
        size = graph.tensors[name].size
        found.append(Transfer(name, offset, size))
        offset = _aligned(offset + size)
    return tuple(found)


def _aligned(offset: int) -> int:
    return -(-offset // PORT_ALIGNMENT) * PORT_ALIGNMENT


def _package(
    graph: Graph,
    boundary: Boundary,
    layers: tuple[Layer, ...],
    plans: tuple[Plan, ...],
    inputs: tuple[Transfer, ...],
    outputs: tuple[Transfer, ...],
    code: Code,
    config: Config,
) -> Program:
    # What is loaded in the run comes first, for the program names its offsets.
    parts, offsets = [code.streamed], [0]
    for one in code.resident:
        offsets.append(_aligned(offsets[-1] + len(parts[-1])))
        parts.append(one.content)
    setup_at = _aligned(offsets[-1] + len(parts[-1]))
    setup = assemble(setup_program(code.resident, offsets[1:]))
    run = assemble(code.instructions)
    run_at = setup_at + len(setup)
    image = bytearray(run_at + len(run))
    for offset, part in zip([*offsets, setup_at, run_at], [*parts, setup, run], strict=True):
        image[offset : offset + len(part)] = part
    predicted = layer_cycles(code.instructions, timeline(config, code.instructions))
    return Program(
        config=config,
        image=bytes(image),
        setup=setup_at,
        run=run_at,
        workspace_bytes=0,
        inputs=tuple(_port(graph, name, transfer, name) for name, transfer in zip(graph.inputs, inputs, strict=True)),
        outputs=tuple(
            _port(graph, name, transfer, name) for name, transfer in zip(graph.outputs, outputs, strict=True)
        ),
        layers=tuple(
            LayerInfo(layer.name, layer.op, tag, layer.macs, pass_cycles(layer, plan, config), predicted[tag])
            for layer, plan, tag in zip(layers, plans, code.tags, strict=True)
        ),
        prologue=boundary.prologue,
        epilogue=boundary.epilogue,
        name=graph.name,
    )


def _port(graph: Graph, name: str, transfer: Transfer, outside: str) -> Port:
    tensor, host_tensor = graph.tensors[transfer.buffer], graph.tensors[outside]
    return Port(
        name=name,
        shape=_sample_shape(tensor),
        dtype=tensor.dtype,
        scale=tensor.scale,
        zero_point=tensor.zero_point,
        offset=transfer.offset,
        bytes=transfer.bytes,
        host_shape=_sample_shape(host_tensor),
        host_dtype=host_tensor.dtype,
    )


def _sample_shape(tensor: Tensor) -> tuple[int, ...]:
    return tensor.shape if tensor.shape[:1] == (1,) else (1, prod(tensor.shape[:-1]), tensor.shape[-1])
