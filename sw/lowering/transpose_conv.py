"""Transposed convolutions as layers: the outputs of one phase of the stride are an ordinary convolution."""

from dataclasses import replace

import numpy as np

from ..graph import Conv2D, Tensor, TransposeConv2D
from .elementwise import numbered
from .images import image_of
from .layers import Layer, Pair, Place
from .linear import convolution


def transpose_conv(operator: TransposeConv2D, source: Tensor, target: Tensor) -> list[Layer]:
    """A layer for each phase: outputs whose distance is the stride meet the same cells of the kernel, in reverse.

    Raises
    ------
    UserError
        For scales that lift sums too far.
    """
    (height, width), _ = image_of(target)
    return numbered(
        [
            _phase(operator, source, target, (y, x))
            for y in range(min(operator.stride[0], height))
            for x in range(min(operator.stride[1], width))
        ]
    )


def _phase(operator: TransposeConv2D, source: Tensor, target: Tensor, first: Pair) -> Layer:
    """The outputs from `first` on; output p meets cell i of the kernel where stride divides p + before - i."""
    size, channels = image_of(target)
    cells: list[range] = []
    padding: list[int] = []
    count: list[int] = []
    for axis in range(2):
        stride, start = operator.stride[axis], first[axis] + operator.before[axis]
        some = range(start % stride, operator.weights.shape[axis + 1], stride)[::-1]
        cells.append(some)
        # The first of the reversed cells meets this input, counted backwards.
        padding.append((some[0] - start) // stride if some else 0)
        count.append(-(-(size[axis] - first[axis]) // stride))
    weights = operator.weights[:, cells[0]][:, :, cells[1]]
    if not weights.size:
        # Only the bias falls on these outputs.
        weights, padding = np.zeros((channels, 1, 1, operator.weights.shape[3]), np.int8), [0, 0]
    phase = Conv2D(
        operator.name,
        operator.inputs,
        operator.output,
        weights=np.ascontiguousarray(weights),
        bias=operator.bias,
        weight_scales=operator.weight_scales,
        stride=(1, 1),
        padding=(padding[0], padding[1], 0, 0),
        dilation=(1, 1),
        groups=1,
        rounding=operator.rounding,
        minimum=operator.minimum,
        maximum=operator.maximum,
    )
    layer = convolution(phase, source, replace(target, shape=(1, *count, channels)))
    place = Place(size, channels, first, operator.stride)
    if place.size == layer.output_size:
        place = layer.place
    return replace(layer, op="transposed conv", place=place)
