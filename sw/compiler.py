"""The compiler: from a graph of quantized operators to a program for one configuration."""

from math import prod

from weft.rtl.config import Config
from weft.rtl.isa import assemble

from .allocate import buffers_of, place
from .boundary import Boundary, split
from .codegen import Code, Transfer, generate, setup_program
from .estimate import layer_cycles, timeline
from .graph import Graph, Tensor
from .lower import Layer, lower
from .passes import simplify
from .planning import plan
from .program import LayerInfo, Port, Program
from .tiling import Plan, pass_cycles

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
    sizes = {name: tensor.size for name, tensor in graph.tensors.items()}
    buffers = buffers_of(layers, sizes, boundary.inputs, boundary.outputs)
    addresses = place(buffers, config)
    plans = plan(layers, boundary.inputs, config)
    inputs, outputs = (_transfers(graph, names) for names in (boundary.inputs, boundary.outputs))
    code = generate(layers, plans, buffers, addresses, inputs, outputs, config)
    return _package(graph, boundary, layers, plans, inputs, outputs, code, config)


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
    # Streamed weights come first, for the program names their offsets.
    weights_at = _aligned(len(code.streamed))
    parameters_at = _aligned(weights_at + len(code.weights))
    setup_at = _aligned(parameters_at + len(code.parameters))
    setup = assemble(setup_program(code, weights_at, parameters_at, config))
    run = assemble(code.instructions)
    run_at = setup_at + len(setup)
    image = bytearray(run_at + len(run))
    for offset, part in (
        (0, code.streamed),
        (weights_at, code.weights),
        (parameters_at, code.parameters),
        (setup_at, setup),
        (run_at, run),
    ):
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
