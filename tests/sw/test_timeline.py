"""A program is played through as the units and the memory port do it."""

import pytest
from weft.rtl.config import Config
from weft.rtl.isa import Opcode, instruction
from weft.rtl.registers import Unit
from weft.sw.estimate import (
    DRAIN_LATENCY,
    FIRST_FETCH,
    LOAD_LATENCY,
    READ_LATENCY,
    STORE_LATENCY,
    Pipeline,
    array_latency,
    drain_latency,
)
from weft.sw.timeline import Writes, burst_beats, layer_cycles, timeline

CONFIG = Config(rows=8, cols=8, weight_rows=4, lanes=2, memory_width=64, axi_width=64)
WORDS = 8


def conv(**values):
    return instruction(Opcode.CONV, **{"n_count": 1, "ky_count": 1, "kx_count": 1, "run": 8, "oy_count": 1} | values)


def drain(**values):
    ones = dict.fromkeys(("rows", "window_height", "window_width", "release"), 1)
    return instruction(Opcode.DRAIN, **ones | values)


def load(count, **values):
    return instruction(Opcode.LOAD, rows=1, bytes=count, **values)


def test_timeline_of_a_program():
    program = [
        instruction(Opcode.LOAD, rows=1, bytes=80, signal=1 << Unit.ARRAY),
        instruction(
            Opcode.CONV,
            wait=1 << Unit.LOAD,
            tag=1,
            acquire=1,
            commit=1,
            n_count=2,
            ky_count=3,
            kx_count=1,
            run=17,
            ox_count=1,
            oy_count=1,
        ),
        instruction(
            Opcode.DRAIN,
            tag=1,
            release=1,
            rows=1,
            pixels=1,
            channels=9,
            window_height=1,
            window_width=1,
            signal=1 << Unit.STORE,
        ),
        instruction(Opcode.STORE, wait=1 << Unit.DRAIN, tag=2, rows=1, bytes=9),
        instruction(Opcode.END),
    ]
    load, conv, drain, store = times = timeline(CONFIG, program)
    assert conv.accepted == load.done
    # 2 * 3 * 3 passes of 2 cycles each, of which the last one issues its pixel in the first.
    assert conv.done == conv.accepted + 36 - 1 + array_latency(CONFIG)
    assert drain.done == conv.done + 5 - 1 + DRAIN_LATENCY
    assert store.done == drain.done + 2 + STORE_LATENCY
    assert layer_cycles(program, times) == {1: drain.done}


def test_layers_last_from_one_completion_to_the_next():
    tags = [(Opcode.CONV, 1), (Opcode.DRAIN, 1), (Opcode.CONV, 2), (Opcode.DRAIN, 2), (Opcode.DRAIN, 1)]
    program = [instruction(opcode, tag=tag) for opcode, tag in tags]
    times = [Pipeline(CONFIG).conv(n) for n in (100, 200, 300, 400, 250)]
    assert layer_cycles(program, times) == {1: times[4].done, 2: times[3].done - times[4].done}


def test_a_layer_that_is_complete_before_the_one_in_front_of_it_takes_no_cycles():
    program = [instruction(Opcode.DRAIN, tag=tag) for tag in (2, 1, 3)]
    times = [Pipeline(CONFIG).conv(n) for n in (100, 200, 300)]
    assert layer_cycles(program, times) == {1: times[1].done, 2: 0, 3: 100}


def test_a_conv_waits_for_a_half_and_a_drain_for_a_commit():
    tile = [conv(ox_count=50, acquire=1, commit=1), drain(pixels=100, channels=6)]
    times = timeline(CONFIG, tile * 4)
    convs, drains = times[::2], times[1::2]
    for one, two in zip(convs, drains, strict=True):
        assert two.start == max(one.done, two.accepted + 1)
    # The third tile takes the half that the first one's drain has left.
    assert convs[2].accepted == drains[0].start + 299


def test_a_load_that_waits_does_not_hold_up_the_fetching():
    """Its token comes late; the instructions behind it are fetched meanwhile."""
    late = load(800, space=1, wait=1 << Unit.DRAIN)
    first = [conv(ox_count=2000, acquire=1, commit=1), drain(pixels=1, channels=1, signal=1 << Unit.LOAD)]
    more = [conv(ox_count=10, acquire=1, commit=1), drain(pixels=1, channels=1)]
    times = timeline(CONFIG, [*first, late, *more])
    assert times[2].accepted == times[1].done
    assert times[2].done == times[1].done + READ_LATENCY + 100 + LOAD_LATENCY
    assert times[3].accepted == times[0].accepted + 2000


def test_a_request_is_cut_into_bursts_and_takes_turns_with_the_fetching():
    config = CONFIG.replace(axi_burst=16, axi_outstanding=2)
    assert (burst_beats(CONFIG), burst_beats(config), burst_beats(CONFIG.replace(axi_width=1024))) == (64, 16, 32)
    times = timeline(config, [load(800), *[conv(ox_count=5)] * 8])
    # Two bursts of 16 words do not hide the latency of memory, so most of the time is spent waiting.
    assert times[0].done > FIRST_FETCH + 5 * WORDS + 100 + LOAD_LATENCY


@pytest.mark.parametrize(
    "writes, wanted",
    [
        (Writes(10, 19, 1), 5),
        (Writes(10, 10, 1), 1),
        (Writes(0, 30, 4), 1),
        (Writes(3, 9, 2), 0),
        (Writes(20, 9, 1), 0),
    ],
)
def test_writes_that_are_in_the_way(writes, wanted):
    assert writes.count(10, 15) == wanted


@pytest.mark.parametrize("window", [1, 4])
def test_a_load_of_the_scratchpad_waits_where_the_drain_writes(window):
    """The words would arrive one a cycle; each write of the drain takes a cycle from them."""
    tile = [
        conv(ox_count=300, acquire=1, commit=1, signal=1 << Unit.LOAD),
        drain(pixels=200, channels=2, window_height=window),
        load(800, wait=1 << Unit.ARRAY),
    ]
    _, two, three = timeline(CONFIG, tile)
    first = two.start + window - 2 + drain_latency(CONFIG)
    begin = three.accepted + READ_LATENCY
    stop = three.done - LOAD_LATENCY
    busy = sum(begin <= first + window * index < stop for index in range(200))
    assert busy > 20
    assert stop - begin == 100 + busy


def test_the_quick_estimate_agrees_where_memory_is_idle():
    program = [conv(ox_count=500, acquire=1, commit=1), drain(pixels=100, channels=2)] * 5
    pipeline = Pipeline(CONFIG)
    for when in zip(*[iter(timeline(CONFIG, program))] * 2, strict=True):
        assert (pipeline.conv(500), pipeline.drain(100)) == when
