"""What is known of ONNX values while they are read."""

from math import inf

import numpy as np
import pytest
from weft.sw.onnx_values import Quantization, QuantizedConstant


@pytest.mark.parametrize(
    "real, level", [(0.0, 3), (1.0, 13), (0.25, 5), (0.35, 7), (-100.0, -128), (100.0, 127), (inf, 127), (-inf, -128)]
)
def test_level_rounds_half_to_even_and_saturates(real, level):
    assert Quantization(np.float32(0.1), 3).level(real) == level


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
