"""Tables of functions; tests/sw/test_tflite_reference.py has the reference kernels' answers for most."""

import math

import numpy as np
import pytest
from weft.sw.host.elementwise import Level
from weft.sw.tflite import tables

SOURCE, RESULT = Level(float(np.float32(0.043)), -17), Level(float(np.float32(0.031)), 5)

FUNCTIONS = {
    "logistic": (tables.logistic, lambda x: 1 / (1 + math.exp(-x))),
    "tanh": (tables.tanh, math.tanh),
    "elu": (tables.elu, lambda x: x if x >= 0 else math.expm1(x)),
    "exp": (tables.exp, math.exp),
    "log": (tables.log, lambda x: math.log(x) if x > 0 else -math.inf),
    "gelu": (tables.gelu, lambda x: x * 0.5 * math.erfc(-x / math.sqrt(2))),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_table_has_the_nearest_integers(name):
    function, real = FUNCTIONS[name]
    exact = [real((x - SOURCE.zero_point) * SOURCE.scale) / RESULT.scale + RESULT.zero_point for x in range(-128, 128)]
    wanted = [int(min(max(math.floor(value + 0.5) if value > -1e9 else -128, -128), 127)) for value in exact]
    clear = [not math.isfinite(value) or abs(value % 1 - 0.5) > 1e-4 for value in exact]
    found = tables.of_function(function, SOURCE, RESULT)
    assert found.dtype == np.int8
    assert [one for one, sure in zip(found.tolist(), clear, strict=True) if sure] == [
        one for one, sure in zip(wanted, clear, strict=True) if sure
    ]
    assert sum(clear) > 250
    assert len(set(wanted)) > 20


def test_elu_of_the_reference_kernel():
    """Recorded from LiteRT 2.3.0, input -128 to 127 in steps of 15."""
    table = tables.of_function(tables.elu, Level(float(np.float32(0.02)), 10), Level(float(np.float32(0.0125)), -20))
    assert table[::15].tolist() == [-95, -93, -91, -88, -83, -77, -69, -59, -44, -25, -1, 23, 47, 71, 95, 119, 127, 127]


def test_round_half_away():
    assert tables.round_half_away(np.array([0.5, -0.5, 1.5, -2.5, 0.49999997], np.float32)).tolist() == [
        1,
        -1,
        2,
        -3,
        0,
    ]


@pytest.mark.parametrize(
    "activation, wanted", [(0, (-128, 127)), (1, (5, 127)), (2, (-27, 37)), (3, (5, 127)), (-1, (5, 37))]
)
def test_limits_of_fused_activations(activation, wanted):
    assert tables.limits(activation, RESULT) == wanted


def test_relu6_with_a_coarse_scale_has_an_upper_limit():
    assert tables.limits(3, Level(0.1, -100)) == (-100, -40)


def test_other_fused_activations_are_unknown():
    with pytest.raises(KeyError):
        tables.limits(4, RESULT)


def test_leaky_relu_of_slope_one_is_a_requantization():
    assert np.array_equal(tables.leaky_relu(SOURCE, RESULT, 1.0), tables.relu(SOURCE, RESULT, 0))


def test_prelu_has_a_row_per_channel():
    slopes = np.array([3, 100, -128], np.int8)
    rows = tables.prelu(SOURCE, RESULT, Level(0.01, 3), slopes)
    assert rows.shape == (3, 256)
    assert set(rows[0, : 128 + SOURCE.zero_point].tolist()) == {RESULT.zero_point}
    assert rows[2, 0] > RESULT.zero_point > rows[1, 0]


def test_a_constant_on_either_side_of_a_difference():
    constant = Level(0.05, 0)
    after = tables.with_constant("SUB", SOURCE, constant, 20, RESULT, True, (-128, 127))
    before = tables.with_constant("SUB", SOURCE, constant, 20, RESULT, False, (-128, 127))
    assert (np.diff(after.astype(int)) >= 0).all()
    assert (np.diff(before.astype(int)) <= 0).all()


def test_hard_swish_is_near_the_real_one():
    x = (np.arange(-128, 128) - SOURCE.zero_point) * SOURCE.scale
    real = x * np.clip(x + 3, 0, 6) / 6 / RESULT.scale + RESULT.zero_point
    assert np.max(np.abs(tables.hard_swish(SOURCE, RESULT) - np.clip(real, -128, 127))) < 1.1


def test_absolute_keeps_integers_where_the_scale_stays():
    level = Level(0.5, -20)
    assert tables.absolute(level, level)[128 - 25 : 128 - 15].tolist() == [
        -15,
        -16,
        -17,
        -18,
        -19,
        -20,
        -19,
        -18,
        -17,
        -16,
    ]
