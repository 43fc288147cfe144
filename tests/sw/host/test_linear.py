"""Sums of products on the host, against the golden model, which computes them in another way."""

import numpy as np
import pytest
from weft.rtl.isa import Rounding
from weft.sim import golden
from weft.sw.graph import Clamp, Conv2D, FullyConnected, TransposeConv2D
from weft.sw.host.linear import limited, scaled_sums, scattered, taps, wrapped
from weft.sw.host.operators import apply

from tests.sw.networks import Builder, evaluate

ROUNDINGS = ["onnx", "tflite", "tflite32"]


def check(build, y, seed, samples=3):
    """The last operator on the host and in the golden model."""
    graph = build.graph(y)
    (operator,) = graph.operators
    source, target = graph.tensors[operator.inputs[0]], graph.tensors[y]
    x = np.random.default_rng(seed).integers(-128, 128, (samples, *source.shape), dtype=np.int8)
    found = apply(operator, [x], [source], target, samples)
    assert found.dtype == np.int8
    for sample, one in zip(x, found, strict=True):
        np.testing.assert_array_equal(one, evaluate(graph, sample)[0])
    assert len(np.unique(found)) > 5


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("seed", range(6))
def test_convolutions(rounding, seed):
    build = Builder(np.random.default_rng(seed), rounding)
    random = build.random
    groups = int(random.integers(1, 4))
    kernel, stride, dilation = (tuple(random.integers(1, 4, 2).tolist()) for _ in range(3))
    padding = tuple(random.integers(0, 3, 4).tolist())
    x = build.input((1, *random.integers(7, 12, 2).tolist(), groups * int(random.integers(1, 4))))
    y = build.conv(x, groups * int(random.integers(1, 4)), kernel, stride, padding, dilation, groups)
    assert type(build.operators[-1]) is Conv2D
    check(build, y, seed)


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_products_of_several_rows(rounding):
    build = Builder(np.random.default_rng(1), rounding)
    y = build.fully_connected(build.input((1, 5, 30)), 7, minimum=-100, maximum=90)
    assert type(build.operators[-1]) is FullyConnected
    check(build, y, 1)


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("seed", range(4))
def test_transposed_convolutions(rounding, seed):
    build = Builder(np.random.default_rng(seed), rounding)
    random = build.random
    kernel, stride = (tuple(random.integers(1, 4, 2).tolist()) for _ in range(2))
    before = tuple(int(random.integers(0, k)) for k in kernel)
    x, target = build.input((1, 4, 5, 6)), build.tensor((1, *random.integers(5, 12, 2).tolist(), 3))
    weights = random.integers(-128, 128, (3, *kernel, 6), dtype=np.int8)
    values = build.linear(x, weights, target)
    build.operators.append(TransposeConv2D("t", (x,), target, stride=stride, before=before, **values))
    check(build, target, seed)


def test_a_window_reaches_what_padding_and_the_last_position_need():
    x = np.arange(1, 7.0).reshape(1, 2, 3, 1)
    found = {(i, j): cells[0, :, :, 0].tolist() for i, j, cells in taps(x, (2, 1), (2, 2), (1, 0), (1, 1), (2, 2), -1)}
    assert found == {(0, 0): [[-1, -1], [4, 6]], (1, 0): [[1, 3], [-1, -1]]}


def test_pixels_are_scattered_with_a_stride():
    found = scattered(np.ones((1, 2, 1, 1)), np.arange(1, 4, dtype=np.int8).reshape(1, 3, 1, 1), (2, 1), (1, 0), (7, 1))
    assert found.reshape(-1).tolist() == [2, 4, 2, 3, 0, 0, 0]


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("seed", range(3))
def test_sums_are_scaled_like_the_golden_models(rounding, seed):
    random = np.random.default_rng(seed)
    sums = random.integers(-(1 << 31), 1 << 31, 4000) >> random.integers(0, 31, 4000)
    multiplier = random.integers(1 << 30, 1 << 31, 4000)
    shift = random.integers(-31, 3, 4000)
    # Ties, of both signs: half of a power of two.
    sums[:400], multiplier[:400], shift[:400] = random.integers(-999, 999, 400), 1 << 30, 0
    clamp = Clamp("c", (), "", minimum=-120, maximum=127)
    found = limited(scaled_sums(sums, multiplier, shift, rounding), clamp, 5)
    wanted = golden.requantize(sums, 0, multiplier, shift, rounding, 5, -120, 127)
    np.testing.assert_array_equal(found, wanted)


def test_sums_wrap():
    assert wrapped(np.array([1 << 31, (1 << 32) + 5, -(1 << 31) - 1])).tolist() == [-(1 << 31), 5, (1 << 31) - 1]
