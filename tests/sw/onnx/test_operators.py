"""The table of operators."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from weft.sw.errors import UserError
from weft.sw.graph import OnnxNode
from weft.sw.onnx.operators import DOMAINS, MOVING, OPERATORS
from weft.sw.onnx.reader import read_onnx

from tests.sw.onnx_models import Model, check


def test_every_operator_has_a_docstring():
    assert all(function.__doc__ for function in OPERATORS.values())


def test_names_are_those_of_operators():
    assert set(MOVING) < set(OPERATORS)
    assert set(DOMAINS) < set(OPERATORS)


def of_one_row(name):
    """An output that shape inference need not know."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 4))


@pytest.mark.parametrize("operator", ["DynamicQuantizeLSTM", "DynamicQuantizeMatMul"])
def test_dynamic_quantization_is_refused(operator):
    m = Model()
    m.outputs.append(of_one_row(m.node(operator, [m.input((1, 4))], domain="com.microsoft")))
    with pytest.raises(
        UserError, match=r"measures scales while it runs \(dynamic quantization\), expected a model with"
    ):
        read_onnx(m.make(check=False))


def test_an_operator_of_another_domain_is_refused():
    m = Model()
    m.outputs.append(of_one_row(m.node("Conv", [m.input((1, 4))], domain="org.example")))
    with pytest.raises(UserError, match=r"Conv 'conv_1' is a custom operator of 'org.example', which is not supported"):
        read_onnx(m.make(check=False))


def test_an_operator_that_is_not_in_the_table_is_for_the_host():
    m = Model()
    y = m.node("LayerNormalization", [m.pair(m.input((1, 3, 8))), m.constant(np.ones(8, np.float32))], axis=-1)
    m.output(m.pair(y, 0.02))
    model = m.make()
    check(model, (1, 3, 8))
    (node,) = (one for one in read_onnx(model).operators if isinstance(one, OnnxNode))
    assert node.reason == "is no operator of the NPU"
