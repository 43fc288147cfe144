"""Sums, differences and products as layers; that they are exact, test_lower_operators tests."""

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.rtl.isa import Rounding
from weft.sim.golden_graph import run_graph
from weft.sw.errors import UserError
from weft.sw.graph import ONNX, TFLITE, Add, Constant, Graph, Multiply, Reshape, Subtract, Tensor
from weft.sw.host import real as host
from weft.sw.lowering.binary import binary, broadcast, known

CONFIG = Config(rows=4, cols=4, depthwise=True, tables=True)
VALUES = np.arange(-128, 128).astype(np.int8)


def lowered(kind, a, b, shape, constants=(), config=CONFIG, **values):
    """Of tensors `a` and `b`, some of which are constants."""
    tensors = {
        "a": Tensor("a", a, "int8", 0.1, 3),
        "b": Tensor("b", b, "int8", 0.02, -100),
        "y": Tensor("y", shape, "int8", 0.07, -5),
    }
    operator = kind("op", ("a", "b"), "y", **values)
    known = [Constant(name, (), name, value=value) for name, value in constants]
    graph = Graph("test", tensors, (*known, operator), (), ("y",))
    return graph, binary(operator, tensors["a"], tensors["b"], tensors["y"], graph, config)


def test_a_sum_of_two_looks_up_both():
    graph, (layer,) = lowered(Add, (1, 4, 6, 3), (1, 4, 6, 3), (1, 4, 6, 3), rounding=TFLITE, maximum=9)
    assert (layer.sources, layer.operands, layer.sum_tables.shape) == (("a", "b"), 2, (2, 256))
    assert (layer.rounding, layer.maximum, layer.zero_point) == (Rounding.DOUBLE, 9, graph.tensors["y"].zero_point)


@pytest.mark.parametrize("kind", [Add, Subtract, Multiply])
@pytest.mark.parametrize("rounding", [ONNX, TFLITE])
def test_one_number_makes_a_table(kind, rounding):
    number = np.array([77], np.int8)
    for constant, other in ("ab", "ba"):
        shapes = {constant: (1,), other: (1, 256)}
        graph, (layer,) = lowered(kind, shapes["a"], shapes["b"], (1, 256), [(constant, number)], rounding=rounding)
        (wanted,) = run_graph(Graph("test", graph.tensors, graph.operators, (other,), ("y",)), [VALUES[None]])
        np.testing.assert_array_equal(layer.result_table, wanted[0])
        assert (layer.source, layer.operands) == (other, 1)


def test_a_number_for_each_channel_is_a_bias_behind_the_table():
    value = np.array([5, -7, 99], np.int8)
    _, (layer,) = lowered(Subtract, (1, 4, 6, 3), (3,), (1, 4, 6, 3), [("b", value)])
    assert (layer.source, layer.operands, layer.output_channels % 3) == ("a", 1, 0)
    assert len(np.unique(layer.bias)) == 3
    assert layer.sum_tables[0, 3 + 128] == 0
    assert not layer.sum_tables[1].any()


def test_a_factor_for_each_channel_is_a_weight():
    value = np.array([5, -7, 27], np.int8)
    _, (layer,) = lowered(Multiply, (1, 4, 6, 3), (3,), (1, 4, 6, 3), [("b", value)])
    assert layer.weights[:3].reshape(-1).tolist() == [105, 93, 127]
    assert layer.bias[:3].tolist() == [-3 * 105, -3 * 93, -3 * 127]
    assert layer.macs == 72


def test_large_factors_are_the_sum_of_two_weights():
    value = np.array([127, -128], np.int8)
    _, (copies, layer) = lowered(Multiply, (1, 4, 6, 2), (2,), (1, 4, 6, 2), [("b", value)])
    assert layer.source == copies.target
    assert layer.weights.astype(int).sum(axis=-1).reshape(-1)[:2].tolist() == [227, -28]


def test_products_with_constants_take_no_tables():
    config = CONFIG.replace(tables=False)
    _, (layer,) = lowered(Multiply, (1, 8), (1,), (1, 8), [("b", np.array([20], np.int8))], config)
    assert layer.result_table is None
    assert set(layer.weights.reshape(-1)) == {120}
    with pytest.raises(UserError, match="takes look-up tables"):
        lowered(Add, (1, 8), (1, 8), (1, 8), [("b", np.arange(8, dtype=np.int8)[None])], config)


def test_a_product_of_two_looks_up_both_factors():
    _, (layer,) = lowered(Multiply, (1, 4, 6, 3), (1, 4, 6, 3), (1, 4, 6, 3), rounding=ONNX, minimum=-9)
    assert (layer.sources, layer.operands, layer.multiplies, layer.macs) == (("a", "b"), 2, True, 72)
    assert layer.sum_tables.tolist() == [(np.arange(-128, 128) - zero_point).tolist() for zero_point in (3, -100)]
    assert (layer.rounding, layer.minimum, layer.zero_point) == (Rounding.NEAREST_EVEN, -9, -5)
    assert not layer.bias.any()


def test_onnx_products_are_those_of_float32_but_at_ties():
    """ONNX Runtime rounds each factor, the product and the quotient to float32; the drain rounds once. Products that
    differ, of 2,621,440 of every value and every value."""
    different = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        scales = np.exp(random.uniform(-7, -2, 3)).astype(np.float32)
        scales[2] = scales[0] * scales[1] * np.exp(random.uniform(1, 6))
        zeros = random.integers(-128, 128, 3).tolist()
        a, b, target = (
            Tensor(name, (1, 256, 256), "int8", float(scale), zero)
            for name, scale, zero in zip("aby", scales, zeros, strict=True)
        )
        operator = Multiply("product", ("a", "b"), "y", rounding=ONNX)
        graph = Graph("test", {"a": a, "b": b, "y": target}, (operator,), ("a", "b"), ("y",))
        grid = np.broadcast_to(VALUES[:, None], (256, 256)), np.broadcast_to(VALUES, (256, 256))
        found = run_graph(graph, [one[None] for one in grid])[0].reshape(256, 256)
        real = [host.dequantize(one, tensor.scale, tensor.zero_point) for one, tensor in zip(grid, (a, b), strict=True)]
        wanted = host.quantize(real[0] * real[1], target.scale, target.zero_point)
        assert np.abs(found.astype(int) - wanted).max() <= 1
        different += int((found != wanted).sum())
    assert different == 19


def test_a_product_with_many_numbers_takes_them_as_activations():
    config = CONFIG.replace(parameter_channels=4)
    _, (layer,) = lowered(Multiply, (1, 8), (1, 8), (1, 8), [("b", np.arange(8, dtype=np.int8)[None])], config)
    assert (layer.sources, layer.multiplies) == (("a", "b"), True)


def test_scales_that_lift_products_too_far_are_refused():
    tensors = {name: Tensor(name, (2,), "int8", 1.0, 0) for name in "ab"} | {"y": Tensor("y", (2,), "int8", 1e-8, 0)}
    constant = Constant("b", (), "b", value=np.array([3, 4], np.int8))
    operator = Multiply("op", ("a", "b"), "y", rounding=ONNX)
    for operators in ((constant, operator), (operator,)):
        graph = Graph("test", tensors, operators, ("a", "b")[: 3 - len(operators)], ("y",))
        with pytest.raises(UserError, match="has scales that lift sums above 32 bits before they are limited"):
            binary(operator, *tensors.values(), graph, CONFIG)


def test_a_tensor_with_itself_is_a_table():
    tensors = {name: Tensor(name, (1, 256), "int8", 0.1, 3) for name in "xyz"}
    operators = (Reshape("z", ("x",), "z"), Multiply("op", ("x", "z"), "y"))
    graph = Graph("test", tensors, operators, ("x",), ("y",))
    (layer,) = binary(operators[1], tensors["x"], tensors["z"], tensors["y"], graph, CONFIG)
    np.testing.assert_array_equal(layer.result_table, run_graph(graph, [VALUES[None]])[0][0])


def test_numbers_repeat_as_they_are_broadcast():
    value = np.array([[5], [6]], np.int8)
    graph, _ = lowered(Add, (2, 3), (2, 1), (2, 3), [("b", value)])
    assert known(graph, "b", graph.tensors["y"], CONFIG).tolist() == [5, 5, 5, 6, 6, 6]
    assert known(graph, "b", graph.tensors["y"], CONFIG.replace(parameter_channels=4)) is None
    assert known(graph, "a", graph.tensors["y"], CONFIG) is None


def test_other_shapes_are_broadcast_first():
    _, (copies, layer) = lowered(Add, (1, 1, 1, 3), (1, 4, 6, 3), (1, 4, 6, 3))
    assert (copies.source, copies.stride, copies.target_bytes) == ("a", (0, 0), 72)
    assert layer.sources == (copies.target, "b")


@pytest.mark.parametrize(
    "shape, image, stride, output",
    [
        ((1, 1, 1, 5), (1, 1, 5), (0, 0), (30, 1, 5)),
        ((5,), (1, 1, 5), (0, 0), (30, 1, 5)),
        ((1, 5, 1, 5), (5, 1, 5), (1, 0), (5, 6, 5)),
        ((1, 1, 6, 1), (1, 6, 1), (0, 1), (5, 6, 5)),
        ((1, 5, 1, 1), (5, 1, 1), (1, 0), (5, 2, 15)),
        ((1, 5, 6, 1), (30, 1, 1), (1, 0), (30, 1, 5)),
        ((1,), (1, 1, 1), (0, 0), (2, 1, 75)),
    ],
)
def test_repeating_takes_no_steps(shape, image, stride, output):
    layer = broadcast("z", Tensor("x", shape, "int8"), (1, 5, 6, 5), CONFIG)
    assert (*layer.input_size, layer.input_channels) == image
    assert (*layer.output_size, layer.output_channels) == output
    assert layer.stride == stride


def test_axes_by_turns_are_refused():
    with pytest.raises(UserError, match="repeats its input along 4 axes by turns, supported are up to 3"):
        broadcast("z", Tensor("x", (2, 1, 2, 1), "int8"), (2, 3, 2, 3), CONFIG)
