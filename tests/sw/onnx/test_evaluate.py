"""Single nodes by ONNX's reference implementation."""

import numpy as np
import onnx
import pytest
from onnx import helper
from weft.sw.errors import UserError
from weft.sw.onnx.evaluate import LARGEST_FOLDED, evaluate, evaluate_samples, fold, result_of, runs, single

FLOAT = "float32"


def model(operator, constants=None, inputs=None, version=17, output="y", **attributes):
    constants, inputs = constants or {}, inputs or {}
    node = helper.make_node(operator, [*inputs, *constants], ["y"], **attributes)
    return single(node, [helper.make_opsetid("", version)], 8, constants, inputs, output)


def integers(*values):
    return np.array(values, np.int64)


def test_type_and_shape_are_known_before():
    one = model("Transpose", inputs={"x": (FLOAT, (2, 3, 4))}, perm=[2, 0, 1])
    assert result_of(one) == ("float32", (4, 2, 3))
    assert result_of(model("ArgMax", inputs={"x": (FLOAT, (2, 3))}, axis=1, keepdims=0)) == ("int64", (2,))


def test_the_value_of_constants():
    np.testing.assert_array_equal(fold(model("Neg", {"a": integers(1, 2)}), 2), [-1, -2])
    assert fold(model("Squeeze", {"a": integers(5)}), 1).shape == ()


@pytest.mark.parametrize(
    "operator, constants, attributes",
    [
        ("ConstantOfShape", {"a": integers(1 << 20, 1 << 20)}, {}),
        ("Expand", {"a": integers(1), "b": integers(1 << 13, 1 << 13)}, {}),
        ("Tile", {"a": integers(1), "b": integers(1 << 40)}, {}),
        ("Range", {"a": np.array(0), "b": np.array(1 << 40), "c": np.array(1)}, {}),
        ("Pad", {"a": integers(1), "b": integers(1 << 40, 0)}, {}),
        ("RandomUniform", {}, {"shape": [1 << 20, 1 << 10]}),
    ],
)
def test_large_constants_are_not_computed(operator, constants, attributes):
    with pytest.raises(UserError, match=f"supported are up to|{LARGEST_FOLDED}"):
        fold(model(operator, constants, **attributes), 3)


def test_constants_of_a_heavy_operator():
    arrays = {"a": np.ones((1, 1, 4, 4), np.float32), "b": np.ones((1, 1, 2, 2), np.float32)}
    with pytest.raises(UserError, match="has only constant inputs, expected an activation"):
        fold(model("Conv", arrays), 20)


def test_faults_are_one_sentence():
    with pytest.raises(UserError, match=r"^cannot be applied to its inputs: ") as error:
        result_of(model("MatMul", inputs={"x": (FLOAT, (2, 3)), "z": (FLOAT, (2, 3))}))
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"^cannot be applied to its inputs: ") as error:
        evaluate(model("Reshape", {"s": integers(7)}, {"x": (FLOAT, (2, 3))}), {"x": np.ones((2, 3), np.float32)})
    assert "\n" not in str(error.value)


def test_a_shape_that_only_running_tells():
    with pytest.raises(UserError, match="makes a tensor whose shape is known only when it runs"):
        result_of(model("NonZero", inputs={"x": (FLOAT, (2, 3))}))


def test_what_has_no_implementation():
    node = helper.make_node("Attn", ["x"], ["y"], domain="org.example")
    one = single(node, [helper.make_opsetid("org.example", 1)], 8, {}, {"x": (FLOAT, (1,))}, "y")
    with pytest.raises(UserError, match="has no reference implementation"):
        runs(one)


@pytest.mark.parametrize("version, wanted", [(12, [0.25] * 4), (13, [0.5] * 4)])
def test_an_operator_means_what_its_version_says(version, wanted):
    """Before version 13, Softmax is over all axes from the given one on."""
    one = model("Softmax", inputs={"x": (FLOAT, (1, 2, 2))}, version=version, axis=1)
    runs(one)
    assert evaluate(one, {"x": np.zeros((1, 2, 2), np.float32)}).reshape(-1).tolist() == wanted


def test_samples_are_independent():
    one = model("Softmax", inputs={"x": (FLOAT, (2, 3))}, axis=0)
    x = np.random.default_rng(0).random((5, 2, 3), dtype=np.float32)
    content = np.frombuffer(one.SerializeToString(), np.uint8)
    found = evaluate_samples(content, [x], 5, (2, 3))
    wanted = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_samples_of_something_else():
    with pytest.raises(UserError, match="has no ONNX model"):
        evaluate_samples(np.full(9, 255, np.uint8), [np.zeros((1, 2))], 1, (2,))
    one = np.frombuffer(model("Abs", inputs={"x": (FLOAT, (2,))}).SerializeToString(), np.uint8)
    with pytest.raises(UserError, match=r"makes \(2,\), expected \(3,\)"):
        evaluate_samples(one, [np.zeros((1, 2), np.float32)], 1, (3,))


def test_the_model_holds_one_node():
    one = model("Abs", inputs={"x": (FLOAT, (2,))})
    onnx.checker.check_model(onnx.shape_inference.infer_shapes(one))
