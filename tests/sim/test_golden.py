"""The golden operators against loops over their definitions."""

from fractions import Fraction
from itertools import product
from math import floor

import numpy as np
import pytest
from weft.rtl.isa import Rounding
from weft.sim import golden, numerics


def int8(random, shape):
    return random.integers(-128, 128, shape, dtype=np.int8)


def conv_by_loops(x, weights, zero_point, strides, padding, dilation, groups):
    """Every output as its definition says; x one image, Python integers."""
    height, width, _ = x.shape
    outputs, kh, kw, depth = weights.shape
    top, left, bottom, right = padding
    oh = (height + top + bottom - (kh - 1) * dilation[0] - 1) // strides[0] + 1
    ow = (width + left + right - (kw - 1) * dilation[1] - 1) // strides[1] + 1
    out = np.zeros((1, oh, ow, outputs), np.int64)
    for oy, ox, o in product(range(oh), range(ow), range(outputs)):
        first = o // (outputs // groups) * depth
        for ky, kx, i in product(range(kh), range(kw), range(depth)):
            y = oy * strides[0] + ky * dilation[0] - top
            at = ox * strides[1] + kx * dilation[1] - left
            if 0 <= y < height and 0 <= at < width:
                out[0, oy, ox, o] += (int(x[y, at, first + i]) - zero_point) * int(weights[o, ky, kx, i])
    return out.astype(np.int32)


SHAPES = [
    # height, width, channels, outputs, kernel, strides, padding, dilation, groups
    (5, 6, 1, 3, (3, 3), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    (4, 7, 3, 2, (3, 2), (2, 1), (1, 0, 2, 1), (1, 1), 1),
    (6, 5, 4, 6, (2, 3), (1, 2), (2, 2, 0, 1), (2, 1), 2),
    (5, 5, 3, 3, (3, 3), (1, 1), (1, 1, 1, 1), (1, 2), 3),
    (1, 1, 5, 4, (1, 1), (3, 3), (0, 0, 0, 0), (1, 1), 1),
]


@pytest.mark.parametrize("seed, shape", list(enumerate(SHAPES)))
def test_conv2d(seed, shape):
    height, width, channels, outputs, kernel, *how = shape
    random = np.random.default_rng(seed)
    x = int8(random, (1, height, width, channels))
    weights = int8(random, (outputs, *kernel, channels // how[-1]))
    zero_point = int(random.integers(-128, 128))
    sums = golden.conv2d(x, weights, zero_point, *how)
    assert sums.dtype == np.int32
    assert (sums == conv_by_loops(x[0], weights, zero_point, *how)).all()


@pytest.mark.parametrize("multiple", [1, 3])
def test_depthwise_conv2d_is_a_grouped_one(multiple):
    random = np.random.default_rng(multiple)
    x, weights = int8(random, (2, 6, 5, 4)), int8(random, (1, 3, 2, 4 * multiple))
    how = (2, 1), (1, 0, 1, 1), (1, 2)
    grouped = weights[0].transpose(2, 0, 1)[..., None]
    expected = golden.conv2d(x, grouped, -7, *how, groups=4)
    assert (golden.depthwise_conv2d(x, weights, -7, *how) == expected).all()


def test_sums_wrap():
    x = np.full((1, 1, 1, 1 << 17), -128, np.int8)
    weights = np.full((1, 1, 1, 1 << 17), -128, np.int8)
    assert golden.conv2d(x, weights, 0).item() == -(1 << 31)


def test_channels_that_do_not_fit():
    x, weights = np.zeros((1, 4, 4, 3), np.int8), np.zeros((4, 1, 1, 2), np.int8)
    with pytest.raises(ValueError, match=r"1 groups of weights \(4, 1, 1, 2\) do not fit 3 input channels"):
        golden.conv2d(x, weights, 0)
    with pytest.raises(ValueError, match="4 channels of weights do not fit an input of 3 channels"):
        golden.depthwise_conv2d(x, np.zeros((1, 1, 1, 4), np.int8), 0)


@pytest.mark.parametrize("seed", range(2))
def test_fully_connected_and_matmul(seed):
    random = np.random.default_rng(seed)
    a, b = int8(random, (3, 20)), int8(random, (6, 20))
    expected = (a.astype(int) - 9) @ b.T.astype(int)
    assert (golden.fully_connected(a, b, 9) == expected).all()
    assert (golden.matmul(a, b.T, 9, 4) == (a.astype(int) - 9) @ (b.T.astype(int) - 4)).all()


@pytest.mark.parametrize("seed", range(2))
def test_zero_points_fold_into_the_bias(seed):
    """With zero_point for padding, x * w and the folded bias give the sums of (x - zero_point) * w, even wrapped."""
    random = np.random.default_rng(seed)
    x, weights = int8(random, (1, 6, 6, 3)), int8(random, (4, 3, 3, 3))
    bias = random.integers(-(1 << 31), 1 << 31, 4).astype(np.int32)
    zero_point = int(random.integers(-128, 128))
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=zero_point)
    raw = numerics.wrap32(
        golden.conv2d(padded, weights, 0).astype(int) + golden.fold_zero_point(bias, weights, zero_point)
    )
    centred = golden.conv2d(x, weights, zero_point, padding=(1, 1, 1, 1))
    assert (raw == numerics.wrap32(centred.astype(int) + bias)).all()


@pytest.mark.parametrize("dtype", [np.int8, np.int32])
def test_max_pool2d_leaves_padding_out(dtype):
    random = np.random.default_rng(0)
    x = random.integers(-128, 0, (1, 5, 5, 2)).astype(dtype)
    result = golden.max_pool2d(x, (2, 3), (2, 2), (1, 1, 0, 1))
    assert result.dtype == dtype
    assert result.shape == (1, 3, 3, 2)
    for oy, ox, c in product(range(3), range(3), range(2)):
        cells = x[0, max(oy * 2 - 1, 0) : oy * 2 + 1, max(ox * 2 - 1, 0) : ox * 2 + 2, c]
        assert result[0, oy, ox, c] == cells.max()


def test_average_pool2d_counts_valid_cells_and_rounds_half_away():
    x = np.array([[1, 2, 4], [0, 1, -3], [-2, -3, -5]], np.int8)[None, :, :, None]
    result = golden.average_pool2d(x, (2, 2), (2, 2), (0, 0, 1, 1))
    assert result[0, :, :, 0].tolist() == [[1, 1], [-3, -5]]
    assert golden.average_pool2d(x, (2, 2), (2, 2), (0, 0, 1, 1), -3, 0)[0, :, :, 0].tolist() == [[0, 0], [-3, -3]]


@pytest.mark.parametrize("seed", range(3))
def test_average_pooling_is_a_convolution_with_ones_requantized_half_away(seed):
    random = np.random.default_rng(seed)
    x = int8(random, (1, 12, 9, 2))
    window = tuple(random.integers(1, 8, 2).tolist())
    sums = golden.depthwise_conv2d(x, np.ones((1, *window, 2), np.int8), 0)
    factor = numerics.average_multiplier(window[0] * window[1])
    result = golden.requantize(sums, 0, *factor, Rounding.HALF_AWAY, 0, -128, 127)
    assert (result == golden.average_pool2d(x, window, (1, 1))).all()


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("seed", range(3))
def test_pooling_before_requantization_equals_pooling_after(seed, rounding):
    random = np.random.default_rng(seed)
    sums = random.integers(-60000, 60000, (1, 8, 8, 5)).astype(np.int32)
    how = (
        random.integers(-9000, 9000, 5),
        random.integers(1 << 30, 1 << 31, 5),
        random.integers(-10, -7, 5),
        rounding,
        11,
        -100,
        127,
    )
    pooled = golden.requantize(golden.max_pool2d(sums, (3, 3), (2, 2)), *how)
    assert (pooled == golden.max_pool2d(golden.requantize(sums, *how), (3, 3), (2, 2))).all()


def test_clamp():
    assert golden.clamp([-200, -5, 0, 5, 200], -128, 4).tolist() == [-128, -5, 0, 4, 4]


@pytest.mark.parametrize(
    "sizes, expected",
    [((5, 3, 1), (1, 1)), ((6, 3, 2), (0, 1)), ((49, 10, 2), (4, 5)), ((8, 1, 2), (0, 0)), ((7, 3, 1, 2), (2, 2))],
)
def test_same_padding(sizes, expected):
    assert golden.same_padding(*sizes) == expected


HALF = 1 << 30


@pytest.mark.parametrize(
    "rounding, expected",
    [
        (Rounding.DOUBLE, [-2, -2, -1, 0, 2, 2, 3]),
        (Rounding.NEAREST_EVEN, [-2, -2, -2, 0, 2, 2, 2]),
        (Rounding.HALF_AWAY, [-3, -2, -2, 0, 2, 2, 3]),
    ],
)
def test_requantize_rounds_as_named(rounding, expected):
    """Values times 0.5, where the multiply itself rounds (DOUBLE: ties up) and no right shift follows."""
    value = np.array([-5, -4, -3, 0, 3, 4, 5])
    assert golden.requantize(value, 0, HALF, 0, rounding, 0, -128, 127).tolist() == expected


def by_definition(value, bias, multiplier, shift, rounding, zero_point, minimum, maximum):
    """docs/numerics.md in rational numbers."""

    def wrap(number):
        return (number + (1 << 31)) % (1 << 32) - (1 << 31)

    def half_away(number):
        return floor(abs(number) + Fraction(1, 2)) * (1 if number >= 0 else -1)

    x = wrap(wrap(value + bias) << max(shift, 0))
    exact = Fraction(x * multiplier, 1 << 31 + max(-shift, 0))
    rounded = {
        Rounding.DOUBLE: half_away(Fraction(floor(Fraction(x * multiplier + (1 << 30), 1 << 31)), 1 << max(-shift, 0))),
        Rounding.NEAREST_EVEN: round(exact),
        Rounding.HALF_AWAY: half_away(exact),
    }[rounding]
    return min(max(rounded + zero_point, minimum), maximum)


@pytest.mark.parametrize("rounding", Rounding)
@pytest.mark.parametrize("seed", range(3))
def test_requantize_is_its_definition(seed, rounding):
    random = np.random.default_rng(seed)
    count = 2000
    value = random.integers(-(1 << 31), 1 << 31, count) >> random.integers(0, 31, count)
    bias = random.integers(-(1 << 31), 1 << 31, count) >> random.integers(0, 31, count)
    multiplier = np.where(random.integers(0, 3, count) == 0, 1 << 30, random.integers(0, 1 << 31, count))
    shift = random.integers(-31, 32, count)
    zero_point = int(random.integers(-128, 128))
    minimum, maximum = sorted(random.integers(-128, 128, 2).tolist())
    result = golden.requantize(value, bias, multiplier, shift, rounding, zero_point, minimum, maximum)
    cases = zip(value.tolist(), bias.tolist(), multiplier.tolist(), shift.tolist(), strict=True)
    assert result.tolist() == [by_definition(*case, rounding, zero_point, minimum, maximum) for case in cases]


def test_double_rounding_differs_from_one_rounding():
    """5 * 0.75 / 8 is 0.46875; the multiply gives 4, and 4 / 8 is a tie."""
    results = [golden.requantize(5, 0, 3 << 29, -3, rounding, 0, -128, 127) for rounding in Rounding]
    assert dict(zip(Rounding, results, strict=True)) == {
        Rounding.DOUBLE: 1,
        Rounding.NEAREST_EVEN: 0,
        Rounding.HALF_AWAY: 0,
    }


@pytest.mark.parametrize("rounding", Rounding)
def test_requantize_wraps_then_clamps(rounding):
    """The bias wraps, the left shift wraps, the zero point never does."""
    top = (1 << 31) - 1
    assert golden.requantize(top, 1, HALF, -6, rounding, 0, -128, 127) == -128
    assert golden.requantize(3 << 29, 0, HALF, 1, rounding, 0, -128, 127) == -128
    assert golden.requantize(top, 0, top, 0, rounding, 127, -128, 127) == 127
    assert golden.requantize(-top, 0, top, 0, rounding, -128, -128, 127) == -128
    assert golden.requantize(200, 0, HALF, 0, rounding, 20, -10, 110) == 110


def test_requantize_takes_parameters_per_channel():
    value = np.array([[100, 100, 100], [-100, -100, -100]])
    result = golden.requantize(value, [0, 10, 0], [HALF, HALF, 0], [0, -1, 0], Rounding.DOUBLE, 1, -128, 127)
    assert result.tolist() == [[51, 29, 1], [-49, -22, 1]]
    assert result.dtype == np.int8


@pytest.mark.parametrize(
    "multiplier, shift, message",
    [
        (1 << 31, 0, r"a multiplier must be from 0 to 2\^31 - 1"),
        (-1, 0, r"a multiplier must be from 0 to 2\^31 - 1"),
        (HALF, 32, "a shift must be from -31 to 31"),
        (HALF, -32, "a shift must be from -31 to 31"),
    ],
)
def test_requantize_refuses_undefined_parameters(multiplier, shift, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        golden.requantize(0, 0, multiplier, shift, Rounding.DOUBLE, 0, -128, 127)
