"""What of a device's graph are operators, and what crosses to and from the host."""

from dataclasses import dataclass

from ..errors import UserError
from ..graph import Graph, Operator, Reshape


@dataclass(frozen=True)
class Boundary:
    """A graph without its Reshapes, which are nothing."""

    operators: tuple[Operator, ...]
    """Those that the device executes; no Reshape is among them."""
    buffers: dict[str, str]
    """Every tensor on the device -> the tensor whose bytes it is: a Reshape's output is its input."""
    inputs: tuple[str, ...]
    """Per graph input: the tensor that the host sends."""
    outputs: tuple[str, ...]
    """Per graph output: the tensor that the host fetches."""


def split(graph: Graph) -> Boundary:
    """Find the boundary of a graph that the device executes as a whole.

    Raises
    ------
    UserError
        For a graph without an operator for the device, an input that no operator reads, or an output that none makes.
    """
    makers = {operator.output: operator for operator in graph.operators}
    device = tuple(one for one in graph.operators if not isinstance(one, Reshape))
    if not device:
        raise UserError(f"{graph.name}: the model has no operator for the device")

    def root(name: str) -> str:
        maker = makers.get(name)
        return root(maker.inputs[0]) if isinstance(maker, Reshape) else name

    buffers = {name: root(name) for operator in device for name in (*operator.inputs, operator.output)}
    read = {buffers[name] for operator in device for name in operator.inputs}
    for name in graph.inputs:
        if name not in read:
            raise UserError(f"{graph.name}: the input {name!r} does not reach an operator of the device")
    outputs = tuple(root(name) for name in graph.outputs)
    for name, made in zip(graph.outputs, outputs, strict=True):
        if isinstance(makers.get(made), Reshape) or made not in makers:
            raise UserError(f"{graph.name}: the output {name!r} does not come from an operator of the device")
    return Boundary(device, buffers, graph.inputs, outputs)
