"""Scales and activations read from ONNX, and what the table of operators refuses."""

import numpy as np
import pytest
from weft.sw.errors import UserError
from weft.sw.onnx_operators import OPERATORS
from weft.sw.onnx_reader import read_onnx

from tests.sw.onnx_models import Model, check


def test_quantize_and_dequantize_to_another_scale():
    m = Model()
    x = m.pair(m.input((1, 2, 3, 4)))
    m.output(m.pair(x, 0.07, -20))
    check(m.make(), (1, 2, 3, 4))


@pytest.mark.parametrize("after", ["Relu", "Clip", "Clip6"])
@pytest.mark.parametrize("quantized", [True, False])
def test_activation(after, quantized):
    m = Model(4)
    y = m.node("Conv", [m.pair(m.input((1, 2, 5, 5))), m.weights((3, 2, 3, 3))])
    if quantized:
        y = m.pair(y, 0.02, -30)
    if after == "Relu":
        y = m.node("Relu", [y])
    else:
        limits = (-0.3, 0.41) if after == "Clip" else (0.0, 6.0)
        y = m.node("Clip", [y, *(m.constant(np.float32(limit)) for limit in limits)])
    m.output(m.pair(y, 0.02, -30))
    (values,) = check(m.make(), (1, 2, 5, 5))
    assert len(np.unique(values)) > 5


REFUSED = {
    "MaxPool 'maxpool_4' has dilations [2, 2], supported are [1, 1]": (
        "MaxPool",
        {"kernel_shape": [2, 2], "dilations": [2, 2]},
    ),
    "Sigmoid 'sigmoid_4' is not supported; supported are Add, AveragePool,": ("Sigmoid", {}),
    "Transpose 'transpose_4' permutes the axes [0, 1, 3, 2]": ("Transpose", {"perm": [0, 1, 3, 2]}),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_refusal_names_operator_node_and_limit(sentence):
    op, attributes = REFUSED[sentence]
    m = Model()
    m.output(m.pair(m.node(op, [m.pair(m.input((1, 2, 6, 6)), 0.1, 0)], **attributes)))
    nodes = [node for node in m.nodes if node.op_type == op]
    nodes[0].name = f"{op.lower()}_4"
    with pytest.raises(UserError) as error:
        read_onnx(m.make())
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_every_operator_has_a_docstring():
    assert all(function.__doc__ for function in OPERATORS.values())
