"""Functions of single values, and of two activations, read from ONNX: values by the golden model against ONNX
Runtime's."""

import numpy as np
import pytest
from weft.sw.graph import Add, Clamp, Lookup, Multiply, OnnxNode, Requantize, Subtract
from weft.sw.onnx.functions import UNARY
from weft.sw.onnx.reader import read_onnx

from tests.sw.networks import evaluate
from tests.sw.onnx_models import Model, check, run_onnxruntime

SHAPE = (1, 3, 4, 5)


def kinds(model):
    """Of the operators that compute."""
    some = (Add, Subtract, Multiply, Clamp, Lookup, Requantize, OnnxNode)
    return [type(one) for one in read_onnx(model).operators if isinstance(one, some)]


FUNCTIONS = {
    "Sigmoid": {},
    "Tanh": {},
    "LeakyRelu": {"alpha": 0.2},
    "Elu": {"alpha": 1.5},
    "HardSigmoid": {"alpha": 0.2, "beta": 0.4},
    "HardSwish": {},
    "Softplus": {},
    "Abs": {},
    "Neg": {},
    "Exp": {},
    "Floor": {},
    "Erf": {},
    "Mish": {},
    "Celu": {"alpha": 2.0},
    "Selu": {},
    "Softsign": {},
    "ThresholdedRelu": {"alpha": 0.7},
}


@pytest.mark.parametrize("operator", FUNCTIONS)
def test_a_function_is_a_table(operator):
    assert operator in UNARY
    m = Model()
    m.output(m.pair(m.node(operator, [m.pair(m.input(SHAPE))], **FUNCTIONS[operator]), 0.031, -5))
    model = m.make(opset=18)
    check(model, SHAPE)
    assert kinds(model) == [Lookup]


CONSTANTS = {"Add": 0.73, "Sub": -1.1, "Mul": 1.7, "Div": 3.0, "Pow": 2.0, "Max": 0.3, "Min": 0.4}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("operator", CONSTANTS)
def test_one_constant_makes_a_function(operator, first):
    m = Model()
    x, c = m.pair(m.input(SHAPE)), m.constant(np.float32(CONSTANTS[operator]))
    m.output(m.pair(m.node(operator, [c, x] if first else [x, c]), 0.033, -5))
    model = m.make()
    check(model, SHAPE)
    assert len(kinds(model)) == 1
    assert OnnxNode not in kinds(model)


def test_constants_per_channel_make_tables_per_channel():
    m = Model()
    x = m.pair(m.input(SHAPE))
    y = m.node("Mul", [x, m.constant(np.array([0.5, 2, -1], np.float32).reshape(3, 1, 1))])
    y = m.node("PRelu", [y, m.constant(np.array([0.1, 0.2, 0.3], np.float32).reshape(3, 1, 1))])
    m.output(m.pair(y, 0.033, -5))
    graph = read_onnx(m.make())
    check(m.make(), SHAPE)
    (table,) = (one for one in graph.operators if isinstance(one, Lookup))
    assert table.table.shape == (3, 256)


def test_batch_normalization_is_tables_per_channel():
    m = Model()
    values = [m.constant(m.random.uniform(0.5, 2, 3).astype(np.float32)) for _ in range(4)]
    m.output(m.pair(m.node("BatchNormalization", [m.pair(m.input(SHAPE)), *values]), 0.071))
    model = m.make()
    check(model, SHAPE)
    assert kinds(model) == [Lookup]


def test_functions_of_one_activation_are_one_table():
    """SiLU, as exporters write it, and half of it."""
    m = Model()
    x = m.pair(m.input(SHAPE))
    y = m.node("Mul", [x, m.node("Sigmoid", [x])])
    y = m.node("Mul", [y, m.constant(np.float32(0.5))])
    m.output(m.pair(y, 0.02, -60))
    model = m.make()
    check(model, SHAPE)
    assert kinds(model) == [Lookup]


@pytest.mark.parametrize("low, high", [(0.0, 6.0), (-1.0, 1.0), (2.0, -2.0)])
def test_limits(low, high):
    m = Model()
    y = m.node("Clip", [m.pair(m.input(SHAPE)), *(m.constant(np.float32(limit)) for limit in (low, high))])
    m.output(m.pair(y, 0.05, 3))
    model = m.make()
    check(model, SHAPE)
    assert kinds(model) == [Clamp]


def test_positive_part_needs_no_scale_of_its_own():
    m = Model()
    y = m.node("Relu", [m.pair(m.input(SHAPE))])
    m.output(m.pair(m.node("Conv", [y, m.weights((2, 3, 2, 2))]), 0.02))
    model = m.make()
    check(model, SHAPE)
    assert kinds(model) == [Clamp]


def test_limits_of_integers():
    m = Model()
    x = m.quantize(m.input(SHAPE), 0.05, 120, np.uint8)
    y = m.node("Clip", [x, m.constant(np.uint8(100)), m.constant(np.uint8(150))])
    m.output(m.dequantize(y, 0.05, 120, np.uint8))
    model = m.make()
    check(model, SHAPE)
    assert kinds(model) == [Clamp]


@pytest.mark.parametrize("shape", [SHAPE, (1, 3, 1, 1), (5,), (1, 1, 4, 5), (3, 1, 5)], ids=str)
@pytest.mark.parametrize("operator, kind", [("Add", Add), ("Sub", Subtract), ("Mul", Multiply)])
@pytest.mark.parametrize("swapped", [False, True])
def test_two_activations(operator, kind, shape, swapped):
    m = Model()
    a, b = (
        m.pair(m.input(SHAPE, name="a"), 0.049),
        m.pair(m.input((1, *shape[-3:]) if len(shape) < 4 else shape, name="b"), 0.0371, -7),
    )
    if len(shape) < 4:
        b = m.node("Reshape", [b, m.constant(np.array(shape))])
    m.output(m.pair(m.node(operator, [b, a] if swapped else [a, b]), 0.0977 if operator != "Mul" else 0.11))
    model = m.make()
    random = np.random.default_rng(1)
    inputs = [
        random.uniform(-5, 5, [dim.dim_value for dim in one.type.tensor_type.shape.dim]).astype(np.float32)
        for one in model.graph.input
    ]
    found, wanted = evaluate(read_onnx(model), *inputs), run_onnxruntime(model, *inputs)
    np.testing.assert_array_equal(found[0], wanted[0])
    assert kind in kinds(model)


def test_a_quantized_constant_of_full_size_is_an_operand():
    m = Model()
    w = m.weights(SHAPE, per_channel=False)
    m.output(m.pair(m.node("Add", [m.pair(m.input(SHAPE)), w]), 0.049))
    model = m.make()
    check(model, SHAPE)
    assert kinds(model) == [Add]


def test_the_sum_of_an_activation_with_itself_is_a_table():
    m = Model()
    x = m.pair(m.input(SHAPE))
    m.output(m.pair(m.node("Add", [x, x]), 0.1))
    model = m.make()
    check(model, SHAPE)
    assert kinds(model) in ([Lookup], [Requantize])


def test_a_quotient_of_two_activations_is_for_the_host():
    m = Model()
    a = m.pair(m.input(SHAPE))
    b = m.pair(m.node("Sigmoid", [a]), 0.004, -128)
    m.output(m.pair(m.node("Div", [a, m.node("Add", [b, m.constant(np.float32(1))])]), 0.05))
    model = m.make()
    check(model, SHAPE)
    assert OnnxNode in kinds(model)
