"""Look-up tables as layers: one for all values, or one for each channel."""

from dataclasses import replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import Config
from weft.rtl.isa import Rounding

from ..errors import UserError
from ..graph import Lookup, Tensor
from ..host.linear import scaled_sums
from ..host.multiplier import factors
from .elementwise import elementwise, flat, need_tables, passing
from .images import image_of, section
from .layers import Layer, Place
from .tables import VALUES

MOST_TABLES = 16
"""Runs of channels that are looked up one after the other."""

UNIT = 1 << 20
"""What a step of a value counts in sums that are multiplied by a slope: offsets are fractions of it."""

STEPS = 40
"""Of the search for an offset, each of which narrows it down to two thirds."""

STEEPEST, FLATTEST = 256, 1e-3
"""Slopes that are tried: a step of less than 1/1000 reaches no other result, none needs one of more than 256."""

Table = NDArray[np.int8]


def lookup(operator: Lookup, source: Tensor, target: Tensor, config: Config) -> list[Layer]:
    """Any function of an int8; functions of each channel where they are lines below the zero point and alike above, as
    PReLU is, or where they are few.

    Raises
    ------
    UserError
        For many tables of other functions.
    """
    need_tables(config)
    tables = operator.table.reshape(-1, len(VALUES))
    if bool(np.all(tables == tables[:1])):
        return [replace(elementwise(operator, "lookup", source, target, config), result_table=tables[0])]
    found = _slopes(operator.name, tables, source, target, config)
    return _channels(operator, tables, source, target) if found is None else found


def _channels(operator: Lookup, tables: Table, source: Tensor, target: Tensor) -> list[Layer]:
    """A layer for each run of channels with one table."""
    size, channels = image_of(source)
    runs = [[*some] for _, some in groupby(range(channels), key=lambda channel: tables[channel].tobytes())]
    if len(runs) > MOST_TABLES:
        raise UserError(
            f"has {len(runs)} tables for its channels, which are not lines below the zero point and alike above it; "
            f"supported are up to {MOST_TABLES}"
        )
    layers = []
    for number, run in enumerate(runs):
        # The image as one channel, in which a pixel begins at its first one of these.
        layer = passing(f"{operator.name}.{number}", "lookup", source.name, target.name, size, len(run))
        layer = replace(
            layer,
            input_size=(size[0], size[1] * channels),
            input_channels=1,
            groups=1,
            weights=np.eye(len(run), dtype=np.int8).reshape(len(run), 1, len(run), 1),
            result_table=tables[run[0]],
        )
        place = Place(size, channels, channel=run[0])
        layers.append(section(layer, size, (0, run[0]), (1, channels), place=place))
    return layers


def _slopes(name: str, tables: Table, source: Tensor, target: Tensor, config: Config) -> list[Layer] | None:
    """The part above the zero point, by a table, plus the parts below it, by slopes for each channel; None if they are
    not lines."""
    zero, base = source.zero_point, target.zero_point
    above = zero <= VALUES
    results = tables.astype(np.int64) - base
    if np.any(tables[:, above] != tables[:1, above]) or np.any(results[:, zero + 128]):
        return None
    signs = np.sign(results[:, ~above].sum(axis=1))
    lines = _lines(signs[:, None] * results[:, ~above], np.where(signs > 0, 127 - base, 128 + base))
    if lines is None:
        return None
    size, channels = flat(target.size, config, len(tables), config.parameter_channels)
    layer = passing(name, "lookup", source.name, name, size, channels)
    rectified = np.where(above, tables[0], base).astype(np.int8)
    parts = [replace(layer, result_table=rectified)]
    for sign in (-1, 1):
        if np.any(signs == sign):
            parts.append(_below(layer, lines * (signs == sign), sign, zero, base))
    parts = [replace(one, name=f"{name}.{index}", target=f"{name}.{index}") for index, one in enumerate(parts)]
    terms = np.broadcast_to((VALUES - base).astype(np.int32), (2, len(VALUES)))
    total = replace(
        layer, sources=tuple(one.target for one in parts), target=target.name, sum_tables=terms, zero_point=base
    )
    return [*parts, total]


def _below(layer: Layer, lines: NDArray[np.int64], sign: int, zero: int, base: int) -> Layer:
    """The values below the zero point times a slope for each channel."""
    terms = np.zeros((2, len(VALUES)), np.int32)
    terms[0] = -sign * UNIT * np.minimum(VALUES - zero, 0)
    offset, multiplier, shift = np.tile(lines, layer.output_channels // lines.shape[1])
    return replace(
        layer,
        sum_tables=terms,
        bias=(sign * offset).astype(np.int32),
        multiplier=multiplier,
        shift=shift,
        rounding=Rounding.NEAREST_EVEN,
        zero_point=base,
    )


def _lines(results: NDArray[np.int64], most: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Offsets, multipliers and shifts with which the numbers n to 1, times UNIT, are rounded to each row of results,
    limited to `most`; None if there are none."""
    if np.any(results < 0):
        return None
    most = most[:, None]
    distances = np.arange(results.shape[1], 0, -1)

    def slopes(offset: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The least and the largest, for one offset of each row."""
        low = ((results - 0.5 - offset[:, None]) / distances).max(axis=1, initial=0)
        high = ((results + 0.5 - offset[:, None]) / distances).min(axis=1, where=results < most, initial=STEEPEST)
        return low, high

    # The room between the limits is a concave function of the offset.
    left, right = np.full(len(results), -0.45), np.full(len(results), 0.45)
    for _ in range(STEPS):
        third = (right - left) / 3
        (low, high), (later_low, later_high) = slopes(left + third), slopes(right - third)
        rises = high - low < later_high - later_low
        left, right = np.where(rises, left + third, left), np.where(rises, right, right - third)
    slope = np.sum(slopes((left + right) / 2), axis=0) / 2
    slope = np.where(results.any(axis=1), np.maximum(slope, FLATTEST), 0)
    multiplier, shift = factors(slope / UNIT)
    offset = np.rint((left + right) / 2 / np.maximum(slope, FLATTEST) * UNIT).astype(np.int64)
    lines = np.stack([offset, multiplier, shift])
    made = _on_lines(np.append(distances, 0), lines)
    exact = np.array_equal(np.minimum(made[:, :-1], most), results) and not made[:, -1].any()
    return lines if exact else None


def _on_lines(distances: NDArray[np.int64], lines: NDArray[np.int64]) -> NDArray[np.int64]:
    """What the drain makes of distances from the zero point, a row for each line."""
    offset, multiplier, shift = lines[:, :, None]
    return scaled_sums(distances * UNIT + offset, multiplier, shift, Rounding.NEAREST_EVEN)
