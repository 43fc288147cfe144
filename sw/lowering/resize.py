"""Resizing as layers: each copies, or mixes, pixels at equal distances to pixels at equal distances."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd

import numpy as np
from numpy.typing import NDArray
from weft.rtl.isa import Rounding

from ..errors import UserError
from ..graph import ResizeBilinear, ResizeNearest, Tensor
from .elementwise import copies, numbered, passing
from .images import WIDEST_STRIDE, image_of, section
from .layers import Layer, Pair, Place

MOST_LAYERS = 128
"""Of one operator."""

MANY_LAYERS = 16
"""From here on rows and columns are resized one after the other, if that takes fewer layers."""

MOST_PHASES = 64
"""Distances between outputs that are tried."""

ONE = 1024
"""The weights of a mean add up to this."""

Way = tuple[int, int]
"""Distance of two sources, and the weight of the second one, of 1024."""

ALONE = (1, 0)
"""The way of an output that comes from one source."""


@dataclass(frozen=True)
class Phase:
    """Outputs `first`, `first` + `step` and so on, `count` of them, which come in one way from inputs `source`,
    `source` + `stride` and so on."""

    first: int
    step: int
    count: int
    source: int
    stride: int
    way: Way


def phases(sources: Sequence[int], ways: Sequence[Way]) -> list[Phase]:
    """All outputs in as few phases as are found: output i comes from sources[i] by ways[i].

    All phases have the same distance of outputs; the ends, which often come in another way, may be phases of their own.
    """
    neighbours = _runs(sources, ways, range(len(sources)), 1)
    found = [_evenly(sources, ways, range(len(sources)))]
    if len(neighbours) > 2:
        first, last = neighbours[0], neighbours[-1]
        inner = range(first.count, last.first)
        found.append([first, *_evenly(sources, ways, inner), last])
    return min(found, key=len)


def _evenly(sources: Sequence[int], ways: Sequence[Way], outputs: range) -> list[Phase]:
    """Some outputs in phases with one distance."""
    tries = [
        [phase for first in range(step) for phase in _runs(sources, ways, outputs[first::step], step)]
        for step in range(1, min(len(outputs), MOST_PHASES) + 1)
    ]
    return min(tries, key=len)


def _runs(sources: Sequence[int], ways: Sequence[Way], outputs: range, step: int) -> list[Phase]:
    """Phases one behind the other."""
    found: list[Phase] = []
    for index in outputs:
        if found:
            last = found[-1]
            stride = sources[index] - sources[index - step]
            fits = 0 <= stride <= WIDEST_STRIDE and (last.count == 1 or stride == last.stride)
            if fits and ways[index] == last.way:
                found[-1] = replace(last, count=last.count + 1, stride=stride)
                continue
        found.append(Phase(index, step, 1, sources[index], 1, ways[index]))
    return found


def resize_nearest(operator: ResizeNearest, source: Tensor, target: Tensor) -> list[Layer]:
    """Copies of pixels: a layer for each phase of rows and each of columns, or first all rows and then all columns.

    Raises
    ------
    UserError
        For places that take too many layers.
    """
    size, channels = image_of(source)
    rows, columns = (phases(places, [ALONE] * len(places)) for places in (operator.rows, operator.columns))
    output = len(operator.rows), len(operator.columns)
    layer = passing(operator.name, "resize", source.name, target.name, size, channels)
    _check(len(rows) + len(columns))
    if len(rows) * len(columns) <= max(MANY_LAYERS, len(rows) + len(columns)):
        return numbered([_copied(layer, row, column, output) for row in rows for column in columns])
    between = f"{operator.name}.rows"
    tall = replace(layer, name=between, target=between)
    across = passing(operator.name, "resize", between, target.name, (output[0], size[1]), channels)
    return [
        *numbered([_copied(tall, row, _all(size[1]), (output[0], size[1])) for row in rows]),
        *numbered([_copied(across, _all(output[0]), column, output) for column in columns]),
    ]


def _check(layers: int) -> None:
    if layers > MOST_LAYERS:
        raise UserError(f"takes {layers} layers, as its pixels lie at as many distances; supported are {MOST_LAYERS}")


def _all(count: int) -> Phase:
    return Phase(0, 1, count, 0, 1, ALONE)


def _copied(layer: Layer, row: Phase, column: Phase, output: Pair) -> Layer:
    """The pixels of one phase."""
    place = Place(output, layer.output_channels, (row.first, column.first), (row.step, column.step))
    stride = row.stride, column.stride
    return section(layer, (row.count, column.count), (row.source, column.source), stride, place=place)


def resize_bilinear(operator: ResizeBilinear, source: Tensor, target: Tensor) -> list[Layer]:
    """Means of neighbours: a layer for each phase of rows and each of columns, with the neighbours' weights.

    Weights that no int8 holds are shared by two copies of each channel.

    Raises
    ------
    UserError
        For weights that even two int8 do not hold, and for places that take too many layers.
    """
    size, channels = image_of(source)
    rows, columns = (_mixed(places) for places in (operator.rows, operator.columns))
    _check(len(rows) * len(columns))
    output = len(operator.rows), len(operator.columns)
    layer = replace(
        passing(operator.name, "resize", source.name, target.name, size, channels), rounding=Rounding.HALF_AWAY
    )
    kernels = [(row, column, np.outer(_weights(row), _weights(column))) for row in rows for column in columns]
    largest = max(int(kernel.max()) for _, _, kernel in kernels)
    if largest > 2 * 127:
        raise UserError(
            f"mixes pixels by weights that are no multiples of a fraction of 2^8, as {largest} is one of them"
        )
    found: list[Layer] = []
    if largest > 127:
        found.append(copies(f"{operator.name}.copies", source.name, size, channels, 2))
        layer = replace(layer, sources=(found[0].target,), input_channels=2 * channels)
    means = [_mean(_copied(layer, row, column, output), row, column, kernel) for row, column, kernel in kernels]
    return [*found, *numbered(means)]


def _mixed(places: NDArray[np.int32]) -> list[Phase]:
    """Phases of outputs whose two sources lie at one distance and have the same weights."""
    triples = [(int(first), int(second - first), int(weight)) for first, second, weight in places]
    ways = [(distance, weight) if distance and weight else ALONE for _, distance, weight in triples]
    return phases([first for first, _, _ in triples], ways)


def _weights(phase: Phase) -> NDArray[np.int64]:
    """Of the first source and of the second, if there is one, as small as can be."""
    _, weight = phase.way
    common = gcd(ONE, weight)
    values = [(ONE - weight) // common, weight // common]
    return np.array(values if weight else values[:1])


def _mean(layer: Layer, row: Phase, column: Phase, kernel: NDArray[np.int64]) -> Layer:
    channels, (rows, columns) = layer.output_channels, layer.output_size
    parts = [kernel]
    if layer.input_channels > channels:
        parts = [kernel // 2, kernel - kernel // 2]
    weights = np.broadcast_to(np.stack(parts, axis=-1), (channels, *kernel.shape, len(parts)))
    places = int(kernel.sum()).bit_length() - 1
    return replace(
        layer,
        weights=np.ascontiguousarray(weights).astype(np.int8),
        dilation=(row.way[0], column.way[0]),
        shift=np.full(channels, 1 - places, np.int64),
        macs=rows * columns * channels * kernel.size,
    )
