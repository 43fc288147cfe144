"""Work is played through the pipeline in the order given."""

import numpy as np
from weft.rtl.config import Config
from weft.sw.compiler.boundary import split
from weft.sw.compiler.tiling import Plan, cuts, pass_cycles
from weft.sw.compiler.ways import ways
from weft.sw.cycles.estimate import Pipeline, array_latency
from weft.sw.cycles.playing import in_order, play, work_of
from weft.sw.lowering.lower import lower

from tests.sw.networks import Builder

CONFIG = Config(rows=4, cols=4, lanes=2, accumulators=64, memory_width=64, axi_width=64)


def works_of(portion=None):
    """Two convolutions in a row, planned somehow, and their work."""
    build = Builder(np.random.default_rng(0))
    y = build.conv(build.input((1, 12, 12, 4)), 4, (3, 3))
    graph = build.graph(build.conv(y, 4, (3, 3)))
    layers = lower(graph, split(graph), CONFIG)
    plans = []
    for layer in layers:
        way = ways(layer, CONFIG)[0]
        plans.append(Plan(way, next(cuts(layer, way, CONFIG, portion)), portion is not None))
    return layers, plans, [work_of(*both, CONFIG) for both in zip(layers, plans, strict=True)]


def test_work_is_what_the_plan_says():
    layers, plans, works = works_of()
    for layer, plan, work in zip(layers, plans, works, strict=True):
        assert sum(step.cycles for task in work.tasks for step in task.steps) == pass_cycles(layer, plan, CONFIG)
        assert work.tasks[-1].complete == layer.target_bytes
        assert (work.sources, work.target) == (layer.sources, layer.target)
        assert work.instructions == 2 * len(plan.tiles)
        assert work.portions == ()


def test_a_layer_waits_for_what_it_reads():
    _, _, works = works_of()
    late = 10_000
    pipeline, arrivals = play(works, in_order(works), Pipeline(CONFIG), {"t0": [(576, late)]})
    first, second = arrivals[works[0].target], arrivals[works[1].target]
    assert first[0][1] > late + works[0].tasks[0].steps[0].cycles + array_latency(CONFIG)
    needs = works[1].tasks[0].steps[0].needs
    assert second[0][1] > next(time for have, time in first if have >= needs)
    assert [have for have, _ in second] == sorted({task.complete for task in works[1].tasks} - {0})
    assert pipeline.array_free > late


def test_what_was_played_before_is_untouched():
    _, _, works = works_of()
    before, arrivals = Pipeline(CONFIG), {"t0": [(576, 0)]}
    play(works, in_order(works), before, arrivals)
    assert before.array_free == 0
    assert set(arrivals) == {"t0"}


def test_streamed_weights_are_waited_for():
    times = []
    for portion in (None, 9):
        _, _, works = works_of(portion)
        _, arrivals = play(works, in_order(works), Pipeline(CONFIG), {"t0": [(576, 0)]})
        times.append(arrivals[works[1].target][-1][1])
        assert bool(works[0].portions) is (portion is not None)
    assert times[1] > times[0]
