"""Chooses for each layer the mapping and the tiles that finish soonest, by playing them through the pipeline."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from weft.rtl.config import Config

from .errors import UserError
from .estimate import Pipeline
from .lower import Layer
from .mapping import Mapping, mappings
from .tiling import (
    LONGEST_LOAD,
    Plan,
    bytes_finished,
    bytes_needed,
    cuts,
    emptying_cycles,
    part_cycles,
    pass_cycles,
    portions_of,
    shape_of,
)

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
    fewest = [min(_tiles(one) for one in _ways(layer, config)) for layer in layers]
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
    least = min(one.kernel_rows * one.taps for way in _ways(layer, config) for one in way)
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
    if layer.source in inputs and layer.source not in arrivals:
        size = layer.input_size[0] * layer.input_size[1] * layer.input_channels
        arrivals[layer.source] = state.pipeline.load_arrivals(size)
    parts = 0
    for tried in _choices(layer, policy, config):
        for candidate in _candidates(layer, tried, arrivals[layer.source], policy, config):
            if candidate not in shared:
                shared[candidate] = _work(layer, candidate, config)
            pipeline, made = _play(shared[candidate], state.pipeline, arrivals[layer.source])
            more = sum(1 + len(tile.ends) for tile in candidate.tiles)
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


def _ways(layer: Layer, config: Config) -> list[tuple[Mapping, ...]]:
    """The mappings of the layer's blocks; the plain one, which needs the fewest accumulators, comes first."""
    if len(layer.blocks) == 1:
        return [(one,) for one in mappings(layer, layer.blocks[0], config)]
    # Each block is a slice of the channels, whose runs are one pixel long.
    return [tuple(mappings(layer, block, config)[0] for block in layer.blocks)]


def _tiles(way: Sequence[Mapping]) -> int:
    return sum(one.column_tiles * one.passes for one in way)


def _choices(layer: Layer, policy: Policy, config: Config) -> Iterator[list[tuple[Mapping, ...]]]:
    """Mappings to try; the later ones only where the earlier ones do not fit."""
    ways = [way for way in _ways(layer, config) if policy.most is None or _tiles(way) <= policy.most]
    cycles = {way: sum(one.cycles(*layer.sums_size) for one in way) for way in ways}
    near = [way for way in ways if cycles[way] <= NEARLY_BEST * min(cycles.values())]
    yield sorted(near, key=lambda way: (cycles[way], _tiles(way)))[:MOST_MAPPINGS]
    yield ways


def _candidates(
    layer: Layer, choices: Sequence[tuple[Mapping, ...]], arrivals: Arrivals, policy: Policy, config: Config
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


def _reduction_ends(
    layer: Layer, chosen: Sequence[Mapping], arrivals: Arrivals, config: Config
) -> list[tuple[int, ...]]:
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
class Part:
    """One CONV: its cycles, what it needs of the input, and which portion of the streamed weights."""

    cycles: int
    needs: int
    portion: int


@dataclass(frozen=True)
class Work:
    """What a plan gives the units to do, per tile."""

    portions: tuple[int, ...]
    """Memory words of the weights that come from memory, in order."""
    window: int
    """Sums that are pooled to one output."""
    tiles: tuple[tuple[tuple[Part, ...], int, int, int], ...]
    """Parts, cycles by which the last pixel is issued before the end of its pass, cycles in the drain, bytes of the
    output that are then complete."""


def _work(layer: Layer, candidate: Plan, config: Config) -> Work:
    portions = portions_of(candidate) if candidate.streamed else []
    tile_bytes = config.weight_steps * config.weight_line_bytes
    index = -1
    tiles = []
    for tile, complete in zip(candidate.tiles, bytes_finished(layer, candidate, config), strict=True):
        shape = shape_of(layer, candidate, tile, config)
        parts = []
        for part, cycles in enumerate(part_cycles(candidate.mappings[tile.block], tile, shape, config)):
            key = (tile.block, tile.columns, part)
            if portions and (index < 0 or portions[index].key != key):
                index += 1
            parts.append(Part(cycles, bytes_needed(layer, shape, tile.ends[part]), index))
        short = max(config.weight_steps - shape.pixels, 0)
        tiles.append((tuple(parts), short, emptying_cycles(layer, tile, shape, config), complete))
    words = tuple(-(-one.tiles * tile_bytes // config.memory_bytes) for one in portions)
    return Work(words, layer.window.size[0] * layer.window.size[1], tuple(tiles))


def _play(work: Work, before: Pipeline, arrivals: Arrivals) -> tuple[Pipeline, Arrivals]:
    """The pipeline behind the layer, and when its output is there."""
    pipeline = before.copy()
    made: Arrivals = []
    loaded: list[int] = []
    used: list[int] = []

    def load(until: int) -> None:
        while len(loaded) <= until < len(work.portions):
            # There is room for two portions.
            free = used[len(loaded) - 2] if len(loaded) >= 2 else 0
            loaded.append(pipeline.load(work.portions[len(loaded)], after=free).done)

    for parts, short, emptying, complete in work.tiles:
        for index, part in enumerate(parts):
            after = next(time for have, time in arrivals if have >= part.needs)
            if work.portions:
                load(part.portion)
                after = max(after, loaded[part.portion])
            done = pipeline.conv(part.cycles, short, index == 0, index == len(parts) - 1, after).done
            if work.portions:
                used[part.portion :] = [done]
                load(part.portion + 1)
        done = pipeline.drain(emptying, work.window).done
        if complete > (made[-1][0] if made else 0):
            made.append((complete, done))
    return pipeline, made
