"""Where things lie on the chip: activations in the scratchpad by their lifetimes, weights and parameters in lines."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import PARAMETER_RECORD_BYTES, Config

from ..errors import UserError
from ..lowering.layers import Layer


@dataclass(frozen=True)
class Buffer:
    """An activation: written in step `first`, read last in step `last`; step 0 is the load, layer i is step i + 1."""

    name: str
    size: int
    first: int
    last: int


def buffers_of(
    layers: Sequence[Layer],
    sizes: Mapping[str, int],
    inputs: Sequence[str],
    outputs: Sequence[str],
    steps: Sequence[int] | None = None,
) -> list[Buffer]:
    """All activations with their lifetimes; sizes are in bytes, and `steps` per layer, if not one after the other."""
    steps = range(1, len(layers) + 1) if steps is None else steps
    first = dict.fromkeys(inputs, 0)
    last = dict.fromkeys(inputs, 0)
    for step, layer in zip(steps, layers, strict=True):
        last |= dict.fromkeys(layer.sources, step)
        first.setdefault(layer.target, step)
        last[layer.target] = step
    last |= dict.fromkeys(outputs, len(layers) + 1)
    return [Buffer(name, sizes[name], first[name], last[name]) for name in first]


ATTEMPTS = 16
"""Orders in which buffers choose their places, where they do not fit."""


def pack(buffers: Sequence[Buffer], alignment: int, room: int | None = None) -> tuple[dict[str, int], int]:
    """An address for each buffer, a multiple of `alignment`, and how much they take; those alive together do not
    overlap.

    The largest choose first, each the lowest gap that is free over its whole life. While that takes more than `room`,
    those that end behind it choose before all others the next time.
    """
    order = sorted(buffers, key=lambda one: (-one.size, one.first, one.name))
    best = addresses, end = _packed(order, alignment)
    for _ in range(ATTEMPTS):
        if room is None or best[1] <= room:
            break
        outside = {one.name for one in order if addresses[one.name] + one.size > room}
        order.sort(key=lambda one: one.name not in outside)
        addresses, end = _packed(order, alignment)
        best = min(best, (addresses, end), key=itemgetter(1))
    return best


def _packed(buffers: Iterable[Buffer], alignment: int) -> tuple[dict[str, int], int]:
    """The addresses if these choose one after the other."""
    addresses: dict[str, int] = {}
    taken: dict[int, list[tuple[int, int]]] = defaultdict(list)
    """Per step: from where to where."""
    most = 0
    for buffer in buffers:
        address = 0
        steps = range(buffer.first, buffer.last + 1)
        for start, end in sorted({one for step in steps for one in taken[step]}):
            if start < address + buffer.size and address < end:
                address = -(-end // alignment) * alignment
        for step in steps:
            taken[step].append((address, address + buffer.size))
        addresses[buffer.name] = address
        most = max(most, address + buffer.size)
    return addresses, most


def place(buffers: Sequence[Buffer], config: Config) -> dict[str, int]:
    """A scratchpad address for each buffer, at the start of a word.

    Raises
    ------
    UserError
        If they do not fit, with how much is missing.
    """
    addresses, needed = pack(buffers, config.word_bytes, config.scratchpad_bytes)
    if needed > config.scratchpad_bytes:
        raise UserError(
            f"the activations need {needed} bytes of scratchpad at once, {needed - config.scratchpad_bytes} more than "
            f"the {config.scratchpad_bytes} of the configuration"
        )
    return addresses


def predecessors(buffers: Sequence[Buffer], addresses: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """For each buffer the earlier ones whose bytes it takes over, the last ones that had them."""
    owners: list[tuple[int, int, str]] = []
    found: dict[str, tuple[str, ...]] = {}
    for buffer in sorted(buffers, key=lambda one: one.first):
        start, end = addresses[buffer.name], addresses[buffer.name] + buffer.size
        kept: list[tuple[int, int, str]] = []
        before: list[str] = []
        for first, stop, name in owners:
            if stop <= start or end <= first:
                kept.append((first, stop, name))
                continue
            before.append(name)
            kept += [(first, start, name)] if first < start else []
            kept += [(end, stop, name)] if end < stop else []
        owners = [*kept, (start, end, buffer.name)]
        found[buffer.name] = tuple(dict.fromkeys(before))
    return found


class WeightStore:
    """The resident weights, tile after tile from tile `first` on; the same tiles are stored once."""

    def __init__(self, config: Config, first: int = 0) -> None:
        self.config = config
        self.first = first
        self._lines: dict[Hashable, int] = {}
        self._contents: dict[bytes, int] = {}
        self._tiles: list[NDArray[np.int8]] = []
        self.count = 0

    def add(self, key: Hashable, tiles: NDArray[np.int8]) -> int:
        """The first line of `tiles`, shape (..., R, C) in the order of the passes; `key` names them."""
        if key not in self._lines:
            flat = tiles.reshape(-1, self.config.rows, self.config.cols)
            line = (self.first + self.count) * self.config.weight_steps
            self._lines[key] = self._contents.setdefault(flat.tobytes(), line)
            if self._lines[key] == line:
                self._tiles.append(flat)
                self.count += len(flat)
        return self._lines[key]

    def image(self) -> bytes:
        """The content of the weight space.

        Raises
        ------
        UserError
            If there are more tiles than the store holds.
        """
        config = self.config
        total = self.first + self.count
        if total > config.weight_tiles:
            raise UserError(
                f"the weights need {total} tiles of {config.rows}x{config.cols}, "
                f"{total - config.weight_tiles} more than the {config.weight_tiles} of the configuration"
            )
        return b"".join(weight_lines(tiles, config) for tiles in self._tiles)


def weight_lines(tiles: NDArray[np.int8], config: Config) -> bytes:
    """Tiles (count, R, C) as lines of the weight space: line s of a tile has the rows b * S + s of all banks b."""
    banks = tiles.reshape(-1, config.weight_rows, config.weight_steps, config.cols).transpose(0, 2, 1, 3)
    lines = np.zeros((len(tiles) * config.weight_steps, config.weight_line_bytes), np.int8)
    padded = np.zeros((*banks.shape[:3], config.weight_pitch), np.int8)
    padded[..., : config.cols] = banks
    lines[:, : config.weight_rows * config.weight_pitch] = padded.reshape(len(lines), -1)
    return lines.tobytes()


def parameter_lines(
    bias: NDArray[np.int32], multiplier: NDArray[np.int64], shift: NDArray[np.int64], config: Config
) -> bytes:
    """Bias, multiplier and shift per channel, in lines of L records."""
    lanes = config.lanes
    count = -(-len(bias) // lanes)
    records = np.zeros((count * lanes, PARAMETER_RECORD_BYTES), np.uint8)
    records[: len(bias), 0:4] = bias.astype("<i4").view(np.uint8).reshape(-1, 4)
    records[: len(bias), 4:8] = multiplier.astype("<u4").view(np.uint8).reshape(-1, 4)
    records[: len(bias), 8] = shift.astype(np.int8).view(np.uint8)
    lines = np.zeros((count, config.parameter_line_bytes), np.uint8)
    lines[:, : lanes * PARAMETER_RECORD_BYTES] = records.reshape(count, -1)
    return lines.tobytes()
