"""Functions of single values, and sums of two, as layers: the array passes values on, the drain does the rest."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import isqrt

import numpy as np
from weft.rtl.config import Config
from weft.rtl.isa import Rounding

from ..errors import UserError
from ..graph import ONNX, Clamp, Clamped, Lookup, Requantize, Tensor
from ..host.multiplier import ROUNDING, factors, identity_factors, requantizing_factor
from .layers import Layer, Pair, Place, Window
from .tables import requantized

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


def copies(name: str, source: str, size: Pair, channels: int, times: int) -> Layer:
    """Each channel of an image so many times, one copy behind the other."""
    layer = passing(name, "copy", source, name, size, times * channels)
    return replace(layer, input_channels=channels, groups=channels)


def numbered(layers: Sequence[Layer]) -> list[Layer]:
    """The layers of one operator, each with a name of its own."""
    if len(layers) == 1:
        return list(layers)
    return [replace(one, name=f"{one.name}.{index}") for index, one in enumerate(layers)]


def _divisors(number: int) -> Iterator[int]:
    for one in range(1, isqrt(number) + 1):
        if number % one == 0:
            yield from {one, number // one}


def tall(pixels: int) -> Pair:
    """So many pixels as an image as narrow as can be."""
    width = min((n for n in _divisors(pixels) if pixels // n <= TALLEST), default=pixels)
    return pixels // width, width


def flat(size: int, config: Config, period: int = 1, most: int = 0) -> tuple[Pair, int]:
    """`size` values as an image that takes the fewest passes, whatever their shape: its size and its channels.

    The channels are a multiple of `period`, and more than that at most `most` where that is given.
    """
    block = config.cols if config.depthwise else min(config.rows, config.cols)
    found = [n * period for n in _divisors(size // period) if n == 1 or not most or n * period <= most]
    channels = min(found, key=lambda n: (-(-n // block) * (size // n + TILE_CYCLES), n))
    return tall(size // channels), channels


def elementwise(operator: Clamped | Lookup, op: str, source: Tensor, target: Tensor, config: Config) -> Layer:
    """A layer that passes on values of any shape."""
    size, channels = flat(target.size, config)
    layer = passing(operator.name, op, source.name, target.name, size, channels)
    if isinstance(operator, Clamped):
        layer = replace(layer, minimum=operator.minimum, maximum=operator.maximum)
    return layer


def clamp(operator: Clamp, source: Tensor, target: Tensor, config: Config) -> list[Layer]:
    """Limits alone."""
    same_scale(source, target)
    return [elementwise(operator, "clamp", source, target, config)]


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


def need_tables(config: Config) -> None:
    """Refuse a configuration without tables.

    Raises
    ------
    UserError
        That is what it says.
    """
    if not config.tables:
        raise UserError("takes look-up tables, which the configuration does not have (tables = false)")
