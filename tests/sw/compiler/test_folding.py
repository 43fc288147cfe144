"""Operators that go, and the values that stay."""

import numpy as np
import pytest
from weft.sw.compiler.folding import drop_copies, fold_constants, fold_padding, renamed
from weft.sw.compiler.passes import drop_unused, simplify
from weft.sw.graph import (
    Add,
    AveragePool2D,
    Clamp,
    Concat,
    Constant,
    Conv2D,
    Lookup,
    MaxPool2D,
    Multiply,
    Pad,
    Requantize,
    Reshape,
    ResizeNearest,
    Slice,
    Transpose,
)

from tests.sw.operator_networks import KINDS, Drawing, kinds, network, same


@pytest.fixture
def draw():
    return Drawing(np.random.default_rng(0))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rewrite", [fold_constants, drop_copies, fold_padding, simplify])
def test_outputs_stay(rewrite, kind, seed):
    graph = network(kind, 400 + seed)
    same(graph, rewrite(graph))


def test_readings_are_renamed(draw):
    x = draw.input((1, 4))
    y = draw.make(Clamp, [x], (1, 4), x)
    graph = draw.graph(draw.make(Clamp, [y], (1, 4), x))
    assert renamed(graph, {y: x}).operators[1].inputs == (x,)


def test_operators_on_constants_are_constants(draw):
    c = draw.constant((1, 2, 3))
    turned = draw.make(Transpose, [c], (1, 3, 2), c, permutation=(0, 2, 1))
    looked = draw.make(Lookup, [turned], (1, 3, 2), table=draw.values(256))
    scaled = draw.make(Requantize, [looked], (1, 3, 2), rounding="onnx", minimum=-99)
    flat = draw.make(Reshape, [scaled], (1, 6), scaled)
    wide = draw.make(Concat, [flat, draw.constant((1, 2), like=flat)], (1, 8), flat, axis=1)
    graph = draw.graph(draw.make(Add, [draw.input((1, 8)), wide], (1, 8)))
    after = same(graph, drop_unused(fold_constants(graph)))
    assert kinds(after) == [Constant, Add]


def test_what_reads_no_constants_stays(draw):
    x = draw.input((1, 8))
    graph = draw.graph(draw.make(Multiply, [x, draw.constant((1, 8))], (1, 8)))
    assert kinds(same(graph, fold_constants(graph))) == [Constant, Multiply]


def test_copies_go(draw):
    x = draw.input((1, 3, 4, 5))
    shape = draw.tensors[x].shape
    y = draw.make(Concat, [x], shape, x, axis=2)
    y = draw.make(Slice, [y], shape, x, start=(0,) * 4, step=(1,) * 4)
    y = draw.make(Pad, [y], shape, x, padding=((0, 0),) * 4, value=3)
    y = draw.make(ResizeNearest, [y], shape, x, rows=(0, 1, 2), columns=(0, 1, 2, 3))
    graph = draw.graph(draw.make(Clamp, [y], shape, x))
    after = same(graph, drop_unused(drop_copies(graph)))
    assert kinds(after) == [Clamp]
    assert after.operators[0].inputs == (x,)


def test_what_moves_something_stays(draw):
    x = draw.input((1, 3, 4, 5))
    y = draw.make(Slice, [x], (1, 3, 3, 5), x, start=(0, 0, 1, 0), step=(1,) * 4)
    y = draw.make(ResizeNearest, [y], (1, 3, 3, 5), x, rows=(0, 1, 1), columns=(0, 1, 2))
    graph = draw.graph(y)
    assert kinds(same(graph, drop_copies(graph))) == [Slice, ResizeNearest]


def padded(draw, source, value, padding=((0, 0), (1, 2), (3, 0), (0, 0))):
    shape = tuple(n + sum(one) for n, one in zip(draw.tensors[source].shape, padding, strict=True))
    return draw.make(Pad, [source], shape, source, padding=padding, value=value)


@pytest.mark.parametrize("groups", [1, 3])
def test_a_convolution_pads_itself(draw, groups):
    x = draw.input((1, 7, 6, 3))
    y = padded(draw, x, draw.tensors[x].zero_point)
    graph = draw.graph(draw.conv(y, 6, (3, 3), (2, 1), (0, 1, 1, 0), groups=groups))
    after = same(graph, drop_unused(fold_padding(graph)))
    assert kinds(after) == [Conv2D]
    assert after.operators[0].padding == (1, 4, 3, 0)


@pytest.mark.parametrize("case", ["value", "channels"])
def test_other_padding_stays_before_a_convolution(draw, case):
    x = draw.input((1, 7, 6, 3))
    value = draw.tensors[x].zero_point + (case == "value")
    amounts = ((0, 0), (1, 1), (1, 1), (0, int(case == "channels")))
    graph = draw.graph(draw.conv(padded(draw, x, value, amounts), 6, (3, 3)))
    assert kinds(same(graph, fold_padding(graph))) == [Pad, Conv2D]


def test_a_padding_that_others_read_stays_for_them(draw):
    x = draw.input((1, 7, 6, 3))
    y = padded(draw, x, draw.tensors[x].zero_point)
    graph = draw.graph(draw.conv(y, 6, (3, 3)), y)
    after = same(graph, fold_padding(graph))
    assert kinds(after) == [Pad, Conv2D]
    assert after.operators[1].inputs == (x,)


@pytest.mark.parametrize(
    "value, minimum, window, stays",
    [(-128, -128, 4, False), (-127, -128, 4, True), (-40, -40, 4, False), (-39, -40, 4, True), (-128, -128, 3, True)],
)
def test_a_maximum_pads_itself_with_what_it_does_not_see(draw, value, minimum, window, stays):
    """A window of three columns would have no cell of the image in the first one."""
    x = draw.input((1, 7, 6, 3))
    if minimum > -128:
        x = draw.make(Clamp, [x], (1, 7, 6, 3), x, minimum=minimum)
    graph = draw.graph(draw.pool(MaxPool2D, padded(draw, x, value), (3, window), (1, 1)))
    after = same(graph, drop_unused(fold_padding(graph)))
    assert (Pad in kinds(after)) is stays


@pytest.mark.parametrize(
    "rounding, counts, padding, stays",
    [
        ("onnx", False, (0, 0, 0, 0), False),
        ("onnx", True, (1, 0, 1, 0), False),
        ("onnx", False, (1, 0, 1, 0), True),
        ("tflite", False, (0, 0, 0, 0), True),
    ],
)
def test_a_mean_counts_the_padding_before_it(rounding, counts, padding, stays):
    draw = Drawing(np.random.default_rng(0), rounding=rounding)
    x = draw.input((1, 7, 6, 3))
    y = padded(draw, x, draw.tensors[x].zero_point)
    graph = draw.graph(draw.pool(AveragePool2D, y, (3, 3), (2, 2), padding, counts_padding=counts, rounding=rounding))
    after = same(graph, drop_unused(fold_padding(graph)))
    assert (Pad in kinds(after)) is stays
