"""Golden operators with several inputs; tests/sw/test_tflite_reference.py compares them with TFLite's kernels."""

import numpy as np
import pytest
from weft.sim import golden, golden_operators
from weft.sim.golden_operators import apply
from weft.sw.errors import UserError
from weft.sw.graph import Add, Concat, Constant, Multiply, Operator, Pad, ResizeNearest, Slice, Tensor

X = np.arange(-48, 48, dtype=np.int8).reshape(2, 1, 4, 4, 3)
IMAGE = Tensor("x", (1, 4, 4, 3), "int8")


def result(shape):
    return Tensor("y", shape, "int8")


def test_movement():
    x = X[:, 0]
    pad = Pad("p", ("x",), "y", padding=((0, 0), (1, 0), (0, 2), (0, 0)), value=7)
    found = apply(pad, [X], [IMAGE], result((1, 5, 6, 3)), 2)[:, 0]
    assert np.array_equal(found[:, 1:, :4], x)
    assert set(found[:, 0].reshape(-1).tolist()) == {7}
    cut = Slice("s", ("x",), "y", start=(0, 1, 0, 2), step=(1, 2, 3, 1))
    assert np.array_equal(apply(cut, [X], [IMAGE], result((1, 2, 2, 1)), 2)[:, 0], x[:, 1::2, ::3, 2:])
    near = ResizeNearest("r", ("x",), "y", rows=(3, 0), columns=(1, 1, 2))
    assert np.array_equal(apply(near, [X], [IMAGE], result((1, 2, 3, 3)), 2)[:, 0], x[:, [3, 0]][:, :, [1, 1, 2]])
    join = Concat("c", ("x", "x"), "y", axis=3)
    assert np.array_equal(apply(join, [X, X], [IMAGE, IMAGE], result((1, 4, 4, 6)), 2)[:, 0], np.concatenate([x, x], 3))


def test_products_between_dequantize_and_quantize_are_rounded_once():
    values = np.arange(-128, 128, dtype=np.int8)
    a, b = (np.repeat(values, 256), np.tile(values, 256))
    sources = [Tensor("a", (1 << 16,), "int8", 0.1, 3), Tensor("b", (1 << 16,), "int8", 0.07, -5)]
    target = Tensor("y", (1 << 16,), "int8", 0.3, 7)
    found = apply(Multiply("m", ("a", "b"), "y", rounding="onnx"), [a[None], b[None]], sources, target, 1)[0]
    real = np.float32(np.float32(0.1) * np.float32(0.07)) / np.float32(0.3)
    exact = (a.astype(int) - 3) * (b.astype(int) + 5) * float(real)
    assert np.array_equal(found, np.clip(np.rint(exact) + 7, -128, 127))


def test_a_constant_is_the_same_for_all_samples():
    value = np.arange(3, dtype=np.int8)
    found = apply(Constant("k", (), "y", value=value), [], [], result((3,)), 5)
    assert np.array_equal(found, [value] * 5)


def test_channels_are_added_to_every_pixel_of_every_sample():
    channels = np.array([[1, 2, 3], [4, 5, 6]], np.int8)
    sources = [IMAGE, Tensor("c", (3,), "int8")]
    found = apply(Add("a", ("x", "c"), "y"), [X, channels], sources, result((1, 4, 4, 3)), 2)
    assert np.array_equal(found, X + channels[:, None, None, None, :])


@pytest.mark.parametrize("seed", range(5))
def test_transpose_conv_is_the_adjoint_of_the_convolution(seed):
    """<conv(a), b> = <a, transposed(b)>: one gathers with a stride what the other scatters."""
    random = np.random.default_rng(seed)
    stride = tuple(random.integers(1, 4, 2).tolist())
    kernel = tuple(random.integers(1, 5, 2).tolist())
    places = random.integers(1, 5, 2)
    size = tuple(int((n - 1) * s + k) for n, s, k in zip(places, stride, kernel, strict=True))
    a = random.integers(-128, 128, (1, *size, 2), dtype=np.int8)
    weights = random.integers(-128, 128, (3, *kernel, 2), dtype=np.int8)
    b = random.integers(-128, 128, (1, *places.tolist(), 3), dtype=np.int8)
    gathered = golden.conv2d(a, weights, 0, stride).astype(np.int64)
    scattered = golden_operators.transpose_conv2d(b, weights.transpose(3, 1, 2, 0), 0, stride, (0, 0), size)
    assert np.sum(gathered * b) == np.sum(a * scattered.astype(np.int64))


def test_transpose_conv_cuts_off_and_fills_up():
    x = np.ones((1, 2, 1, 1), np.int8)
    weights = np.arange(1, 4, dtype=np.int8).reshape(1, 3, 1, 1)
    found = golden_operators.transpose_conv2d(x, weights, 0, (2, 1), (1, 0), (7, 1))
    assert found.reshape(-1).tolist() == [2, 4, 2, 3, 0, 0, 0]


def test_quantize_breaks_ties_away_from_zero():
    x = np.array([0.5, -0.5, 1.5, -2.5, 1000, -1000], np.float32)
    assert golden_operators.quantize_half_away(x, 1.0, 3).tolist() == [4, 2, 5, 0, 127, -128]


def test_an_unknown_operator():
    with pytest.raises(UserError, match=r"^is not an operator that the host knows$"):
        apply(Operator("o", (), "y"), [], [], result((1,)), 1)
