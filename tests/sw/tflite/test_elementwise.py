"""Elementwise operators as the graph has them; tests/sw/test_tflite_reference.py has what they compute."""

import numpy as np
import pytest
from weft.sw.errors import UserError
from weft.sw.graph import TFLITE, Add, Clamp, Constant, Lookup, Quantize, Requantize, SoftmaxInt8
from weft.sw.tflite.reader import read_tflite

from tests.sw.tflite_cases import CASES
from tests.sw.tflite_models import Model


def kinds(name):
    return [type(one) for one in read_tflite(CASES[name]().model, name).operators]


@pytest.mark.parametrize(
    "name, wanted",
    [
        ("ADD images int8", [Add]),
        ("ADD channels int8", [Add]),
        ("ADD constant channels int8", [Constant, Add]),
        ("ADD constant int8", [Lookup]),
        ("ADD constant first int8", [Lookup]),
        ("RELU6 same scale int8", [Clamp]),
        ("RELU6 int8", [Lookup]),
        ("MAXIMUM and MINIMUM of a constant int8", [Clamp, Clamp]),
        ("QUANTIZE to other types int8", [Requantize, Requantize, Requantize]),
        ("SOFTMAX int8", [SoftmaxInt8]),
    ],
)
def test_kinds(name, wanted):
    assert [one for one in kinds(name) if one.__name__ != "OffsetBinary"] == wanted


def test_tables_are_one_or_one_per_channel():
    for name, shape in (("PRELU int8", (256,)), ("PRELU channels int8", (2, 256)), ("TANH int8", (256,))):
        (operator,) = read_tflite(CASES[name]().model).operators
        assert operator.table.shape == shape
        assert operator.table.dtype == np.int8


def test_float32_is_quantized_with_ties_away_from_zero():
    quantize = read_tflite(CASES["float32 around int8"]().model).operators[0]
    assert isinstance(quantize, Quantize)
    assert quantize.rounding == TFLITE


def sentence(code, inputs, options="", output=(0.1, 0), **values):
    m = Model()
    tensors = [m.tensor(one, 0.1) if isinstance(one, tuple) else m.constant(*one) for one in inputs]
    y = m.tensor((1, 4, 4, 2), *output)
    m.add(code, tensors, y, options, **values)
    with pytest.raises(UserError) as error:
        read_tflite(m.make([tensors[0]], [y]), "m")
    assert str(error.value).startswith(f"m: {code} 0 ")
    return str(error.value)[len(f"m: {code} 0 ") :]


IMAGE = (1, 4, 4, 2)


def test_refusals():
    assert sentence("ADD", [IMAGE, [np.zeros(3, np.int8), 0.1]], "AddOptions") == (
        "has inputs of shapes (1, 4, 4, 2) and (3,), which do not fit each other"
    )
    assert sentence("MUL", [IMAGE, [np.zeros(2, np.int8)]], "MulOptions") == (
        "has a int8 constant with 0 scales, expected int8 with one"
    )
    assert sentence("SUB", [IMAGE, [np.zeros(2, np.int32), 0.1]], "SubOptions") == (
        "has a int32 constant with 1 scales, expected int8 with one"
    )
    assert sentence("LEAKY_RELU", [IMAGE], "LeakyReluOptions", Alpha=-0.5) == (
        "has the slope -0.5, supported are 0 and more"
    )
    assert sentence("PRELU", [IMAGE, [np.zeros((4, 1, 2), np.int8), 0.1]]) == (
        "has slopes of shape (4, 1, 2), supported are one, or one per channel"
    )
    assert sentence("MAXIMUM", [IMAGE, [np.zeros(1, np.int8), 0.2]]) == (
        "is supported only with one constant of the same scale as the activations"
    )
    assert sentence("SOFTMAX", [IMAGE], "SoftmaxOptions", Beta=1.0).startswith("has an output with scale 0.1")
    assert sentence("SOFTMAX", [IMAGE], "SoftmaxOptions", (1 / 256, -128)).startswith(
        "has beta 0.0, expected more than"
    )
    assert sentence("MUL", [IMAGE, [np.zeros(2, np.int8), 1e38]], "MulOptions", (1e-20, 0)).startswith(
        "has scales that give a factor of inf, which must be from 0 to below 2^31"
    )
