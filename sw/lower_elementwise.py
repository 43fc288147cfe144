"""Functions of single values, and sums of two, as layers: the array passes values on, the drain does the rest."""

from collections.abc import Iterator
from dataclasses import replace
from math import isqrt

import numpy as np
from weft.rtl.config import Config
from weft.rtl.isa import Rounding

from .errors import UserError
from .graph import ONNX, Add, Clamp, Clamped, Lookup, Requantize, Subtract, Tensor
from .layers import Layer, Pair, Place, Window
from .multiplier import ROUNDING, factors, identity_factors, requantizing_factor
from .tables import requantized, sum_parameters, sum_tables

TALLEST = (1 << 15) - 1
"""Rows that a tile may begin below."""

TILE_CYCLES = 32
"""Roughly what a block of channels costs besides its passes."""


def same_scale(source: Tensor, target: Tensor) -> None:
    """Refuse a change of scale.

    Raises
    ------
    UserError
        That is what it says.
    """
    if (source.scale, source.zero_point) != (target.scale, target.zero_point):
        raise UserError("changes the scale, supported is the same scale before and behind")


def passing(name: str, op: str, source: str, target: str, size: Pair, channels: int) -> Layer:
    """A layer whose results are its input."""
    multiplier, shift = identity_factors(channels)
    return Layer(
        name=name,
        op=op,
        sources=(source,),
        target=target,
        input_size=size,
        input_channels=channels,
        sums_size=size,
        output_size=size,
        output_channels=channels,
        weights=np.ones((channels, 1, 1, 1), np.int8),
        groups=channels,
        stride=(1, 1),
        dilation=(1, 1),
        before=(0, 0),
        padding_value=0,
        window=Window(),
        bias=np.zeros(channels, np.int32),
        multiplier=multiplier,
        shift=shift,
        rounding=Rounding.NEAREST_EVEN,
        zero_point=0,
        minimum=-128,
        maximum=127,
        macs=0,
        place=Place(size, channels),
    )


def copies(name: str, source: Tensor, times: int) -> Layer:
    """Each channel of an image so many times, one copy behind the other."""
    _, height, width, channels = source.shape
    layer = passing(name, "copy", source.name, name, (height, width), times * channels)
    return replace(layer, input_channels=channels, groups=channels)


def _divisors(number: int) -> Iterator[int]:
    for one in range(1, isqrt(number) + 1):
        if number % one == 0:
            yield from {one, number // one}


def _flat(size: int, config: Config) -> tuple[Pair, int]:
    """`size` values as an image that takes the fewest passes, whatever their shape: its size and its channels."""
    block = config.cols if config.depthwise else min(config.rows, config.cols)

    def image(channels: int) -> Pair:
        pixels = size // channels
        width = min((n for n in _divisors(pixels) if pixels // n <= TALLEST), default=pixels)
        return pixels // width, width

    channels = min(_divisors(size), key=lambda n: (-(-n // block) * (size // n + TILE_CYCLES), n))
    return image(channels), channels


def elementwise(operator: Clamped | Lookup, op: str, source: Tensor, target: Tensor, config: Config) -> Layer:
    """A layer that passes on values of any shape."""
    size, channels = _flat(target.size, config)
    layer = passing(operator.name, op, source.name, target.name, size, channels)
    if isinstance(operator, Clamped):
        layer = replace(layer, minimum=operator.minimum, maximum=operator.maximum)
    return layer


def clamp(operator: Clamp, source: Tensor, target: Tensor, config: Config) -> list[Layer]:
    """Limits alone."""
    same_scale(source, target)
    return [elementwise(operator, "clamp", source, target, config)]


def lookup(operator: Lookup, source: Tensor, target: Tensor, config: Config) -> list[Layer]:
    """Any function of an int8."""
    _need_tables(config)
    if operator.table.ndim > 1:
        raise UserError("has a table per channel, supported is one table")
    return [replace(elementwise(operator, "lookup", source, target, config), result_table=operator.table)]


def requantize(operator: Requantize, source: Tensor, target: Tensor, config: Config) -> list[Layer]:
    """Another scale: by a table, or, where there is none, by a factor."""
    layer = elementwise(operator, "requantize", source, target, config)
    if config.tables:
        table = requantized(source, target, operator.rounding)
        limited = np.clip(table, operator.minimum, operator.maximum).astype(np.int8)
        return [replace(layer, minimum=-128, maximum=127, result_table=limited)]
    if operator.rounding == ONNX:
        values = np.arange(-128, 128) - source.zero_point
        results = requantized(source, target, ONNX).astype(np.int64) - target.zero_point
        quotient = np.float32(source.scale) / np.float32(target.scale)
        limits = -128 - target.zero_point, 127 - target.zero_point
        factor = requantizing_factor(values, results, *limits, float(quotient))
        if factor is None:
            raise UserError(
                "has scales whose quotient makes ties, which float32 breaks in no order; supported are others, or a "
                "configuration with tables"
            )
        multiplier, shift = (np.full(layer.output_channels, value, np.int64) for value in factor)
    else:
        real = np.full(layer.output_channels, np.float64(source.scale) / np.float64(target.scale))
        multiplier, shift = factors(real)
    return [
        replace(
            layer,
            bias=np.full(layer.output_channels, -source.zero_point, np.int32),
            multiplier=multiplier,
            shift=shift,
            rounding=ROUNDING[operator.rounding],
            zero_point=target.zero_point,
        )
    ]


def total(operator: Add | Subtract, a: Tensor, b: Tensor, target: Tensor, config: Config) -> list[Layer]:
    """The sum, or difference, of two tensors of one shape."""
    _need_tables(config)
    if not a.size == b.size == target.size:
        raise UserError(f"adds {a.shape} and {b.shape}, supported are two tensors of one shape")
    layer = elementwise(operator, type(operator).__name__.lower(), a, target, config)
    tables = sum_tables(operator, a, b, target)
    factor, rounding = sum_parameters(operator, a, b, target)
    multiplier, shift = (np.full(layer.output_channels, value, np.int64) for value in factor)
    return [
        replace(
            layer,
            sources=(a.name, b.name),
            sum_tables=tables,
            multiplier=multiplier,
            shift=shift,
            rounding=rounding,
            zero_point=target.zero_point,
        )
    ]


def _need_tables(config: Config) -> None:
    if not config.tables:
        raise UserError("takes look-up tables, which the configuration does not have (tables = false)")
