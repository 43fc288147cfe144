"""Sums, differences and products of two tensors as layers; with a constant they are tables, biases or weights."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import Config

from ..errors import UserError
from ..graph import ONNX, Add, Binary, Graph, Multiply, Subtract, Tensor
from ..host import operators as host_operators
from ..host.elementwise import Level, product_factor
from ..host.multiplier import ROUNDING, combined_scales, factors
from .elementwise import copies, elementwise, flat, need_tables, passing, tall
from .images import constant_of, period_of, root_of, section
from .layers import Layer
from .linear import check_left_shift, check_lift
from .tables import VALUES, sum_parameters, sum_tables

Axis = tuple[int, bool]
"""Size of an axis, and whether it grows from one element."""


def binary(operator: Binary, a: Tensor, b: Tensor, target: Tensor, graph: Graph, config: Config) -> list[Layer]:
    """Any of them.

    Raises
    ------
    UserError
        What there is no hardware for.
    """
    sources = a, b
    if root_of(graph, a.name) == root_of(graph, b.name) and a.shape == b.shape == target.shape:
        need_tables(config)
        return [_tabulated(operator, sources, target, None, a, config)]
    for index, other in ((0, b), (1, a)):
        values = known(graph, sources[index].name, target, config)
        if values is not None:
            return _with_constant(operator, sources, target, index, values, other, config)
    need_tables(config)
    layers, names = _spread(operator.name, sources, target, config)
    return [*layers, _of_two(operator, sources, target, names, config)]


def known(graph: Graph, name: str, target: Tensor, config: Config) -> NDArray[np.int8] | None:
    """What a constant repeats when it is broadcast to the target's shape, or the one value that all of it is; None for
    other tensors, and for constants that repeat more values than have parameters on the chip."""
    values = constant_of(graph, name)
    if values is None:
        return None
    spread = np.broadcast_to(values, target.shape).reshape(-1)
    period = period_of(spread, config.parameter_channels)
    return None if period is None else spread[:period]


def _tabulated(
    operator: Binary,
    sources: tuple[Tensor, Tensor],
    target: Tensor,
    constant: tuple[int, np.int8] | None,
    source: Tensor,
    config: Config,
) -> Layer:
    """A table of one operand's values, where the other one is the same tensor or one value."""
    operands = [VALUES.astype(np.int8)[None]] * 2
    if constant is not None:
        operands[constant[0]] = np.full((1, len(VALUES)), constant[1], np.int8)
    row = replace(target, shape=(len(VALUES),))
    table = host_operators.apply(operator, operands, sources, row, 1)[0].astype(np.int8)
    layer = elementwise(operator, type(operator).__name__.lower(), source, target, config)
    return replace(layer, minimum=-128, maximum=127, result_table=table)


def _with_constant(
    operator: Binary,
    sources: tuple[Tensor, Tensor],
    target: Tensor,
    index: int,
    values: NDArray[np.int8],
    source: Tensor,
    config: Config,
) -> list[Layer]:
    """Operand `index` is a constant that repeats `values`."""
    layers, (name,) = _spread(operator.name, (source,), target, config)
    source = replace(source, name=name, shape=target.shape)
    if len(values) == 1 and config.tables:
        return [*layers, _tabulated(operator, sources, target, (index, values[0]), source, config)]
    size, channels = flat(target.size, config, len(values), config.parameter_channels)
    layer = passing(operator.name, type(operator).__name__.lower(), name, target.name, size, channels)
    layer = replace(layer, zero_point=target.zero_point, minimum=operator.minimum, maximum=operator.maximum)
    values = np.tile(values, channels // len(values))
    if isinstance(operator, Multiply):
        weights = values.astype(np.int64) - sources[index].zero_point
        return [*layers, *_product(operator, layer, sources, target, weights, source.zero_point)]
    need_tables(config)
    if not isinstance(operator, (Add, Subtract)):
        raise UserError("is not an operator of two tensors that the device knows")
    # The constant adds to the sum what its table says, each channel its own: a bias.
    tables = sum_tables(operator, *sources, target)
    (multiplier, shift), rounding = sum_parameters(operator, *sources, target)
    return [
        *layers,
        replace(
            layer,
            sum_tables=np.stack([tables[1 - index], np.zeros_like(tables[0])]),
            bias=tables[index][values.astype(np.intp) + 128],
            multiplier=np.full(channels, multiplier, np.int64),
            shift=np.full(channels, shift, np.int64),
            rounding=rounding,
        ),
    ]


def _product(
    operator: Multiply,
    layer: Layer,
    sources: tuple[Tensor, Tensor],
    target: Tensor,
    weights: NDArray[np.int64],
    zero_point: int,
) -> list[Layer]:
    """Each channel times its own number, -255 to 255: a depthwise convolution of one pixel, or, with numbers that no
    weight holds, of two copies of each channel with weights that add up to the number."""
    channels = len(weights)
    factor = _product_factor(operator, sources, target)
    multiplier, shift = (np.full(channels, value, np.int64) for value in factor)
    layer = replace(
        layer,
        weights=weights.astype(np.int8).reshape(channels, 1, 1, 1),
        bias=(-zero_point * weights).astype(np.int32),
        multiplier=multiplier,
        shift=shift,
        rounding=ROUNDING[operator.rounding],
        macs=target.size,
    )
    if operator.rounding == ONNX:
        check_left_shift(layer, layer.bias)
    if np.all((weights >= -128) & (weights <= 127)):
        return [layer]
    copied = copies(f"{operator.name}.copies", layer.source, layer.input_size, channels, 2)
    halves = np.stack([weights // 2, weights - weights // 2], axis=-1).astype(np.int8)
    layer = replace(
        layer,
        sources=(copied.target,),
        input_channels=2 * channels,
        weights=halves.reshape(channels, 1, 1, 2),
    )
    return [copied, layer]


def _product_factor(operator: Multiply, sources: Sequence[Tensor], target: Tensor) -> tuple[int, int]:
    if operator.rounding == ONNX:
        scales = np.array([sources[1].scale], np.float32)
        multiplier, shift = factors(combined_scales(sources[0].scale, scales, target.scale, ONNX))
        return int(multiplier[0]), int(shift[0])
    return product_factor(Level.of(sources[0]), Level.of(sources[1]), Level.of(target))


def _of_two(
    operator: Binary, sources: tuple[Tensor, Tensor], target: Tensor, names: tuple[str, ...], config: Config
) -> Layer:
    """The sum, difference or product of two tensors of one shape."""
    layer = elementwise(operator, type(operator).__name__.lower(), sources[0], target, config)
    if isinstance(operator, (Add, Subtract)):
        tables = sum_tables(operator, *sources, target)
        (multiplier, shift), rounding = sum_parameters(operator, *sources, target)
    elif isinstance(operator, Multiply):
        tables = np.stack([VALUES - source.zero_point for source in sources]).astype(np.int32)
        (multiplier, shift), rounding = _product_factor(operator, sources, target), ROUNDING[operator.rounding]
    else:
        raise UserError("is not an operator of two tensors that the device knows")
    layer = replace(
        layer,
        sources=names,
        sum_tables=tables,
        multiplies=isinstance(operator, Multiply),
        multiplier=np.full(layer.output_channels, multiplier, np.int64),
        shift=np.full(layer.output_channels, shift, np.int64),
        rounding=rounding,
        zero_point=target.zero_point,
        macs=target.size if isinstance(operator, Multiply) else 0,
    )
    if isinstance(operator, Multiply):
        check_lift(layer, np.abs(tables.astype(np.int64)).max(axis=1).prod())
    return layer


def _spread(
    name: str, sources: Sequence[Tensor], target: Tensor, config: Config
) -> tuple[list[Layer], tuple[str, ...]]:
    """Layers that broadcast to the target's shape what has another, and the names of all that are broadcast."""
    layers: list[Layer] = []
    names = []
    for source in sources:
        if source.size == target.size:
            names.append(source.name)
            continue
        names.append(f"{name}.{source.name}")
        layers.append(broadcast(names[-1], source, target.shape, config))
    return layers, tuple(names)


def broadcast(name: str, source: Tensor, shape: tuple[int, ...], config: Config) -> Layer:
    """A layer that makes `name` of the source's values, repeated as NumPy does it.

    Raises
    ------
    UserError
        If the axes that stay and those that grow take more than rows, pixels and channels.
    """
    own = (1,) * (len(shape) - len(source.shape)) + source.shape
    axes: list[Axis] = []
    for size, old in zip(shape, own, strict=True):
        grows = old != size
        if axes and axes[-1][1] == grows:
            axes[-1] = axes[-1][0] * size, grows
        elif size > 1:
            axes.append((size, grows))
    rows, pixels, channels = _as_image(axes, config)
    inside = tuple(1 if grows else size for size, grows in (rows, pixels))
    layer = passing(name, "broadcast", source.name, name, (inside[0], inside[1]), channels[0])
    if channels[1]:
        layer = replace(layer, input_channels=1, groups=1)
    return section(layer, (rows[0], pixels[0]), stride=(int(not rows[1]), int(not pixels[1])))


def _as_image(axes: Sequence[Axis], config: Config) -> tuple[Axis, Axis, Axis]:
    """Axes, no two alike side by side, as rows, pixels and channels."""
    if len(axes) > 3:
        raise UserError(f"repeats its input along {len(axes)} axes by turns, supported are up to 3")
    if len(axes) == 3:
        return axes[0], axes[1], axes[2]
    if axes[-1][1]:
        size = axes[-1][0]
        channels = _fullest(size, config)
        if len(axes) == 1:
            rows, pixels = tall(size // channels)
            return (rows, True), (pixels, True), (channels, True)
        return axes[0], (size // channels, True), (channels, True)
    rows, pixels = tall(axes[0][0])
    return (rows, True), (pixels, True), axes[1]


def _fullest(size: int, config: Config) -> int:
    """Channels, of so many pixels that they are `size` values together, that leave the fewest columns empty."""
    found = (n for n in range(1, min(size, config.parameter_channels) + 1) if size % n == 0)
    return min(found, key=lambda n: (-(-n // config.cols) * (size // n), n))
