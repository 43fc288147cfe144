"""Pooling read from ONNX: its value by the golden model against ONNX Runtime's."""

import pytest

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
