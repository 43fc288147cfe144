"""Operators as layers, and what is refused."""

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.rtl.isa import Rounding
from weft.sim import golden
from weft.sw.boundary import split
from weft.sw.errors import UserError
from weft.sw.graph import AveragePool2D, Clamp, MaxPool2D, Requantize
from weft.sw.lower import Window, blocks_of, fold_zero_point, lower

from tests.sw.networks import Builder

CONFIG = Config(rows=8, cols=8)


@pytest.fixture
def build():
    return Builder(np.random.default_rng(0))


def lowered(build, *outputs, config=CONFIG):
    graph = build.graph(*outputs)
    return lower(graph, split(graph), config)


def refusal(build, *outputs):
    with pytest.raises(UserError) as error:
        lowered(build, *outputs)
    return str(error.value)


def test_conv(build):
    x = build.input((1, 7, 9, 3))
    y = build.conv(x, 5, (3, 2), (2, 1), (1, 2, 0, 1), (1, 3), minimum=-5)
    (layer,) = lowered(build, y)
    operator, source = build.operators[0], build.tensors[x]
    assert (layer.input_size, layer.sums_size, layer.output_size) == ((7, 9), (3, 9), (3, 9))
    assert (layer.before, layer.stride, layer.dilation) == ((1, 2), (2, 1), (1, 3))
    assert layer.padding_value == source.zero_point
    assert layer.rounding is Rounding.NEAREST_EVEN
    assert (layer.minimum, layer.maximum) == (-5, 127)
    assert layer.macs == 3 * 9 * 5 * 3 * 2 * 3
    np.testing.assert_array_equal(
        layer.bias, golden.fold_zero_point(operator.bias, operator.weights, source.zero_point)
    )


def test_tflite_rounds_twice():
    build = Builder(np.random.default_rng(0), rounding="tflite")
    (layer,) = lowered(build, build.fully_connected(build.input((1, 6)), 3))
    assert layer.rounding is Rounding.DOUBLE
    assert layer.product


def test_bias_wraps():
    bias = np.array([2**31 - 1], np.int32)
    weights = np.full((1, 1, 1, 2), 127, np.int8)
    assert fold_zero_point(bias, weights, -1).tolist() == [-(2**31) + 253]


def test_rows_of_a_product_are_pixels(build):
    (layer,) = lowered(build, build.add(Clamp, build.fully_connected(build.input((4, 6)), 3), (1, 4, 3), True))[:1]
    assert (layer.input_size, layer.output_size, layer.output_channels) == ((1, 4), (1, 4), 3)
    assert not layer.product


def test_groups_share_the_array():
    weights = np.random.default_rng(0).integers(1, 100, (12, 3, 3, 2), dtype=np.int8)
    blocks = blocks_of(weights, 6, CONFIG)
    # Of 8 rows and columns, 4 groups of 2 inputs and 2 outputs take all; the 2 left are a block of their own.
    assert [(one.first_input, one.first_output, one.inputs, one.outputs) for one in blocks] == [
        (0, 0, 8, 8),
        (8, 8, 4, 4),
    ]
    for block in blocks:
        for output in range(block.outputs):
            first = output // 2 * 2
            own = weights[block.first_output + output]
            np.testing.assert_array_equal(block.weights[output, :, :, first : first + 2], own)
            assert np.count_nonzero(block.weights[output]) == own.size


def test_one_group_is_one_block():
    weights = np.ones((20, 3, 3, 30), np.int8)
    (block,) = blocks_of(weights, 1, CONFIG)
    assert block.weights is not weights
    np.testing.assert_array_equal(block.weights, weights)


def test_pool_behind_conv_shares_its_drain(build):
    y = build.conv(build.input((1, 8, 8, 3)), 4, (3, 3))
    y = build.pool(MaxPool2D, y, (3, 2), (2, 2), (1, 0, 0, 1))
    (layer,) = lowered(build, y)
    assert layer.op == "conv+max pool"
    assert layer.window == Window((3, 2), (2, 2), (1, 0))
    assert (layer.sums_size, layer.output_size, layer.target) == ((6, 6), (3, 3), y)


@pytest.mark.parametrize("case", ["output", "reader", "second pool", "limits"])
def test_pool_stays_alone(build, case):
    y = build.conv(build.input((1, 8, 8, 3)), 4, (3, 3))
    limits = {"maximum": 5} if case == "limits" else {}
    pool = build.pool(MaxPool2D, y, (2, 2), (2, 2), **limits)
    outputs = [pool]
    if case == "output":
        outputs.append(y)
    if case == "reader":
        outputs.append(build.conv(y, 2, (1, 1)))
    if case == "second pool":
        outputs = [build.pool(MaxPool2D, pool, (2, 2), (1, 1))]
    layers = lowered(build, *outputs)
    assert [layer.op for layer in layers][:2] == (
        ["conv+max pool", "max pool"] if case == "second pool" else ["conv", "max pool"]
    )


def test_identity_layers_pass_values_on(build):
    x = build.input((1, 4, 4, 20))
    (layer,) = lowered(build, build.add(Clamp, x, (1, 4, 4, 20), True, minimum=-3, maximum=3))
    assert layer.exact
    assert [block.inputs for block in layer.blocks] == [8, 8, 4]
    assert all(np.array_equal(block.weights[:, 0, 0], np.eye(block.inputs)) for block in layer.blocks)


def test_tflite_average_has_its_own_rounding():
    build = Builder(np.random.default_rng(0), rounding="tflite")
    x = build.input((1, 6, 6, 3))
    y = build.pool(AveragePool2D, x, (3, 3), (3, 3), counts_padding=False, rounding="tflite")
    (layer,) = lowered(build, y)
    assert layer.rounding is Rounding.HALF_AWAY
    assert not layer.exact
    assert not layer.bias.any()


def test_averages_over_uncounted_padding_are_refused(build):
    x = build.input((1, 6, 6, 3))
    y = build.pool(AveragePool2D, x, (3, 3), (3, 3), (1, 1, 1, 1), counts_padding=False, rounding="onnx")
    assert refusal(build, y) == (
        "test: AveragePool2D 'averagepool2d0' has windows that reach into padding which is not counted, "
        "supported are whole windows"
    )


def test_uint8_on_the_device_is_refused(build):
    build.inputs.append(build.tensor((1, 4), dtype="uint8"))
    build.tensors["t0"] = type(build.tensors["t0"])("t0", (1, 4), "uint8", 1.0, 3)
    assert "has the activation 't0' of type uint8, supported is int8" in refusal(build, build.fully_connected("t0", 2))


def test_a_pool_that_changes_the_scale_is_refused(build):
    x = build.input((1, 4, 4, 2))
    y = build.add(MaxPool2D, x, (1, 2, 2, 2), window=(2, 2), stride=(2, 2), padding=(0, 0, 0, 0))
    assert "changes the scale, supported is the same scale before and behind" in refusal(build, y)


def test_scales_that_overflow_are_refused(build):
    x = build.input((1, 40000))
    y = build.fully_connected(x, 2)
    operator = build.operators[0]
    build.operators[0] = type(operator)(
        **{**vars(operator), "weight_scales": np.full(2, 1e3, np.float32) * build.tensors[y].scale}
    )
    build.tensors[x] = type(build.tensors[x])(x, (1, 40000), "int8", 1.0, 0)
    assert "has scales that lift sums above 32 bits before they are limited" in refusal(build, y)


def test_requantize_without_a_factor_is_refused(build):
    x = build.input((1, 4))
    scale = float(np.exp(np.random.default_rng(0).uniform(-6, 0, 2)).astype(np.float32)[0])
    build.tensors[x] = type(build.tensors[x])(x, (1, 4), "int8", scale, 0)
    y = build.add(Requantize, x, (1, 4), rounding="onnx")
    build.tensors[y] = type(build.tensors[y])(y, (1, 4), "int8", float(np.float32(scale) * np.float32(2)), 0)
    assert "has scales whose quotient makes ties" in refusal(build, y)
