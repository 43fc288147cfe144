"""How a block of channels becomes passes: by runs of contiguous bytes or by taps, with pixels packed into columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import Config
from weft.rtl.isa import Mode

from ..lowering.layers import Block, Layer, block_weights

Span = tuple[int, int]
"""First index and count."""

LONGEST_PACKING = 64
"""Most pixels that are tried side by side in the columns."""


@dataclass(frozen=True)
class Mapping:
    """One way to compute a block. A pass covers one chunk of R elements of a run, for all pixels of a tile.

    With `packed` p, p neighbouring pixels lie side by side in p * `pitch` columns: the block is then a convolution with
    more outputs, a wider kernel and p times the stride.
    """

    block: Block
    shared: int
    """Number of the first block that has the same weights."""
    packed: int
    pitch: int
    """Columns from one packed pixel to the next; a multiple of the lanes where pixels are packed."""
    taps: int
    """Kernel columns that are passes of their own; 1 where a run covers them."""
    run: int
    """Elements of the reduction that are contiguous bytes."""
    kernel_rows: int
    column_tiles: int
    chunk: int
    """Elements per pass, R."""

    @property
    def chunks(self) -> int:
        """Passes per run."""
        return -(-self.run // self.chunk)

    @property
    def passes(self) -> int:
        """Passes per column tile."""
        return self.kernel_rows * self.taps * self.chunks

    @property
    def tiles(self) -> int:
        """Tiles of weights."""
        return self.column_tiles * self.passes

    def chunks_of(self, ends: Sequence[int]) -> list[range]:
        """The chunks of each part of a run; all parts but the last end with a whole chunk."""
        starts = [0, *ends[:-1]]
        return [range(start // self.chunk, -(-end // self.chunk)) for start, end in zip(starts, ends, strict=True)]

    def groups(self, pixels: int) -> int:
        """Groups of packed pixels that cover a row of `pixels`."""
        return -(-pixels // self.packed)

    def entries(self, rows: int, pixels: int) -> int:
        """Accumulator entries of so many sums, per column tile and operand."""
        return rows * self.groups(pixels)

    def entry_steps(self, rows: int, pixels: int) -> tuple[int, int]:
        """Entries from one row of such a tile to the next, and from one pixel, or group of pixels, to the next."""
        return self.groups(pixels), 1

    def positions(self, rows: int, pixels: int) -> int:
        """Cycles of one pass for so many sums, where weights keep up."""
        return rows * self.groups(pixels)

    def cycles(self, rows: int, pixels: int) -> int:
        """Cycles of all passes for so many sums, where weights keep up."""
        return self.tiles * self.positions(rows, pixels)

    def rows_read(self, layer: Layer, rows: int) -> int:
        """Rows of the input from the first to the last that so many rows of sums depend on."""
        return (rows - 1) * layer.stride[0] + (layer.kernel[0] - 1) * layer.dilation[0] + 1

    def reach(self, layer: Layer) -> int:
        """Most bytes from the start of a row of the input to where a pass reads, in either direction."""
        channels = layer.input_channels
        steps = (self.groups(layer.sums_size[1]) - 1) * self.packed * layer.stride[1]
        behind = (steps + (self.taps - 1) * layer.dilation[1] - layer.before[1]) * channels + self.run
        return max(layer.before[1] * channels, behind)

    @property
    def upright(self) -> bool:
        """A tile costs less the more rows it has."""
        return False

    def fields(self, layer: Layer, rows: Span, pixels: Span, part: Span) -> dict[str, Any]:
        """The geometry of a CONV over a part of the runs; its address counts from the start of the buffer."""
        channels = layer.input_channels
        row_pitch = layer.input_size[1] * channels
        y0 = rows[0] * layer.stride[0] - layer.before[0]
        return {
            "mode": Mode.DENSE,
            "address": self.block.first_input + y0 * row_pitch,
            "y_pitch": layer.stride[0] * row_pitch,
            "ky_pitch": layer.dilation[0] * row_pitch,
            "row_bytes": row_pitch,
            "x0": (pixels[0] * layer.stride[1] - layer.before[1]) * channels + part[0],
            "x_step": self.packed * layer.stride[1] * channels,
            "kx_step": layer.dilation[1] * channels,
            "run": part[1] - part[0],
            "height": layer.input_size[0],
            "y0": y0,
            "y_step": layer.stride[0],
            "ky_step": layer.dilation[0],
            "ky_count": self.kernel_rows,
            "kx_count": self.taps,
            "ox_count": self.groups(pixels[1]),
            "oy_count": rows[1],
        }

    def across(self, columns: Span, operands: int) -> dict[str, int]:
        """The fields of a CONV that walk over some column tiles."""
        return {"n_count": columns[1], "entry_step": columns[1] * operands}

    def offset(self, columns: Span) -> int:
        """Bytes from the block's first input to that of some column tiles: all read the same."""
        return 0

    def weights(self, layer: Layer, config: Config) -> NDArray[np.int8]:
        """The block's weights as the array holds them: (column tiles, kernel rows, taps, chunks, R, C)."""
        dense = block_weights(layer, self.block)
        outputs, height, width, inputs = dense.shape
        columns = self.column_tiles * config.cols
        if self.taps > 1 or (self.packed == 1 and self.run == inputs):
            runs = np.zeros((columns, height, self.taps, self.chunks * config.rows), np.int8)
            runs[:outputs, :, :, :inputs] = dense.reshape(outputs, height, self.taps, inputs)
        else:
            runs = np.zeros((columns, height, 1, self.chunks * config.rows), np.int8)
            for pixel in range(self.packed):
                first = pixel * self.pitch
                for x in range(width):
                    start = (x * layer.dilation[1] + pixel * layer.stride[1]) * inputs
                    runs[first : first + outputs, :, 0, start : start + inputs] = dense[:, :, x]
        split = runs.reshape(self.column_tiles, config.cols, height, self.taps, self.chunks, config.rows)
        return np.ascontiguousarray(split.transpose(0, 2, 3, 4, 5, 1))


def dense_mappings(layer: Layer, block: Block, shared: int, config: Config) -> list[Mapping]:
    """Every dense way that is worth a thought; the first one always works."""
    height, width = layer.kernel
    found = [
        Mapping(
            block=block,
            shared=shared,
            packed=1,
            pitch=block.outputs,
            taps=width,
            run=block.inputs,
            kernel_rows=height,
            column_tiles=-(-block.outputs // config.cols),
            chunk=config.rows,
        )
    ]
    if block.inputs == layer.input_channels:
        # Dilation in x is a dense run with zero weights between the taps.
        span = (width - 1) * layer.dilation[1] + 1
        for packed in packings(layer):
            pitch = block.outputs if packed == 1 else -(-block.outputs // config.lanes) * config.lanes
            found.append(
                Mapping(
                    block=block,
                    shared=shared,
                    packed=packed,
                    pitch=pitch,
                    taps=1,
                    run=(span + (packed - 1) * layer.stride[1]) * block.inputs,
                    kernel_rows=height,
                    column_tiles=-(-packed * pitch // config.cols),
                    chunk=config.rows,
                )
            )
    return found


def packings(layer: Layer) -> list[int]:
    """How many pixels may be packed: a pooling window must lie inside one group of pixels."""
    if layer.operands > 1:
        return [1]
    window, step = layer.window, layer.window.stride[1]
    whole = window.size[1] <= step and window.before[1] == 0
    most = min(layer.sums_size[1], LONGEST_PACKING)
    return [n for n in range(1, most + 1) if n == 1 or (whole and n % step == 0)]
