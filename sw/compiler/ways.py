"""Every way to compute a layer that is worth a thought: how channels are put into blocks, and how each is mapped."""

from weft.rtl.config import Config

from ..errors import UserError
from ..lowering.layers import Layer, blocks_of
from .columns import column_mappings
from .mapping import Mapping, dense_mappings
from .stacks import stack_mappings

Way = tuple[Mapping, ...]
"""One mapping per block."""


def ways(layer: Layer, config: Config) -> list[Way]:
    """All ways; the first one needs the fewest accumulators of the dense ones.

    A layer of several groups may be dense, its groups put side by side in the array with zeros off the diagonal: as
    many together as give the fewest passes, or all, which makes runs of contiguous bytes. With one channel per group it
    may run down the columns.

    Raises
    ------
    UserError
        If there is none.
    """
    found: list[Way] = []
    sizes = [_together(layer, config)]
    if layer.groups > sizes[0]:
        sizes.append(layer.groups)
    for together in sizes:
        found += _dense(layer, together, config)
    if config.depthwise and layer.groups == layer.input_channels == layer.output_channels:
        found += _columns(layer, config)
        found += [(one,) for one in stack_mappings(layer, config)]
    # The array's controller counts bytes inside a row up to twice the size of the scratchpad.
    found = [way for way in found if max(one.reach(layer) for one in way) < 2 * config.scratchpad_bytes]
    if not found:
        raise UserError(f"{layer.op} {layer.name!r} has padding that is wider than the scratchpad")
    return found


def cycles(layer: Layer, way: Way) -> int:
    """Cycles of the layer's passes, in one piece and where weights keep up."""
    return layer.operands * sum(one.cycles(*layer.sums_size) for one in way)


def fewest_cycles(layer: Layer, config: Config) -> int:
    """Cycles of the fastest way."""
    return cycles(layer, fastest_way(layer, config))


def fastest_way(layer: Layer, config: Config) -> Way:
    """The way with the fewest cycles of passes."""
    return min(ways(layer, config), key=lambda way: cycles(layer, way))


def weight_tiles(way: Way) -> int:
    """Tiles of weights, those that blocks share counted once."""
    return sum(mapping.tiles for index, mapping in enumerate(way) if mapping.shared == index)


def _together(layer: Layer, config: Config) -> int:
    """How many groups side by side give the fewest passes."""
    inputs, outputs = layer.weights.shape[3], len(layer.weights) // layer.groups

    def passes(together: int) -> int:
        last = layer.groups % together
        sizes = [(layer.groups // together, together), (1 if last else 0, last)]
        return sum(n * -(-size * inputs // config.rows) * -(-size * outputs // config.cols) for n, size in sizes)

    return min(range(1, layer.groups + 1), key=lambda n: (passes(n), -n))


def _dense(layer: Layer, together: int, config: Config) -> list[Way]:
    blocks = blocks_of(layer, together)
    if len(blocks) == 1:
        return [(one,) for one in dense_mappings(layer, blocks[0], 0, config)]
    # Each block is a slice of the channels, whose runs are one pixel long.
    alike = layer.uniform
    return [
        tuple(
            dense_mappings(layer, block, 0 if alike and block.groups == together else index, config)[0]
            for index, block in enumerate(blocks)
        )
    ]


def _columns(layer: Layer, config: Config) -> list[Way]:
    alike = layer.uniform
    blocks = [
        column_mappings(layer, block, 0 if alike else index, config)
        for index, block in enumerate(blocks_of(layer, config.cols))
    ]
    return [tuple(way) for way in zip(*blocks, strict=True)]
