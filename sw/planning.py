"""Chooses for each layer the mapping and the tiles that finish soonest, by playing them through the pipeline."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from weft.rtl.config import Config

from .errors import UserError
from .estimate import Pipeline, conv_cycles
from .layers import Layer
from .tiling import (
    LONGEST_LOAD,
    Plan,
    bytes_finished,
    bytes_needed,
    cuts,
    emptying_cycles,
    parts_of,
    pass_cycles,
    portions_of,
    shape_of,
)
from .ways import Way, cycles, ways, weight_tiles

NEARLY_BEST = 1.15
"""Mappings whose passes take at most this many times the least cycles are looked at tile by tile."""

MOST_MAPPINGS = 4

ENOUGH = 20_000
"""Instructions that are played through for a layer before the search for a better plan ends."""

MOST_PARTS = 3
"""Parts into which the first reduction of a single pixel is cut, while the end of its input is on its way."""

Arrivals = list[tuple[int, int]]
"""Bytes of a buffer, and the time when they are there; both rise."""


@dataclass(frozen=True)
class State:
    """The layers planned so far, the pipeline behind them, and when each buffer is there."""

    plans: tuple[Plan, ...]
    pipeline: Pipeline
    arrivals: dict[str, Arrivals]
    finish: int
    """When the last drain is complete."""
    instructions: int

    @property
    def costs(self) -> tuple[tuple[int, int], ...]:
        """Less is better, and which counts most the layers to come decide: when the output is complete, when the array
        can go on, or both."""
        onwards = self.pipeline.array_free
        return tuple((time, self.instructions) for time in (self.finish, onwards, self.finish + onwards))


@dataclass(frozen=True)
class Policy:
    """What a layer's weights may take."""

    most: int | None = None
    """Only mappings with at most so many tiles."""
    portion: int | None = None
    """The weights come from memory, at most so many tiles of them at once."""


def plan(layers: Sequence[Layer], inputs: Sequence[str], config: Config) -> tuple[Plan, ...]:
    """A plan per layer, in order.

    Weights stay on the chip if they fit. Else the fastest is taken of: packing no pixels, if that makes them fit; and
    letting the weights that are used most often come from memory in each run.

    Raises
    ------
    UserError
        If a layer does not fit into the accumulator, or its weights not in parts into the weight store.
    """
    free = _planned(layers, inputs, [Policy()] * len(layers), config)
    if _weight_tiles(free) <= config.weight_tiles:
        return free.plans
    fewest = [min(weight_tiles(one) for one in ways(layer, config)) for layer in layers]
    tight = _planned(layers, inputs, [Policy(most) for most in fewest], config)
    found = [tight] if _weight_tiles(tight) <= config.weight_tiles else []
    for plans in (free.plans, tight.plans):
        found.append(_planned(layers, inputs, _streams(layers, plans, config), config))
    return min(found, key=lambda state: state.costs[0]).plans


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


def _planned(layers: Sequence[Layer], inputs: Sequence[str], policies: Sequence[Policy], config: Config) -> State:
    """The best state found behind all layers; some of the best are carried from layer to layer."""
    states = [State((), Pipeline(config), {}, 0, 0)]
    for layer, policy in zip(layers, policies, strict=True):
        best: dict[int, State] = {}
        shared: dict[Plan, Work] = {}
        for state in states:
            for following in _extended(state, layer, inputs, policy, shared, config):
                for index, cost in enumerate(following.costs):
                    if index not in best or cost < best[index].costs[index]:
                        best[index] = following
        if not best:
            raise UserError(f"{layer.op} {layer.name!r} {_obstacle(layer, policy, config)}")
        states = list({id(state): state for state in best.values()}.values())
    return min(states, key=lambda state: state.costs[0])


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
    state: State, layer: Layer, inputs: Sequence[str], policy: Policy, shared: dict[Plan, "Work"], config: Config
) -> Iterator[State]:
    """The state with one more layer, in every way that is worth a thought; `shared` keeps what all states need."""
    arrivals = dict(state.arrivals)
    for name in layer.sources:
        if name in inputs and name not in arrivals:
            arrivals[name] = state.pipeline.load_arrivals(layer.input_bytes)
    parts = 0
    for tried in _choices(layer, policy, config):
        for candidate in _candidates(layer, tried, arrivals[layer.source], policy, config):
            if candidate not in shared:
                shared[candidate] = _work(layer, candidate, config)
            pipeline, made = _play(shared[candidate], state.pipeline, [arrivals[name] for name in layer.sources])
            more = sum(1 + len(tile.ends) * layer.operands for tile in candidate.tiles)
            yield State(
                (*state.plans, candidate),
                pipeline,
                arrivals | {layer.target: made},
                made[-1][1],
                state.instructions + more,
            )
            parts += more
            if parts > ENOUGH:
                return
        if parts:
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
        for have, _ in reversed(arrivals[:-1]):
            cut = have // config.rows * config.rows
            if 0 < cut < found[-1][0]:
                found.append((cut, *found[-1]))
            if len(found) == MOST_PARTS:
                break
    return found


@dataclass(frozen=True)
class Step:
    """One CONV: its cycles, which operand it is for, what it needs of it, and which portion of the streamed weights."""

    cycles: int
    operand: int
    needs: int
    portion: int


@dataclass(frozen=True)
class Work:
    """What a plan gives the units to do, per tile."""

    portions: tuple[int, ...]
    """Memory words of the weights that come from memory, in order."""
    window: int
    """Sums that are pooled, or added, to one output."""
    tiles: tuple[tuple[tuple[Step, ...], int, int, int], ...]
    """CONVs, cycles by which the last pixel is issued before the end of its pass, cycles in the drain, bytes of the
    output that are then complete."""


def _work(layer: Layer, candidate: Plan, config: Config) -> Work:
    portions = portions_of(candidate) if candidate.streamed else []
    tile_bytes = config.weight_steps * config.weight_line_bytes
    index = -1
    tiles = []
    for tile, complete in zip(candidate.tiles, bytes_finished(layer, candidate, config), strict=True):
        shape, mapping = shape_of(layer, candidate, tile, config), candidate.mappings[tile.block]
        steps = []
        for part in parts_of(layer, mapping, tile):
            if portions and (index < 0 or portions[index][0] != candidate.key(tile, part.number)):
                index += 1
            needs = bytes_needed(layer, mapping, shape, part.end)
            steps.append(Step(conv_cycles(config, part.passes, shape.positions), part.operand, needs, index))
        short = max(config.weight_steps - shape.positions, 0)
        tiles.append((tuple(steps), short, emptying_cycles(layer, tile, shape, config), complete))
    words = tuple(-(-count * tile_bytes // config.memory_bytes) for _, count in portions)
    window = layer.window.size[0] * layer.window.size[1] * layer.operands
    return Work(words, window, tuple(tiles))


def _play(work: Work, before: Pipeline, arrivals: Sequence[Arrivals]) -> tuple[Pipeline, Arrivals]:
    """The pipeline behind the layer, and when its output is there; `arrivals` of each operand."""
    pipeline = before.copy()
    made: Arrivals = []
    loaded: list[int] = []
    used: list[int] = []

    def load(until: int) -> None:
        while len(loaded) <= until < len(work.portions):
            # There is room for two portions.
            free = used[len(loaded) - 2] if len(loaded) >= 2 else 0
            loaded.append(pipeline.load(work.portions[len(loaded)], after=free).done)

    for steps, short, emptying, complete in work.tiles:
        for index, step in enumerate(steps):
            there = arrivals[step.operand]
            after = there[bisect_left(there, step.needs, key=lambda arrival: arrival[0])][1]
            if work.portions:
                load(step.portion)
                after = max(after, loaded[step.portion])
            done = pipeline.conv(step.cycles, short, index == 0, index == len(steps) - 1, after).done
            if work.portions:
                used[step.portion :] = [done]
                load(step.portion + 1)
        done = pipeline.drain(emptying, work.window).done
        if complete > (made[-1][0] if made else 0):
            made.append((complete, done))
    return pipeline, made
