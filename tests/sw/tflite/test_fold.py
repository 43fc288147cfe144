"""Operators on constants."""

import numpy as np
import pytest
import tflite
from weft.sw.errors import UserError
from weft.sw.tflite.file import File
from weft.sw.tflite.fold import FOLDED, LARGEST_FOLDED
from weft.sw.tflite.node import Constant, Node
from weft.sw.tflite.reader import Reader

from tests.sw.tflite_models import Model

A = np.arange(24, dtype=np.int32).reshape(2, 3, 4)


def ints(*values):
    return np.array(values, np.int32)


def folded(code, arrays, options="", scale=None, kind=None, **values):
    """The constant that an operator on constants makes."""
    m = Model()
    x = m.tensor((1, 3), 0.1)
    inputs = [m.constant(array, scale if index == 0 else None) for index, array in enumerate(arrays)]
    y = m.tensor((1,), dtype=np.int32, kind=kind)
    m.add(code, inputs, y, options, **values)
    reader = Reader(File(m.make([x], [x]), "m"))
    reader.read(0)
    assert reader.operators == []
    return reader.value(y, Node(reader, reader.file.operator(0)))


@pytest.mark.parametrize(
    "code, arrays, options, values, wanted",
    [
        ("ADD", [A, ints(5)], "AddOptions", {}, A + 5),
        ("SUB", [A, A[0]], "SubOptions", {}, A - A[0]),
        ("MUL", [A, A], "MulOptions", {}, A * A),
        ("CONCATENATION", [A, A], "ConcatenationOptions", {"Axis": -1}, np.concatenate([A, A], -1)),
        ("EXPAND_DIMS", [A, ints(1)[0]], "", {}, A[:, None]),
        ("GATHER", [A, ints(2, 0)], "GatherOptions", {"Axis": 1}, A[:, [2, 0]]),
        ("PACK", [A[0], A[1]], "PackOptions", {"Axis": 1}, np.stack([A[0], A[1]], 1)),
        ("REDUCE_PROD", [A, ints(0, 2)], "ReducerOptions", {"KeepDims": True}, (A + 0).prod((0, 2), keepdims=True)),
        ("RESHAPE", [A, ints(4, -1)], "", {}, A.reshape(4, 6)),
        ("SHAPE", [A], "", {}, ints(2, 3, 4)),
        ("SLICE", [A, ints(0, 1, 0), ints(1, 2, -1)], "", {}, A[:1, 1:3]),
        ("SQUEEZE", [A[:1]], "", {}, A[0]),
        ("STRIDED_SLICE", [A, ints(1), ints(2), ints(1)], "StridedSliceOptions", {"ShrinkAxisMask": 1}, A[1]),
        ("TRANSPOSE", [A, ints(2, 0, 1)], "", {}, A.transpose(2, 0, 1)),
    ],
)
def test_values(code, arrays, options, values, wanted):
    value = folded(code, arrays, options, **values)
    assert isinstance(value, Constant)
    assert value.array.dtype == np.int32
    assert np.array_equal(value.array, wanted)


def test_cast_and_dequantize():
    assert folded("CAST", [A], kind=tflite.TensorType.INT64).array.dtype == np.int64
    assert folded("CAST", [A], kind=tflite.TensorType.FLOAT32).array.dtype == np.float32
    value = folded("DEQUANTIZE", [np.array([3, -4], np.int8)], scale=0.5, kind=tflite.TensorType.FLOAT32)
    assert value.array.tolist() == [1.5, -2.0]
    half = folded("DEQUANTIZE", [np.array([0.25], np.float16)], kind=tflite.TensorType.FLOAT32)
    assert half.array.dtype == np.float32


def test_every_operator_is_tested():
    here = {"ADD", "CAST", "CONCATENATION", "DEQUANTIZE", "EXPAND_DIMS", "GATHER", "MUL", "PACK", "REDUCE_PROD"}
    assert set(FOLDED) == here | {"RESHAPE", "SHAPE", "SLICE", "SQUEEZE", "STRIDED_SLICE", "SUB", "TRANSPOSE"}


def test_a_reshape_keeps_one_scale_and_forgets_several():
    weights = np.zeros((2, 6), np.int8)
    assert folded("RESHAPE", [weights, ints(3, 4)], scale=0.5).scale.tolist() == [0.5]
    assert folded("RESHAPE", [weights, ints(3, 4)], scale=[0.5, 0.25]).scale.tolist() == []


@pytest.mark.parametrize(
    "code, arrays, options, values, wanted",
    [
        ("ADD", [A, ints(1, 2, 3)], "AddOptions", {}, "combines constants of shapes (2, 3, 4) and (3,)"),
        ("ADD", [A.astype(np.float32), A], "AddOptions", {}, "computes with quantized constants"),
        ("PACK", [A, A[0]], "PackOptions", {}, "joins constants whose shapes do not fit"),
        ("PACK", [A, A.astype(np.int64)], "PackOptions", {}, "joins constants of different types"),
        ("GATHER", [A, ints(3)], "GatherOptions", {"Axis": 1}, "gathers from outside of its input"),
        ("CAST", [A], "", {}, "casts a constant to INT32"),
        ("RESHAPE", [A, ints(5)], "", {}, "reshapes (2, 3, 4) to (5,), which has another size"),
    ],
)
def test_refusals(code, arrays, options, values, wanted):
    kind = tflite.TensorType.COMPLEX64 if code == "CAST" else None
    with pytest.raises(UserError) as error:
        folded(code, arrays, options, kind=kind, **values)
    assert str(error.value).startswith(f"m: {code} 0 {wanted.replace('INT32', 'COMPLEX64')}")


def test_doubling_over_and_over_is_refused():
    m = Model()
    x, y = m.tensor((1, 3), 0.1), m.constant(np.zeros(1 << 20, np.int32))
    for _ in range(40):
        y = m.add("CONCATENATION", [y, y], m.tensor((1,), dtype=np.int32), "ConcatenationOptions")
    reader = Reader(File(m.make([x], [x]), "m"))
    with pytest.raises(UserError, match=rf"computes constants of more than {LARGEST_FOLDED} elements in all$"):
        [reader.read(index) for index in range(40)]
