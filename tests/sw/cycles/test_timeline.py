"""A program is played through as the units and the memory port do it."""

from math import ceil

import pytest
from weft.rtl.config import Config
from weft.rtl.isa import Opcode, instruction
from weft.rtl.registers import Unit
from weft.sw.cycles.estimate import (
    FIRST_FETCH,
    LOAD_LATENCY,
    MEMORY_LATENCY,
    READ_LATENCY,
    Memory,
    Pipeline,
    array_latency,
    drain_latency,
    store_latency,
)
from weft.sw.cycles.memory_port import burst_beats
from weft.sw.cycles.timeline import layer_cycles, timeline

CONFIG = Config(rows=8, cols=8, weight_rows=4, lanes=2, memory_width=64, axi_width=64)
WORDS = 8


def conv(**values):
    return instruction(Opcode.CONV, **{"n_count": 1, "ky_count": 1, "kx_count": 1, "run": 8, "oy_count": 1} | values)


def drain(**values):
    ones = dict.fromkeys(("rows", "window_height", "window_width", "release"), 1)
    return instruction(Opcode.DRAIN, **ones | values)


def load(count, **values):
    return instruction(Opcode.LOAD, **{"rows": 1, "bytes": count} | values)


def store(count, **values):
    return instruction(Opcode.STORE, rows=1, bytes=count, **values)


def test_timeline_of_a_program():
    program = [
        load(80, signal=1 << Unit.ARRAY),
        conv(wait=1 << Unit.LOAD, tag=1, acquire=1, commit=1, n_count=2, ky_count=3, run=17, ox_count=1),
        drain(tag=1, pixels=1, channels=9, signal=1 << Unit.STORE),
        store(9, wait=1 << Unit.DRAIN, tag=2),
        instruction(Opcode.END),
    ]
    one, two, three, four = times = timeline(CONFIG, program)
    assert two.accepted == one.done
    # 2 * 3 * 3 passes of 2 cycles each, of which the last one issues its pixel in the first.
    assert two.done == two.accepted + 36 - 1 + array_latency(CONFIG)
    assert three.done == two.done + 5 - 1 + drain_latency(CONFIG)
    assert four.done == three.done + 2 + store_latency(CONFIG)
    assert layer_cycles(program, times) == {1: three.done}


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


@pytest.mark.parametrize("window, share", [(1, 1), (4, 0.5)])
def test_a_load_of_the_scratchpad_waits_where_the_drain_writes(window, share):
    """The words would arrive one a cycle; each write of the drain to their bank takes a cycle from them."""
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
    assert stop - begin == 100 + ceil(share * busy)


def test_a_store_and_a_busy_array_hold_each_other_up():
    tiles = [conv(ox_count=4000, acquire=1, commit=1), drain(pixels=1, channels=1)]
    alone = timeline(CONFIG, [*tiles, *tiles])
    one, _, sent, two, _ = timeline(CONFIG, [*tiles, store(800), *tiles])
    assert sent.done == sent.accepted + 50 * 17 + store_latency(CONFIG)
    # The array loses a cycle per word, in the tile during which it goes.
    assert one.done == alone[0].done + 100
    assert two.done - two.accepted == alone[2].done - alone[2].accepted


def test_a_load_holds_the_next_one_up_until_its_rows_are_requested():
    rows, words = 20, 64
    one, two = timeline(CONFIG, [load(8 * words, rows=rows, step=8 * words), load(8)])
    assert two.accepted > one.accepted + (rows - CONFIG.axi_outstanding - 1) * words
    assert two.accepted < one.done


def test_a_slower_memory_answers_later():
    slow = Memory(latency=MEMORY_LATENCY + 30)
    program = [load(800, signal=1 << Unit.STORE), store(80, wait=1 << Unit.LOAD)]
    (one, two), (three, four) = (timeline(CONFIG, program, memory) for memory in (Memory(), slow))
    assert three.accepted == one.accepted + 30
    assert three.done > one.done + 30
    assert four.done - four.accepted == two.done - two.accepted + 30


def test_a_narrow_memory_answers_reads_before_it_takes_words():
    program = [load(8000), store(8000)]
    narrow = Memory(bandwidth=4)
    (alone,) = timeline(CONFIG, program[:1], narrow)
    assert alone.done - alone.accepted >= 1990
    read, written = timeline(CONFIG, program, narrow)
    assert read.done == alone.done
    assert written.done >= read.done + 1900
    wide = timeline(CONFIG, program)
    assert max(one.done for one in wide) < 1200


def test_the_quick_estimate_agrees_where_memory_is_idle():
    program = [conv(ox_count=500, acquire=1, commit=1), drain(pixels=100, channels=2)] * 5
    pipeline = Pipeline(CONFIG)
    for when in zip(*[iter(timeline(CONFIG, program))] * 2, strict=True):
        assert (pipeline.conv(500), pipeline.drain(100)) == when
