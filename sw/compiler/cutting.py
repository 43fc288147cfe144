"""Groups of layers cut into bands: which rows each band computes and reads, how much of them is on the chip at once,
and roughly what it costs."""

from collections.abc import Sequence
from dataclasses import dataclass

from weft.rtl.config import Config

from .bands import rows_read
from .dataflow import Dataflow
from .mapping import Span
from .tiling import even, spans_of, sums_of

GROUP_CYCLES = 200
"""Roughly what a group costs besides its passes: nothing overlaps its first band's way through the units."""

BAND_CYCLES = 20
"""Roughly what each part of a layer costs besides its passes."""

CONTENTION = 0.4
"""How much of the shorter one of the array's and the drain's work is not hidden behind the longer one, if they are
equal."""

KEPT = 0.7
"""Part of the weight store that keeps weights of a group from band to band, where not all fit."""

INFEASIBLE = 1 << 40
"""Cycles that stand for a group that does not fit; more for each byte that is missing."""

Range = tuple[int, int]
"""First byte, and the one behind the last."""


@dataclass(frozen=True)
class Need:
    """What one band of a group computes and reads."""

    rows: dict[int, Span]
    """Per layer: rows of its output."""
    reads: dict[str, Range]
    """Per tensor, those between the layers among them: bytes."""


def need(flow: Dataflow, group: range, rows: Span) -> Need:
    """What these rows of the last layer's output take."""
    reads: dict[str, Range] = {}
    made: dict[int, Span] = {}
    for index in reversed(group):
        layer = flow.layers[index]
        if index != group[-1]:
            first, stop = reads[layer.target]
            pitch = layer.place.row_pitch
            rows = first // pitch, -(-stop // pitch) - first // pitch
        made[index] = rows
        first, count = rows_read(layer, rows)
        pitch = layer.input_size[1] * layer.input_channels
        for name in layer.sources:
            before = reads.get(name, (first * pitch, (first + count) * pitch))
            reads[name] = min(before[0], first * pitch), max(before[1], (first + count) * pitch)
    return Need(made, reads)


def levels(flow: Dataflow, group: range) -> dict[int, int]:
    """Per layer, how many of the group's layers come before it, on the longest way."""
    found: dict[int, int] = {}
    for index in group:
        makers = [other for other in group if other < index and flow.layers[other].target in flow.layers[index].sources]
        found[index] = max((found[other] + 1 for other in makers), default=0)
    return found


def bands_of(flow: Dataflow, group: range, count: int) -> list[Span]:
    """The last layer's rows in so many bands."""
    return spans_of(even(flow.layers[group[-1]].output_size[0], count, 1))


@dataclass(frozen=True)
class Cut:
    """A group in bands, in figures that do not depend on where its tensors lie."""

    count: int
    computed: dict[int, float]
    """Per layer: rows computed, of its rows."""
    loaded: dict[str, int]
    """Bytes of each tensor that all bands read."""
    largest: dict[str, int]
    """Most bytes of each tensor that a band reads, or makes."""
    copies: dict[str, int]
    """Bands of each tensor that are on the chip at once."""
    lean: bool
    """Loads and stores do not overlap with other bands' work."""
    exact: bool
    """Each row of what others read is computed once."""


def rounded(size: int, config: Config) -> int:
    """A size in whole words of the scratchpad."""
    word: int = config.word_bytes
    return -(-size // word) * word


def cut(flow: Dataflow, group: range, count: int, lean: bool) -> Cut:
    """Figures from the first, the last and a band in the middle."""
    bands = bands_of(flow, group, count)
    count = len(bands)
    some = [(bands[0], 1)] if count == 1 else [(bands[0], 1), (bands[-1], 1), (bands[count // 2], count - 2)]
    computed = dict.fromkeys(group, 0.0)
    loaded: dict[str, int] = {}
    largest: dict[str, int] = {}
    for rows, times in some:
        if not times:
            continue
        one = need(flow, group, rows)
        for index, made in one.rows.items():
            layer = flow.layers[index]
            computed[index] += times * sums_of(layer.window, 0, made, layer.sums_size[0])[1] / layer.sums_size[0]
            largest[layer.target] = max(largest.get(layer.target, 0), made[1] * layer.row_bytes)
        for name, (first, stop) in one.reads.items():
            loaded[name] = loaded.get(name, 0) + times * (stop - first)
            largest[name] = max(largest.get(name, 0), stop - first)
    whole = sum(times * rows[1] for rows, times in some) / flow.layers[group[-1]].output_size[0]
    computed = {index: made / whole for index, made in computed.items()}
    level = levels(flow, group)
    copies = {}
    for name in largest:
        readers = [level[index] for index in flow.readers[name] if index in group]
        makers = [level[index] for index in flow.writers[name] if index in group]
        first, last = min([*makers, *readers]), max([*makers, *readers])
        # Bands that are loaded come, and those that are stored go, while another one is computed.
        come = not makers and not lean
        go = bool(makers) and not flow.inside(name, group) and not lean
        copies[name] = min(last - first + 1 + come + go, count)
    exported = {index for index in group if not flow.inside(flow.layers[index].target, group)}
    exact = all(_covers(flow, group, bands, index) for index in exported)
    return Cut(count, computed, loaded, largest, copies, lean, exact)


def _covers(flow: Dataflow, group: range, bands: Sequence[Span], index: int) -> bool:
    """The bands compute each row of a layer's output once."""
    if index == group[-1]:
        return True
    rows = [need(flow, group, one).rows[index] for one in bands]
    ends = [0, *(first + count for first, count in rows)]
    height = flow.layers[index].output_size[0]
    return ends[-1] == height and all(end == first for end, (first, _) in zip(ends, rows, strict=False))


def cost_of(flow: Dataflow, group: range, cut: Cut, spilled: frozenset[str], room: int) -> float:
    """Cycles of a group roughly, with these tensors in memory and so many bytes of scratchpad."""
    config = flow.config
    made = {flow.layers[index].target: flow.layers[index] for index in group}
    inside = {name for name in made if flow.inside(name, group)}
    if not cut.exact:
        return float(INFEASIBLE << 1)
    needed = sum(
        rounded(size, config) * cut.copies[name]
        for name, size in cut.largest.items()
        if name in inside or name in spilled
    )
    if needed > room:
        return float(INFEASIBLE + needed - room)
    array = sum(flow.work(index)[0] * cut.computed[index] for index in group)
    drain = sum(flow.work(index)[1] * cut.computed[index] for index in group)
    weights: float = sum(flow.work(index)[2] for index in group)
    store = config.weight_tiles * config.weight_steps * config.weight_line_bytes
    # What is more than their store, but for a portion on its way, comes with each band.
    weights += (cut.count - 1) * max(weights - KEPT * store, 0)
    first = moved = 0
    for name in {*cut.loaded, *made}:
        if name in spilled and name not in inside:
            moved += made[name].row_bytes * made[name].output_size[0] if name in made else cut.loaded[name]
            first += cut.largest[name]
    speed = flow.memory.bytes_per_cycle(config)
    memory = (moved + weights) / speed
    less, more = sorted((array, drain))
    compute = more + CONTENTION * less * (less / more) ** 2 + cut.count * len(group) * BAND_CYCLES + GROUP_CYCLES
    cost: float = compute + memory if cut.lean else max(compute, memory)
    # Bytes are not free, and nothing hides half of the first loads and the last stores.
    cost += memory / 16 + first / speed / 2
    return cost
