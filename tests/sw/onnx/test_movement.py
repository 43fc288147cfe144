"""Joining, cutting, padding and picking, read from ONNX: values by the golden model against ONNX Runtime's."""

import numpy as np
import pytest
from weft.sw.graph import Concat, OnnxNode, Requantize, Transpose
from weft.sw.onnx.reader import read_onnx

from tests.sw.networks import evaluate
from tests.sw.onnx_models import Model, run_onnxruntime

SHAPE = (1, 4, 5, 6)


def integers(*values):
    return np.array(values, np.int64)


def check(m, inputs=1):
    """The last value, quantized, equals ONNX Runtime's, without a node on the host; the graph."""
    model = m.make()
    random = np.random.default_rng(0)
    arrays = [random.uniform(-6, 6, SHAPE).astype(np.float32) for _ in range(inputs)]
    graph = read_onnx(model)
    assert not [one for one in graph.operators if isinstance(one, OnnxNode)]
    for found, wanted in zip(evaluate(graph, *arrays), run_onnxruntime(model, *arrays), strict=True):
        np.testing.assert_array_equal(found.reshape(wanted.shape), wanted)
    return graph


def inputs(m, *scales):
    """Inputs of SHAPE, quantized."""
    return [m.pair(m.input(SHAPE, name=f"x{i}"), scale, 3 * i) for i, scale in enumerate(scales)]


@pytest.mark.parametrize("scales", [(0.05, 0.05), (0.05, 0.07, 0.03)], ids=str)
@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_concat(axis, scales):
    m = Model()
    y = m.node("Concat", inputs(m, *scales), axis=axis)
    m.output(m.pair(y, 0.06, -2))
    check(m, len(scales))


def test_concat_of_one_scale_changes_none():
    m = Model()
    (x,) = inputs(m, 0.05)
    m.output(m.pair(m.node("Concat", [x, x], axis=1), 0.05, 0))
    graph = check(m)
    assert [one for one in graph.operators if isinstance(one, Concat)]
    assert not [one for one in graph.operators if isinstance(one, Requantize)]


def test_concat_with_a_constant():
    m = Model()
    w = m.weights(SHAPE, per_channel=False)
    m.output(m.pair(m.node("Concat", [*inputs(m, 0.05), w], axis=1), 0.05, 0))
    check(m)


def test_what_is_joined_is_stored_alike():
    m = Model()
    (x,) = inputs(m, 0.05)
    a = m.pair(m.node("Conv", [x, m.weights((4, 4, 1, 1))]), 0.04)
    b = m.pair(m.node("Transpose", [m.node("Transpose", [a], perm=[0, 2, 3, 1])], perm=[0, 3, 1, 2]), 0.04)
    m.output(m.pair(m.node("Concat", [a, b], axis=1), 0.04))
    graph = check(m)
    assert sum(isinstance(one, Transpose) for one in graph.operators) == 2


@pytest.mark.parametrize("value", [None, 0.0, 1.23, -50.0])
@pytest.mark.parametrize("where", ["quantized", "pending"])
def test_pad_with_a_constant(where, value):
    m = Model()
    (x,) = inputs(m, 0.05)
    if where == "pending":
        x = m.node("Conv", [x, m.weights((4, 4, 1, 1))])
    fill = [] if value is None else [m.constant(np.float32(value))]
    y = m.node("Pad", [x, m.constant(integers(0, 1, 2, 0, 0, 0, 1, 3)), *fill])
    m.output(m.pair(y, 0.06, -2))
    check(m)


@pytest.mark.parametrize("mode", ["reflect", "edge"])
def test_pad_with_what_is_there(mode):
    m = Model()
    y = m.node("Pad", [*inputs(m, 0.05), m.constant(integers(0, 0, 2, 1, 0, 0, 1, 3))], mode=mode)
    m.output(m.pair(y, 0.05, 0))
    check(m)


def test_pad_of_integers():
    m = Model()
    x = m.quantize(m.input(SHAPE), 0.05, 120, np.uint8)
    y = m.node("Pad", [x, m.constant(integers(0, 0, 2, 1, 0, 0, 1, 3)), m.constant(np.uint8(7))])
    m.output(m.dequantize(y, 0.05, 120, np.uint8))
    check(m)


@pytest.mark.parametrize(
    "starts, ends, axes, steps",
    [
        ((1, 2), (4, 5), (1, 3), None),
        ((0,), (100,), (2,), (2,)),
        ((-3,), (-1,), (-1,), None),
        ((1, 0, 1), (3, 5, 6), (1, 2, 3), (1, 3, 2)),
        ((100,), (-100,), (3,), (-2,)),
    ],
)
def test_slice(starts, ends, axes, steps):
    m = Model()
    lists = [m.constant(integers(*values)) for values in (starts, ends, axes, *([steps] if steps else []))]
    m.output(m.pair(m.node("Slice", [*inputs(m, 0.05), *lists]), 0.05, 0))
    check(m)


@pytest.mark.parametrize("axis, sizes", [(1, (1, 3)), (-1, (2, 2, 2)), (2, (5,))])
def test_split(axis, sizes):
    m = Model()
    names = [m.name() for _ in sizes]
    m.node("Split", [*inputs(m, 0.05), m.constant(integers(*sizes))], axis=axis)
    m.nodes[-1].output[:] = names
    for name in names:
        m.output(m.pair(name, 0.05, 0))
    check(m)


def test_split_of_what_is_pending():
    m = Model()
    y = m.node("Conv", [*inputs(m, 0.05), m.weights((4, 4, 1, 1))])
    names = [m.name(), m.name()]
    m.node("Split", [y, m.constant(integers(1, 3))], axis=1)
    m.nodes[-1].output[:] = names
    for name, scale in zip(names, (0.05, 0.04), strict=True):
        m.output(m.pair(name, scale))
    check(m)


@pytest.mark.parametrize("axis, indices", [(1, [2, 0, -1]), (3, [[0, 5], [5, 0]]), (2, 3)])
def test_gather(axis, indices):
    m = Model()
    y = m.node("Gather", [*inputs(m, 0.05), m.constant(np.array(indices, np.int64))], axis=axis)
    m.output(m.pair(y, 0.05, 0))
    check(m)


def test_tile_and_expand():
    m = Model()
    y = m.node("Tile", [*inputs(m, 0.05), m.constant(integers(1, 2, 1, 3))])
    y = m.node("Slice", [y, *(m.constant(integers(n)) for n in (2, 3, 1))])
    m.output(m.pair(m.node("Expand", [y, m.constant(integers(1, 3, 5, 18))]), 0.05, 0))
    check(m)
