"""What the tables hold, put together as the drain does, equals the operator on every pair of values."""

import numpy as np
import pytest
from weft.rtl.isa import Rounding
from weft.sim.golden import requantize
from weft.sw import elementwise
from weft.sw.elementwise import Level
from weft.sw.errors import UserError
from weft.sw.graph import ONNX, TFLITE, Add, Subtract, Tensor
from weft.sw.tables import VALUES, requantized, sum_parameters, sum_tables

SCALES = [(0.02, 0.03, 0.04), (0.5, 0.001, 0.3), (0.0071, 0.0071, 0.0071)]


def tensors(scales, seed):
    points = np.random.default_rng(seed).integers(-128, 128, 3).tolist()
    return [
        Tensor(name, (1, 4), "int8", float(np.float32(s)), z) for name, s, z in zip("abc", scales, points, strict=True)
    ]


def results(operator, a, b, target):
    """All 65,536 pairs."""
    tables = sum_tables(operator, a, b, target).astype(np.int64)
    sums = tables[0][:, None] + tables[1][None, :]
    assert np.abs(sums).max() < 1 << 31
    (multiplier, shift), rounding = sum_parameters(operator, a, b, target)
    return requantize(
        sums.astype(np.int32), 0, multiplier, shift, Rounding(rounding), target.zero_point, -128, 127
    ).astype(np.int64)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scales", SCALES)
@pytest.mark.parametrize("kind, reference", [(Add, elementwise.add), (Subtract, elementwise.subtract)])
def test_tflite_sums_are_exact(kind, reference, scales, seed):
    a, b, target = tensors(scales, seed)
    operator = kind("sum", ("a", "b"), "c", rounding=TFLITE)
    x, y = np.meshgrid(VALUES.astype(np.int8), VALUES.astype(np.int8), indexing="ij")
    expected = reference(x, y, (Level.of(a), Level.of(b), Level.of(target)))
    np.testing.assert_array_equal(results(operator, a, b, target), expected)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scales", [(0.0213, 0.0347, 0.0419), (0.5, 0.001, 0.3), (0.0071, 0.0071, 0.0071)])
def test_onnx_sums_round_the_real_sum(scales, seed):
    """Within one step of float32's own rounding, and equal in more than 999 of 1,000 pairs; scales in a simple ratio,
    as 1/2 and 3/4, would make ties that float32 breaks by its own errors."""
    a, b, target = tensors(scales, seed)
    operator = Add("sum", ("a", "b"), "c", rounding=ONNX)
    real = [(np.float32(VALUES - one.zero_point) * np.float32(one.scale)) for one in (a, b)]
    sums = (real[0][:, None] + real[1][None, :]) / np.float32(target.scale)
    expected = np.clip(np.rint(sums).astype(np.int64) + target.zero_point, -128, 127)
    difference = np.abs(results(operator, a, b, target) - expected)
    assert difference.max() <= 1
    assert (difference == 0).mean() > 0.999


@pytest.mark.parametrize("rounding", [ONNX, TFLITE])
def test_the_same_scale_requantizes_to_itself(rounding):
    a, _, _ = tensors(SCALES[0], 1)
    np.testing.assert_array_equal(requantized(a, a, rounding), VALUES)


def test_sums_that_cannot_be_held_are_refused():
    a, b, target = tensors((1.0, 1.0, 1e-6), 0)
    with pytest.raises(UserError, match="has scales that lift sums to"):
        sum_tables(Add("sum", ("a", "b"), "c", rounding=ONNX), a, b, target)
