"""Bands of groups: what they compute and read."""

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.sw.compiler.cutting import INFEASIBLE, bands_of, cost_of, cut, levels, need, rounded
from weft.sw.graph import MaxPool2D

from tests.sw.compiler.test_dataflow import flow_of, residual
from tests.sw.networks import Builder

CONFIG = Config(rows=4, cols=4, weight_rows=4, lanes=2, depthwise=True, tables=True)


def chain():
    """A 3x3 convolution, a max pool of its own, a 3x3 convolution."""
    build = Builder(np.random.default_rng(0))
    x = build.input((1, 16, 4, 2))
    a = build.conv(x, 4, (3, 3), padding=(1, 1, 1, 1))
    b = build.pool(MaxPool2D, build.conv(a, 3, (3, 3), padding=(1, 1, 1, 1)), (2, 2), (2, 2))
    return flow_of(build, b), (x, a, b)


def test_rows_around_a_band_are_computed_again():
    flow, (x, a, _) = chain()
    found = need(flow, range(0, 2), (2, 2))
    assert found.rows == {1: (2, 2), 0: (3, 6)}
    assert found.reads == {a: (3 * 16, 9 * 16), x: (2 * 8, 10 * 8)}


def test_the_first_band_begins_at_the_edge():
    flow, (x, _, _) = chain()
    assert need(flow, range(0, 2), (0, 2)).reads[x] == (0, 6 * 8)


def test_levels_count_the_layers_before():
    flow, _ = residual()
    assert levels(flow, range(0, 4)) == {0: 0, 1: 1, 2: 2, 3: 3}
    assert levels(flow, range(2, 4)) == {2: 0, 3: 1}


@pytest.mark.parametrize("count", range(1, 9))
def test_bands_cover_all_rows(count):
    flow, _ = chain()
    bands = bands_of(flow, range(0, 2), count)
    assert [row for first, rows in bands for row in range(first, first + rows)] == list(range(8))


def test_figures_of_a_cut():
    flow, (x, a, b) = chain()
    found = cut(flow, range(0, 2), 4, lean=False)
    assert found.computed[1] == 1.0
    # 5, 6, 6 and 5 rows of 16.
    assert found.computed[0] == 22 / 16
    assert found.loaded[x] == (6 + 8 + 8 + 6) * 8
    assert found.largest == {x: 8 * 8, a: 6 * 16, b: 2 * 6}
    assert found.copies == {x: 2, a: 2, b: 2}
    assert found.exact
    assert cut(flow, range(0, 2), 4, lean=True).copies == {x: 1, a: 2, b: 1}


def test_what_others_read_is_not_computed_twice():
    flow, _ = residual()
    assert cut(flow, range(0, 2), 4, lean=False).exact
    build = Builder(np.random.default_rng(0))
    a = build.conv(build.input((1, 8, 8, 4)), 4, (1, 1))
    b = build.conv(a, 4, (3, 3), padding=(1, 1, 1, 1))
    twice = flow_of(build, a, b)
    assert not cut(twice, range(0, 2), 4, lean=False).exact
    assert cost_of(twice, range(0, 2), cut(twice, range(0, 2), 4, lean=False), frozenset(), 1 << 20) > INFEASIBLE


def test_a_cut_that_does_not_fit_costs_more_the_more_is_missing():
    flow, (x, a, b) = chain()
    one = cut(flow, range(0, 2), 4, lean=False)
    spilled = frozenset({x, b})
    needed = sum(rounded(one.largest[name], flow.config) * one.copies[name] for name in (x, a, b))
    assert cost_of(flow, range(0, 2), one, spilled, needed) < INFEASIBLE
    assert cost_of(flow, range(0, 2), one, spilled, needed - 10) == INFEASIBLE + 10


def test_tensors_on_the_chip_cost_nothing_to_move():
    flow, (x, _, b) = chain()
    one = cut(flow, range(0, 2), 1, lean=False)
    inside, outside = (cost_of(flow, range(0, 2), one, frozenset(some), 1 << 20) for some in ((), (x, b)))
    assert inside < outside
