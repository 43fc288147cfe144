"""Operators that move values; tests/sw/test_tflite_reference.py has what they compute."""

import numpy as np
import pytest
from weft.sw.errors import UserError
from weft.sw.graph import Concat, Constant, Lookup, ResizeBilinear, ResizeNearest
from weft.sw.tflite.reader import read_tflite

from tests.sw.networks import evaluate
from tests.sw.tflite_cases import CASES
from tests.sw.tflite_models import Model

IMAGE = (1, 4, 4, 2)


def read(code, inputs, options="", scale=0.1, shape=IMAGE, outputs=1, **values):
    m = Model()
    tensors = [m.tensor(one, 0.1) if isinstance(one, tuple) else m.constant(*one) for one in inputs]
    made = [m.tensor(shape, scale) for _ in range(outputs)]
    m.add(code, tensors, made, options, **values)
    return read_tflite(m.make([tensors[next(i for i, one in enumerate(inputs) if isinstance(one, tuple))]], made), "m")


def sentence(code, inputs, options="", **values):
    with pytest.raises(UserError) as error:
        read(code, inputs, options, **values)
    assert str(error.value).startswith(f"m: {code} 0 ")
    return str(error.value)[len(f"m: {code} 0 ") :]


def test_another_scale_behind_a_reshape_changes_no_integer():
    graph = read("RESHAPE", [IMAGE, [np.array([1, 32], np.int32)]], "ReshapeOptions", scale=0.3)
    assert [type(one).__name__ for one in graph.operators] == ["Lookup", "Reshape"]
    assert np.array_equal(graph.operators[0].table, np.arange(-128, 128))
    assert graph.tensors[graph.outputs[0]].scale == float(np.float32(0.3))
    x = np.arange(32, dtype=np.int8).reshape(IMAGE)
    assert np.array_equal(evaluate(graph, x)[0].reshape(-1), np.arange(32))


def test_a_constant_among_what_is_joined_is_a_tensor():
    graph = read_tflite(CASES["concat constant int8"]().model)
    assert [type(one) for one in graph.operators] == [Constant, Concat]


def test_scales_that_differ_are_brought_together_on_uint8():
    graph = read_tflite(CASES["concat scales uint8"]().model)
    assert [type(one) for one in graph.operators].count(Lookup) == 2


def test_doubling_takes_every_pixel_twice():
    for name, kind in (
        ("RESIZE_NEAREST_NEIGHBOR doubled int8", ResizeNearest),
        ("RESIZE_BILINEAR doubled int8", ResizeBilinear),
    ):
        (operator,) = read_tflite(CASES[name]().model).operators
        assert isinstance(operator, kind)
    (operator,) = read_tflite(CASES["RESIZE_NEAREST_NEIGHBOR doubled int8"]().model).operators
    assert (operator.rows, operator.columns) == ((0, 0, 1, 1, 2, 2), (0, 0, 1, 1, 2, 2, 3, 3))
    (operator,) = read_tflite(CASES["RESIZE_BILINEAR doubled int8"]().model).operators
    assert operator.rows.tolist() == [[0, 0, 0], [0, 1, 512], [1, 1, 0], [1, 2, 512], [2, 2, 0], [2, 2, 0]]


def test_bilinear_weights_never_leave_the_image():
    for size, count in ((1, 4000), (3, 1), (5, 12), (2, 3000)):
        for centers in (False, True):
            graph = read(
                "RESIZE_BILINEAR",
                [(1, size, 2, 1), [np.array([count, 2], np.int32)]],
                "ResizeBilinearOptions",
                HalfPixelCenters=centers,
            )
            rows = graph.operators[0].rows
            assert rows[:, :2].min() >= 0
            assert rows[:, :2].max() < size
            assert rows[:, 2].min() >= 0
            assert rows[:, 2].max() < 1024


@pytest.mark.parametrize(
    "code, inputs, options, values, wanted",
    [
        (
            "RESHAPE",
            [IMAGE, [np.array([1, 33], np.int32)]],
            "",
            {},
            "reshapes (1, 4, 4, 2) to (1, 33), which has another",
        ),
        ("RESHAPE", [IMAGE, [np.array([-1, -1], np.int32)]], "", {}, "has the target shape (-1, -1)"),
        ("TRANSPOSE", [IMAGE, [np.array([0, 1, 1, 2], np.int32)]], "", {}, "permutes 4 axes by [0, 1, 1, 2]"),
        (
            "SQUEEZE",
            [IMAGE],
            "SqueezeOptions",
            {"SqueezeDims": [1]},
            "drops the axes [1] of (1, 4, 4, 2), which are not 1",
        ),
        ("PAD", [IMAGE, [np.zeros((3, 2), np.int32)]], "", {}, "pads 4 axes by numbers of shape (3, 2), expected two"),
        (
            "PAD",
            [IMAGE, [np.full((4, 2), -1, np.int32)]],
            "",
            {},
            "pads 4 axes by numbers of shape (4, 2), expected two",
        ),
        (
            "CONCATENATION",
            [IMAGE, [np.zeros((1, 4, 3, 2), np.int8), 0.1]],
            "ConcatenationOptions",
            {"Axis": 3},
            "joins (1, 4, 4, 2), (1, 4, 3, 2) along axis 3, which do not fit",
        ),
        (
            "CONCATENATION",
            [IMAGE, [np.zeros(IMAGE, np.int8), 0.2]],
            "ConcatenationOptions",
            {"Axis": 3},
            "joins int8 tensors of different scales, expected the same scale",
        ),
        ("UNPACK", [IMAGE], "UnpackOptions", {"Axis": 1}, "unpacks (1, 4, 4, 2) along axis 1 into 1 parts"),
        ("SPACE_TO_DEPTH", [IMAGE], "SpaceToDepthOptions", {"BlockSize": 3}, "has blocks of 3 on (1, 4, 4, 2)"),
        ("DEPTH_TO_SPACE", [IMAGE], "DepthToSpaceOptions", {"BlockSize": 0}, "has blocks of 0 on (1, 4, 4, 2)"),
        ("RESIZE_BILINEAR", [IMAGE, [np.array([0, 4], np.int32)]], "", {}, "resizes to (0, 4), expected two positive"),
    ],
)
def test_refusals(code, inputs, options, values, wanted):
    assert sentence(code, inputs, options, **values).startswith(wanted)


def test_bilinear_resizing_of_uint8_is_refused():
    m = Model()
    x, y = m.tensor(IMAGE, 0.1, 0, np.uint8), m.tensor(IMAGE, 0.1, 0, np.uint8)
    m.add("RESIZE_BILINEAR", [x, m.constant(np.array([4, 4], np.int32))], y)
    with pytest.raises(
        UserError, match=r"is on uint8, which the reference kernel computes in float32, supported is int8"
    ):
        read_tflite(m.make([x], [y]))


def test_a_split_must_fit():
    axis = [np.array(3, np.int32)]
    assert sentence("SPLIT", [axis, IMAGE], "SplitOptions", outputs=3).startswith("splits (1, 4, 4, 2) into 3 parts")
    sizes, axis = [np.array([1, 2], np.int32)], [np.array(1, np.int32)]
    assert sentence("SPLIT_V", [IMAGE, sizes, axis], "SplitVOptions", outputs=2).startswith(
        "splits 4 along axis 1 into 2 parts, which does not fit"
    )
