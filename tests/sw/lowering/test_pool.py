"""Pooling as layers."""

import numpy as np
import pytest
from weft.sw.graph import ONNX, TFLITE, AveragePool2D, MaxPool2D, Tensor
from weft.sw.lowering.pool import areas_of, average_pool, max_pool


def average(padding, counts_padding, rounding=TFLITE):
    return AveragePool2D(
        "pool", ("x",), "y", window=(3, 2), stride=(2, 1), padding=padding, counts_padding=counts_padding,
        rounding=rounding,
    )  # fmt: skip


SOURCE = Tensor("x", (1, 7, 5, 3), "int8", 0.1, 3)


@pytest.mark.parametrize("counts_padding", [True, False])
def test_areas_cover_every_output_once_and_count_their_cells(counts_padding):
    operator = average((1, 1, 1, 0), counts_padding)
    target = Tensor("y", (1, 4, 5, 3), "int8", 0.1, 3)
    cells = np.zeros((4, 5), int)
    for (y, height), (x, width), count in areas_of(operator, SOURCE, target):
        assert not cells[y : y + height, x : x + width].any()
        cells[y : y + height, x : x + width] = count
    valid = np.zeros((9, 6), int)
    valid[1:8, 1:6] = 1
    if counts_padding:
        valid[:] = 1
    expected = [[valid[2 * y : 2 * y + 3, x : x + 2].sum() for x in range(5)] for y in range(4)]
    np.testing.assert_array_equal(cells, expected)


@pytest.mark.parametrize("rounding", [ONNX, TFLITE])
def test_without_padding_an_average_is_one_layer_of_ones(rounding):
    target = Tensor("y", (1, 3, 4, 3), "int8", 0.1, 3)
    (layer,) = average_pool(average((0, 0, 0, 0), True, rounding), SOURCE, target)
    assert layer.uniform
    assert (layer.kernel, layer.stride, layer.groups) == ((3, 2), (2, 1), 3)
    real = layer.multiplier * 2.0 ** (layer.shift - 31.0)
    np.testing.assert_allclose(real, 1 / 6, rtol=1e-6)


def test_max_pooling_passes_values_to_the_drains_window():
    operator = MaxPool2D("pool", ("x",), "y", window=(2, 2), stride=(2, 2), padding=(0, 0, 0, 0))
    (layer,) = max_pool(operator, SOURCE, Tensor("y", (1, 3, 2, 3), "int8", 0.1, 3))
    assert layer.passes_values
    assert (layer.window.size, layer.window.stride) == ((2, 2), (2, 2))
    assert layer.output_size == (3, 2)
