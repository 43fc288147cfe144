"""Rewrites of a graph, each a function from graph to graph that keeps every output's value."""

from collections.abc import Callable
from dataclasses import replace

from ..graph import Clamp, Clamped, Conv2D, FullyConnected, Graph, MaxPool2D, Operator, Reshape, Transpose, verify
from .folding import drop_copies, fold_constants, fold_padding, renamed

Rewrite = Callable[[Graph], Graph]


def drop_unused(graph: Graph) -> Graph:
    """Remove operators whose results nobody reads."""
    needed = set(graph.outputs)
    kept: list[Operator] = []
    for operator in reversed(graph.operators):
        if operator.output in needed:
            needed.update(operator.inputs)
            kept.append(operator)
    return graph.with_operators(tuple(reversed(kept)))


def merge_transposes(graph: Graph) -> Graph:
    """Make one Transpose of two in a row; one that leaves all elements where they are becomes a Reshape."""
    operators: list[Operator] = []
    permutations: dict[str, tuple[str, tuple[int, ...]]] = {}
    for operator in graph.operators:
        if isinstance(operator, Transpose):
            source, permutation = operator.inputs[0], operator.permutation
            if source in permutations:
                source, before = permutations[source]
                permutation = tuple(before[axis] for axis in permutation)
            permutations[operator.output] = source, permutation
            shape = graph.tensors[source].shape
            moved = [axis for axis in permutation if shape[axis] > 1]
            if moved == sorted(moved):
                operators.append(Reshape(operator.name, (source,), operator.output))
            else:
                operators.append(replace(operator, inputs=(source,), permutation=permutation))
        else:
            operators.append(operator)
    return graph.with_operators(tuple(operators))


def merge_reshapes(graph: Graph) -> Graph:
    """Let a Reshape of a Reshape start from the first one's input, and drop those that change nothing."""
    sources: dict[str, str] = {}
    names: dict[str, str] = {}
    operators: list[Operator] = []
    for operator in graph.operators:
        if isinstance(operator, Reshape):
            source = sources.get(operator.inputs[0], operator.inputs[0])
            sources[operator.output] = source
            if graph.tensors[source].shape == graph.tensors[operator.output].shape:
                names[operator.output] = source
            operators.append(replace(operator, inputs=(source,)))
        else:
            operators.append(operator)
    return renamed(replace(graph, operators=tuple(operators)), names)


def fuse_clamps(graph: Graph) -> Graph:
    """Put a Clamp into the operator before it, where nobody else reads that one's result.

    Clamping commutes with max pooling, so the limits of a pool's input may go into the pool."""
    operators = list(graph.operators)
    for operator in graph.operators:
        if not isinstance(operator, Clamp):
            continue
        before = next((one for one in operators if one.output == operator.inputs[0]), None)
        alone = sum(operator.inputs[0] in one.inputs for one in operators) == 1
        if isinstance(before, Clamped) and alone and operator.inputs[0] not in graph.outputs:
            minimum = min(max(before.minimum, operator.minimum), operator.maximum)
            maximum = max(min(before.maximum, operator.maximum), operator.minimum)
            index = operators.index(before)
            operators[index] = replace(before, output=operator.output, minimum=minimum, maximum=maximum)
            operators.remove(operator)
    return graph.with_operators(tuple(operators))


def pool_limits_first(graph: Graph) -> Graph:
    """Move the limits of a MaxPool into the convolution before it, so that the two can share a drain."""
    operators = list(graph.operators)
    for index, operator in enumerate(operators):
        if isinstance(operator, MaxPool2D) and (operator.minimum, operator.maximum) != (-128, 127):
            before = next((one for one in operators[:index] if one.output == operator.inputs[0]), None)
            alone = sum(operator.inputs[0] in one.inputs for one in operators) == 1
            if isinstance(before, Clamped) and alone and operator.inputs[0] not in graph.outputs:
                operators[operators.index(before)] = replace(
                    before,
                    minimum=min(max(before.minimum, operator.minimum), operator.maximum),
                    maximum=max(min(before.maximum, operator.maximum), operator.minimum),
                )
                operators[index] = replace(operator, minimum=-128, maximum=127)
    return graph.with_operators(tuple(operators))


def whole_kernels_to_products(graph: Graph) -> Graph:
    """A convolution whose kernel covers its whole input once is a matrix product: its rows become one run."""
    tensors = dict(graph.tensors)
    operators: list[Operator] = []
    for operator in graph.operators:
        covers = (
            isinstance(operator, Conv2D)
            and operator.groups == 1
            and operator.padding == (0, 0, 0, 0)
            and operator.dilation == (1, 1)
            and operator.weights.shape[1:3] == tensors[operator.inputs[0]].shape[1:3]
            and operator.weights.shape[1:3] != (1, 1)
        )
        if not covers or not isinstance(operator, Conv2D):
            operators.append(operator)
            continue
        source, target = tensors[operator.inputs[0]], tensors[operator.output]
        flat = replace(source, name=f"{operator.name}.flat", shape=(1, source.size))
        row = replace(target, name=f"{operator.name}.row", shape=(1, target.size))
        tensors |= {flat.name: flat, row.name: row}
        operators += [
            Reshape(flat.name, (source.name,), flat.name),
            FullyConnected(
                operator.name,
                (flat.name,),
                row.name,
                weights=operator.weights.reshape(target.size, -1),
                bias=operator.bias,
                weight_scales=operator.weight_scales,
                rounding=operator.rounding,
                minimum=operator.minimum,
                maximum=operator.maximum,
            ),
            Reshape(row.name, (row.name,), target.name),
        ]
    return replace(graph, tensors=tensors).with_operators(tuple(operators))


REWRITES: tuple[Rewrite, ...] = (
    fold_constants,
    drop_copies,
    drop_unused,
    fold_padding,
    merge_transposes,
    merge_reshapes,
    drop_unused,
    fuse_clamps,
    pool_limits_first,
    whole_kernels_to_products,
    merge_reshapes,
    drop_unused,
)


def simplify(graph: Graph) -> Graph:
    """All rewrites in order, with a check after each."""
    for rewrite in REWRITES:
        graph = verify(rewrite(graph))
    return graph
