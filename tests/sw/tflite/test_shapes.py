"""Sections of tensors against NumPy's own slicing."""

from types import SimpleNamespace

import numpy as np
import pytest
from weft.sw.errors import UserError
from weft.sw.tflite import shapes


class Node:
    """What the functions ask of a node."""

    def __init__(self, *lists, **options):
        self.lists, self.options = (None, *lists), options

    def integers(self, index, what):
        return tuple(int(n) for n in self.lists[index])

    def integer(self, index, what):
        return int(self.lists[index])

    def has(self, index):
        return index < len(self.lists)

    def option(self, name):
        return self.options.get(name, 0)

    def output_tensor(self):
        return SimpleNamespace(shape=self.options["output"])

    def axis(self, value, rank):
        self.need(-rank <= value < rank, "axis")
        return value % rank

    def need(self, good, sentence):
        if not good:
            raise UserError(sentence)


@pytest.mark.parametrize("seed", range(60))
def test_strided_section_is_numpys(seed):
    random = np.random.default_rng(seed)
    shape = tuple(random.integers(1, 7, random.integers(1, 5)).tolist())
    array = np.arange(np.prod(shape)).reshape(shape)
    given = int(random.integers(0, len(shape) + 1))
    begin, end = random.integers(-7, 8, (2, given)).tolist()
    strides = random.integers(1, 4, given).tolist()
    masks = {name: int(random.integers(0, 1 << given)) for name in ("BeginMask", "EndMask", "ShrinkAxisMask")}
    index = []
    for axis in range(given):
        inside = -shape[axis] <= begin[axis] < shape[axis]
        if masks["ShrinkAxisMask"] >> axis & 1 and inside and not masks["BeginMask"] >> axis & 1:
            index.append(begin[axis])
        else:
            masks["ShrinkAxisMask"] &= ~(1 << axis)
            first = None if masks["BeginMask"] >> axis & 1 else begin[axis]
            last = None if masks["EndMask"] >> axis & 1 else end[axis]
            index.append(slice(first, last, strides[axis]))
    wanted = array[tuple(index)]
    node = Node(begin, end, strides, **masks)
    if wanted.size == 0:
        with pytest.raises(UserError, match=r"^slices nothing from axis"):
            shapes.strided_section(node, shape)
        return
    section = shapes.strided_section(node, shape)
    assert np.array_equal(array[section.slices].reshape(section.shape), wanted)


def test_section():
    section = shapes.section(Node((0, 1, 2), (2, -1, 3)), (2, 4, 6))
    assert (section.start, section.size, section.step) == ((0, 1, 2), (2, 3, 3), (1, 1, 1))
    for begin, size in (((0, 1, 2), (2, 4, 3)), ((-1, 0, 0), (1, 1, 1)), ((0, 0, 0), (0, 1, 1)), ((0, 0), (1, 1))):
        with pytest.raises(UserError, match=r"^slices "):
            shapes.section(Node(begin, size), (2, 4, 6))


def test_reshape_takes_the_first_shape_there_is():
    assert shapes.reshape(Node((2, -1)), (4, 3)) == (2, 6)
    assert shapes.reshape(Node(NewShape=(3, 4)), (4, 3)) == (3, 4)
    assert shapes.reshape(Node(NewShape=(), output=(12,)), (4, 3)) == (12,)
    with pytest.raises(UserError, match=r"^makes 9 axes, supported are up to 8$"):
        shapes.reshape(Node((1,) * 9), (1,))
    with pytest.raises(UserError, match=r"which has another size$"):
        shapes.reshape(Node((0, -1)), (4, 3))


def test_squeeze_and_expand():
    assert shapes.squeeze(Node(SqueezeDims=()), (1, 3, 1)) == (3,)
    assert shapes.squeeze(Node(SqueezeDims=(-1,)), (1, 3, 1)) == (1, 3)
    assert [shapes.expand(Node(axis), (2, 3)) for axis in (0, 2, -1)] == [(1, 2, 3), (2, 3, 1), (2, 3, 1)]


def test_permutation():
    assert shapes.permutation(Node((0, -1, 1)), (4, 5, 6)) == (0, 2, 1)
    with pytest.raises(UserError, match=r"^permutes 2 axes by \[0, 0\]$"):
        shapes.permutation(Node((0, 0)), (4, 5))


def test_an_ellipsis_is_refused():
    with pytest.raises(UserError, match=r"^has an ellipsis, a new axis or an offset, which are not supported$"):
        shapes.strided_section(Node((0,), (1,), (1,), EllipsisMask=1), (4,))
