"""Convolutions and products as layers."""

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.sim import golden
from weft.sw.errors import UserError
from weft.sw.graph import ONNX, TFLITE, Conv2D, FullyConnected, Tensor
from weft.sw.lowering.linear import conv, convolution, fold_zero_point, fully_connected

SOURCE = Tensor("x", (1, 5, 6, 2), "int8", 0.1, 3)
TARGET = Tensor("y", (1, 5, 6, 4), "int8", 0.2, -1)


def operator_of(scale=0.01, rounding=ONNX):
    random = np.random.default_rng(0)
    return Conv2D(
        "conv", ("x",), "y",
        weights=random.integers(-127, 128, (4, 3, 3, 2), np.int8), bias=random.integers(-99, 99, 4).astype(np.int32),
        weight_scales=np.full(4, scale, np.float32), stride=(1, 1), padding=(1, 1, 1, 1), dilation=(1, 1), groups=1,
        rounding=rounding,
    )  # fmt: skip


@pytest.mark.parametrize("zero_point", [-128, 0, 7])
def test_the_zero_point_folds_into_the_bias(zero_point):
    operator = operator_of()
    expected = golden.fold_zero_point(operator.bias, operator.weights, zero_point)
    np.testing.assert_array_equal(fold_zero_point(operator.bias, operator.weights, zero_point), expected)


@pytest.mark.parametrize("rounding", [ONNX, TFLITE])
def test_a_convolution_is_one_layer(rounding):
    (layer,) = conv(operator_of(rounding=rounding), SOURCE, TARGET, Config())
    assert layer.name == convolution(operator_of(), SOURCE, TARGET).name
    assert layer.macs == 5 * 6 * 4 * 3 * 3 * 2
    assert layer.padding_value == SOURCE.zero_point
    real = layer.multiplier * 2.0 ** (layer.shift - 31.0)
    np.testing.assert_allclose(real, 0.1 * 0.01 / 0.2, rtol=1e-6)


def test_a_product_has_one_pixel():
    operator = FullyConnected(
        "fc", ("x",), "y", weights=np.ones((3, 6), np.int8), bias=np.zeros(3, np.int32),
        weight_scales=np.ones(3, np.float32), rounding=ONNX,
    )  # fmt: skip
    source, target = Tensor("x", (1, 6), "int8", 0.1, 0), Tensor("y", (1, 3), "int8", 0.2, 0)
    (layer,) = fully_connected(operator, source, target)
    assert layer.product
    assert layer.macs == 18


def test_a_scale_that_lifts_sums_too_far_is_refused():
    with pytest.raises(UserError, match="has scales that lift sums above 32 bits before they are limited"):
        conv(operator_of(scale=1e6), SOURCE, TARGET, Config())
