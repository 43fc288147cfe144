"""Permuted axes as layers: two blocks of axes change places at a time, each layer copying what lies at equal
distances."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from weft.rtl.config import Config

from ..errors import UserError
from ..graph import HOST_ONLY, Graph, Operator, Reshape, Tensor, Transpose
from .elementwise import flat, passing, tall
from .images import MOST_SELECTED, cost, section, selected
from .layers import Layer, Place

MOST_LAYERS = 64
"""Of one exchange."""


@dataclass(frozen=True)
class Exchange:
    """(outer, first, second, inner) becomes (outer, second, first, inner)."""

    outer: int
    first: int
    second: int
    inner: int


def transpose(operator: Transpose, source: Tensor, target: Tensor, graph: Graph, config: Config) -> list[Layer]:
    """An exchange after the other: a layer for each element of the shorter block, or one that selects channels.

    Raises
    ------
    UserError
        For what the host does while it copies inputs and outputs, and for blocks that are both long.
    """
    if at_border(operator, graph):
        raise UserError("permutes the axes of an input or an output, which the host does as it copies them")
    stages = list(exchanges(source.shape, operator.permutation))
    if not stages:
        return [passing(operator.name, "transpose", source.name, target.name, *flat(source.size, config))]
    layers: list[Layer] = []
    read = source.name
    for number, stage in enumerate(stages, 1):
        made = target.name if number == len(stages) else f"{operator.name}.{number}"
        name = operator.name if number == len(stages) else made
        found = list(_ways(passing(name, "transpose", read, made, (1, 1), 1), stage))
        if not found:
            raise UserError(
                f"exchanges axes of {stage.first} and {stage.second} elements, supported are up to {MOST_LAYERS} in "
                f"one of them"
            )
        layers += min(found, key=lambda some: cost(some, config))
        read = made
    return layers


def at_border(operator: Operator, graph: Graph) -> bool:
    """Only the host has to do with what comes before the operator, or with what comes behind it."""
    makers = {one.output: one for one in graph.operators}

    def from_host(name: str) -> bool:
        maker = makers.get(name)
        if isinstance(maker, Reshape | Transpose):
            return from_host(maker.inputs[0])
        return maker is None or isinstance(maker, HOST_ONLY)

    def to_host(name: str) -> bool:
        passing_on = [one for one in graph.users(name) if isinstance(one, Reshape | Transpose)]
        others = [one for one in graph.users(name) if not isinstance(one, Reshape | Transpose)]
        return all(isinstance(one, HOST_ONLY) for one in others) and all(to_host(one.output) for one in passing_on)

    return from_host(operator.inputs[0]) or to_host(operator.output)


def exchanges(shape: tuple[int, ...], permutation: tuple[int, ...]) -> Iterator[Exchange]:
    """What brings the axes in order, the first one first; axes that stay neighbours go together."""
    order = [axis for axis in permutation if shape[axis] > 1]
    blocks: list[tuple[int, int]] = []
    last = -1
    for axis in sorted(order):
        place = order.index(axis)
        if blocks and place == last + 1:
            blocks[-1] = blocks[-1][0], blocks[-1][1] * shape[axis]
        else:
            blocks.append((place, shape[axis]))
        last = place
    for index in range(len(blocks)):
        next_one = blocks.index(min(blocks[index:]))
        if next_one > index:
            sizes = [size for _, size in blocks]
            yield Exchange(
                prod(sizes[:index]), prod(sizes[index:next_one]), sizes[next_one], prod(sizes[next_one + 1 :])
            )
            blocks.insert(index, blocks.pop(next_one))


def _ways(layer: Layer, stage: Exchange) -> Iterator[list[Layer]]:
    first, second, both = stage.first, stage.second, stage.first * stage.second
    image = passing(layer.name, layer.op, layer.source, layer.target, (stage.outer, both), stage.inner)

    def part(number: int) -> Layer:
        if first <= second:
            place = Place((stage.outer, both), stage.inner, (0, number), (1, first))
            made = section(image, (stage.outer, second), (0, number * second), place=place)
        else:
            place = Place((stage.outer, both), stage.inner, (0, number * first))
            made = section(image, (stage.outer, first), (0, number), (1, second), place=place)
        return replace(made, name=f"{layer.name}.{number}")

    if min(first, second) <= MOST_LAYERS:
        yield [part(number) for number in range(min(first, second))]
    if stage.inner == 1 and both * both <= MOST_SELECTED:
        channels = np.arange(both).reshape(first, second).T.reshape(-1)
        yield [selected(replace(layer, input_size=tall(stage.outer), input_channels=both), channels, 0)]
