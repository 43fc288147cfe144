"""Depthwise filters down the columns: channel c of the input enters column c from above and meets the taps in the rows.

The filter lies along x or along y of the image; the stream of positions walks the same way, and the kernel's other axis
is passes of its own. Along y the roles of the two pitches are swapped, and the sums lie column by column.
"""

from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import Config
from weft.rtl.isa import Mode

from ..lowering.layers import Block, Layer
from .mapping import Mapping, Span

Y, X = 0, 1

WIDEST_FIELD = 255
"""Of the steps and counts of a CONV that have 8 bits."""

WIDEST_IMAGE = (1 << 15) - 1
"""Across the filter: positions there have 16 bits and a sign."""


@dataclass(frozen=True)
class Columns(Mapping):
    """A way to compute a depthwise block of at most C channels.

    `kernel_rows` counts the kernel's cells across the filter, `taps` groups of positions along it, which are passes of
    their own; in a group there may be positions between the kernel's cells.
    """

    axis: int
    """Along which the filter lies, Y or X."""
    step: int
    """Pixels of the input from one position of the stream to the next."""
    interval: int
    """Positions from one sum to the next."""
    spread: int
    """Positions from one cell of the kernel to the next."""
    size: int
    """Positions that a group of taps covers."""
    group_step: int
    """Pixels of the input from one group to the next."""

    def _turned(self, rows: int, pixels: int) -> tuple[int, int]:
        """Streams, and sums per stream."""
        return (rows, pixels) if self.axis == X else (pixels, rows)

    def _stream(self, sums: int) -> int:
        return (sums - 1) * self.interval + self.size

    def entry_steps(self, rows: int, pixels: int) -> tuple[int, int]:
        """As Mapping.entry_steps."""
        return (pixels, 1) if self.axis == X else (1, rows)

    def positions(self, rows: int, pixels: int) -> int:
        """As Mapping.positions."""
        streams, sums = self._turned(rows, pixels)
        return streams * self._stream(sums)

    def _extent(self, sums: int) -> int:
        """Pixels of the input under a stream, from the first to the last."""
        return (self._stream(sums) - 1) * self.step + (self.taps - 1) * self.group_step + 1

    def rows_read(self, layer: Layer, rows: int) -> int:
        """As Mapping.rows_read."""
        return self._extent(rows) if self.axis == Y else super().rows_read(layer, rows)

    def reach(self, layer: Layer) -> int:
        """As Mapping.reach; along y the whole input is a row."""
        pitch = layer.input_channels * (layer.input_size[1] if self.axis == Y else 1)
        before = layer.before[self.axis]
        return pitch * max(before, self._extent(layer.sums_size[self.axis]) - before)

    @property
    def upright(self) -> bool:
        """As Mapping.upright."""
        return self.axis == Y

    def fields(self, layer: Layer, rows: Span, pixels: Span, part: Span) -> dict[str, Any]:
        """As Mapping.fields; `part` is the whole run."""
        along, across = self.axis, 1 - self.axis
        pitches = (layer.input_size[1] * layer.input_channels, layer.input_channels)
        spans = (rows, pixels)
        start = [spans[axis][0] * layer.stride[axis] - layer.before[axis] for axis in (Y, X)]
        return {
            "mode": Mode.COLUMNS,
            "address": self.block.first_input + start[across] * pitches[across],
            "y_pitch": layer.stride[across] * pitches[across],
            "ky_pitch": layer.dilation[across] * pitches[across],
            "row_bytes": layer.input_size[along] * pitches[along],
            "x0": start[along] * pitches[along],
            "x_step": self.step * pitches[along],
            "kx_step": self.group_step * pitches[along],
            "run": self.block.inputs,
            "height": layer.input_size[across],
            "y0": start[across],
            "y_step": layer.stride[across],
            "ky_step": layer.dilation[across],
            "ky_count": self.kernel_rows,
            "kx_count": self.taps,
            "ox_count": self._stream(spans[along][1]),
            "oy_count": spans[across][1],
            "warmup": self.size - 1,
            "interval": self.interval,
        }

    def weights(self, layer: Layer, config: Config) -> NDArray[np.int8]:
        """As Mapping.weights, (1, kernel cells across, groups, 1, R, C): the taps of a group in
        reverse, the first one in row `warmup`."""
        block = self.block
        kernels = layer.weights[block.first_output : block.first_output + block.outputs, :, :, 0]
        kernels = kernels if self.axis == X else kernels.transpose(0, 2, 1)
        stream = np.zeros((*kernels.shape[:2], self.taps * self.size), np.int8)
        stream[:, :, : (kernels.shape[2] - 1) * self.spread + 1 : self.spread] = kernels
        groups = stream.reshape(block.outputs, self.kernel_rows, self.taps, self.size)[..., ::-1]
        held = np.zeros((1, self.kernel_rows, self.taps, 1, config.rows, config.cols), np.int8)
        held[0, :, :, 0, : self.size, : block.outputs] = groups.transpose(1, 2, 3, 0)
        return held


def column_mappings(layer: Layer, block: Block, shared: int, config: Config) -> list[Columns]:
    """The ways to compute a depthwise block of at most C channels: along x and along y, with as few groups of taps as
    can be or with each tap by itself; none where a field of the instruction is too narrow."""
    found = []
    for axis in (X, Y):
        kernel, stride, dilation = (pair[axis] for pair in (layer.kernel, layer.stride, layer.dilation))
        step = gcd(stride, dilation) if kernel > 1 else stride
        spread = dilation // step if kernel > 1 else 1
        span = (kernel - 1) * spread + 1
        groups = -(-span // config.rows)
        size = -(-span // groups)
        ways = [(step, stride // step if kernel > 1 else 1, spread, groups, size, size * step)]
        if kernel > 1:
            ways.append((stride, 1, 1, kernel, 1, dilation))
        for step, interval, spread, taps, size, group_step in ways:
            across = layer.kernel[1 - axis]
            narrow = taps, across, interval, layer.stride[1 - axis], layer.dilation[1 - axis]
            if max(narrow) > WIDEST_FIELD or layer.input_size[1 - axis] > WIDEST_IMAGE:
                continue
            found.append(
                Columns(
                    block=block,
                    shared=shared,
                    packed=1,
                    pitch=block.outputs,
                    taps=taps,
                    run=block.inputs,
                    kernel_rows=across,
                    column_tiles=1,
                    chunk=config.cols,
                    axis=axis,
                    step=step,
                    interval=interval,
                    spread=spread,
                    size=size,
                    group_step=group_step,
                )
            )
    return found
