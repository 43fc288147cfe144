"""Orders of tiles of several layers: complete, possible, and good for both units."""

import pytest
from weft.sw.compiler.interleaving import NEVER, Turns, cost_of, interleaved, lateness, slices
from weft.sw.cycles.estimate import array_latency
from weft.sw.cycles.playing import Step, Task, Work, in_order

from tests.sw.compiler.test_merging import CONFIG, layers_of
from tests.sw.networks import residual_block


def work(source, target, count, cycles, emptying):
    """A layer of so many rows of one byte, each of which needs the same row of its source."""
    tasks = [
        Task((Step(cycles, 0, row + 1, -1),), 0, emptying, row + 1, row, (row, row + 1), cycles) for row in range(count)
    ]
    return Work((source,), target, tuple(tasks), ())


def test_every_order_has_each_tile_once_and_makes_before_it_reads():
    layers = layers_of(residual_block())[1:]
    found = list(interleaved(layers, CONFIG, 20, {}, {}))
    assert len(found) > 10
    for plans, works, order in found:
        assert sorted(order) == sorted(in_order(works))
        assert [len(one.tasks) for one in works] == [len(plan.tiles) for plan in plans]
        made = {one.target: 0 for one in works}
        for number, tile in order:
            one, task = works[number], works[number].tasks[tile]
            for step in task.steps:
                source = one.sources[step.operand]
                assert made.get(source, step.needs) >= step.needs
            made[one.target] = task.complete


def test_work_for_the_array_and_for_the_drain_takes_turns():
    works = [work("x", "y", 40, 400, 120), work("y", "z", 40, 120, 400)]
    turns = Turns(works, CONFIG, (1, 1), [NEVER, NEVER], {})
    ends = max(turns.ends)
    assert ends < 1.1 * 40 * (400 + 120)
    apart = Turns(works, CONFIG, (1, 1), [0, NEVER], {})
    assert apart.order == in_order(works)
    assert max(apart.ends) > 1.4 * 40 * (400 + 120)


@pytest.mark.parametrize("date", [17_000, 18_500, 20_000])
def test_a_date_is_kept(date):
    works = [work("x", "y", 40, 400, 120), work("y", "z", 40, 120, 400)]
    turns = Turns(works, CONFIG, (1, 1), [date, NEVER], {})
    assert turns.order != in_order(works)
    assert turns.ends[0] <= date + array_latency(CONFIG) + 400


def test_what_a_layer_takes_begins_when_all_before_it_are_complete():
    assert slices([10, 5, 30]) == [10, 0, 20]
    assert slices([10, 5, 30], start=4) == [6, 0, 20]


def test_delays_count_little_more_than_that_they_are_there():
    assert [lateness(took, 800) for took in (700, 850, 5000)] == [0, 50, 160]
    assert cost_of([1000, 1200], [900, 800]) == 1200 + 100


def test_what_comes_late_is_waited_for():
    works = [work("x", "y", 4, 100, 30)]
    turns = Turns(works, CONFIG, (1, 1), [NEVER], {"x": [(1, 50), (4, 1000)]})
    assert turns.ends[0] > 1000 + 3 * 100
