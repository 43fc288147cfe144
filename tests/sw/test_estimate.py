# amaranth: UnusedElaboratable=no

"""The constants are those of the hardware, and the pipeline behaves as the units do."""

import itertools

import pytest
from weft.rtl.config import Config
from weft.rtl.drain import Drain
from weft.rtl.feeder import Feeder
from weft.rtl.isa import Opcode, instruction
from weft.rtl.registers import Unit
from weft.sw.estimate import (
    DISPATCH_LATENCY,
    DRAIN_LATENCY,
    FIRST_FETCH,
    READ_LATENCY,
    STORE_LATENCY,
    Pipeline,
    array_latency,
    conv_cycles,
    drain_cycles,
    drain_latency,
    layer_cycles,
    timeline,
)

CONFIG = Config(rows=8, cols=8, weight_rows=4, lanes=2, memory_width=64, axi_width=64)
WORDS = 8


@pytest.mark.parametrize(
    "config",
    [Config(rows=1, cols=1), CONFIG, Config(rows=5, cols=3, weight_rows=5), CONFIG.replace(tables=True)],
    ids=lambda config: f"{config.rows}x{config.cols}{' with tables' * config.tables}",
)
def test_latencies_are_those_of_the_units(config):
    assert array_latency(config) == Feeder(config).DONE_LATENCY
    assert drain_latency(config) == Drain(config).DONE_LATENCY


def test_cycles():
    assert conv_cycles(CONFIG, 3, 10) == 30
    assert conv_cycles(CONFIG, 3, 1) == 6
    assert drain_cycles(CONFIG, 5, 7, 4) == 5 * 4 * 4


def test_a_copy_is_apart():
    one = Pipeline(CONFIG)
    one.conv(10)
    two = one.copy()
    for _ in range(3):
        two.drain(5)
        two.conv(10)
    assert one.array_free == FIRST_FETCH + WORDS + DISPATCH_LATENCY + 10
    assert one.drain(5).start < two.free[Unit.DRAIN]


def ready():
    """A pipeline into which instructions come as fast as they are taken."""
    pipeline = Pipeline(CONFIG)
    for _ in range(CONFIG.queue_depth):
        pipeline.conv(1000)
        pipeline.drain(1)
    return pipeline


def test_passes_follow_each_other_without_a_bubble():
    pipeline = ready()
    first, second = pipeline.conv(50), pipeline.conv(60)
    assert second.start - first.start == 50
    assert second.done == second.start + 60 - 1 + array_latency(CONFIG)


def test_the_drain_starts_with_the_last_sum():
    pipeline = ready()
    conv = pipeline.conv(50)
    drain = pipeline.drain(20)
    assert drain.start == conv.done
    assert drain.done == conv.done + 19 + DRAIN_LATENCY


def test_a_third_tile_waits_for_a_half():
    pipeline = ready()
    pipeline.conv(50)
    first = pipeline.drain(300)
    pipeline.conv(50)
    assert pipeline.conv(50).accepted == first.start + 299


def test_a_token_is_waited_for():
    pipeline = ready()
    assert pipeline.conv(50, after=9000).accepted == 9000


def test_short_instructions_wait_for_their_words():
    pipeline = ready()
    times = [pipeline.conv(1, acquire=False, commit=False) for _ in range(3)]
    assert [two.accepted - one.accepted for one, two in itertools.pairwise(times)] == [WORDS, WORDS]


def test_the_array_waits_for_nothing_else():
    pipeline = ready()
    pipeline.conv(50)
    assert pipeline.array_free == pipeline.free[Unit.ARRAY]


def test_loads_share_the_port_with_the_program():
    pipeline = Pipeline(CONFIG)
    load = pipeline.load(100)
    # The first instructions, and the one fetched when this one was dispatched, come before.
    assert load.done == FIRST_FETCH + (CONFIG.fetch_depth + 1) * WORDS + 100
    assert pipeline.load(10).done == load.done + WORDS + 10


def test_a_late_load_takes_the_latency_of_memory():
    pipeline = Pipeline(CONFIG)
    load = pipeline.load(10, after=1000)
    assert (load.accepted, load.done) == (1000, 1000 + READ_LATENCY + 10)


@pytest.mark.parametrize(
    "writes, done",
    [([], 20), ([(30, 40, 1)], 20), ([(0, 9, 1)], 20), ([(15, 24, 1)], 30), ([(15, 24, 2)], 25), ([(5, 12, 1)], 23)],
    ids=str,
)
def test_a_load_of_the_scratchpad_waits_where_the_drain_writes(writes, done):
    pipeline = Pipeline(CONFIG)
    pipeline.loads.append((10, 10))
    pipeline.writes.extend(writes)
    assert pipeline.loaded(0) == done


def test_a_drain_writes_behind_each_window():
    pipeline = ready()
    pipeline.conv(50)
    drain = pipeline.drain(12, window=4)
    write = drain_latency(CONFIG) - 1
    assert pipeline.writes[-1] == (drain.start + 3 + write, drain.start + 11 + write, 4)


def test_arrivals_of_an_input():
    pipeline = Pipeline(CONFIG)
    arrivals = pipeline.load_arrivals(20)
    start = FIRST_FETCH + (CONFIG.fetch_depth + 1) * WORDS
    assert arrivals == [(8, start + 1), (16, start + 2), (20, start + 3)]


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
    cycles = layer_cycles(program, times)
    assert cycles == {1: times[4].done, 2: times[3].done - times[4].done}
