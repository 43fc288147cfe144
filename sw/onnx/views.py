"""How ONNX sees a tensor whose axes are stored in another order, for instance an NCHW image that is stored NHWC.

Transposing such a view costs nothing, and neither does most reshaping: both only change what the view says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

Shape = tuple[int, ...]


def moves(shape: Sequence[int], order: Sequence[int]) -> bool:
    """Whether putting the axes in this order moves any element: axes of size 1 may go anywhere."""
    wide = [axis for axis in order if shape[axis] != 1]
    return wide != sorted(wide)


@dataclass(frozen=True)
class View:
    """Axis i of the stored tensor is axis order[i] of an array of shape `image`; ONNX has that array under `shape`."""

    image: Shape
    order: Shape
    shape: Shape

    @classmethod
    def plain(cls, shape: Sequence[int]) -> "View":
        """Stored as ONNX has it."""
        return cls(tuple(shape), tuple(range(len(shape))), tuple(shape))

    @classmethod
    def ordered(cls, shape: Sequence[int], order: Sequence[int]) -> "View":
        """Stored with its axes in another order."""
        return cls(tuple(shape), tuple(order), tuple(shape))

    @property
    def stored(self) -> Shape:
        """The shape of the stored tensor."""
        return tuple(self.image[axis] for axis in self.order)

    @property
    def folded(self) -> bool:
        """The array is reshaped after its axes are put in order, which has not been carried out."""
        return self.image != self.shape

    def transposed(self, permutation: Sequence[int]) -> "View":
        """With the axes of `shape` permuted; not for a folded view."""
        place = {axis: index for index, axis in enumerate(permutation)}
        shape = tuple(self.shape[axis] for axis in permutation)
        return View.ordered(shape, tuple(place[axis] for axis in self.order))

    def reshaped(self, shape: Sequence[int]) -> "View":
        """Under another shape of the same size: the stored tensor has to be reshaped to `stored`, or the view is
        folded."""
        if not self.folded:
            order = _order_of(self.shape, self.order, tuple(shape))
            if order is not None:
                return View.ordered(shape, order)
        return View(self.image, self.order, tuple(shape)) if self.image != tuple(shape) else self.unfolded

    @property
    def unfolded(self) -> "View":
        """Without the reshaping."""
        return View.ordered(self.image, self.order)


def channels_last(rank: int) -> Shape:
    """The order of axes with axis 1 behind all others."""
    return (0, *range(2, rank), 1) if rank > 1 else tuple(range(rank))


def _order_of(old: Shape, order: Shape, new: Shape) -> Shape | None:
    """The order of the new axes that leaves every element where it is stored; None if there is none."""
    if not moves(old, order):
        return tuple(range(len(new)))
    target: list[int] = []
    groups = dict(_groups(old, new))
    rest = [axis for axis in order if old[axis] != 1]
    while rest:
        first = rest[0]
        group = next((before for before in groups if before and before[0] == first), None)
        if group is None or tuple(rest[: len(group)]) != group:
            return None
        target += groups[group]
        rest = rest[len(group) :]
    return (*(axis for axis in range(len(new)) if axis not in target), *target)


def _groups(old: Shape, new: Shape) -> list[tuple[Shape, Shape]]:
    """The shortest runs of old axes and of new ones that have the same size; axes of size 1 are left out."""
    found = []
    before = [axis for axis, n in enumerate(old) if n != 1]
    after = [axis for axis, n in enumerate(new) if n != 1]
    while before:
        left, right = [before.pop(0)], [after.pop(0)]
        while (sizes := (prod(old[i] for i in left), prod(new[i] for i in right))) and sizes[0] != sizes[1]:
            if sizes[0] < sizes[1]:
                left.append(before.pop(0))
            else:
                right.append(after.pop(0))
        found.append((tuple(left), tuple(right)))
    return found
