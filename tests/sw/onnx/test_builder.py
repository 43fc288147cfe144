"""Operators put together, and values brought from one side to the other and back."""

import numpy as np
import pytest
from weft.sw.graph import Graph, Lookup, Tensor, Transpose, verify
from weft.sw.onnx.builder import Builder
from weft.sw.onnx.values import HostValue, Quantization
from weft.sw.onnx.views import channels_last

from tests.sw.networks import evaluate

SHAPE = (1, 3, 4, 5)
LEVEL = Quantization(0.5, -3)


def builder(dtype="float32", shape=SHAPE):
    """With an input x on the host."""
    made = Builder(["y"])
    made.tensors["x"] = Tensor("x", shape, dtype)
    return made, HostValue("x", shape)


def run(made, output, x):
    graph = Graph("test", made.tensors, tuple(made.operators), ("x",), (output,))
    return evaluate(verify(graph), x)[0]


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8"])
def test_to_the_device_and_back(dtype):
    made, value = builder(dtype)
    x = np.random.default_rng(0).integers(0 if dtype == "uint8" else -100, 100, SHAPE).astype(dtype)
    unsigned = dtype == "uint8"
    device = made.to_device(value, "q", LEVEL, unsigned)
    assert device.view.stored == (1, 4, 5, 3)
    assert made.tensors[device.tensor].dtype == "int8"
    back = made.to_host(device, "r")
    found = run(made, back.tensor, x)
    wanted = np.clip(np.rint(x / np.float32(0.5)) - 3, -128, 127).astype(np.int8) if dtype == "float32" else x
    np.testing.assert_array_equal(found, wanted)


def test_names_of_outputs_are_kept_free():
    made, _ = builder()
    assert made.unique("y") == "y.1"
    assert made.unique("x") == "x.1"
    assert made.unique("z") == "z"


def test_the_same_order_is_made_once():
    made, value = builder()
    device = made.to_device(value, "q", LEVEL, False)
    count = len(made.operators)
    one, two = (made.plain(device, name) for name in ("a", "b"))
    assert one == two
    assert len(made.operators) == count + 1
    assert made.ordered(device, channels_last(4), "c") == device


def test_axes_of_one_element_move_for_nothing():
    made, value = builder(shape=(1, 1, 4, 5))
    device = made.to_device(value, "q", LEVEL, False)
    made.plain(device, "p")
    assert not [one for one in made.operators if isinstance(one, Transpose)]


def test_integers_of_two_meanings():
    made, value = builder("int8")
    first, second = made.to_device(value, "a", LEVEL, False), made.to_device(value, "b", Quantization(0.25, 1), False)
    assert (made.tensors["x"].scale, made.tensors["x"].zero_point) == (0.5, -3)
    assert (first.quantization, second.quantization) == (LEVEL, Quantization(0.25, 1))
    assert [one for one in made.operators if isinstance(one, Lookup)]


def test_constants():
    made, _ = builder()
    array = np.arange(60, dtype=np.int8).reshape(SHAPE)
    constant = made.constant(array, LEVEL, "c")
    assert constant.real
    np.testing.assert_array_equal(run(made, constant.tensor, np.zeros(SHAPE, np.float32)), array)


def test_reshaping_of_an_image_to_rows():
    made, value = builder()
    device = made.to_device(value, "q", LEVEL, False)
    rows = made.reshaped(device, "r", (1, 60))
    assert rows.view.folded
    assert rows.tensor == device.tensor
    x = np.random.default_rng(0).integers(-20, 20, SHAPE).astype(np.float32)
    np.testing.assert_array_equal(run(made, made.plain(rows, "p").tensor, x), (2 * x - 3).reshape(1, 60))
