"""Weights that do not stay on the chip: portions come as far ahead of their use as there is room, in the place of what
is needed again last."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import Config
from weft.rtl.isa import Space

from .allocate import weight_lines
from .schedule import Schedule

Key = tuple[int, int, tuple[int, int], int]
"""Tag of the layer, block, columns, part of the run."""

MOST_AHEAD = 2
"""LOADs that are put behind one CONV: what is dispatched too early fills the load unit's queue, and CONVs wait."""


DISTANCE = 3
"""What a portion replaces was used at least so many portions before it, if that can be, so that it comes in time."""


@dataclass
class Place:
    """Where a portion lies, and who has to do with it."""

    first: int
    """Its first tile."""
    stop: int
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
        self.tiles = tiles
        self.base = base
        self.start = start
        self.places: dict[Key, Place] = {}
        self.position = 0
        """The next portion to be looked at."""
        self.current = -1
        """The portion in use."""
        self.offsets: dict[Key, int] = {}
        self.parts: list[bytes] = []
        self.bytes = 0
        self.uses: dict[Key, list[int]] = {}
        for position, (key, _) in enumerate(order):
            self.uses.setdefault(key, []).append(position)

    @property
    def image(self) -> bytes:
        """All portions, each once."""
        return b"".join(self.parts)

    def get(self, key: Key) -> tuple[int, int]:
        """First line of a portion and the number of the LOAD that brings it."""
        if self.current < 0 or self.order[self.current][0] != key:
            self.current += 1
        if key not in self.places:
            self._load(self.current, *self._room(self.current))
        self.position = max(self.position, self.current + 1)
        place = self.places[key]
        return place.first * self.config.weight_steps, place.load

    def use(self, key: Key, conv: int) -> None:
        """The CONV `conv` reads a portion; the next ones may come meanwhile."""
        self.places[key].used = conv
        loads = 0
        while loads < MOST_AHEAD and self.position < len(self.order):
            if self.order[self.position][0] not in self.places:
                first, evicted = self._room(self.position)
                if any(self._use_after(other, self.current) <= self.position for other in evicted):
                    return
                self._load(self.position, first, evicted)
                loads += 1
            self.position += 1

    def _use_after(self, key: Key, position: int) -> int:
        """The first use of a portion at this position or behind it."""
        uses = self.uses[key]
        index = bisect_left(uses, position)
        return uses[index] if index < len(uses) else len(self.order)

    def _use_before(self, key: Key, position: int) -> int:
        """The last use of a portion before this position; one long ago if there is none."""
        uses = self.uses[key]
        index = bisect_left(uses, position)
        return uses[index - 1] if index else -len(self.order)

    def _room(self, position: int) -> tuple[int, list[Key]]:
        """Where to put a portion, and the portions that lie there: those that are needed again last, but none that is
        in use shortly before, for then this one would come late."""
        count = len(self.order[position][1])
        found: list[tuple[int, int, int, int, list[Key]]] = []
        for first in {0, *(place.stop for place in self.places.values())}:
            if first + count <= self.tiles:
                lying = [key for key, one in self.places.items() if one.first < first + count and first < one.stop]
                late = max((self._use_before(key, position) - position + DISTANCE for key in lying), default=0)
                soonest = min((self._use_after(key, position) for key in lying), default=len(self.order) + 1)
                tiles = sum(self.places[key].stop - self.places[key].first for key in lying)
                found.append((max(late, 0), -soonest, tiles, first, lying))
        *_, first, lying = min(found)
        return first, lying

    def _load(self, position: int, first: int, evicted: Sequence[Key]) -> None:
        config = self.config
        key, tiles = self.order[position]
        if key not in self.offsets:
            self.offsets[key] = self.bytes
            self.parts.append(weight_lines(tiles, config))
            self.bytes += len(self.parts[-1])
        tile_bytes = config.weight_steps * config.weight_line_bytes
        number = self.schedule.load(
            "a portion of the weights",
            len(tiles) * tile_bytes,
            config.memory_bytes,
            after=[self.places.pop(other).used for other in evicted],
            tag=key[0],
            space=Space.WEIGHTS,
            base=self.base,
            offset=self.start + self.offsets[key],
            local=first * tile_bytes,
        )
        self.places[key] = Place(first, first + len(tiles), number, number)
