"""What is known of ONNX values while they are read."""

from math import inf

import numpy as np
import pytest
from weft.sw.onnx.values import Quantization, QuantizedConstant


@pytest.mark.parametrize(
    "real, level", [(0.0, 3), (1.0, 13), (0.25, 5), (0.35, 7), (-100.0, -128), (100.0, 127), (inf, 127), (-inf, -128)]
)
def test_level_rounds_half_to_even_and_saturates(real, level):
    assert Quantization(np.float32(0.1), 3).level(real) == level


def test_levels_and_reals_are_those_of_quantize_and_dequantize():
    quantization = Quantization(0.1, 3)
    np.testing.assert_array_equal(quantization.reals, (np.arange(-128, 128) - 3).astype(np.float32) * np.float32(0.1))
    np.testing.assert_array_equal(quantization.levels(quantization.reals), np.arange(-128, 128))
    reals = np.array([0.25, 0.35, inf, -inf, 1e38, np.nan], np.float32)
    assert quantization.levels(reals).tolist() == [5, 7, 127, -128, 127, -128]


def test_constants_in_float32_are_products_in_float32():
    constant = QuantizedConstant(np.arange(6).reshape(2, 3), np.array([0.1, 0.2, 0.3], np.float32), 1)
    np.testing.assert_array_equal(constant.real32, constant.integers.astype(np.float32) * constant.scale)
    assert constant.real32.dtype == np.float32


def test_scales_per_channel():
    constant = QuantizedConstant(np.arange(6).reshape(2, 3), np.array([1, 2, 4], np.float32), 1)
    assert constant.scales_along(1).tolist() == [1, 2, 4]
    assert constant.scales_along(-1).tolist() == [1, 2, 4]
    assert constant.scales_along(0) is None
    assert constant.real.tolist() == [[0, 2, 8], [3, 8, 20]]


def test_one_scale_goes_for_every_axis():
    constant = QuantizedConstant(np.arange(6).reshape(2, 3), np.array([0.5], np.float32), 0)
    assert constant.scales_along(0).tolist() == [0.5, 0.5]
    assert constant.scales_along(1).tolist() == [0.5, 0.5, 0.5]
    assert constant.real.tolist() == [[0, 0.5, 1], [1.5, 2, 2.5]]
