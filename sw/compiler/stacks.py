"""Means down the columns: one sum per channel, all with the same weights.

As in columns.py channel c of C enters column c. But here the blocks of C channels are the rows of the stream, since one
tile of weights serves them all: the whole mean is one CONV, and not one per block.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import Config
from weft.rtl.isa import Mode

from ..lowering.layers import Layer, blocks_of
from .columns import WIDEST_FIELD
from .mapping import Mapping, Span


@dataclass(frozen=True)
class Stack(Mapping):
    """The blocks are column tiles, so that tiles of the layer are some of them."""

    size: int
    """Positions of the stream that a group of taps covers."""
    step: int
    """Pixels of the input from one position to the next."""

    @property
    def tiles(self) -> int:
        """As Mapping.tiles: all blocks have the same."""
        return self.passes

    def positions(self, rows: int, pixels: int) -> int:
        """As Mapping.positions, per block."""
        return self.size

    def cycles(self, rows: int, pixels: int) -> int:
        """As Mapping.cycles."""
        return self.column_tiles * self.passes * self.size

    def reach(self, layer: Layer) -> int:
        """As Mapping.reach."""
        return self.taps * self.size * self.step * layer.input_channels

    def fields(self, layer: Layer, rows: Span, pixels: Span, part: Span) -> dict[str, Any]:
        """As Mapping.fields."""
        channels = layer.input_channels
        row_pitch = layer.input_size[1] * channels
        return {
            "mode": Mode.COLUMNS,
            "address": 0,
            "y_pitch": self.chunk,
            "ky_pitch": layer.dilation[0] * row_pitch,
            "row_bytes": row_pitch,
            "x0": 0,
            "x_step": self.step * channels,
            "kx_step": self.size * self.step * channels,
            "run": self.run,
            "height": layer.input_size[0],
            "y0": 0,
            "y_step": 0,
            "ky_step": layer.dilation[0],
            "ky_count": self.kernel_rows,
            "kx_count": self.taps,
            "ox_count": self.size,
            "warmup": self.size - 1,
            "interval": 1,
        }

    def across(self, columns: Span, operands: int) -> dict[str, int]:
        """As Mapping.across: rows of the stream."""
        return {"oy_count": columns[1], "n_count": 1, "entry_step": 1}

    def offset(self, columns: Span) -> int:
        """As Mapping.offset."""
        return columns[0] * self.chunk

    def weights(self, layer: Layer, config: Config) -> NDArray[np.int8]:
        """As Mapping.weights, but (1, kernel rows, groups, 1, R, C) for all blocks."""
        stream = np.zeros((self.kernel_rows, self.taps * self.size), np.int8)
        stream[:, : layer.kernel[1]] = layer.weights[0, :, :, 0]
        groups = stream.reshape(self.kernel_rows, self.taps, self.size)[..., ::-1]
        held = np.zeros((1, self.kernel_rows, self.taps, 1, config.rows, config.cols), np.int8)
        held[0, :, :, 0, : self.size] = groups[..., None]
        return held


def stack_mappings(layer: Layer, config: Config) -> list[Stack]:
    """The way to compute a layer of one sum per channel, if it is one and has whole blocks of channels."""
    height, width = layer.kernel
    taps = -(-width // config.rows)
    size = -(-width // taps)
    whole = layer.uniform and layer.groups == layer.input_channels == layer.output_channels
    if not whole or layer.input_channels % config.cols or layer.operands > 1 or layer.window.pools:
        return []
    if layer.sums_size != (1, 1) or layer.before != (0, 0) or size < config.weight_steps:
        return []
    if max(height, taps, layer.dilation[0]) > WIDEST_FIELD:
        return []
    (block,) = blocks_of(layer, layer.groups)
    return [
        Stack(
            block=block,
            shared=0,
            packed=1,
            pitch=block.outputs,
            taps=taps,
            run=config.cols,
            kernel_rows=height,
            column_tiles=layer.input_channels // config.cols,
            chunk=config.cols,
            size=size,
            step=layer.dilation[1],
        )
    ]
