"""Which operators run on the host, before and after the device, and what crosses the boundary."""

from dataclasses import dataclass

from . import host
from .errors import UserError
from .graph import (
    HOST_ONLY,
    TFLITE,
    Dequantize,
    Graph,
    OffsetBinary,
    Operator,
    Quantize,
    Reshape,
    Softmax,
    SoftmaxInt8,
    Transpose,
)

TRANSPOSES = {(0, 2, 3, 1): "nchw_to_nhwc", (0, 3, 1, 2): "nhwc_to_nchw"}


@dataclass(frozen=True)
class Boundary:
    """The device's part of a graph."""

    operators: tuple[Operator, ...]
    """Those that the device executes; no Reshape is among them."""
    buffers: dict[str, str]
    """Every tensor on the device -> the tensor whose bytes it is: a Reshape's output is its input."""
    inputs: tuple[str, ...]
    """Per graph input: the int8 tensor that the host sends."""
    outputs: tuple[str, ...]
    """Per graph output: the tensor that the host fetches."""
    prologue: tuple[tuple[host.Step, ...], ...]
    epilogue: tuple[tuple[host.Step, ...], ...]


def split(graph: Graph) -> Boundary:
    """Find the boundary.

    Raises
    ------
    UserError
        For a host operator between device operators, an input that reaches the device in two forms or not at all, or an
        output that does not come from the device.
    """
    makers = {operator.output: operator for operator in graph.operators}
    device = tuple(one for one in graph.operators if not isinstance(one, (*HOST_ONLY, Reshape)))
    if not device:
        raise UserError(f"{graph.name}: the model has no operator for the device")
    made = {operator.output for operator in device}
    buffers: dict[str, str] = {}

    def root(name: str) -> str:
        maker = makers.get(name)
        return root(maker.inputs[0]) if isinstance(maker, Reshape) else name

    def chain_to_host(name: str, back: list[Operator]) -> tuple[str, list[Operator]]:
        """From a tensor back over host operators; the tensor where they begin, the operators in order."""
        maker = makers.get(name)
        if maker is None or name in made:
            return name, back[::-1]
        return chain_to_host(maker.inputs[0], [*back, maker])

    arrivals: dict[str, tuple[str, list[Operator]]] = {}
    for operator in device:
        for name in operator.inputs:
            buffer = buffers[name] = root(name)
            if buffer in made:
                continue
            start, steps = chain_to_host(buffer, [])
            if start in made:
                raise UserError(
                    f"{graph.name}: {operator.name!r} runs on the device and needs {steps[-1].name!r}, which runs on "
                    f"the host after device operators; supported are host operators before all and after all of them"
                )
            if arrivals.setdefault(start, (buffer, steps))[0] != buffer:
                raise UserError(f"{graph.name}: the input {start!r} is quantized in two ways, supported is one")
    for name in graph.inputs:
        if name not in arrivals:
            raise UserError(f"{graph.name}: the input {name!r} does not reach an operator of the device")
    for operator in device:
        buffers[operator.output] = operator.output

    outputs, epilogue = [], []
    for name in graph.outputs:
        start, steps = chain_to_host(name, [])
        if start not in made:
            raise UserError(f"{graph.name}: the output {name!r} does not come from an operator of the device")
        if graph.tensors[name].shape[0] != 1:
            raise UserError(
                f"{graph.name}: the output {name!r} of shape {graph.tensors[name].shape} must have a batch of 1"
            )
        outputs.append(start)
        epilogue.append(tuple(step for one in steps for step in _steps(graph, one)))
    return Boundary(
        device,
        buffers,
        tuple(arrivals[name][0] for name in graph.inputs),
        tuple(outputs),
        tuple(tuple(step for one in arrivals[name][1] for step in _steps(graph, one)) for name in graph.inputs),
        tuple(epilogue),
    )


def _steps(graph: Graph, operator: Operator) -> list[host.Step]:
    source, target = graph.tensors[operator.inputs[0]], graph.tensors[operator.output]
    match operator:
        case Quantize():
            ties = ["away"] if operator.rounding == TFLITE else []
            return [("quantize", target.scale, target.zero_point, target.dtype, *ties)]
        case Dequantize():
            return [("dequantize", source.scale, source.zero_point)]
        case OffsetBinary():
            return [("offset_binary",)]
        case Softmax():
            return [("softmax", operator.axis)]
        case SoftmaxInt8():
            return [("softmax_int8", source.scale, operator.beta)]
        case Reshape():
            return [] if source.shape == target.shape else [("reshape", target.shape)]
        case Transpose() if operator.permutation in TRANSPOSES:
            return [(TRANSPOSES[operator.permutation],)]
        case Transpose():
            raise UserError(
                f"{graph.name}: {operator.name!r} permutes the axes {list(operator.permutation)} on the host, "
                f"supported are {' and '.join(str(list(one)) for one in TRANSPOSES)}"
            )
    raise UserError(f"{graph.name}: {operator.name!r} cannot run on the host")
