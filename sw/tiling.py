"""How a layer is cut into tiles: each fits in a half of the accumulator, and its drain hides behind the next one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from weft.rtl.config import Config

from .estimate import conv_cycles, drain_cycles
from .lower import Layer, Window
from .mapping import Mapping

Span = tuple[int, int]
"""First index and count."""

MORE_CUTS = 6
"""A length is tried in the fewest pieces that fit and in up to this many more."""

SHORT_ENDS = (1, 2, 3, 4, 6, 8, 12, 16)
"""Last pieces that are tried: the last drain is the one that nothing hides."""

SHORT_STARTS = (1, 2, 3, 4)
"""First pieces that are tried: they can start while the last of the input is still on its way."""

LONGEST_LOAD = 1 << 20
"""Bytes of one row of a LOAD of constants."""

MANY_TILES = 32
"""From this many tiles on it no longer matters much where exactly the cuts are."""


@dataclass(frozen=True)
class Tile:
    """A rectangle of output pixels, and some columns of one block."""

    block: int
    rows: Span
    pixels: Span
    columns: Span
    """Column tiles."""
    ends: tuple[int, ...]
    """Where the parts of a run end that are computed one after the other, as they arrive; mostly there is one part."""


@dataclass(frozen=True)
class Plan:
    """A layer's way through the array. All blocks are cut alike in rows and pixels."""

    mappings: tuple[Mapping, ...]
    """Per block."""
    tiles: tuple[Tile, ...]
    streamed: bool = False
    """The weights come from memory in each run, instead of staying on the chip."""

    @property
    def weight_tiles(self) -> int:
        """Tiles of weights, all of them."""
        return sum(mapping.column_tiles * mapping.passes for mapping in self.mappings)


@dataclass(frozen=True)
class Portion:
    """Weights that are used together: of a block, some columns and a part of the runs."""

    key: tuple[int, Span, int]
    """Block, columns, and number of the part."""
    tiles: int


def portions_of(plan: Plan) -> list[Portion]:
    """The weights in the order of their use; what is used several times in a row comes once."""
    found: list[Portion] = []
    for tile in plan.tiles:
        mapping = plan.mappings[tile.block]
        for index, chunks in enumerate(mapping.chunks_of(tile.ends)):
            key = (tile.block, tile.columns, index)
            if not found or found[-1].key != key:
                found.append(Portion(key, tile.columns[1] * mapping.kernel_rows * mapping.taps * len(chunks)))
    return found


def sums_of(window: Window, axis: int, outputs: Span, size: int) -> Span:
    """The rows (axis 0) or columns (axis 1) of sums that a span of outputs is pooled from."""
    first = outputs[0] * window.stride[axis] - window.before[axis]
    stop = first + (outputs[1] - 1) * window.stride[axis] + window.size[axis]
    return max(first, 0), min(stop, size) - max(first, 0)


@dataclass(frozen=True)
class Shape:
    """What a tile costs."""

    sums_rows: Span
    sums_pixels: Span
    groups: int
    channels: int
    """Output channels per pixel."""

    @property
    def pixels(self) -> int:
        """Pixels, or groups of packed pixels, that each pass takes."""
        return self.sums_rows[1] * self.groups


def shape_of(layer: Layer, plan: Plan, tile: Tile, config: Config) -> Shape:
    """The tile in terms of sums."""
    return _shape(layer, plan.mappings[tile.block], tile, config)


def _shape(layer: Layer, mapping: Mapping, tile: Tile, config: Config) -> Shape:
    sums_rows = sums_of(layer.window, 0, tile.rows, layer.sums_size[0])
    sums_pixels = sums_of(layer.window, 1, tile.pixels, layer.sums_size[1])
    outputs = layer.blocks[tile.block].outputs
    if mapping.packed == 1:
        outputs = min(outputs - tile.columns[0] * config.cols, tile.columns[1] * config.cols)
    return Shape(sums_rows, sums_pixels, mapping.groups(sums_pixels[1]), outputs)


def part_cycles(mapping: Mapping, tile: Tile, shape: Shape, config: Config) -> list[int]:
    """Cycles in the array of each part of a tile."""
    passes = tile.columns[1] * mapping.kernel_rows * mapping.taps
    return [conv_cycles(config, passes * len(chunks), shape.pixels) for chunks in mapping.chunks_of(tile.ends)]


def emptying_cycles(layer: Layer, tile: Tile, shape: Shape, config: Config) -> int:
    """Cycles of a tile in the drain."""
    window = layer.window.size[0] * layer.window.size[1]
    return drain_cycles(config, tile.rows[1] * tile.pixels[1], shape.channels, window)


def pass_cycles(layer: Layer, plan: Plan, config: Config) -> int:
    """Cycles that the layer's passes take in the array."""
    return sum(
        sum(part_cycles(plan.mappings[tile.block], tile, shape_of(layer, plan, tile, config), config))
        for tile in plan.tiles
    )


def bytes_needed(layer: Layer, shape: Shape, end: int) -> int:
    """How much of its dense input a part of a tile reads, whose run ends at `end`: all up to its last row."""
    if layer.product:
        return end
    last = (shape.sums_rows[0] + shape.sums_rows[1] - 1) * layer.stride[0] - layer.before[0]
    last += (layer.blocks[0].weights.shape[1] - 1) * layer.dilation[0]
    rows: int = max(min(last + 1, layer.input_size[0]), 1)
    return rows * layer.input_size[1] * layer.input_channels


def bytes_finished(layer: Layer, plan: Plan, config: Config) -> list[int]:
    """Per tile: how much of the dense output is complete after it."""
    finished = []
    complete = layer.output_size[0] * layer.output_size[1] * layer.output_channels
    for tile in reversed(plan.tiles):
        finished.append(complete)
        complete = min(complete, _first_byte(layer, tile, config))
    return finished[::-1]


def _first_byte(layer: Layer, tile: Tile, config: Config) -> int:
    """Where in the dense output the tile's first byte may be, at a row's start or, of a single pixel, at a channel."""
    if layer.output_size == (1, 1):
        channel: int = layer.blocks[tile.block].first_output + tile.columns[0] * config.cols
        return channel
    return tile.rows[0] * layer.output_size[1] * layer.output_channels


def cuts(
    layer: Layer, chosen: tuple[Mapping, ...], config: Config, portion: int | None = None
) -> Iterator[tuple[Tile, ...]]:
    """Ways to cut the layer, all of which fit.

    Rows are outermost, so that the first rows are complete early. With `portion` the weights come from memory, at most
    so many tiles of them at once; then columns are outermost, so that they come once, unless not even one column fits.
    """
    height, width = layer.output_size
    mapping = chosen[0]
    step = mapping.packed // layer.window.stride[1] if mapping.packed > 1 else 1
    together = config.accumulators if portion is None else max(portion // mapping.passes, 1)
    for columns in _column_cuts(mapping, height * width == 1, min(together, mapping.column_tiles)):
        most = max(columns)
        ends = [_run_ends(one, most, portion, config) for one in chosen]
        pixels = _pixels_that_fit(layer, mapping, most, step, config)
        if pixels is None or not all(ends):
            continue
        across = _even(width, -(-width // pixels), step)
        tall = _rows_that_fit(layer, mapping, most, max(across), config)
        spans = [
            (block, column) for block, one in enumerate(chosen) for column in _spans_within(columns, one.column_tiles)
        ]
        columns_first = portion is not None and all(len(one) == 1 for one in ends)
        for down in sorted(_pieces(height, tall, len(across) * sum(len(ends[block]) for block, _ in spans))):
            areas = [(row, pixel) for row in _spans(down) for pixel in _spans(across)]
            pairs = [(area, span) for area in areas for span in spans]
            if columns_first:
                pairs = [(area, span) for span in spans for area in areas]
            yield tuple(Tile(block, *area, column, ends[block]) for area, (block, column) in pairs)


def _run_ends(mapping: Mapping, columns: int, portion: int | None, config: Config) -> tuple[int, ...]:
    """Where a run is cut so that the weights of a part are at most `portion` tiles; () if that is impossible."""
    if portion is None:
        return (mapping.run,)
    together = min(portion // (columns * mapping.kernel_rows * mapping.taps), mapping.chunks) * config.rows
    return (*range(together, mapping.run, together), mapping.run) if together else ()


def _entries(layer: Layer, mapping: Mapping, rows: int, pixels: int, columns: int) -> int:
    """Accumulator entries of a tile of output rows and pixels somewhere in the middle."""
    window = layer.window
    sums = min((rows - 1) * window.stride[0] + window.size[0], layer.sums_size[0])
    across = min((pixels - 1) * window.stride[1] + window.size[1], layer.sums_size[1])
    return sums * mapping.groups(across) * columns


def _pixels_that_fit(layer: Layer, mapping: Mapping, columns: int, step: int, config: Config) -> int | None:
    """The most output pixels of a row, all of them or a multiple of `step`, that fit with one row of outputs."""
    width = layer.output_size[1]
    if _entries(layer, mapping, 1, width, columns) <= config.accumulators:
        return width
    fitting = [n for n in range(step, width, step) if _entries(layer, mapping, 1, n, columns) <= config.accumulators]
    return max(fitting, default=None)


def _rows_that_fit(layer: Layer, mapping: Mapping, columns: int, pixels: int, config: Config) -> int:
    height = layer.output_size[0]
    low, high = 1, height
    while low < high:
        middle = (low + high + 1) // 2
        fits = _entries(layer, mapping, middle, pixels, columns) <= config.accumulators
        low, high = (middle, high) if fits else (low, middle - 1)
    return low


def _column_cuts(mapping: Mapping, single_pixel: bool, largest: int) -> Sequence[Sequence[int]]:
    """Ways to divide the column tiles, most in pieces of at most `largest`; packed pixels may not be torn apart."""
    count = mapping.column_tiles
    if mapping.packed > 1 or count == 1:
        return [[count]]
    if single_pixel:
        return sorted(_pieces(count, largest))
    fewest = -(-count // largest)
    return [
        _even(count, n, 1) for n in sorted({fewest, *range(1, min(count, 5)), *(-(-count // n) for n in range(1, 9))})
    ]


def _even(length: int, pieces: int, step: int) -> list[int]:
    """`length` in pieces as equal as can be, all but the last multiples of `step`."""
    units = -(-length // step)
    pieces = max(1, min(pieces, units))
    sizes = [step * (units // pieces + (index < units % pieces)) for index in range(pieces)]
    sizes[-1] -= sum(sizes) - length
    return sizes


def _pieces(length: int, largest: int, others: int = 1) -> set[tuple[int, ...]]:
    """`length` in pieces of at most `largest`: as equal as can be, and with short first and last ones.

    Each piece stands for `others` tiles; where they are many anyway, few ways are tried."""
    found = set()
    many = -(-length // largest) * others >= MANY_TILES
    more = 0 if many else MORE_CUTS
    for first in (0,) if many else (0, *SHORT_STARTS):
        for last in (0, 1) if many else (0, *SHORT_ENDS):
            rest = length - first - last
            if max(first, last) > largest or rest < 0 or (rest == 0 and not first + last):
                continue
            fewest = -(-rest // largest)
            for count in range(fewest, min(fewest + more, rest) + 1):
                middle = _even(rest, count, 1) if rest else []
                found.add(tuple(piece for piece in (first, *middle, last) if piece))
    return found


def _spans(sizes: Sequence[int]) -> list[Span]:
    return [(sum(sizes[:index]), size) for index, size in enumerate(sizes)]


def _spans_within(sizes: Sequence[int], count: int) -> list[Span]:
    """The spans of `sizes`, cut off at `count`."""
    return [(first, min(size, count - first)) for first, size in _spans(sizes) if first < count]
