"""Weights that do not stay on the chip: portions come as far ahead of their use as there is room, in the place of what
is needed again last."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import sub

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
        placed = sorted(self.places.items(), key=lambda one: one[1].first)
        firsts, stops = [place.first for _, place in placed], [place.stop for _, place in placed]
        sizes = [0, *accumulate(map(sub, stops, firsts))]
        lates = [max(self._use_before(key, position) - position + DISTANCE, 0) for key, _ in placed]
        afters = [self._use_after(key, position) for key, _ in placed]
        found: list[tuple[int, int, int, int, int, int]] = []
        start = stop = 0
        for first in [0, *stops]:
            if first + count > self.tiles:
                break
            # Those from `start` on and before `stop` lie there.
            start = bisect_right(stops, first, start)
            stop = bisect_left(firsts, first + count, stop)
            soonest = min(afters[start:stop], default=len(self.order) + 1)
            late = max(lates[start:stop], default=0)
            found.append((late, -soonest, sizes[stop] - sizes[start], first, start, stop))
        *_, first, start, stop = min(found)
        return first, [key for key, _ in placed[start:stop]]

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
