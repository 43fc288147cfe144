"""Pooling as layers: maxima on the drain, means as convolutions with ones."""

from collections.abc import Callable
from dataclasses import replace
from itertools import groupby

import numpy as np
from weft.rtl.isa import Rounding

from ..compiler.mapping import Span
from ..graph import ONNX, AveragePool2D, MaxPool2D, MeanPool2D, Pool2D, Tensor
from ..host.multiplier import factors, mean_factors
from .elementwise import numbered, passing, same_scale
from .images import image_of
from .layers import Layer, Place, Window
from .linear import fold_zero_point

Area = tuple[Span, Span, int]
"""Rows and columns of outputs whose windows have so many cells."""


def max_pool(operator: MaxPool2D, source: Tensor, target: Tensor) -> list[Layer]:
    """The largest of each window."""
    same_scale(source, target)
    size, channels = image_of(source)
    output, _ = image_of(target)
    layer = passing(operator.name, "max pool", source.name, target.name, size, channels)
    return [
        replace(
            layer,
            window=Window(operator.window, operator.stride, operator.padding[:2]),
            output_size=output,
            place=Place(output, channels),
            minimum=operator.minimum,
            maximum=operator.maximum,
        )
    ]


def _sums(operator: Pool2D, op: str, source: Tensor, target: Tensor) -> Layer:
    """The sum of each window."""
    size, channels = image_of(source)
    output, _ = image_of(target)
    layer = passing(operator.name, op, source.name, target.name, size, channels)
    return replace(
        layer,
        weights=np.ones((channels, *operator.window, 1), np.int8),
        stride=operator.stride,
        before=operator.padding[:2],
        sums_size=output,
        output_size=output,
        place=Place(output, channels),
        minimum=operator.minimum,
        maximum=operator.maximum,
    )


def mean_pool(operator: MeanPool2D, source: Tensor, target: Tensor) -> list[Layer]:
    """A mean as TFLite's MEAN computes it."""
    layer = _sums(operator, "mean", source, target)
    channels = layer.output_channels
    return [
        replace(
            layer,
            bias=fold_zero_point(layer.bias, layer.weights, source.zero_point),
            multiplier=np.full(channels, operator.multiplier, np.int64),
            shift=np.full(channels, operator.shift, np.int64),
            rounding=Rounding.DOUBLE,
            zero_point=target.zero_point,
        )
    ]


def average_pool(operator: AveragePool2D, source: Tensor, target: Tensor) -> list[Layer]:
    """The mean of each window: one layer for each area of windows that have the same number of cells."""
    layer = _sums(operator, "average pool", source, target)
    if operator.rounding != ONNX:
        same_scale(source, target)
    areas = areas_of(operator, source, target)
    return numbered([_averaged(layer, operator, area, source, target) for area in areas])


def _averaged(layer: Layer, operator: AveragePool2D, area: Area, source: Tensor, target: Tensor) -> Layer:
    (row, rows), (column, columns), cells = area
    channels = layer.output_channels
    if operator.rounding == ONNX:
        # Cells of padding are zero points, so that they add nothing.
        real = np.float32(source.scale) / (np.float32(target.scale) * np.float32(cells))
        multiplier, shift = factors(np.full(channels, real, np.float64))
        rounding, origin, zero_point = Rounding.NEAREST_EVEN, source.zero_point, target.zero_point
    else:
        # Ties go away from the origin, which is moved to zero.
        multiplier, shift = mean_factors(cells, channels)
        rounding, origin, zero_point = Rounding.HALF_AWAY, operator.origin, operator.origin
    return replace(
        layer,
        before=(layer.before[0] - row * layer.stride[0], layer.before[1] - column * layer.stride[1]),
        sums_size=(rows, columns),
        output_size=(rows, columns),
        place=replace(layer.place, origin=(row, column)),
        padding_value=origin,
        bias=fold_zero_point(layer.bias, layer.weights, origin),
        multiplier=multiplier,
        shift=shift,
        rounding=rounding,
        zero_point=zero_point,
    )


def areas_of(operator: AveragePool2D, source: Tensor, target: Tensor) -> list[Area]:
    """Areas of outputs whose windows are divided by the same number of cells."""
    inputs, outputs = image_of(source)[0], image_of(target)[0]

    def cells(axis: int) -> Callable[[int], int]:
        before, after = (operator.padding[axis + side] if operator.counts_padding else 0 for side in (0, 2))

        def count(output: int) -> int:
            start = output * operator.stride[axis] - operator.padding[axis]
            return min(start + operator.window[axis], inputs[axis] + after) - max(start, -before)

        return count

    return [
        (rows, columns, high * wide)
        for rows, high in _runs(outputs[0], cells(0))
        for columns, wide in _runs(outputs[1], cells(1))
    ]


def _runs(length: int, cells: Callable[[int], int]) -> list[tuple[Span, int]]:
    """Neighbouring outputs with as many cells."""
    found = []
    for count, outputs in groupby(range(length), cells):
        some = list(outputs)
        found.append(((some[0], len(some)), count))
    return found
