"""Windows over images as TFLite counts them."""

import pytest
from weft.sim import golden
from weft.sw.tflite.node import SAME, VALID, same_padding, window_count


@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size, window", [(1, 1), (5, 3), (6, 3), (7, 4), (3, 5), (224, 7)])
def test_same_padding_is_the_golden_one(size, window, stride, dilation):
    span = (window - 1) * dilation + 1
    count = window_count(size, span, stride, SAME)
    assert count == -(-size // stride)
    assert same_padding(size, span, stride, count, SAME) == golden.same_padding(size, window, stride, dilation)


@pytest.mark.parametrize(
    "size, span, stride, count", [(5, 3, 1, 3), (6, 3, 2, 2), (7, 3, 2, 3), (3, 3, 5, 1), (2, 3, 1, 0)]
)
def test_valid_windows_are_whole(size, span, stride, count):
    assert window_count(size, span, stride, VALID) == count
    assert same_padding(size, span, stride, count, VALID) == (0, 0)
