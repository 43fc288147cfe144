"""Operators as layers, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.rtl.isa import Rounding
from weft.sim import golden
from weft.sw.compiler.boundary import split
from weft.sw.errors import UserError
from weft.sw.graph import Add, AveragePool2D, Clamp, Constant, Lookup, MaxPool2D, MeanPool2D, Multiply, Requantize
from weft.sw.lowering.layers import Place, Window, block_weights, blocks_of
from weft.sw.lowering.linear import fold_zero_point
from weft.sw.lowering.lower import lower, lower_operator

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


def test_pool_behind_conv_shares_its_drain(build):
    y = build.conv(build.input((1, 8, 8, 3)), 4, (3, 3))
    y = build.pool(MaxPool2D, y, (3, 2), (2, 2), (1, 0, 0, 1))
    (layer,) = lowered(build, y)
    assert layer.op == "conv+max pool"
    assert layer.window == Window((3, 2), (2, 2), (1, 0))
    assert (layer.sums_size, layer.output_size, layer.target) == ((6, 6), (3, 3), y)


@pytest.mark.parametrize("case", ["output", "reader", "second pool"])
def test_pool_stays_alone(build, case):
    y = build.conv(build.input((1, 8, 8, 3)), 4, (3, 3))
    pool = build.pool(MaxPool2D, y, (2, 2), (2, 2))
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


def test_functions_of_single_values_forget_the_shape(build):
    x = build.input((1, 3, 5, 20))
    (layer,) = lowered(build, build.add(Clamp, x, (1, 3, 5, 20), True, minimum=-3, maximum=3))
    assert layer.passes_values
    # 300 values as 50 pixels of 6 channels: none of 7 or 8 divides them.
    assert (layer.input_channels, layer.output_channels, layer.input_size[0] * layer.input_size[1]) == (6, 6, 50)
    assert (layer.minimum, layer.maximum) == (-3, 3)


def test_tflite_average_has_its_own_rounding():
    build = Builder(np.random.default_rng(0), rounding="tflite")
    x = build.input((1, 6, 6, 3))
    y = build.pool(AveragePool2D, x, (3, 3), (3, 3), counts_padding=False, rounding="tflite")
    (layer,) = lowered(build, y)
    assert layer.rounding is Rounding.HALF_AWAY
    assert not layer.passes_values
    assert not layer.bias.any()


def test_averages_over_uncounted_padding_have_an_area_per_count(build):
    x = build.input((1, 6, 6, 3))
    y = build.pool(AveragePool2D, x, (3, 3), (2, 2), (1, 1, 1, 1), counts_padding=False, rounding="onnx")
    layers = lowered(build, y)
    # The first row and column have two cells of three; the last window ends with the image.
    assert [(layer.place.origin, layer.output_size) for layer in layers] == [
        ((0, 0), (1, 1)),
        ((0, 1), (1, 2)),
        ((1, 0), (2, 1)),
        ((1, 1), (2, 2)),
    ]
    assert {layer.place.size for layer in layers} == {(3, 3)}
    assert [layer.before for layer in layers] == [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    assert not any(layer.whole for layer in layers)
    small, *_, large = (layer.multiplier[0] * 2.0 ** (layer.shift[0] - 31) for layer in layers)
    assert small / large == pytest.approx(9 / 4)


def test_counted_padding_makes_one_area(build):
    x = build.input((1, 6, 6, 3))
    y = build.pool(AveragePool2D, x, (3, 3), (2, 2), (1, 1, 1, 1), counts_padding=True, rounding="onnx")
    (layer,) = lowered(build, y)
    assert layer.whole
    assert layer.before == (1, 1)


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


DEPTHWISE = CONFIG.replace(depthwise=True, tables=True)


def test_several_outputs_per_channel_are_copied_first(build):
    y = build.conv(build.input((1, 9, 9, 8)), 16, (3, 3), groups=8)
    copy, layer = lowered(build, y, config=DEPTHWISE)
    assert (copy.op, copy.input_channels, copy.output_channels, copy.groups) == ("copy", 8, 16, 8)
    assert (layer.sources, layer.input_channels, layer.groups) == ((copy.target,), 16, 16)
    assert [one.op for one in lowered(build, y)] == ["depthwise conv"]


def test_one_channel_with_several_outputs_is_dense(build):
    (layer,) = lowered(build, build.conv(build.input((1, 9, 9, 1)), 8, (3, 3), groups=1), config=DEPTHWISE)
    assert layer.op == "conv"


def test_a_sum_has_a_table_per_operand(build):
    a, b = build.input((1, 4, 4, 6)), build.input((1, 4, 4, 6))
    target = build.tensor((1, 4, 4, 6))
    build.operators.append(Add("add", (a, b), target, minimum=-100))
    (layer,) = lowered(build, target, config=DEPTHWISE)
    assert (layer.op, layer.sources, layer.operands, layer.rounding) == ("add", (a, b), 2, Rounding.DOUBLE)
    assert layer.sum_tables.shape == (2, 256)
    # Value x is at x + 128, and the zero point adds nothing.
    assert layer.sum_tables[0, build.tensors[a].zero_point + 128] == 0
    assert (layer.zero_point, layer.minimum) == (build.tensors[target].zero_point, -100)


def test_sums_take_tables(build):
    a, b, target = build.input((1, 4)), build.input((1, 4)), build.tensor((1, 4))
    build.operators.append(Add("add", (a, b), target))
    assert refusal(build, target) == (
        "test: Add 'add' takes look-up tables, which the configuration does not have (tables = false)"
    )


def table(random):
    return random.integers(-128, 128, 256, dtype=np.int8)


def test_a_table_behind_a_conv_shares_its_drain(build):
    y = build.conv(build.input((1, 8, 8, 3)), 4, (3, 3))
    values = table(build.random)
    (layer,) = lowered(build, build.add(Lookup, y, (1, 6, 6, 4), table=values), config=DEPTHWISE)
    assert layer.op == "conv+lookup"
    np.testing.assert_array_equal(layer.result_table, values)


def test_tables_behind_each_other_are_one(build):
    x = build.input((1, 30))
    first, second = table(build.random), table(build.random)
    y = build.add(Lookup, build.add(Lookup, x, (1, 30), table=first), (1, 30), table=second)
    (layer,) = lowered(build, y, config=DEPTHWISE)
    np.testing.assert_array_equal(layer.result_table, second[first.astype(int) + 128])


@pytest.mark.parametrize("rises", [True, False])
def test_a_pool_behind_a_table_shares_the_drain_only_if_the_table_rises(build, rises):
    values = np.sort(table(build.random))
    y = build.conv(build.input((1, 8, 8, 3)), 4, (3, 3))
    y = build.add(Lookup, y, (1, 6, 6, 4), table=values if rises else values[::-1])
    y = build.pool(MaxPool2D, y, (2, 2), (2, 2))
    ops = [layer.op for layer in lowered(build, y, config=DEPTHWISE)]
    assert ops == (["conv+lookup+max pool"] if rises else ["conv+lookup", "max pool"])


def test_a_pool_that_changes_the_scale_is_a_table_behind_it(build):
    """Two roundings: to the scale of the pool, and then to the other one."""
    y = build.pool(MaxPool2D, build.conv(build.input((1, 8, 8, 3)), 4, (3, 3)), (2, 2), (2, 2))
    z = build.add(Requantize, y, build.tensors[y].shape, rounding="onnx")
    (layer,) = lowered(build, z, config=DEPTHWISE)
    assert layer.op == "conv+max pool+requantize"
    assert layer.zero_point == build.tensors[y].zero_point
    assert layer.result_table is not None


def test_results_that_others_read_are_kept(build):
    y = build.conv(build.input((1, 8, 8, 3)), 4, (3, 3))
    z = build.add(Lookup, y, (1, 6, 6, 4), table=table(build.random))
    assert [layer.op for layer in lowered(build, y, z, config=DEPTHWISE)] == ["conv", "lookup"]


def test_a_mean_of_values_is_one_depthwise_layer(build):
    x = build.input((1, 5, 7, 12))
    y = build.add(
        MeanPool2D, x, (1, 1, 1, 12), window=(5, 7), stride=(5, 7), padding=(0, 0, 0, 0), multiplier=1 << 30, shift=-4
    )
    (layer,) = lowered(build, y, config=DEPTHWISE)
    assert (layer.op, layer.groups, layer.rounding) == ("mean", 12, Rounding.DOUBLE)
    assert layer.bias.tolist() == [-35 * build.tensors[x].zero_point] * 12


def test_groups_in_blocks():
    build = Builder(np.random.default_rng(0))
    (layer,) = lowered(build, build.conv(build.input((1, 5, 5, 12)), 12, (3, 3), groups=6))
    blocks = blocks_of(layer, 4)
    assert [(one.first_input, one.first_output, one.inputs, one.outputs) for one in blocks] == [
        (0, 0, 8, 8),
        (8, 8, 4, 4),
    ]
    for block in blocks:
        dense = block_weights(layer, block)
        for output in range(block.outputs):
            first = output // 2 * 2
            own = layer.weights[block.first_output + output]
            np.testing.assert_array_equal(dense[output, :, :, first : first + 2], own)
            assert np.count_nonzero(dense[output]) == np.count_nonzero(own)


def test_results_fill_their_target(build):
    (layer,) = lowered(build, build.conv(build.input((1, 7, 9, 3)), 5, (3, 3)))
    assert layer.place == Place((5, 7), 5)
    assert (layer.target_bytes, layer.input_bytes) == (5 * 7 * 5, 7 * 9 * 3)


def test_an_operator_by_itself_has_the_reason_as_its_sentence(build):
    a, b, target = build.input((1, 4)), build.input((1, 4)), build.tensor((1, 4))
    build.operators.append(Multiply("product", (a, b), target))
    graph = build.graph(target)
    with pytest.raises(UserError) as error:
        lower_operator(graph.operators[0], graph, DEPTHWISE.replace(tables=False))
    assert str(error.value) == "takes look-up tables, which the configuration does not have (tables = false)"


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_other_types_are_refused(build, dtype):
    x = build.tensor((1, 4), dtype=dtype)
    build.inputs.append(x)
    y = build.add(Clamp, x, (1, 4))
    assert f"has the activation {x!r} of type {dtype}, supported is int8" in refusal(build, y)


def constant(build, values):
    name = build.tensor(values.shape)
    build.operators.append(Constant(f"constant{len(build.operators)}", (), name, value=values))
    return name


def plus(build, a, b):
    target = build.tensor(np.broadcast_shapes(build.tensors[a].shape, build.tensors[b].shape))
    build.operators.append(Add(f"add{len(build.operators)}", (a, b), target))
    return target


def test_a_constant_is_no_layer_where_its_reader_holds_it(build):
    c = constant(build, np.arange(5, dtype=np.int8))
    (layer,) = lowered(build, plus(build, build.input((1, 3, 3, 5)), c), config=DEPTHWISE)
    assert layer.op == "add"
    assert layer.operands == 1


def test_a_constant_of_many_values_is_for_the_host(build):
    c = constant(build, build.random.integers(-128, 128, (1, 30, 20), dtype=np.int8))
    y = plus(build, build.input((1, 30, 20)), c)
    graph = build.graph(y)
    sentence = "has more values than the layers of 'add1' hold, so that the host sends them"
    with pytest.raises(UserError) as error:
        lower_operator(graph.operators[0], graph, DEPTHWISE)
    assert str(error.value) == sentence
    assert lower_operator(graph.operators[0], graph, DEPTHWISE.replace(parameter_channels=600)) == []
    # It is an input of the device then, and the sum one of two tensors.
    (layer,) = lower_operator(graph.operators[1], graph, DEPTHWISE)
    assert layer.sources == graph.operators[1].inputs


def test_a_constant_that_is_an_output_is_for_the_host(build):
    c = constant(build, np.zeros((1, 3), np.int8))
    graph = build.graph(plus(build, build.input((1, 3)), c), c)
    with pytest.raises(UserError, match="is an output that is known beforehand"):
        lower_operator(graph.operators[0], graph, DEPTHWISE)


@pytest.mark.parametrize("end", ["input", "output"])
def test_what_lies_between_two_layers_has_a_name_of_its_own(build, end):
    """Operators and tensors may have any names."""
    names = {"input": build.input((1, 9, 9, 8))}
    names["output"] = build.conv(names["input"], 16, (3, 3), groups=8)
    old, names[end] = names[end], "a.copies"
    build.tensors["a.copies"] = replace(build.tensors.pop(old), name="a.copies")
    build.operators[0] = replace(build.operators[0], name="a", inputs=(names["input"],), output=names["output"])
    build.inputs[0] = names["input"]
    copy, layer = lowered(build, names["output"], config=DEPTHWISE)
    assert (copy.sources, copy.target) == ((names["input"],), "a'.copies")
    assert (layer.sources, layer.target) == (("a'.copies",), names["output"])
