"""How a layer is cut into tiles: each fits in a half of the accumulator, and its drain hides behind the next one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from weft.rtl.config import Config

from ..cycles.estimate import conv_cycles, drain_cycles
from ..lowering.layers import Layer, Window
from .mapping import Mapping, Span
from .ways import Way, weight_tiles

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


Portion = tuple[int, Span, int]
"""Weights that are used together: of a block, some columns and a part of the runs."""


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
        return weight_tiles(self.mappings)

    def key(self, tile: Tile, part: int) -> Portion:
        """What of the weights one part of a tile uses."""
        return self.mappings[tile.block].shared, tile.columns, part


def portions_of(plan: Plan) -> list[tuple[Portion, int]]:
    """The weights in the order of their use, and how many tiles they are; what is used several times in a row comes
    once."""
    found: list[tuple[Portion, int]] = []
    for tile in plan.tiles:
        mapping = plan.mappings[tile.block]
        for index, chunks in enumerate(mapping.chunks_of(tile.ends)):
            key = plan.key(tile, index)
            if not found or found[-1][0] != key:
                found.append((key, tile.columns[1] * mapping.kernel_rows * mapping.taps * len(chunks)))
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
    positions: int
    """Cycles of each pass, where weights keep up."""
    entries: int
    """Accumulator entries."""
    channels: int
    """Output channels per pixel."""


def shape_of(layer: Layer, plan: Plan, tile: Tile, config: Config) -> Shape:
    """The tile in terms of sums."""
    mapping = plan.mappings[tile.block]
    rows = sums_of(layer.window, 0, tile.rows, layer.sums_size[0])
    pixels = sums_of(layer.window, 1, tile.pixels, layer.sums_size[1])
    outputs = mapping.block.outputs
    if mapping.packed == 1:
        outputs = min(outputs - tile.columns[0] * config.cols, tile.columns[1] * config.cols)
    entries = mapping.entries(rows[1], pixels[1]) * tile.columns[1] * layer.operands
    return Shape(rows, pixels, mapping.positions(rows[1], pixels[1]), entries, outputs)


@dataclass(frozen=True)
class Part:
    """One CONV of a tile."""

    operand: int
    number: int
    """Of the part of the runs."""
    chunks: range
    end: int
    """Of this part of the runs."""
    passes: int


def parts_of(layer: Layer, mapping: Mapping, tile: Tile) -> list[Part]:
    """The CONVs of a tile: one per part of the runs, for each operand."""
    passes = tile.columns[1] * mapping.kernel_rows * mapping.taps
    return [
        Part(operand, number, chunks, tile.ends[number], passes * len(chunks))
        for operand in range(layer.operands)
        for number, chunks in enumerate(mapping.chunks_of(tile.ends))
    ]


def emptying_cycles(layer: Layer, tile: Tile, shape: Shape, config: Config) -> int:
    """Cycles of a tile in the drain."""
    window = layer.window.size[0] * layer.window.size[1] * layer.operands
    return drain_cycles(config, tile.rows[1] * tile.pixels[1], shape.channels, window)


def pass_cycles(layer: Layer, plan: Plan, config: Config) -> int:
    """Cycles that the layer's passes take in the array."""
    return sum(
        conv_cycles(config, part.passes, shape_of(layer, plan, tile, config).positions)
        for tile in plan.tiles
        for part in parts_of(layer, plan.mappings[tile.block], tile)
    )


def bytes_needed(layer: Layer, mapping: Mapping, shape: Shape, end: int) -> int:
    """How much of its dense input a part of a tile reads, whose run ends at `end`: all up to its last row."""
    if layer.product:
        return end
    first = shape.sums_rows[0] * layer.stride[0] - layer.before[0]
    stop = first + mapping.rows_read(layer, shape.sums_rows[1])
    rows: int = max(min(stop, layer.input_size[0]), 1)
    return rows * layer.input_size[1] * layer.input_channels


def bytes_passed(layer: Layer, shape: Shape) -> int:
    """How much of its dense input, from the start, a tile does not read: all above its first row."""
    if layer.product:
        return 0
    first = min(max(shape.sums_rows[0] * layer.stride[0] - layer.before[0], 0), layer.input_size[0] - 1)
    passed: int = first * layer.input_size[1] * layer.input_channels
    return passed


def bytes_touched(layer: Layer, tile: Tile) -> tuple[int, int]:
    """The first byte of its target that a tile may write, and the one behind the last."""
    if not layer.whole:
        return 0, layer.target_bytes
    pitch = layer.output_size[1] * layer.output_channels
    return tile.rows[0] * pitch, sum(tile.rows) * pitch


def bytes_finished(layer: Layer, plan: Plan, config: Config) -> list[int]:
    """Per tile: how much of the target is complete after it; nothing before the last where they are not the same."""
    finished = []
    complete = layer.target_bytes
    for tile in reversed(plan.tiles):
        finished.append(complete)
        complete = min(complete, _first_byte(layer, plan, tile, config)) if layer.whole else 0
    return finished[::-1]


def _first_byte(layer: Layer, plan: Plan, tile: Tile, config: Config) -> int:
    """Where in the dense output the tile's first byte may be, at a row's start or, of a single pixel, at a channel."""
    if layer.output_size == (1, 1):
        channel: int = plan.mappings[tile.block].block.first_output + tile.columns[0] * config.cols
        return channel
    return tile.rows[0] * layer.output_size[1] * layer.output_channels


@dataclass(frozen=True)
class Frame:
    """One way to cut a layer but for its rows."""

    height: int
    tall: int
    """Most rows that fit."""
    across: tuple[Span, ...]
    """Pixels."""
    spans: tuple[tuple[int, Span], ...]
    """Blocks and their columns."""
    ends: tuple[tuple[int, ...], ...]
    """Per block, where parts of its runs end."""
    columns_first: bool
    """Columns are outermost, and not rows."""

    @property
    def tiles_per_row(self) -> int:
        """Tiles, or rather CONVs, for each piece of the rows."""
        return len(self.across) * sum(len(self.ends[block]) for block, _ in self.spans)

    def tiles(self, down: Sequence[int]) -> tuple[Tile, ...]:
        """The tiles, with rows in such pieces."""
        areas = [(row, pixel) for row in spans_of(down) for pixel in self.across]
        pairs = [(area, span) for area in areas for span in self.spans]
        if self.columns_first:
            pairs = [(area, span) for span in self.spans for area in areas]
        return tuple(Tile(block, *area, column, self.ends[block]) for area, (block, column) in pairs)


def frames(layer: Layer, chosen: Way, config: Config, portion: int | None = None) -> Iterator[Frame]:
    """Ways to cut the layer but for its rows, all of which fit.

    Rows are outermost, so that the first rows are complete early. With `portion` the weights come from memory, at most
    so many tiles of them at once; then columns are outermost, so that they come once, unless not even one column fits.
    """
    height, width = layer.output_size
    mapping = chosen[0]
    together = config.accumulators if portion is None else max(portion // mapping.passes, 1)
    for columns in _column_cuts(mapping, height * width == 1, min(together, mapping.column_tiles)):
        most = max(columns)
        ends = tuple(_run_ends(one, most, portion) for one in chosen)
        if not all(ends):
            continue
        spans = tuple(
            (block, column) for block, one in enumerate(chosen) for column in _spans_within(columns, one.column_tiles)
        )
        columns_first = portion is not None and all(len(one) == 1 for one in ends)
        for across in _across(layer, mapping, most, config):
            tall = _rows_that_fit(layer, mapping, most, max(across), config)
            yield Frame(height, tall, tuple(spans_of(across)), spans, ends, columns_first)


def cuts(layer: Layer, chosen: Way, config: Config, portion: int | None = None) -> Iterator[tuple[Tile, ...]]:
    """Ways to cut the layer, all of which fit."""
    for frame in frames(layer, chosen, config, portion):
        for down in sorted(_pieces(frame.height, frame.tall, frame.tiles_per_row)):
            yield frame.tiles(down)


def _run_ends(mapping: Mapping, columns: int, portion: int | None) -> tuple[int, ...]:
    """Where a run is cut so that the weights of a part are at most `portion` tiles; () if that is impossible."""
    if portion is None:
        return (mapping.run,)
    together = min(portion // (columns * mapping.kernel_rows * mapping.taps), mapping.chunks) * mapping.chunk
    return (*range(together, mapping.run, together), mapping.run) if together else ()


def _entries(layer: Layer, mapping: Mapping, rows: int, pixels: int, columns: int) -> int:
    """Accumulator entries of a tile of output rows and pixels somewhere in the middle."""
    window = layer.window
    sums = min((rows - 1) * window.stride[0] + window.size[0], layer.sums_size[0])
    across = min((pixels - 1) * window.stride[1] + window.size[1], layer.sums_size[1])
    return mapping.entries(sums, across) * columns * layer.operands


def _across(layer: Layer, mapping: Mapping, columns: int, config: Config) -> list[list[int]]:
    """Ways to cut the output pixels of a row: in the fewest pieces, and where a tile should rather be tall, in the
    fewest of which all rows fit."""
    height, width = layer.output_size
    step = mapping.packed // layer.window.stride[1] if mapping.packed > 1 else 1
    found: list[list[int]] = []
    for rows in (1, height) if mapping.upright and height > 1 else (1,):
        pixels = _pixels_that_fit(layer, mapping, rows, columns, step, config)
        if pixels is not None:
            cut = even(width, -(-width // pixels), step)
            found += [cut] if cut not in found else []
    return found


def _pixels_that_fit(layer: Layer, mapping: Mapping, rows: int, columns: int, step: int, config: Config) -> int | None:
    """The most output pixels of a row, all of them or a multiple of `step`, that fit with so many rows of outputs."""
    width = layer.output_size[1]
    if _entries(layer, mapping, rows, width, columns) <= config.accumulators:
        return width
    fitting = [n for n in range(step, width, step) if _entries(layer, mapping, rows, n, columns) <= config.accumulators]
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
        even(count, n, 1) for n in sorted({fewest, *range(1, min(count, 5)), *(-(-count // n) for n in range(1, 9))})
    ]


def even(length: int, pieces: int, step: int) -> list[int]:
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
                middle = even(rest, count, 1) if rest else []
                found.add(tuple(piece for piece in (first, *middle, last) if piece))
    return found


def spans_of(sizes: Sequence[int]) -> list[Span]:
    return [(sum(sizes[:index]), size) for index, size in enumerate(sizes)]


def _spans_within(sizes: Sequence[int], count: int) -> list[Span]:
    """The spans of `sizes`, cut off at `count`."""
    return [(first, min(size, count - first)) for first, size in spans_of(sizes) if first < count]
