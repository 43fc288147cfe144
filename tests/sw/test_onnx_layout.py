"""Shapes and orders of axes read from ONNX: values by the golden model against ONNX Runtime's."""

import numpy as np
import pytest
from weft.sw.onnx_reader import read_onnx

from tests.sw.networks import evaluate
from tests.sw.onnx_models import Model, check, run_onnxruntime


@pytest.mark.parametrize("flatten", ["Flatten", "Reshape", "pending"])
def test_flattened_image_meets_permuted_weights(flatten):
    m = Model(5)
    y = m.node("Conv", [m.pair(m.input((1, 2, 5, 4))), m.weights((3, 2, 3, 3))])
    if flatten != "pending":
        y = m.pair(y, 0.02)
    y = m.node("Reshape", [y, m.constant(np.array([0, -1]))]) if flatten == "Reshape" else m.node("Flatten", [y])
    y = m.node("Gemm", [m.pair(y, 0.02), m.weights((4, 18))], transB=1)
    m.output(m.pair(y, 0.001))
    (values,) = check(m.make(), (1, 2, 5, 4))
    assert len(np.unique(values)) > 2


def test_flattened_image_as_output_is_in_the_order_of_onnx():
    m = Model(5)
    y = m.pair(m.node("Conv", [m.pair(m.input((1, 2, 5, 4))), m.weights((3, 2, 3, 3))]), 0.02)
    m.output(m.node("Flatten", [y]))
    m.output(y)
    m.output(m.node("Softmax", [y], axis=1))
    x = np.random.default_rng(0).uniform(-5, 5, (1, 2, 5, 4)).astype(np.float32)
    model = m.make()
    mine, theirs = evaluate(read_onnx(model), x), run_onnxruntime(model, x)
    np.testing.assert_array_equal(mine[0], theirs[0])
    np.testing.assert_array_equal(mine[1], theirs[1])
    np.testing.assert_allclose(mine[2], theirs[2], rtol=1e-6)


def test_reshape_and_back():
    m = Model(5)
    y = m.pair(m.node("Conv", [m.pair(m.input((1, 2, 5, 4))), m.weights((3, 2, 3, 3))]), 0.02)
    y = m.node("Reshape", [m.node("Flatten", [y]), m.constant(np.array([1, 3, 3, 2]))])
    m.output(m.pair(m.node("Conv", [y, m.weights((2, 3, 2, 2))]), 0.001))
    check(m.make(), (1, 2, 5, 4))


def test_squeeze_and_unsqueeze():
    m = Model(5)
    y = m.pair(m.node("GlobalAveragePool", [m.pair(m.input((1, 3, 5, 4)))]), 0.031)
    y = m.node("Squeeze", [y, m.constant(np.array([2, 3]))])
    y = m.pair(m.node("Gemm", [y, m.weights((4, 3))], transB=1), 0.002)
    y = m.node("Unsqueeze", [y, m.constant(np.array([2, 3]))])
    m.output(m.pair(m.node("Conv", [y, m.weights((2, 4, 1, 1))]), 0.0001))
    check(m.make(), (1, 3, 5, 4))


def test_transpose_to_channels_last_before_a_product():
    m = Model(6)
    y = m.pair(m.node("Conv", [m.pair(m.input((1, 2, 5, 4))), m.weights((3, 2, 3, 3))]), 0.02)
    y = m.node("Reshape", [m.node("Transpose", [y], perm=[0, 2, 3, 1]), m.constant(np.array([1, -1]))])
    m.output(m.pair(m.node("MatMul", [y, m.weights((18, 4), axis=1)]), 0.001))
    check(m.make(), (1, 2, 5, 4))


def test_transpose_of_the_input_is_undone():
    m = Model(6)
    x = m.node("Transpose", [m.input((1, 5, 4, 2))], perm=[0, 3, 1, 2])
    m.output(m.pair(m.node("Conv", [m.pair(x), m.weights((3, 2, 3, 3))]), 0.02))
    check(m.make(), (1, 5, 4, 2))
