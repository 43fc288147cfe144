"""Chooses for each layer the mapping and the tiles that finish soonest, by playing them through the pipeline."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from weft.rtl.config import Config

from ..cycles.estimate import Pipeline
from ..cycles.playing import Arrivals, Course, Order, Work, in_order, play, work_of
from ..errors import UserError
from ..lowering.layers import Layer
from .interleaving import Shared, interleaved, lateness
from .merging import allowed_cycles
from .overlaying import UNITS, lives_of, peak
from .tiling import LONGEST_LOAD, Plan, cuts, pass_cycles
from .ways import Way, cycles, ways, weight_tiles

NEARLY_BEST = 1.15
"""Mappings whose passes take at most this many times the least cycles are looked at tile by tile."""

MOST_MAPPINGS = 4

ENOUGH = 20_000
"""Instructions that are played through for a layer before the search for a better plan ends."""

MOST_CANDIDATES = 24
"""Plans of a layer that are tried behind several plans of those before it."""

MOST_ORDERS = 6
"""Orders of the tiles of a group that are played through."""

FIRST_PARTS = (4, 8)
"""A long input may be cut once instead, behind this part of it."""

MOST_PARTS = 3
"""Parts into which the first reduction of a single pixel is cut, while the end of its input is on its way."""


@dataclass(frozen=True)
class State:
    """The layers planned so far, the pipeline behind them, and when each buffer is there."""

    plans: tuple[Plan, ...]
    order: Order
    pipeline: Pipeline
    arrivals: dict[str, Arrivals]
    finish: int
    """When the last drain is complete."""
    instructions: int
    late: int
    """What it counts that layers take more cycles than `allowed_cycles`."""
    groups: tuple[range, ...]
    """Layers side by side."""

    @property
    def costs(self) -> tuple[tuple[int, int], ...]:
        """Less is better, and which counts most the layers to come decide: when the output is complete, when the array
        can go on, or both."""
        onwards = self.pipeline.array_free
        times = (self.finish, onwards, self.finish + onwards)
        return tuple((time + self.late, self.instructions) for time in times)


@dataclass(frozen=True)
class Policy:
    """What a layer's weights may take."""

    most: int | None = None
    """Only mappings with at most so many tiles."""
    portion: int | None = None
    """The weights come from memory, at most so many tiles of them at once."""


@dataclass(frozen=True)
class Setting:
    """What all layers share."""

    layers: Sequence[Layer]
    inputs: Sequence[str]
    config: Config
    groups: Sequence[range]
    """Layers that may be computed side by side."""
    sizes: Mapping[str, int]
    """Bytes of each buffer."""
    outputs: Sequence[str]
    share: float
    """Part of the scratchpad that buffers may take while layers are computed side by side."""
    shared: Shared = field(default_factory=dict)
    """What is known of single layers in turns."""


def plan(
    layers: Sequence[Layer],
    inputs: Sequence[str],
    config: Config,
    groups: Sequence[range] = (),
    sizes: Mapping[str, int] | None = None,
    outputs: Sequence[str] = (),
    share: float = 1.0,
) -> Course:
    """A plan per layer; those of one of `groups` may take turns, if the buffers of `sizes` bytes then leave room for
    each other in `share` of the scratchpad.

    Weights stay on the chip if they fit. Else the fastest is taken of: packing no pixels, if that makes them fit; and
    letting the weights that are used most often come from memory in each run.

    Raises
    ------
    UserError
        If a layer does not fit into the accumulator, or its weights not in parts into the weight store.
    """
    setting = Setting(layers, inputs, config, groups, {} if sizes is None else sizes, outputs, share)
    free = _planned(setting, [Policy()] * len(layers))
    if _weight_tiles(free) <= config.weight_tiles:
        return Course(free.plans, free.order, free.groups)
    fewest = [min(weight_tiles(one) for one in ways(layer, config)) for layer in layers]
    tight = _planned(setting, [Policy(most) for most in fewest])
    found = [tight] if _weight_tiles(tight) <= config.weight_tiles else []
    for plans in (free.plans, tight.plans):
        found.append(_planned(setting, _streams(layers, plans, config)))
    best = min(found, key=lambda state: state.costs[0])
    return Course(best.plans, best.order, best.groups)


def _weight_tiles(state: State) -> int:
    return sum(one.weight_tiles for one in state.plans)


def _streams(layers: Sequence[Layer], plans: Sequence[Plan], config: Config) -> list[Policy]:
    """Which weights come from memory: the fewest layers that must, those first that use each of their weights often."""

    def uses(index: int) -> float:
        return pass_cycles(layers[index], plans[index], config) / plans[index].weight_tiles

    often = sorted(range(len(layers)), key=uses, reverse=True)
    for count in range(1, len(layers) + 1):
        room = config.weight_tiles - sum(plans[index].weight_tiles for index in often[count:])
        column = max(mapping.passes for index in often[:count] for mapping in plans[index].mappings)
        # One column's weights are used while the next one's arrive.
        if room >= 2 * column:
            break
    longest = LONGEST_LOAD // (config.weight_line_bytes * config.weight_steps)
    streamed = Policy(portion=max(min(room // 2, longest), 1))
    return [streamed if index in often[:count] else Policy(plans[index].weight_tiles) for index in range(len(layers))]


def _planned(setting: Setting, policies: Sequence[Policy]) -> State:
    """The best state found behind all layers; some of the best are carried from layer to layer."""
    layers, config = setting.layers, setting.config
    states: list[list[State]] = [[] for _ in range(len(layers) + 1)]
    states[0] = [State((), (), Pipeline(config), {}, 0, 0, 0, ())]
    for index, (layer, policy) in enumerate(zip(layers, policies, strict=True)):
        found = _longer(states[index], layer, setting, policy)
        if not found:
            raise UserError(f"{layer.op} {layer.name!r} {_obstacle(layer, policy, config)}")
        states[index + 1] = _best([*states[index + 1], *found])
        for group in setting.groups:
            if group.start == index and all(policies[one] == Policy() for one in group):
                states[group.stop] = _best([*states[group.stop], *_together(states[index], group, setting)])
    return min(states[-1], key=lambda state: state.costs[0])


def _longer(states: Sequence[State], layer: Layer, setting: Setting, policy: Policy) -> list[State]:
    """The best states with one more layer; what is far from the best behind one of them is not tried behind others."""
    shared: dict[Plan, Work] = {}
    found: list[State] = []
    for state in states:
        some = list(_extended(state, layer, setting, policy, shared))
        if not found and not layer.product:
            near = sorted(range(len(some)), key=lambda index: some[index].costs[2])[:MOST_CANDIDATES]
            chosen = {some[index].plans[-1] for index in near} | {one.plans[-1] for one in _best(some)}
            shared = {plan: work for plan, work in shared.items() if plan in chosen}
        found = _best([*found, *some])
    return found


def _together(states: Sequence[State], group: range, setting: Setting) -> Iterator[State]:
    """The states with the layers of a group side by side, in the orders that leave room for all buffers."""
    layers, config = setting.layers, setting.config
    some = [layers[index] for index in group]
    unit = max(config.scratchpad_bytes // UNITS, config.word_bytes)
    used = {name for layer in some for name in (*layer.sources, layer.target)}
    before = {name for layer in layers[: group.start] for name in (*layer.sources, layer.target)} | {*setting.inputs}
    behind = {name for layer in layers[group.stop :] for name in layer.sources} | {*setting.outputs}
    # What is only passed by is alive all the time.
    others = sum(setting.sizes[name] for name in (before & behind) - used)
    room = int(config.scratchpad_bytes * setting.share - others) // unit
    finish = states[0].finish
    there = _with_inputs(states[0], some, setting.inputs)
    late = {
        name: [(have, max(time - finish, 0)) for have, time in there[name]] for name in used if name in setting.inputs
    }
    for plans, works, order in interleaved(some, config, MOST_ORDERS, setting.shared, late):
        if peak(lives_of(works, order, setting.sizes, behind, unit), 2 * len(order)) <= room:
            for state in states:
                yield _with(state, some, setting.inputs, plans, works, order)


def _best(states: Iterable[State]) -> list[State]:
    """The best states by each of the costs."""
    best: dict[int, State] = {}
    for state in states:
        for index, cost in enumerate(state.costs):
            if index not in best or cost < best[index].costs[index]:
                best[index] = state
    return list({id(state): state for state in best.values()}.values())


def _with(
    state: State,
    layers: Sequence[Layer],
    inputs: Sequence[str],
    plans: tuple[Plan, ...],
    works: Sequence[Work],
    order: Order,
) -> State:
    """The state with these layers computed like this."""
    first = len(state.plans)
    pipeline, arrivals = play(works, order, state.pipeline, _with_inputs(state, layers, inputs))
    finish, late = state.finish, state.late
    for work in works:
        end = max(finish, arrivals[work.target][-1][1])
        late += lateness(end - finish, allowed_cycles(work, pipeline.config))
        finish = end
    return State(
        (*state.plans, *plans),
        (*state.order, *((first + number, tile) for number, tile in order)),
        pipeline,
        arrivals,
        finish,
        state.instructions + sum(work.instructions for work in works),
        late,
        (*state.groups, range(first, first + len(plans))),
    )


def _with_inputs(state: State, layers: Sequence[Layer], inputs: Sequence[str]) -> dict[str, Arrivals]:
    """The arrivals of a state, with those of the inputs that the layers are the first to read."""
    arrivals = dict(state.arrivals)
    for layer in layers:
        for name in layer.sources:
            if name in inputs and name not in arrivals:
                arrivals[name] = state.pipeline.load_arrivals(layer.input_bytes)
    return arrivals


def _obstacle(layer: Layer, policy: Policy, config: Config) -> str:
    """Why there is no way to cut the layer."""
    least = min(one.kernel_rows * one.taps for way in ways(layer, config) for one in way)
    if policy.portion is not None and policy.portion < least:
        return (
            f"needs {least} weight tiles at once while as many are loaded, and the {config.weight_tiles} of the "
            f"configuration leave room for {policy.portion}"
        )
    return (
        f"needs more than the {config.accumulators} accumulators of the configuration for a single pooling window of "
        f"{layer.window.size[0]}x{layer.window.size[1]}"
    )


def _extended(
    state: State, layer: Layer, setting: Setting, policy: Policy, shared: dict[Plan, Work]
) -> Iterator[State]:
    """The state with one more layer, in every way that is worth a thought; `shared` keeps the work of plans,
    and if it has some, a convolution is computed in one of these."""
    config, inputs = setting.config, setting.inputs
    if shared and not layer.product:
        for candidate, work in shared.items():
            yield _with(state, [layer], inputs, (candidate,), (work,), in_order((work,)))
        return
    arrivals = _with_inputs(state, [layer], inputs)[layer.source]
    played = 0
    for tried in _choices(layer, policy, config):
        for candidate in _candidates(layer, tried, arrivals, policy, config):
            if candidate not in shared:
                shared[candidate] = work_of(layer, candidate, config)
            works = (shared[candidate],)
            yield _with(state, [layer], inputs, (candidate,), works, in_order(works))
            played += works[0].instructions
            if played > ENOUGH:
                return
        if played:
            return


def _choices(layer: Layer, policy: Policy, config: Config) -> Iterator[list[Way]]:
    """Mappings to try; the later ones only where the earlier ones do not fit."""
    allowed = [way for way in ways(layer, config) if policy.most is None or weight_tiles(way) <= policy.most]
    needed = {way: cycles(layer, way) for way in allowed}
    near = [way for way in allowed if needed[way] <= NEARLY_BEST * min(needed.values())]
    yield sorted(near, key=lambda way: (needed[way], weight_tiles(way)))[:MOST_MAPPINGS]
    yield allowed


def _candidates(
    layer: Layer, choices: Sequence[Way], arrivals: Arrivals, policy: Policy, config: Config
) -> Iterator[Plan]:
    for chosen in choices:
        if policy.portion is not None:
            for tiles in cuts(layer, chosen, config, policy.portion):
                yield Plan(chosen, tiles, streamed=True)
            continue
        ends = _reduction_ends(layer, chosen, arrivals, config)
        for tiles in cuts(layer, chosen, config):
            for parts in ends:
                yield Plan(chosen, (replace(tiles[0], ends=parts), *tiles[1:]))


def _reduction_ends(layer: Layer, chosen: Way, arrivals: Arrivals, config: Config) -> list[tuple[int, ...]]:
    """Ways to cut the reduction of a product of one row, before the pieces of its input that come last.

    Only the first tile gains by it: when the others start, all of the input is there."""
    run = chosen[0].run
    found: list[tuple[int, ...]] = [(run,)]
    if layer.product:
        for index in range(len(arrivals) - 2, -1, -1):
            cut = arrivals[index][0] // config.rows * config.rows
            if 0 < cut < found[-1][0]:
                found.append((cut, *found[-1]))
            if len(found) == MOST_PARTS:
                break
        if len(arrivals) > MOST_PARTS:
            # A long input comes faster than many columns use it up.
            starts = {run // part // config.rows * config.rows for part in FIRST_PARTS}
            found += [(cut, run) for cut in sorted(starts) if 0 < cut < run]
    return found
