# amaranth: UnusedElaboratable=no

"""The constants are those of the hardware, and the pipeline behaves as the units do."""

import itertools

import pytest
from weft.rtl.config import Config
from weft.rtl.dma import LoadUnit, word_latency
from weft.rtl.drain import Drain
from weft.rtl.feeder import Feeder
from weft.rtl.registers import Unit
from weft.sw.cycles.estimate import (
    DISPATCH_LATENCY,
    FIRST_FETCH,
    LOAD_LATENCY,
    READ_LATENCY,
    Pipeline,
    array_latency,
    conv_cycles,
    drain_cycles,
    drain_latency,
    load_latency,
)

CONFIG = Config(rows=8, cols=8, weight_rows=4, lanes=2, memory_width=64, axi_width=64)
WORDS = 8
SLOWER = CONFIG.replace(tables=True, memory_latency=2, multiply_latency=2)
PIPELINED = SLOWER.replace(pipelined=True)


@pytest.mark.parametrize(
    "config",
    [
        Config(rows=1, cols=1),
        CONFIG,
        Config(rows=5, cols=3, weight_rows=5),
        CONFIG.replace(tables=True),
        SLOWER,
        PIPELINED,
    ],
    ids=["1x1", "8x8", "5x3", "tables", "slower", "pipelined"],
)
def test_latencies_are_those_of_the_units(config):
    assert array_latency(config) == Feeder(config).done_latency
    assert drain_latency(config) == Drain(config).done_latency
    assert LoadUnit(config).DONE_LATENCY + word_latency(config) == load_latency(config)


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
    assert drain.done == conv.done + 19 + drain_latency(CONFIG)


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
    assert load.done == FIRST_FETCH + (CONFIG.fetch_depth + 1) * WORDS + 100 + LOAD_LATENCY
    assert pipeline.load(10).done == load.done + WORDS + 10


def test_a_late_load_takes_the_latency_of_memory():
    pipeline = Pipeline(CONFIG)
    load = pipeline.load(10, after=1000)
    assert (load.accepted, load.done) == (1000, 1000 + READ_LATENCY + 10 + LOAD_LATENCY)


def test_arrivals_of_an_input():
    pipeline = Pipeline(CONFIG)
    arrivals = pipeline.load_arrivals(20)
    start = FIRST_FETCH + (CONFIG.fetch_depth + 1) * WORDS + LOAD_LATENCY
    assert list(arrivals) == arrivals[:] == [(8, start + 1), (16, start + 2), (20, start + 3)]
