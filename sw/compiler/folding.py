"""Rewrites that make operators go: of constants, of padding that the operator behind it does as well, and of copies."""

from dataclasses import replace

from ..errors import UserError
from ..graph import (
    ONNX,
    AveragePool2D,
    Clamped,
    Concat,
    Constant,
    Conv2D,
    Graph,
    MaxPool2D,
    Operator,
    Pad,
    ResizeNearest,
    Slice,
    Tensor,
)
from ..host import operators as host_operators

LARGEST = 1 << 24
"""Elements of a constant that is computed."""


def renamed(graph: Graph, names: dict[str, str]) -> Graph:
    """The graph with every reading of a key of `names` turned into a reading of its value."""

    def final(name: str) -> str:
        while name in names:
            name = names[name]
        return name

    operators = tuple(
        replace(operator, inputs=tuple(final(name) for name in operator.inputs)) for operator in graph.operators
    )
    return graph.with_operators(operators)


def fold_constants(graph: Graph) -> Graph:
    """Make a constant of every operator that reads nothing else; those that the host refuses stay."""
    constants = {one.output: one for one in graph.operators if isinstance(one, Constant)}
    operators: list[Operator] = []
    for operator in graph.operators:
        target = graph.tensors[operator.output]
        if operator.inputs and all(name in constants for name in operator.inputs) and target.size <= LARGEST:
            arrays = [constants[name].value[None] for name in operator.inputs]
            sources = [graph.tensors[name] for name in operator.inputs]
            try:
                value = host_operators.run(operator, arrays, sources, target, 1)[0]
            except UserError:
                operators.append(operator)
                continue
            operator = constants[operator.output] = Constant(operator.name, (), operator.output, value=value)
        operators.append(operator)
    return graph.with_operators(tuple(operators))


def drop_copies(graph: Graph) -> Graph:
    """Let the readers of an operator whose result is its input read the input."""
    names = {
        operator.output: operator.inputs[0]
        for operator in graph.operators
        if _copies(operator, graph.tensors[operator.output], [graph.tensors[name] for name in operator.inputs])
    }
    return renamed(graph, names)


def _copies(operator: Operator, target: Tensor, sources: list[Tensor]) -> bool:
    if len(sources) != 1 or replace(sources[0], name=target.name) != target:
        return False
    match operator:
        case Concat() | Slice() | Pad():
            return True
        case ResizeNearest():
            size = target.shape[1:3]
            return (tuple(operator.rows), tuple(operator.columns)) == tuple(tuple(range(n)) for n in size)
    return False


def fold_padding(graph: Graph) -> Graph:
    """Let convolutions and pools pad themselves, where their own padding is the same as that of a Pad before them."""
    pads = {one.output: one for one in graph.operators if isinstance(one, Pad)}
    operators: list[Operator] = []
    for operator in graph.operators:
        pad = pads.get(operator.inputs[0]) if operator.inputs else None
        if (
            pad is not None
            and isinstance(operator, Conv2D | MaxPool2D | AveragePool2D)
            and _alike(pad, operator, graph)
        ):
            (top, bottom), (left, right) = pad.padding[1:3]
            own = operator.padding
            own = own[0] + top, own[1] + left, own[2] + bottom, own[3] + right
            operator = replace(operator, inputs=pad.inputs, padding=own)
            if isinstance(operator, AveragePool2D):
                operator = replace(operator, counts_padding=True)
        operators.append(operator)
    return graph.with_operators(tuple(operators))


def _alike(pad: Pad, operator: Conv2D | MaxPool2D | AveragePool2D, graph: Graph) -> bool:
    """The operator's own padding has the effect of the Pad."""
    source, padded = graph.tensors[pad.inputs[0]], graph.tensors[pad.output]
    one_scale = replace(source, name=padded.name, shape=padded.shape) == padded
    if not one_scale or len(source.shape) != 4 or any(sum(pad.padding[axis]) for axis in (0, 3)):
        return False
    match operator:
        case Conv2D():
            return pad.value == source.zero_point
        case AveragePool2D():
            # Where the padding of a mean is not counted, it must be the Pad's alone.
            counted = operator.counts_padding or not any(operator.padding)
            return operator.rounding == ONNX and counted and pad.value == source.zero_point
    # A maximum does not see what is below all values.
    maker = graph.producer(pad.inputs[0])
    lowest = maker.minimum if isinstance(maker, Clamped) else -128
    return pad.value <= lowest and _meets_image(pad, operator, graph)


def _meets_image(pad: Pad, operator: MaxPool2D, graph: Graph) -> bool:
    """Every window has a cell of the image that is padded."""
    size, count = graph.tensors[pad.inputs[0]].shape[1:3], graph.tensors[operator.output].shape[1:3]
    for axis in range(2):
        before = operator.padding[axis] + pad.padding[axis + 1][0]
        last = (count[axis] - 1) * operator.stride[axis] - before
        if operator.window[axis] <= before or last >= size[axis]:
            return False
    return True
