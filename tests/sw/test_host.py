"""Host steps: exact where the device's bytes depend on them."""

from fractions import Fraction

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from weft.sw import host
from weft.sw.errors import UserError
from weft.sw.softmax import softmax_int8


def onnx_run(operator: str, inputs: list[np.ndarray], output: int) -> np.ndarray:
    """One operator on onnxruntime."""
    names = [f"x{index}" for index in range(len(inputs))]
    ports = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for name, array in zip(names, inputs, strict=True)
    ]
    node = helper.make_node(operator, names, ["y"])
    graph = helper.make_graph([node], "g", ports, [helper.make_tensor_value_info("y", output, inputs[0].shape)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, dict(zip(names, inputs, strict=True)))[0]


def floats(seed: int, scale: np.float32) -> np.ndarray:
    """Random numbers of all sizes, ties of the rounding among them."""
    rng = np.random.default_rng(seed)
    ties = (rng.integers(-600, 600, 500) + 0.5).astype(np.float32) * scale
    wide = rng.standard_normal(500) * 10.0 ** rng.uniform(-20, 20, 500)
    return np.concatenate([ties, wide, rng.uniform(-300, 300, 500) * scale, [0.0, -0.0]]).astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_quantize_equals_onnxruntime(dtype, seed):
    rng = np.random.default_rng(seed)
    scale = np.float32(rng.choice([0.25, 2.0**-7, rng.uniform(1e-3, 1)]))
    limits = np.iinfo(dtype)
    zero_point = int(rng.integers(limits.min, limits.max + 1))
    x = floats(seed, scale)
    expected = onnx_run(
        "QuantizeLinear",
        [x, np.array(scale), np.array(zero_point, dtype)],
        TensorProto.INT8 if dtype == "int8" else TensorProto.UINT8,
    )
    got = host.quantize(x, float(scale), zero_point, dtype)
    assert got.dtype == expected.dtype
    assert (got == expected).all()


def test_quantize_rounds_ties_to_even_and_saturates():
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 1e30, -1e30, np.inf, -np.inf], np.float32)
    assert host.quantize(x, 1.0, 0).tolist() == [0, 2, 2, 0, -2, 127, -128, 127, -128]
    assert host.quantize(x, 1.0, 3, "uint8").tolist() == [3, 5, 5, 3, 1, 255, 0, 255, 0]


def test_quantize_divides_in_float32():
    """Where the quotient that was rounded to float32 is rounded to another integer than the exact one."""
    scale = np.float32(0.1)
    ties = (np.arange(100, dtype=np.float32) + np.float32(0.5)) * scale
    x = np.concatenate([np.nextafter(ties, np.float32(0)), ties, np.nextafter(ties, np.float32(1e9))])
    exact = np.array([round(Fraction(float(value)) / Fraction(float(scale))) for value in x])
    single = np.array([round(Fraction(float(value))) for value in x / scale])
    assert (exact != single).any()
    assert (host.quantize(x, float(scale), 0) == single).all()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32"])
def test_dequantize_equals_onnxruntime(dtype):
    x = np.random.default_rng(1).integers(-100, 100, 400).astype(dtype)
    scale, zero_point = np.array(0.037, np.float32), np.array(0 if dtype == "int32" else 17, dtype)
    expected = onnx_run("DequantizeLinear", [x, scale, zero_point], TensorProto.FLOAT)
    got = host.dequantize(x, float(scale), int(zero_point))
    assert got.dtype == np.float32
    assert (got == expected).all()


def test_offset_binary_moves_levels_by_128_and_back():
    levels = np.arange(256, dtype=np.uint8)
    signed = host.offset_binary(levels)
    assert signed.dtype == np.int8
    assert signed.tolist() == list(range(-128, 128))
    assert host.offset_binary(signed).tolist() == levels.tolist()


def test_layouts_are_each_others_inverse():
    x = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    assert host.nchw_to_nhwc(x)[1, 2, 3, 0] == x[1, 0, 2, 3]
    assert (host.nhwc_to_nchw(host.nchw_to_nhwc(x)) == x).all()


def test_softmax_sums_to_one_and_survives_large_numbers():
    x = np.array([[1000.0, 1000.0, -1000.0], [0.0, np.log(3.0), -200.0]], np.float32)
    got = host.softmax(x, -1)
    assert got.dtype == np.float32
    np.testing.assert_array_max_ulp(got, np.array([[0.5, 0.5, 0], [0.25, 0.75, got[1, 2]]], np.float32), 2)


def test_apply_goes_through_the_steps_in_order():
    x = np.random.default_rng(0).standard_normal((7, 2, 3, 4)).astype(np.float32)
    steps = (("nchw_to_nhwc",), ("quantize", 0.5, 1), ("offset_binary",), ("reshape", (1, 24)))
    expected = host.offset_binary(host.quantize(x.transpose(0, 2, 3, 1), 0.5, 1)).reshape(7, 24)
    assert (host.apply(steps, x) == expected).all()


@pytest.mark.parametrize(
    "step, sentence",
    [
        (("sine",), "('sine',) is not a host step; the steps are quantize, dequantize, offset_binary"),
        ("quantize", "'quantize' is not a host step"),
        ((["quantize"],), "(['quantize'],) is not a host step"),
        (("quantize", 1.0), "the host step quantize takes scale and level and dtype and ties, not (1.0,)"),
        (("softmax", 1, 2), "the host step softmax takes axis, not (1, 2)"),
        (("nchw_to_nhwc", 1), "the host step nchw_to_nhwc takes no parameter, not (1,)"),
        (("quantize", 0.0, 1), "the scale of the host step quantize must be a positive number, not 0.0"),
        (("quantize", float("nan"), 1), "must be a positive number, not nan"),
        (("dequantize", 1.0, True), "the level of the host step dequantize must be a 32-bit integer, not True"),
        (("quantize", 1.0, 0, "int16"), "the dtype of the host step quantize must be int8 or uint8, not 'int16'"),
        (("quantize", 1.0, 128), "the level of the host step quantize must be from -128 to 127 for int8, not 128"),
        (("quantize", 1.0, -1, "uint8"), "must be from 0 to 255 for uint8, not -1"),
        (("reshape", [1, 2]), "must be a tuple of positive integers that starts with 1, not [1, 2]"),
        (("reshape", (2, 2)), "must be a tuple of positive integers that starts with 1, not (2, 2)"),
        (("softmax", 1.0), "the axis of the host step softmax must be an integer, not 1.0"),
    ],
    ids=str,
)
def test_a_step_is_checked(step, sentence):
    with pytest.raises(UserError) as error:
        host.check(step)
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    "step, x, sentence",
    [
        (("quantize", 1.0, 0), np.zeros(3), "quantize takes float32, not float64"),
        (("quantize", 1.0, 0), np.array([np.nan], np.float32), "quantize takes numbers, and the input has NaN"),
        (("dequantize", 1.0, 0), np.zeros(3), "dequantize takes integers, not float64"),
        (("offset_binary",), np.zeros(3), "offset_binary takes int8 or uint8, not float64"),
        (("nchw_to_nhwc",), np.zeros((1, 2)), "nchw_to_nhwc takes 4 dimensions, not 2: the shape is (1, 2)"),
        (("reshape", (1, 5)), np.zeros((2, 4)), "reshape cannot make (1, 5) of a sample of shape (1, 4)"),
        (("softmax", 2), np.zeros((1, 2)), "softmax along axis 2 takes more dimensions than the shape (1, 2) has"),
    ],
    ids=str,
)
def test_an_array_that_does_not_suit_is_named(step, x, sentence):
    host.check(step)
    with pytest.raises(UserError) as error:
        host.apply((step,), x)
    assert str(error.value) == sentence


def test_quantize_sends_ties_where_it_is_told():
    """ONNX rounds to even, TFLite away from zero; what is just below a tie goes down for both."""
    x = np.float32([0.5, 1.5, 2.5, -0.5, -2.5, 0.49999997, -1.4999999])
    assert host.quantize(x, 1.0, 0).tolist() == [0, 2, 2, 0, -2, 0, -1]
    assert host.quantize(x, 1.0, 0, "int8", "away").tolist() == [1, 2, 3, -1, -3, 0, -1]


def test_softmax_int8_is_a_step():
    x = np.array([[-128, 0, 127]], np.int8)
    host.check(("softmax_int8", 0.05, 1.0))
    assert (host.apply([("softmax_int8", 0.05, 1.0)], x) == softmax_int8(x, 0.05, 1.0)).all()
    with pytest.raises(UserError, match="softmax_int8 takes int8, not float32"):
        host.apply([("softmax_int8", 0.05, 1.0)], x.astype(np.float32))
