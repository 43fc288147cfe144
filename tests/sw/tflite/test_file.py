"""A flatbuffer that leads astray is one sentence."""

import time

import flatbuffers
import numpy as np
import pytest
import tflite
from weft.sw.errors import UserError
from weft.sw.tflite.file import LONGEST_LIST, MOST_OPERATORS, File

from tests.sw.tflite_models import Model

DAMAGED = "^m: the TFLite model is damaged: parts of it lie outside of the file$"
TOO_LONG = "^m: the TFLite model is damaged: its lists or names are too long$"


def tanh(count=1, **values):
    m = Model(**values)
    last = m.tensor((1, 4), 0.1)
    inputs = [last]
    for _ in range(count):
        last = m.add("TANH", [last], m.tensor((1, 4), 1 / 128))
    return m.make(inputs, [last])


def test_plain_values():
    m = Model()
    x = m.tensor((1, 3, 3, 2), 0.5, 7, name="pixels")
    w = m.constant(np.arange(4, dtype=np.int8).reshape(2, 1, 1, 2), [0.25, 0.5], name="weights")
    y = m.add("CONV_2D", [x, w, -1], m.tensor((1, 3, 3, 2), 2), "Conv2DOptions", StrideH=1, StrideW=3, Padding=1)
    file = File(m.make([x], [y]), "m")
    assert (file.inputs, file.outputs, file.tensor_count, file.operator_count) == ((0,), (2,), 3, 1)
    operator = file.operator(0)
    assert (operator.code, operator.custom, operator.inputs, operator.outputs) == ("CONV_2D", "", (0, 1, -1), (2,))
    assert operator.options == {
        "Padding": 1,
        "StrideH": 1,
        "StrideW": 3,
        "DilationHFactor": 1,
        "DilationWFactor": 1,
        "FusedActivationFunction": 0,
    }
    pixels, weights = file.tensor(0), file.tensor(1)
    assert (pixels.name, pixels.shape, pixels.kind, pixels.data) == ("pixels", (1, 3, 3, 2), "INT8", None)
    assert (pixels.scale.tolist(), pixels.zero_point.tolist()) == ([0.5], [7])
    assert weights.data.tolist() == [0, 1, 2, 3]
    assert weights.scale.tolist() == [0.25, 0.5]
    assert not weights.sparse
    assert not weights.variable


def test_options_that_are_missing_or_another_operators_have_defaults():
    m = Model()
    x = m.tensor((1, 4), 0.1)
    y = m.add("SOFTMAX", [x], m.tensor((1, 4), 0.1), "PackOptions", Axis=7)
    z = m.add("SOFTMAX", [y], m.tensor((1, 4), 0.1))
    file = File(m.make([x], [z]), "m")
    assert file.operator(0).options == file.operator(1).options == {"Beta": 0.0}


def test_contents_behind_the_flatbuffer():
    """As models beyond 2 GB have them."""
    m = Model()
    x = m.tensor((1, 4), 0.1)
    y = m.add("TANH", [x], m.tensor((1, 4), 0.1))
    m.constant(np.zeros(4, np.int8))
    data = m.make([x], [y])
    b = flatbuffers.Builder(64)
    tflite.BufferStart(b)
    tflite.BufferAddOffset(b, len(data))
    tflite.BufferAddSize(b, 4)
    b.Finish(tflite.BufferEnd(b))
    buffer = tflite.Buffer.GetRootAs(bytes(b.Output()), 0)
    assert File(data + b"abcd", "m")._contents(buffer).tobytes() == b"abcd"
    with pytest.raises(ValueError, match=r"buffer"):
        File(data + b"abc", "m")._contents(buffer)


def test_other_files():
    with pytest.raises(UserError, match=r"^m: this is not a TFLite model: the identifier TFL3 is missing$"):
        File(b"PK\x03\x04" + bytes(1000), "m")
    with pytest.raises(UserError, match=DAMAGED):
        File(b"\x08\x00\x00\x00TFL3", "m")
    with pytest.raises(UserError, match=r"^m: the model has version 2 of the format, expected 3$"):
        File(tanh(version=2), "m")
    with pytest.raises(UserError, match=r"^m: the model has 0 operators, expected 1 to 10000$"):
        File(tanh(count=0), "m")


def test_a_tensor_or_a_code_that_is_not_there():
    file = File(tanh(), "m")
    for index in (-1, 2, 1 << 40):
        with pytest.raises(UserError, match=DAMAGED):
            file.tensor(index)
    m = Model()
    x = m.tensor((1, 4), 0.1)
    m.add("TANH", [x], m.tensor((1, 4), 0.1))
    m.operators[0].code = 3
    with pytest.raises(UserError, match=DAMAGED):
        File(m.make([x], [1]), "m").operator(0)


def test_a_list_may_not_be_endless():
    m = Model()
    x = m.tensor((1, 4), 0.1)
    y = m.add("PACK", [x] * (LONGEST_LIST + 1), m.tensor((1, 4), 0.1))
    with pytest.raises(UserError, match=TOO_LONG):
        File(m.make([x], [y]), "m").operator(0)


def test_many_tables_may_not_share_what_is_long():
    """A small file with thousands of tensors of one name of half its length would take its square to read."""
    m = Model()
    m.add("TANH", [0], 1)
    count = 5000
    for _ in range(count):
        m.tensor((1, 4), 0.1)
    m.tensors[0].name = "x" * 200_000
    created = {}
    original = flatbuffers.Builder.CreateString

    def shared_string(self, text, *rest):
        if text.startswith("t") and text[1:].isdigit():
            text = m.tensors[0].name
        if (id(self), text) not in created:
            created[id(self), text] = original(self, text, *rest)
        return created[id(self), text]

    flatbuffers.Builder.CreateString = shared_string
    try:
        data = m.make([0], [1])
    finally:
        flatbuffers.Builder.CreateString = original
    assert len(data) < 1_000_000
    file = File(data, "m")
    start = time.monotonic()
    with pytest.raises(UserError, match=TOO_LONG):
        [file.tensor(index) for index in range(count)]
    assert time.monotonic() - start < 5


def test_too_many_operators():
    m = Model()
    x = m.tensor((1, 4), 0.1)
    m.add("TANH", [x], m.tensor((1, 4), 0.1))
    m.operators *= MOST_OPERATORS + 1
    original, made = Model._operator, []

    def once(b, operator):
        if not made:
            made.append(original(b, operator))
        return made[0]

    Model._operator = staticmethod(once)
    try:
        data = m.make([x], [1])
    finally:
        Model._operator = staticmethod(original)
    with pytest.raises(UserError, match=r"^m: the model has 10001 operators, expected 1 to 10000$"):
        File(data, "m")


def test_long_names_are_cut_in_messages():
    m = Model()
    x = m.tensor((1, 4), 0.1, name="n" * 500)
    data = m.make([x], [m.add("TANH", [x], m.tensor((1, 4), 0.1))])
    assert File(data, "m").tensor(0).label == repr("n" * 77 + "...")
