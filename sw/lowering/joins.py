"""Layers that need not be: what the drain of the layer before them can do, and copies of what can be written where it
belongs at once."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .layers import Layer, Place


def share_drains(layers: tuple[Layer, ...], outputs: tuple[str, ...]) -> tuple[Layer, ...]:
    """Let layers pool their own sums, look up or limit their own results, or write them where they are copied to, where
    a layer that does just this is all that reads them."""
    found: list[Layer] = []
    for layer in layers:
        makers = [index for index, one in enumerate(found) if one.target == layer.source]
        readers = sum(layer.source in one.sources for one in layers)
        joined: list[Layer | None] = [None]
        if makers and readers == 1 and layer.source not in outputs:
            joined = [_joined([found[index] for index in makers], found[index], layer) for index in makers]
        if any(one is None for one in joined):
            found.append(layer)
            continue
        for index, one in zip(makers, joined, strict=True):
            if one is not None:
                found[index] = one
    return tuple(found)


def _joined(makers: Sequence[Layer], maker: Layer, layer: Layer) -> Layer | None:
    """A maker of the layer's source with what the layer does, None if that is not the same.

    Requantization with positive multipliers is monotone, so the largest sum gives the largest result; so it does where
    a table that does not fall comes between.
    """
    if not layer.passes_values or maker.target_bytes != layer.input_bytes:
        return None
    joined = replace(maker, op=maker.op if _copies(layer) else f"{maker.op}+{layer.op}", target=layer.target)
    if layer.window.pools:
        same_image = (maker.output_size, maker.output_channels) == (layer.input_size, layer.input_channels)
        rises = maker.result_table is None or bool(np.all(np.diff(maker.result_table.astype(np.int16)) >= 0))
        busy = maker.window.pools or maker.operands > 1 or maker.sum_tables is not None
        if len(makers) > 1 or not maker.whole or busy or not same_image or not rises:
            return None
        joined = replace(joined, window=layer.window, output_size=layer.output_size, place=layer.place)
    elif not layer.whole:
        placed = _placed(joined, layer)
        if placed is None:
            return None
        joined = placed
    return _limited(joined, layer)


def _copies(layer: Layer) -> bool:
    """The results are the input's values."""
    free = (layer.minimum, layer.maximum) == (-128, 127) and layer.result_table is None
    return free and not layer.window.pools


def _placed(maker: Layer, layer: Layer) -> Layer | None:
    """The maker with its results where the layer would copy them."""
    place = layer.place
    if (maker.place.size, maker.place.channels) == (layer.output_size, layer.output_channels):
        origin, step = maker.place.origin, maker.place.step
        return replace(
            maker,
            place=Place(
                size=place.size,
                channels=place.channels,
                origin=(place.origin[0] + place.step[0] * origin[0], place.origin[1] + place.step[1] * origin[1]),
                step=(place.step[0] * step[0], place.step[1] * step[1]),
                channel=place.channel + maker.place.channel,
            ),
        )
    if not maker.elementwise:
        return None
    channels = layer.output_channels

    return replace(
        maker,
        input_size=layer.input_size,
        input_channels=channels,
        sums_size=layer.output_size,
        output_size=layer.output_size,
        output_channels=channels,
        groups=channels,
        weights=np.repeat(maker.weights[:1], channels, axis=0),
        bias=np.repeat(maker.bias[:1], channels),
        multiplier=np.repeat(maker.multiplier[:1], channels),
        shift=np.repeat(maker.shift[:1], channels),
        place=place,
    )


def _limited(maker: Layer, layer: Layer) -> Layer:
    """The maker with the layer's limits and table behind its own."""
    if maker.result_table is None:
        low, high = (int(np.clip(limit, layer.minimum, layer.maximum)) for limit in (maker.minimum, maker.maximum))
        return replace(maker, minimum=low, maximum=high, result_table=layer.result_table)
    after = np.clip(maker.result_table, layer.minimum, layer.maximum)
    if layer.result_table is not None:
        after = layer.result_table[after.astype(np.intp) + 128]
    return replace(maker, result_table=after)
