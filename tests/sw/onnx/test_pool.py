"""Pooling read from ONNX: its value by the golden model against ONNX Runtime's."""

import pytest
from weft.sw.errors import UserError
from weft.sw.graph import MaxPool2D, OnnxNode
from weft.sw.onnx.reader import read_onnx

from tests.sw.onnx_models import Model, check


@pytest.mark.parametrize("same_scale", [True, False])
@pytest.mark.parametrize(
    "attributes",
    [
        {"kernel_shape": [2, 2], "strides": [2, 2]},
        {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 2, 1]},
        {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
        {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"},
    ],
    ids=str,
)
def test_max_pool(attributes, same_scale):
    m = Model()
    y = m.node("MaxPool", [m.pair(m.input((1, 3, 7, 8)))], **attributes)
    m.output(m.pair(y, 0.05 if same_scale else 0.06))
    check(m.make(), (1, 3, 7, 8))


def test_max_pool_between_conv_and_quantize():
    m = Model()
    y = m.node("Conv", [m.pair(m.input((1, 2, 6, 6))), m.weights((3, 2, 3, 3))])
    y = m.node("Relu", [m.node("MaxPool", [y], kernel_shape=[2, 2])])
    m.output(m.pair(y, 0.02))
    check(m.make(), (1, 2, 6, 6))


@pytest.mark.parametrize(
    "op, attributes",
    [
        ("AveragePool", {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("AveragePool", {"kernel_shape": [3, 2], "strides": [1, 2]}),
        ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1}),
        ("GlobalAveragePool", {}),
        ("ReduceMean", {"axes": [2, 3], "keepdims": 0}),
        ("ReduceMean", {"axes": [-1, -2]}),
        ("GlobalMaxPool", {}),
    ],
    ids=str,
)
def test_pools(op, attributes):
    m = Model()
    y = m.node(op, [m.pair(m.input((1, 3, 6, 8)))], **attributes)
    m.output(m.pair(y, 0.05 if "Max" in op else 0.031, 3 if "Max" in op else -9))
    check(m.make(), (1, 3, 6, 8))


@pytest.mark.parametrize(
    "shape, attributes",
    [
        ((1, 3, 11), {"kernel_shape": [3], "strides": [2], "pads": [1, 0]}),
        ((1, 3, 9, 8), {"kernel_shape": [2, 3], "dilations": [2, 1], "pads": [1, 1, 0, 2]}),
        ((1, 3, 9, 8), {"kernel_shape": [3, 2], "dilations": [2, 3], "strides": [2, 1], "pads": [2, 1, 1, 1]}),
        ((1, 2, 5, 6, 4), {"kernel_shape": [2, 3, 2], "strides": [1, 2, 2], "ceil_mode": 1}),
    ],
    ids=str,
)
def test_maxima_along_any_axes(shape, attributes):
    m = Model()
    m.output(m.pair(m.node("MaxPool", [m.pair(m.input(shape))], **attributes)))
    model = m.make()
    check(model, shape)
    assert [one for one in read_onnx(model).operators if isinstance(one, MaxPool2D)]


@pytest.mark.parametrize(
    "op, shape, attributes",
    [
        ("AveragePool", (1, 3, 11), {"kernel_shape": [3], "strides": [2]}),
        ("AveragePool", (1, 3, 9, 8), {"kernel_shape": [3, 3], "dilations": [2, 1]}),
        ("GlobalAveragePool", (1, 3, 11), {}),
        ("GlobalMaxPool", (1, 3, 4, 3, 3), {}),
        ("ReduceMean", (1, 3, 5, 7), {"axes": [1], "keepdims": 0}),
        ("ReduceMean", (1, 5, 7), {"axes": [-1]}),
        ("ReduceMax", (1, 3, 5, 7), {"axes": [1, 3]}),
        ("ReduceMax", (1, 3, 5, 7), {"axes": [2], "keepdims": 0}),
    ],
    ids=str,
)
def test_pools_of_other_axes(op, shape, attributes):
    m = Model()
    m.output(m.pair(m.node(op, [m.pair(m.input(shape))], **attributes), 0.05 if "Max" in op else 0.0331007))
    model = m.make(19 if "dilations" in attributes else 17)
    check(model, shape)
    assert not [one for one in read_onnx(model).operators if isinstance(one, OnnxNode)]


@pytest.mark.parametrize(
    "op, attributes, reason",
    [
        ("AveragePool", {"kernel_shape": [2, 2, 2]}, "has an input of 5 axes, supported are 3 and 4"),
        ("AveragePool", {"kernel_shape": [2, 2, 2], "dilations": [2, 1, 1]}, "has dilations and an input of 5 axes"),
    ],
)
def test_means_over_three_axes_are_for_the_host(op, attributes, reason):
    m = Model()
    m.output(m.pair(m.node(op, [m.pair(m.input((1, 2, 5, 6, 4)))], **attributes), 0.0310007))
    model = m.make(opset=19)
    check(model, (1, 2, 5, 6, 4))
    (node,) = (one for one in read_onnx(model).operators if isinstance(one, OnnxNode))
    assert node.reason.startswith(reason)


@pytest.mark.parametrize("dilations", [[1, 1], [2, 1]])
def test_an_unknown_padding_is_refused(dilations):
    m = Model()
    pooled = m.node(
        "MaxPool", [m.pair(m.input((1, 2, 6, 6)))], kernel_shape=[2, 2], dilations=dilations, auto_pad="ALL"
    )
    m.output(m.pair(pooled, 0.05))
    with pytest.raises(UserError, match="has auto_pad 'ALL', which is unknown"):
        read_onnx(m.make())


def test_indices_of_maxima_are_refused():
    m = Model()
    m.node("MaxPool", [m.pair(m.input((1, 2, 4, 4)))], outputs=2, kernel_shape=[2, 2])
    m.output(m.nodes[-1].output[1], 7)
    with pytest.raises(UserError, match=r"MaxPool 'maxpool_8' has an output of indices, which is not supported"):
        read_onnx(m.make())


def test_padding_has_an_end():
    m = Model()
    x = m.pair(m.input((1, 2, 4, 4)))
    m.output(m.pair(m.node("MaxPool", [x], kernel_shape=[10**6, 10**6], pads=[500_000] * 4)))
    with pytest.raises(UserError, match="pads its input to 1000008000016 pixels, supported are"):
        read_onnx(m.make())
