"""The search for what lies where."""

import numpy as np
import pytest
from weft.sw.compiler.dataflow import Dataflow
from weft.sw.compiler.spilling import spill
from weft.sw.errors import UserError

from tests.sw.compiler.test_cutting import chain
from tests.sw.compiler.test_dataflow import flow_of, residual
from tests.sw.networks import Builder


def test_what_fits_stays_on_the_chip():
    flow, _ = residual()
    choice = spill(flow, 1 << 16)
    assert choice.spilled == frozenset()
    assert [index for group in choice.groups for index in group] == list(range(4))


@pytest.mark.parametrize("room", [600, 450, 300, 200, 150])
def test_less_room_takes_more_bands(room):
    flow, _ = residual()
    choice = spill(flow, room)
    assert choice.spilled
    assert max(one.count for one in choice.cuts) > 1
    assert len(choice.cuts) == len(choice.groups)


@pytest.mark.parametrize("room", [600, 450, 300, 200])
def test_what_passes_between_grouped_layers_is_not_spilled(room):
    flow, names = residual()
    choice = spill(flow, room)
    inside = {name for name in names for group in choice.groups if flow.inside(name, group)}
    assert inside
    assert not inside & choice.spilled


def test_gaps_leave_less_room_to_their_layers():
    flow, _ = residual()
    assert spill(flow, 600, dict.fromkeys(range(4), 150)) == spill(flow, 450)
    assert spill(flow, 1 << 16, {1: 1000}) == spill(flow, 1 << 16)


def test_what_does_not_fit_at_all_is_a_sentence():
    flow, _ = chain()
    with pytest.raises(UserError, match=r"needs more than the \d+ bytes of scratchpad at once, even a row at a time"):
        spill(flow, 20)


def test_many_layers_are_no_trouble():
    build = Builder(np.random.default_rng(0))
    x = build.input((1, 32, 32, 4))
    for _ in range(60):
        x = build.conv(x, 4, (3, 3), padding=(1, 1, 1, 1))
    flow = flow_of(build, x)
    choice = spill(Dataflow(flow.layers, flow.sizes, flow.inputs, flow.outputs, flow.config), 6000)
    assert sum(len(group) for group in choice.groups) == 60
