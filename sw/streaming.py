"""Weights that do not stay on the chip: one portion is used from one half of their room while the next one arrives."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import Config
from weft.rtl.isa import Opcode, Space

from .allocate import weight_lines
from .schedule import Schedule

Key = tuple[int, int, tuple[int, int], int]
"""Tag of the layer, block, columns, part of the run."""


@dataclass
class Place:
    """Where a portion lies, and who has to do with it."""

    half: int
    load: int
    """Number of the LOAD."""
    used: int
    """Number of the last CONV so far that reads it."""


class WeightStream:
    """Emits the LOADs of portions in the order of their use.

    Parameters
    ----------
    order : the portions as the program will use them, with their weight tiles (count, R, C).
    tiles : room for them, in tiles; it begins at line 0.
    base : base register of the image.
    start : where in the image the portions begin.
    """

    def __init__(
        self,
        config: Config,
        schedule: Schedule,
        order: Sequence[tuple[Key, NDArray[np.int8]]],
        tiles: int,
        base: int,
        start: int = 0,
    ) -> None:
        self.config = config
        self.schedule = schedule
        self.order = order
        self.half_tiles = tiles // 2
        self.base = base
        self.start = start
        self.places: dict[Key, Place] = {}
        self.position = 0
        """The next portion to be loaded."""
        self.current = -1
        """The portion in use."""
        self.offsets: dict[Key, int] = {}
        self.parts: list[bytes] = []

    @property
    def image(self) -> bytes:
        """All portions, each once."""
        return b"".join(self.parts)

    def get(self, key: Key) -> tuple[int, int]:
        """First line of a portion and the number of the LOAD that brings it."""
        if self.current < 0 or self.order[self.current][0] != key:
            self.current += 1
        self._fill(self.current)
        place = self.places[key]
        return place.half * self.half_tiles * self.config.weight_steps, place.load

    def use(self, key: Key, conv: int) -> None:
        """The CONV `conv` reads a portion; the next one may come meanwhile."""
        self.places[key].used = conv
        self._fill(self.current + 1)

    def _fill(self, until: int) -> None:
        while self.position <= until and self.position < len(self.order):
            key, tiles = self.order[self.position]
            if key not in self.places:
                self._load(key, tiles)
            self.position += 1

    def _load(self, key: Key, tiles: NDArray[np.int8]) -> None:
        config = self.config
        if key not in self.offsets:
            self.offsets[key] = sum(len(part) for part in self.parts)
            self.parts.append(weight_lines(tiles, config))
        half = 0 if self.position == 0 else 1 - self.places[self.order[self.position - 1][0]].half
        evicted = [other for other, place in self.places.items() if place.half == half]
        tile_bytes = config.weight_steps * config.weight_line_bytes
        number = self.schedule.add(
            Opcode.LOAD,
            "a portion of the weights",
            after=[self.places.pop(other).used for other in evicted],
            tag=key[0],
            space=Space.WEIGHTS,
            base=self.base,
            offset=self.start + self.offsets[key],
            local=half * self.half_tiles * tile_bytes,
            bytes=len(tiles) * tile_bytes,
            rows=1,
        )
        self.places[key] = Place(half, number, number)
