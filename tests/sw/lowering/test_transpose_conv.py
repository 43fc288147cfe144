"""Transposed convolutions as layers; that they are exact, test_lower_operators tests."""

import numpy as np
import pytest
from weft.sw.errors import UserError
from weft.sw.graph import ONNX, Tensor, TransposeConv2D
from weft.sw.lowering.transpose_conv import transpose_conv

SOURCE = Tensor("x", (1, 5, 6, 2), "int8", 0.1, 3)


def lowered(kernel, stride, before, size, scale=0.01):
    weights = np.arange(4 * kernel[0] * kernel[1] * 2).reshape(4, *kernel, 2).astype(np.int8)
    operator = TransposeConv2D(
        "t", ("x",), "y", weights=weights, bias=np.arange(4, dtype=np.int32), stride=stride, before=before,
        weight_scales=np.full(4, scale, np.float32), rounding=ONNX,
    )  # fmt: skip
    return weights, transpose_conv(operator, SOURCE, Tensor("y", (1, *size, 4), "int8", 0.2, 0))


def test_each_phase_has_its_own_part_of_the_kernel():
    weights, layers = lowered((3, 3), (2, 2), (0, 0), (11, 13))
    assert [layer.kernel for layer in layers] == [(2, 2), (2, 1), (1, 2), (1, 1)]
    assert [layer.place.origin for layer in layers] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [layer.output_size for layer in layers] == [(6, 7), (6, 6), (5, 7), (5, 6)]
    np.testing.assert_array_equal(layers[0].weights, weights[:, ::-2, ::-2])
    assert [layer.before for layer in layers] == [(1, 1), (1, 0), (0, 1), (0, 0)]


def test_a_stride_of_one_is_a_whole_layer():
    weights, (layer,) = lowered((3, 2), (1, 1), (1, 0), (5, 7))
    assert layer.whole
    assert layer.before == (1, 1)
    np.testing.assert_array_equal(layer.weights, weights[:, ::-1, ::-1])


def test_outputs_that_nothing_falls_on_have_the_bias():
    _, layers = lowered((1, 1), (2, 3), (0, 0), (9, 16))
    assert len(layers) == 6
    assert [bool(layer.weights.any()) for layer in layers] == [True] + [False] * 5
    assert all(layer.bias.tolist() == [0, 1, 2, 3] for layer in layers[1:])


def test_an_output_smaller_than_the_stride_has_fewer_phases():
    _, layers = lowered((4, 4), (3, 3), (0, 0), (1, 2))
    assert [layer.output_size for layer in layers] == [(1, 1), (1, 1)]


def test_a_scale_that_lifts_sums_too_far_is_refused():
    with pytest.raises(UserError, match="has scales that lift sums above 32 bits before they are limited"):
        lowered((3, 3), (2, 2), (0, 0), (11, 13), scale=1e6)
