"""Real numbers on the host: exact where the device's bytes depend on them."""

from fractions import Fraction

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from weft.sw.errors import UserError
from weft.sw.host import real as host


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


def test_softmax_sums_to_one_and_survives_large_numbers():
    x = np.array([[1000.0, 1000.0, -1000.0], [0.0, np.log(3.0), -200.0]], np.float32)
    got = host.softmax(x, -1)
    assert got.dtype == np.float32
    np.testing.assert_array_max_ulp(got, np.array([[0.5, 0.5, 0], [0.25, 0.75, got[1, 2]]], np.float32), 2)


@pytest.mark.parametrize(
    "function, values, x, sentence",
    [
        (host.quantize, (1.0, 0), np.zeros(3), "quantize takes float32, not float64"),
        (host.quantize, (1.0, 0), np.array([np.nan], np.float32), "quantize takes numbers, and the input has NaN"),
        (host.dequantize, (1.0, 0), np.zeros(3), "dequantize takes integers, not float64"),
        (host.offset_binary, (), np.zeros(3), "offset_binary takes int8 or uint8, not float64"),
        (host.softmax, (2,), np.zeros((1, 2)), "softmax along axis 2 takes more dimensions than the shape (1, 2) has"),
    ],
    ids=lambda one: getattr(one, "__name__", str(one)),
)
def test_an_array_that_does_not_suit_is_named(function, values, x, sentence):
    with pytest.raises(UserError) as error:
        function(x, *values)
    assert str(error.value) == sentence


def test_quantize_sends_ties_where_it_is_told():
    """ONNX rounds to even, TFLite away from zero; what is just below a tie goes down for both."""
    x = np.float32([0.5, 1.5, 2.5, -0.5, -2.5, 0.49999997, -1.4999999])
    assert host.quantize(x, 1.0, 0).tolist() == [0, 2, 2, 0, -2, 0, -1]
    assert host.quantize(x, 1.0, 0, "int8", "away").tolist() == [1, 2, 3, -1, -3, 0, -1]
