"""Pooling on the host, against the golden model, which computes it in another way."""

import numpy as np
import pytest
from weft.sw.graph import AveragePool2D, MaxPool2D, MeanPool2D

from tests.sw.host.test_linear import check
from tests.sw.networks import Builder


def windows(random):
    window = tuple(random.integers(1, 4, 2).tolist())
    padding = tuple(int(random.integers(0, window[side % 2])) for side in range(4))
    return window, tuple(random.integers(1, 4, 2).tolist()), padding


@pytest.mark.parametrize("seed", range(6))
def test_maxima(seed):
    build = Builder(np.random.default_rng(seed))
    y = build.pool(MaxPool2D, build.input((1, 9, 8, 3)), *windows(build.random), minimum=-110, maximum=120)
    check(build, y, seed)


@pytest.mark.parametrize("rounding, values", [("tflite", {}), ("tflite", {"origin": -128}), ("onnx", {})], ids=str)
@pytest.mark.parametrize("counts", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_averages(rounding, values, counts, seed):
    build = Builder(np.random.default_rng(seed), rounding)
    counts = counts and rounding == "onnx"
    x = build.input((1, 9, 8, 3))
    y = build.pool(AveragePool2D, x, *windows(build.random), counts_padding=counts, rounding=rounding, **values)
    if rounding == "onnx":  # of another scale, so that not all results are at the limits
        scale = build.tensors[x].scale
        build.tensors[y] = type(build.tensors[y])(y, build.tensors[y].shape, "int8", scale * 0.9, 3)
    check(build, y, seed)


@pytest.mark.parametrize("seed", range(3))
def test_means(seed):
    build = Builder(np.random.default_rng(seed))
    values = {"window": (4, 3), "stride": (4, 3), "padding": (0, 0, 0, 0), "multiplier": 1 << 30, "shift": -3 - seed}
    check(build, build.add(MeanPool2D, build.input((1, 8, 6, 9)), (1, 2, 2, 9), **values), seed)
