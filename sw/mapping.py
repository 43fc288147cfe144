"""How a block of channels becomes passes: by runs of contiguous bytes or by taps, with pixels packed into columns."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import Config

from .lower import Block, Layer

LONGEST_PACKING = 64
"""Most pixels that are tried side by side in the columns."""


@dataclass(frozen=True)
class Mapping:
    """One way to compute a block. A pass covers one chunk of R elements of a run, for all pixels of a tile.

    With `packed` p, p neighbouring pixels lie side by side in p * `pitch` columns: the block is then a convolution with
    more outputs, a wider kernel and p times the stride.
    """

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

    def chunks_of(self, ends: Sequence[int]) -> list[range]:
        """The chunks of each part of a run; all parts but the last end with a whole chunk."""
        starts = [0, *ends[:-1]]
        return [range(start // self.chunk, -(-end // self.chunk)) for start, end in zip(starts, ends, strict=True)]

    def groups(self, pixels: int) -> int:
        """Groups of packed pixels that cover a row of `pixels`."""
        return -(-pixels // self.packed)

    def cycles(self, rows: int, pixels: int) -> int:
        """Cycles of the passes of `rows` rows, where weights keep up."""
        return self.column_tiles * self.passes * rows * self.groups(pixels)


def mappings(layer: Layer, block: Block, config: Config) -> list[Mapping]:
    """Every way that is worth a thought; the first one always works."""
    outputs, height, width, inputs = block.weights.shape
    found = [
        Mapping(
            packed=1,
            pitch=outputs,
            taps=width,
            run=inputs,
            kernel_rows=height,
            column_tiles=-(-outputs // config.cols),
            chunk=config.rows,
        )
    ]
    contiguous = inputs == layer.input_channels
    if contiguous:
        # Dilation in x is a dense run with zero weights between the taps.
        span = (width - 1) * layer.dilation[1] + 1
        for packed in packings(layer):
            pitch = outputs if packed == 1 else -(-outputs // config.lanes) * config.lanes
            run = (span + (packed - 1) * layer.stride[1]) * inputs
            found.append(
                Mapping(
                    packed=packed,
                    pitch=pitch,
                    taps=1,
                    run=run,
                    kernel_rows=height,
                    column_tiles=-(-packed * pitch // config.cols),
                    chunk=config.rows,
                )
            )
    return found


def packings(layer: Layer) -> list[int]:
    """How many pixels may be packed: a pooling window must lie inside one group of pixels."""
    window, step = layer.window, layer.window.stride[1]
    whole = window.size[1] <= step and window.before[1] == 0
    most = min(layer.sums_size[1], LONGEST_PACKING)
    return [n for n in range(1, most + 1) if n == 1 or (whole and n % step == 0)]


def column_weights(layer: Layer, block: Block, mapping: Mapping, config: Config) -> NDArray[np.int8]:
    """The block's weights as the array holds them: (column tiles, kernel rows, taps, chunks, R, C)."""
    outputs, height, width, inputs = block.weights.shape
    columns = mapping.column_tiles * config.cols
    if mapping.taps > 1 or (mapping.packed == 1 and mapping.run == inputs):
        runs = np.zeros((columns, height, mapping.taps, mapping.chunks * config.rows), np.int8)
        runs[:outputs, :, :, :inputs] = block.weights.reshape(outputs, height, mapping.taps, inputs)
    else:
        runs = np.zeros((columns, height, 1, mapping.chunks * config.rows), np.int8)
        for pixel in range(mapping.packed):
            first = pixel * mapping.pitch
            for x in range(width):
                start = (x * layer.dilation[1] + pixel * layer.stride[1]) * inputs
                runs[first : first + outputs, :, 0, start : start + inputs] = block.weights[:, :, x]
    split = runs.reshape(mapping.column_tiles, config.cols, height, mapping.taps, mapping.chunks, config.rows)
    return np.ascontiguousarray(split.transpose(0, 2, 3, 4, 5, 1))
