"""What the tables hold, against the operators that they stand for."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from weft.rtl.isa import Rounding
from weft.sim import golden, golden_operators
from weft.sw.errors import UserError
from weft.sw.graph import ONNX, TFLITE, Add, Subtract, Tensor
from weft.sw.host import elementwise
from weft.sw.host import real as host
from weft.sw.host.elementwise import Level
from weft.sw.lowering.tables import requantized, sum_parameters, sum_tables

VALUES = np.arange(-128, 128, dtype=np.int8)


def tensors(seed, spread=2.0):
    random = np.random.default_rng(seed)
    return [
        Tensor(name, (1, 256), "int8", float(np.float32(np.exp(random.uniform(-spread, spread)))), int(zero))
        for name, zero in zip("aby", random.integers(-128, 128, 3), strict=True)
    ]


def sums(operator, a, b, target):
    """The sum of every value of a and every value of b, as the drain makes it."""
    first, second = sum_tables(operator, a, b, target)
    (multiplier, shift), rounding = sum_parameters(operator, a, b, target)
    assert rounding is (Rounding.NEAREST_EVEN if operator.rounding == ONNX else Rounding.DOUBLE)
    total = first[:, None] + second
    assert total.dtype == np.int32
    return golden.requantize(total, 0, multiplier, shift, rounding, target.zero_point, -128, 127)


def float32_sums(a, b, target, sign=1):
    """The real values of a and of b, and ONNX Runtime's sum of every two of them."""
    real = [host.dequantize(VALUES, tensor.scale, tensor.zero_point) for tensor in (a, b)]
    return real, host.quantize(real[0][:, None] + np.float32(sign) * real[1], target.scale, target.zero_point)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", [Add, Subtract])
def test_tflite_sums(kind, seed):
    a, b, target = tensors(seed)
    function = elementwise.add if kind is Add else elementwise.subtract
    wanted = function(VALUES[:, None], VALUES, tuple(map(Level.of, (a, b, target))))
    np.testing.assert_array_equal(sums(kind("sum", ("a", "b"), "y", rounding=TFLITE), a, b, target), wanted)


@pytest.mark.parametrize("kind, sign, count", [(Add, 1, 4), (Subtract, -1, 5)])
def test_onnx_sums_are_those_of_float32_but_at_ties(kind, sign, count):
    """ONNX Runtime adds in float32 and divides, which rounds twice more: only next to a tie does it show."""
    different = 0
    for seed in range(40):
        a, b, target = tensors(seed)
        found = sums(kind("sum", ("a", "b"), "y", rounding=ONNX), a, b, target)
        levels = tuple(map(Level.of, (a, b, target)))
        np.testing.assert_array_equal(found, golden_operators.add_real(VALUES[:, None], VALUES, levels, sign=sign))
        real, wanted = float32_sums(a, b, target, sign)
        assert np.abs(found.astype(int) - wanted).max() <= 1
        exact = real[0][:, None].astype(np.float64) + sign * real[1].astype(np.float64)
        distance = np.abs(np.abs(exact / np.float64(np.float32(target.scale))) % 1 - 0.5)
        assert np.all(distance[found != wanted] < 1e-4)
        different += int((found != wanted).sum())
    assert different == count


@pytest.mark.parametrize("ratio, share", [((1, 1, 2), 0.068), ((1, 2, 4), 0.037), ((1, 1, 6), 0.029), ((2, 2, 1), 0)])
def test_scales_in_a_simple_ratio_make_ties_that_float32_breaks_in_no_order(ratio, share):
    """Sums that differ, of 2,621,440."""
    different = 0
    for seed in range(40):
        a, b, target = tensors(seed)
        a, b, target = (replace(one, scale=a.scale * part) for one, part in zip((a, b, target), ratio, strict=True))
        _, wanted = float32_sums(a, b, target)
        found = sums(Add("sum", ("a", "b"), "y", rounding=ONNX), a, b, target)
        assert np.abs(found.astype(int) - wanted).max() <= 1
        different += int((found != wanted).sum())
    assert round(different / (40 * 65536), 3) == share


@pytest.mark.parametrize("scales", [*product((0.125, 0.5, 1.0), repeat=3)])
def test_powers_of_two_as_scales_make_no_difference(scales):
    a, b, target = (replace(one, scale=scale) for one, scale in zip(tensors(0), scales, strict=True))
    _, wanted = float32_sums(a, b, target)
    np.testing.assert_array_equal(sums(Add("sum", ("a", "b"), "y", rounding=ONNX), a, b, target), wanted)


def test_ties_of_onnx_sums_go_to_even():
    a, b, target = (Tensor(name, (1, 1), "int8", scale, 0) for name, scale in (("a", 0.25), ("b", 0.25), ("y", 0.5)))
    found = sums(Add("sum", ("a", "b"), "y", rounding=ONNX), a, b, target)
    assert [found[128 + x, 128] for x in (1, 3, 5, -1, -3)] == [0, 2, 2, 0, -2]


def test_sums_too_large_for_fixed_point_are_refused():
    a, b, target = (Tensor(name, (1, 1), "int8", scale, 0) for name, scale in (("a", 1e6), ("b", 1.0), ("y", 1.0)))
    with pytest.raises(UserError, match=r"has scales that lift sums to 1\.28e\+08, supported are sums below 1\.67"):
        sum_tables(Add("sum", ("a", "b"), "y", rounding=ONNX), a, b, target)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("rounding", [ONNX, TFLITE])
def test_requantized(seed, rounding):
    a, _, target = tensors(seed)
    if rounding == ONNX:
        wanted = host.quantize(host.dequantize(VALUES, a.scale, a.zero_point), target.scale, target.zero_point)
    else:
        factor = golden.quantize_multiplier(np.float64(a.scale) / np.float64(target.scale))
        centred = VALUES.astype(np.int32) - a.zero_point
        wanted = golden.requantize(centred, 0, *factor, Rounding.DOUBLE, target.zero_point, -128, 127)
    np.testing.assert_array_equal(requantized(a, target, rounding), wanted)
