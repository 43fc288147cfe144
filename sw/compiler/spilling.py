"""What lies where when the activations do not all fit on the chip: which tensors stay in memory, and which layers are
computed in turns, band by band of rows, so that what passes between them never leaves the chip.

A search by single changes, under a cost model of bandwidth and passes; timeline.py tells afterwards what it takes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

from ..errors import UserError
from .cutting import INFEASIBLE, Cut, cost_of, cut, rounded
from .dataflow import MOST_LAYERS, Dataflow


@dataclass(frozen=True)
class Choice:
    """The groups, how each is cut, and the tensors that stay in memory."""

    groups: tuple[range, ...]
    cuts: tuple[Cut, ...]
    """Per group."""
    spilled: frozenset[str]


NO_GAPS: Mapping[int, int] = MappingProxyType({})

Layout = tuple[frozenset[int], frozenset[str]]
"""Layers that are in the group of the one before them, and tensors that stay in memory."""

Change = Callable[[frozenset[int], frozenset[str]], Layout]


def _elsewhere(name: str, joined: frozenset[int], spilled: frozenset[str]) -> Layout:
    return joined, spilled ^ {name}


def _together(
    group: range, more: frozenset[str], fewer: frozenset[str], joined: frozenset[int], spilled: frozenset[str]
) -> Layout:
    return (joined - {group.start, group.stop}) | {*group[1:]}, (spilled | more) - fewer


class Search:
    """Finds the choice of least cost; `gaps` are bytes of the room that layers cannot use."""

    def __init__(self, flow: Dataflow, room: int, gaps: Mapping[int, int]) -> None:
        self.flow = flow
        self.room = room
        self.gaps = gaps
        self._cuts: dict[range, list[Cut]] = {}
        self._best: dict[tuple[range, frozenset[str], int], tuple[float, Cut]] = {}

    def run(self) -> Choice:
        """The best choice found.

        Raises
        ------
        UserError
            If some layer does not fit however it is cut.
        """
        flow = self.flow
        joined: frozenset[int] = frozenset()
        spilled: frozenset[str] = frozenset()
        cost, choice = self._cost(joined, spilled)
        better = True
        while better:
            better = False
            for change in self._changes():
                changed = change(joined, spilled)
                found, other = self._cost(*changed)
                if found < cost:
                    (joined, spilled), cost, choice, better = changed, found, other, True
        if cost >= INFEASIBLE:
            worst = max(range(len(choice.groups)), key=lambda number: self._group_cost(choice, number))
            layer = flow.layers[choice.groups[worst][-1]]
            raise UserError(
                f"{layer.op} {layer.name!r} needs more than the {flow.config.scratchpad_bytes} bytes of scratchpad "
                f"at once, even a row at a time"
            )
        inside = {
            name
            for group in choice.groups
            for index in group
            for name in self._touched(index)
            if flow.inside(name, group)
        }
        return replace(choice, spilled=choice.spilled - inside)

    def _changes(self) -> Iterator[Change]:
        """One tensor lies elsewhere; or some layers become a group of their own, maybe with all that it reads and makes
        in memory."""
        flow = self.flow
        for name in flow.sizes:
            yield partial(_elsewhere, name)
        count = len(flow.layers)
        for start in range(count):
            for stop in range(start + 1, min(start + MOST_LAYERS, count) + 1):
                group = range(start, stop)
                if not flow.may_group(group):
                    break
                touched = {name for index in group for name in self._touched(index)}
                inside = frozenset(name for name in touched if flow.inside(name, group))
                yield partial(_together, group, frozenset(), frozenset())
                yield partial(_together, group, frozenset(), inside)
                yield partial(_together, group, frozenset(touched), inside)

    def _touched(self, index: int) -> tuple[str, ...]:
        layer = self.flow.layers[index]
        return (*layer.sources, layer.target)

    def _cost(self, joined: frozenset[int], spilled: frozenset[str]) -> tuple[float, Choice]:
        flow = self.flow
        groups: list[range] = []
        for index in range(len(flow.layers)):
            start = groups[-1].start if groups and index in joined else index
            if start < index:
                groups[-1] = range(start, index + 1)
            else:
                groups.append(range(index, index + 1))
        if not all(flow.may_group(group) for group in groups if len(group) > 1):
            return float("inf"), Choice((), (), frozenset())
        room = self._room(groups, spilled)
        found = [self._best_cut(group, spilled, free) for group, free in zip(groups, room, strict=True)]
        choice = Choice(tuple(groups), tuple(one for _, one in found), spilled)
        return sum(cost for cost, _ in found), choice

    def _room(self, groups: Sequence[range], spilled: frozenset[str]) -> list[int]:
        """Bytes of scratchpad that the tensors on the chip leave to each group."""
        flow = self.flow
        number = {index: place for place, group in enumerate(groups) for index in group}
        change = [0] * (len(groups) + 1)
        for name, size in flow.sizes.items():
            uses = [number[index] for index in (*flow.writers[name], *flow.readers[name])]
            if name in spilled or (uses and flow.inside(name, groups[uses[0]])):
                continue
            first = min(uses) if flow.writers[name] else 0
            last = len(groups) - 1 if name in flow.outputs else max(uses, default=0)
            change[first] += rounded(size, flow.config)
            change[last + 1] -= rounded(size, flow.config)
        left, found = self.room, []
        for group, one in zip(groups, change, strict=False):
            left -= one
            found.append(left - max(self.gaps.get(index, 0) for index in group))
        return found

    def _group_cost(self, choice: Choice, number: int) -> float:
        room = self._room(choice.groups, choice.spilled)
        return self._best_cut(choice.groups[number], choice.spilled, room[number])[0]

    def _best_cut(self, group: range, spilled: frozenset[str], room: int) -> tuple[float, Cut]:
        """The best cut, and its cost."""
        touched = {name for index in group for name in self._touched(index)}
        key = group, spilled & touched, room
        if key not in self._best:
            costs = [(cost_of(self.flow, group, one, spilled, room), one) for one in self._cuts_of(group)]
            self._best[key] = min(costs, key=lambda one: (one[0], one[1].count))
        return self._best[key]

    def _cuts_of(self, group: range) -> list[Cut]:
        if group not in self._cuts:
            height = self.flow.layers[group[-1]].output_size[0]
            tall = {-(-height // count) for count in range(1, 9)} | {one for one in (1, 2, 3, 4, 6, 8) if one < height}
            counts = sorted({-(-height // one) for one in tall})
            self._cuts[group] = [cut(self.flow, group, count, lean) for lean in (False, True) for count in counts]
        return self._cuts[group]


def spill(flow: Dataflow, room: int, gaps: Mapping[int, int] = NO_GAPS) -> Choice:
    """Where everything lies, so that no more than `room` bytes of scratchpad are taken at once, of which `gaps` between
    buffers take so many in the time of these layers.

    Raises
    ------
    UserError
        If some layer does not fit however it is cut.
    """
    return Search(flow, room, gaps).run()
