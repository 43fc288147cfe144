"""What changes the shape of an activation or the order of its axes, from ONNX; and softmax, which the host computes."""

from collections.abc import Callable
from math import prod

from ..graph import Transpose
from .file import LARGEST_TENSOR
from .node import Node
from .values import DeviceValue, HostValue, Pending, Value
from .views import Shape, moves


def moved(node: Node, shape: Shape, move: Callable[[DeviceValue], DeviceValue]) -> Value:
    """Input 0 after `move`, which only moves values and commutes with everything that works on single ones."""
    node.need(
        prod(shape) <= LARGEST_TENSOR, f"makes a tensor of shape {shape}, supported are {LARGEST_TENSOR} elements"
    )
    value = node.activation()
    if isinstance(value, Pending):
        waiting = value
        return Pending(lambda *levels: move(waiting.emit(*levels)), shape, node.text, waiting.low, waiting.high)
    return move(node.device())


def reshape_to(node: Node, shape: Shape) -> Value:
    """Input 0 under `shape`."""
    value, reader = node.activation(), node.reader
    node.need(len(shape) >= 1, "makes a tensor without axes")
    node.demand(prod(shape) == prod(value.shape), f"makes {shape} of {value.shape}, which has another size")
    if isinstance(value, HostValue):
        return HostValue(reader.reshape(value.tensor, node.output, shape), shape)
    return moved(node, shape, lambda one: reader.reshaped(one, node.output, shape))


def reshape(node: Node) -> Value:
    """Reshape to a constant shape."""
    old = node.shape()
    wanted = list(node.list_of_integers(1, "shape") if node.has(1) else node.integers("shape", ()))
    if not node.integer("allowzero", 0):
        node.demand(all(n or i < len(old) for i, n in enumerate(wanted)), f"has the shape {wanted} for {old}")
        wanted = [n or old[i] for i, n in enumerate(wanted)]
    if wanted.count(-1) == 1:
        rest = -prod(wanted)
        node.demand(rest > 0 and prod(old) % rest == 0, f"cannot make {wanted} of {old}")
        wanted[wanted.index(-1)] = prod(old) // rest
    node.demand(all(n > 0 for n in wanted), f"has the impossible shape {wanted}")
    return reshape_to(node, tuple(wanted))


def flatten(node: Node) -> Value:
    """Flatten to two axes."""
    shape = node.shape()
    axis = node.integer("axis", 1)
    node.demand(-len(shape) <= axis <= len(shape), f"has axis {axis} for a tensor of {len(shape)} axes")
    axis += len(shape) if axis < 0 else 0
    return reshape_to(node, (prod(shape[:axis]), prod(shape[axis:])))


def _axes(node: Node) -> tuple[int, ...]:
    return node.list_of_integers(1, "list of axes") if node.has(1) else node.integers("axes", ())


def squeeze(node: Node) -> Value:
    """Squeeze: axes of size 1 removed."""
    shape = node.shape()
    axes = {node.axis(axis, len(shape)) for axis in _axes(node)} or {i for i, n in enumerate(shape) if n == 1}
    node.demand(all(shape[axis] == 1 for axis in axes), f"drops the axes {sorted(axes)} of {shape}, which are not 1")
    return reshape_to(node, tuple(n for i, n in enumerate(shape) if i not in axes))


def unsqueeze(node: Node) -> Value:
    """Unsqueeze: axes of size 1 added."""
    shape = node.shape()
    rank = len(shape) + len(_axes(node))
    axes = {node.axis(axis, rank) for axis in _axes(node)}
    node.demand(rank == len(shape) + len(axes), "adds an axis twice")
    rest = iter(shape)
    return reshape_to(node, tuple(1 if i in axes else next(rest) for i in range(rank)))


def permutation(node: Node, rank: int) -> Shape:
    """The attribute perm, which reverses the axes if it is left out."""
    order = node.integers("perm", tuple(reversed(range(rank))))
    node.demand(sorted(order) == list(range(rank)), f"permutes {rank} axes by {list(order)}")
    return order


def transpose(node: Node) -> Value:
    """Transpose."""
    value, reader = node.activation(), node.reader
    order = permutation(node, len(value.shape))
    shape = tuple(value.shape[axis] for axis in order)
    if isinstance(value, HostValue):
        return _transposed_on_host(node, value, order, shape)
    return moved(node, shape, lambda one: reader.transposed(one, node.output, order))


def _transposed_on_host(node: Node, value: HostValue, order: Shape, shape: Shape) -> Value:
    reader = node.reader
    if not moves(value.shape, order):
        return HostValue(reader.reshape(value.tensor, node.output, shape), shape)
    target = reader.like(node.output, value.tensor, shape)
    return HostValue(reader.add(Transpose, [value.tensor], target, permutation=order), shape)


def depth_to_space(node: Node) -> Value:
    """DepthToSpace, both modes."""
    shape, block = node.shape(), node.integer("blocksize", 0)
    node.demand(len(shape) == 4 and block >= 1 and shape[1] % (block * block) == 0, f"has blocks of {block} on {shape}")
    n, channels, height, width = shape
    depth = channels // (block * block)
    mode = node.attribute("mode", "DCR")
    node.demand(mode in ("DCR", "CRD"), f"has the mode {mode!r}, which is unknown")
    split, order = ((n, block, block, depth, height, width), (0, 3, 4, 1, 5, 2))
    if mode == "CRD":
        split, order = ((n, depth, block, block, height, width), (0, 1, 4, 2, 5, 3))
    return _blocks(node, split, order, (n, depth, height * block, width * block))


def space_to_depth(node: Node) -> Value:
    """SpaceToDepth, both modes."""
    shape, block = node.shape(), node.integer("blocksize", 0)
    node.demand(
        len(shape) == 4 and block >= 1 and not shape[2] % block and not shape[3] % block,
        f"has blocks of {block} on {shape}",
    )
    n, channels, height, width = shape
    rows, columns = height // block, width // block
    mode = node.attribute("mode", "DCR")
    node.demand(mode in ("DCR", "CRD"), f"has the mode {mode!r}, which is unknown")
    split = (n, channels, rows, block, columns, block)
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    return _blocks(node, split, order, (n, channels * block * block, rows, columns))


def _blocks(node: Node, split: Shape, order: Shape, shape: Shape) -> Value:
    """Reshape to `split`, transpose, reshape to `shape`."""
    reader = node.reader

    def move(value: DeviceValue) -> DeviceValue:
        parts = reader.reshaped(value, f"{node.output}.parts", split)
        return reader.reshaped(reader.transposed(parts, f"{node.output}.turned", order), node.output, shape)

    return moved(node, shape, move)


def softmax(node: Node) -> Value:
    """Softmax: on the host."""
    value = node.reader.on_host(node.proto.input[0])
    rank = len(value.shape)
    axis = node.integer("axis", -1 if node.reader.opset >= 13 else 1)
    node.demand(-rank <= axis < rank, f"has axis {axis} for an input of {rank} axes")
    node.need(
        node.reader.opset >= 13 or prod(value.shape[axis % rank + 1 :]) == 1,
        "normalizes several axes at once, as before opset 13, and supported is one",
    )
    node.need(node.reader.tensors[value.tensor].dtype == "float32", "reads integers, expected float32")
    return node.reader.softmax(value, node.output, axis)


def identity(node: Node) -> Value:
    """Identity and Dropout: nothing, in inference."""
    node.need(len([name for name in node.proto.output if name]) == 1, "has a second output, supported is one")
    if node.has(2):
        node.need(not bool(node.constant(2, "training mode").any()), "is in training mode")
    return node.value(0)
