"""What becomes of shapes in TFLite's operators that only move values; the same for activations and for constants."""

from dataclasses import dataclass
from math import prod

from .file import MOST_AXES
from .node import Node, Shape


def reshape(node: Node, shape: Shape) -> Shape:
    """RESHAPE: the new shape is a constant input, an option, or that of the output; one -1 in it is made to fit."""
    target = node.integers(1, "shape") if node.has(1) else node.option("NewShape") or node.output_tensor().shape
    size = prod(shape)
    node.need(len(target) <= MOST_AXES, f"makes {len(target)} axes, supported are up to {MOST_AXES}")
    node.need(all(n >= -1 for n in target) and target.count(-1) <= 1, f"has the target shape {target}")
    known = prod(n for n in target if n != -1)
    if -1 in target and known:
        target = tuple(size // known if n == -1 else n for n in target)
    node.need(prod(target) == size and -1 not in target, f"reshapes {shape} to {target}, which has another size")
    return target


def squeeze(node: Node, shape: Shape) -> Shape:
    """SQUEEZE: without the given axes of size 1, or without all of them."""
    axes = {node.axis(axis, len(shape)) for axis in node.option("SqueezeDims")}
    if not axes:
        axes = {axis for axis, n in enumerate(shape) if n == 1}
    node.need(all(shape[axis] == 1 for axis in axes), f"drops the axes {sorted(axes)} of {shape}, which are not 1")
    return tuple(n for axis, n in enumerate(shape) if axis not in axes)


def expand(node: Node, shape: Shape) -> Shape:
    """EXPAND_DIMS: one more axis of size 1."""
    axis = node.axis(node.integer(1, "axis"), len(shape) + 1)
    return (*shape[:axis], 1, *shape[axis:])


def permutation(node: Node, shape: Shape) -> Shape:
    """TRANSPOSE: the axes in their new order."""
    order = tuple(node.axis(axis, len(shape)) for axis in node.integers(1, "permutation"))
    node.need(sorted(order) == list(range(len(shape))), f"permutes {len(shape)} axes by {list(order)}")
    return order


@dataclass(frozen=True)
class Section:
    """Every step-th element from `start` on, `size` of them per axis; then the shape without the axes of one index."""

    start: Shape
    step: Shape
    size: Shape
    shape: Shape

    @property
    def slices(self) -> tuple[slice, ...]:
        """For an array."""
        ends = ((a, a + (n - 1) * s + 1, s) for a, n, s in zip(self.start, self.size, self.step, strict=True))
        return tuple(slice(*end) for end in ends)


def section(node: Node, shape: Shape) -> Section:
    """SLICE: constant begin and size, -1 for all that is left."""
    begin, size = node.integers(1, "begin"), node.integers(2, "size")
    node.need(len(begin) == len(size) == len(shape), f"slices {len(shape)} axes from {begin} by {size}")
    size = tuple(n - a if want == -1 else want for n, a, want in zip(shape, begin, size, strict=True))
    inside = all(a >= 0 and 1 <= m <= n - a for n, a, m in zip(shape, begin, size, strict=True))
    node.need(inside, f"slices {shape} from {begin} by {size}, which is not inside")
    return Section(begin, (1,) * len(shape), size, size)


def strided_section(node: Node, shape: Shape) -> Section:
    """STRIDED_SLICE: constant begin, end and strides of 1 or more, without ellipsis and new axes."""
    node.need(
        not any(node.option(name) for name in ("EllipsisMask", "NewAxisMask", "Offset")),
        "has an ellipsis, a new axis or an offset, which are not supported",
    )
    begin, end, strides = (node.integers(i, what) for i, what in ((1, "begin"), (2, "end"), (3, "strides")))
    given = len(begin)
    node.need(
        given == len(end) == len(strides) and given <= len(shape),
        f"slices {len(shape)} axes from {begin} to {end} by {strides}",
    )
    node.need(min(strides, default=1) >= 1, f"has strides {strides}, supported are 1 and more")
    start, size, step, kept = [], [], [], []
    for axis, n in enumerate(shape):
        a, b, s = (begin[axis], end[axis], strides[axis]) if axis < given else (0, n, 1)
        one = axis < given and bool(node.option("ShrinkAxisMask") >> axis & 1)
        a = 0 if axis < given and node.option("BeginMask") >> axis & 1 else min(max(a + n if a < 0 else a, 0), n)
        b = n if axis < given and node.option("EndMask") >> axis & 1 else min(max(b + n if b < 0 else b, 0), n)
        count = 1 if one else -(-(b - a) // s)
        node.need(count >= 1 and a < n, f"slices nothing from axis {axis} of {shape}")
        start.append(a)
        size.append(count)
        step.append(s)
        if not one:
            kept.append(count)
    return Section(tuple(start), tuple(step), tuple(size), tuple(kept))
