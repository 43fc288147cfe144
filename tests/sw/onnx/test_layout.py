"""Shapes and orders of axes read from ONNX: values by the golden model against ONNX Runtime's."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from weft.sw.errors import UserError
from weft.sw.graph import OnnxNode, Transpose
from weft.sw.onnx.reader import read_onnx

from tests.sw.networks import evaluate
from tests.sw.onnx_models import Model, check, run_onnxruntime


def image(m, scale=0.02):
    """An activation of shape (1, 6, 3, 4), stored channels last."""
    return m.pair(m.node("Conv", [m.pair(m.input((1, 2, 5, 6))), m.weights((6, 2, 3, 3))]), scale)


def transposes(model, outer=1):
    """How often the order of elements changes, besides at the input, and at an output that is an image."""
    return sum(isinstance(one, Transpose) for one in read_onnx(model).operators) - outer


def check_elements(model, shape):
    """As `check`, where outputs have no batch of 1 in front, which the graph adds."""
    x = np.random.default_rng(1).uniform(-5, 5, shape).astype(np.float32)
    (found,), (wanted,) = evaluate(read_onnx(model), x), run_onnxruntime(model, x)
    np.testing.assert_array_equal(found.reshape(wanted.shape), wanted)


@pytest.mark.parametrize("flatten", ["Flatten", "Reshape", "pending"])
def test_flattened_image_meets_permuted_weights(flatten):
    m = Model(5)
    y = m.node("Conv", [m.pair(m.input((1, 2, 5, 4))), m.weights((3, 2, 3, 3))])
    if flatten != "pending":
        y = m.pair(y, 0.02)
    y = m.node("Reshape", [y, m.constant(np.array([0, -1]))]) if flatten == "Reshape" else m.node("Flatten", [y])
    y = m.node("Gemm", [m.pair(y, 0.02), m.weights((4, 18))], transB=1)
    m.output(m.pair(y, 0.001))
    model = m.make()
    (values,) = check(model, (1, 2, 5, 4))
    assert len(np.unique(values)) > 2
    assert transposes(model) == 0


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
    model = m.make()
    check(model, (1, 2, 5, 4))
    assert transposes(model, 2) == 0


def test_squeeze_and_unsqueeze():
    m = Model(5)
    y = m.pair(m.node("GlobalAveragePool", [m.pair(m.input((1, 3, 5, 4)))]), 0.031)
    y = m.node("Squeeze", [y, m.constant(np.array([2, 3]))])
    y = m.pair(m.node("Gemm", [y, m.weights((4, 3))], transB=1), 0.002)
    y = m.node("Unsqueeze", [y, m.constant(np.array([2, 3]))])
    m.output(m.pair(m.node("Conv", [y, m.weights((2, 4, 1, 1))]), 0.0001))
    model = m.make()
    check(model, (1, 3, 5, 4))
    assert transposes(model) == 0


def test_transpose_to_channels_last_before_a_product_moves_nothing():
    m = Model(6)
    y = m.pair(m.node("Conv", [m.pair(m.input((1, 2, 5, 4))), m.weights((3, 2, 3, 3))]), 0.02)
    y = m.node("Reshape", [m.node("Transpose", [y], perm=[0, 2, 3, 1]), m.constant(np.array([1, -1]))])
    m.output(m.pair(m.node("MatMul", [y, m.weights((18, 4), axis=1)]), 0.001))
    model = m.make()
    check(model, (1, 2, 5, 4))
    assert transposes(model) == 0


def test_transpose_of_the_input_is_undone():
    m = Model(6)
    x = m.node("Transpose", [m.input((1, 5, 4, 2))], perm=[0, 3, 1, 2])
    m.output(m.pair(m.node("Conv", [m.pair(x), m.weights((3, 2, 3, 3))]), 0.02))
    check(m.make(), (1, 5, 4, 2))


def test_a_shuffle_of_channels_is_one_transpose():
    m = Model(6)
    y = m.node("Reshape", [image(m), m.constant(np.array([1, 2, 3, 3, 4]))])
    y = m.node("Reshape", [m.node("Transpose", [y], perm=[0, 2, 1, 3, 4]), m.constant(np.array([1, 6, 3, 4]))])
    m.output(m.pair(m.node("Conv", [y, m.weights((2, 6, 3, 3))]), 0.001))
    model = m.make()
    check(model, (1, 2, 5, 6))
    assert transposes(model, 2) == 1


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
@pytest.mark.parametrize("operator", ["DepthToSpace", "SpaceToDepth"])
def test_blocks(operator, mode):
    m = Model(6)
    shape = (1, 8, 3, 5) if operator == "DepthToSpace" else (1, 2, 6, 4)
    # Before its 28th version ONNX had one mode of SpaceToDepth.
    attributes = {"mode": mode} if operator == "DepthToSpace" else {}
    y = m.node(operator, [m.pair(m.input(shape))], blocksize=2, **attributes)
    m.output(m.pair(m.node("Conv", [y, m.weights((2, 2 if operator == "DepthToSpace" else 8, 2, 2))]), 0.02))
    check(m.make(), shape)


@pytest.mark.parametrize("perm", [[0, 1, 3, 2], [3, 2, 1, 0], [0, 3, 1, 2], None])
def test_any_transpose(perm):
    m = Model(6)
    m.output(m.pair(m.node("Transpose", [image(m)], **({"perm": perm} if perm else {})), 0.02))
    check_elements(m.make(), (1, 2, 5, 6))


@pytest.mark.parametrize("shape", [[3, 4, 6], [-1, 2], [72], [3, 0, 4], [1, 2, 3, 4, 3]])
def test_any_reshape(shape):
    m = Model(6)
    m.output(m.pair(m.node("Reshape", [image(m), m.constant(np.array(shape))]), 0.02))
    check_elements(m.make(), (1, 2, 5, 6))


@pytest.mark.parametrize("shape", [[5, -1], [3, 3], [-1, -1]])
def test_impossible_reshapes(shape):
    m = Model(6)
    y = m.node("Reshape", [image(m), m.constant(np.array(shape))])
    m.outputs.append(helper.make_tensor_value_info(y, TensorProto.FLOAT, (1, 72)))
    with pytest.raises(UserError, match=r"^small: ") as error:
        read_onnx(m.make(check=False))
    assert "\n" not in str(error.value)


def test_softmax_over_several_axes_is_onnxs_own():
    m = Model(6)
    m.output(m.node("Softmax", [m.pair(m.input((1, 3, 2, 2)))], axis=1))
    model = m.make(opset=11)
    x = np.random.default_rng(0).uniform(-5, 5, (1, 3, 2, 2)).astype(np.float32)
    (found,), (wanted,) = evaluate(read_onnx(model), x), run_onnxruntime(model, x)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert [one.reason for one in read_onnx(model).operators if isinstance(one, OnnxNode)]


def test_dropout_and_identity_are_nothing():
    m = Model(6)
    y = m.node("Identity", [m.node("Dropout", [image(m), m.constant(np.float32(0.5))])])
    m.output(m.pair(y, 0.02))
    check(m.make(), (1, 2, 5, 6))
