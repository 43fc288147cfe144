import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal
from weft.rtl.accumulator import Accumulator, commit_latency, control_lead, read_latency
from weft.rtl.config import Config

from tests.rtl.common import pack, simulate, unpack, wrap32

SHAPES = [(1, 1), (4, 1), (5, 5), (6, 3)]
"""Columns and lanes."""

ENTRIES = 5

PATTERNS = {
    "same": lambda random, index: 3,
    "alternating": lambda random, index: index % 2,
    "three": lambda random, index: index % 3,
    "four": lambda random, index: index % 4,
    "pairs": lambda random, index: index // 2 % 2,
    "random": lambda random, index: int(random.integers(3)),
    "all": lambda random, index: int(random.integers(ENTRIES)),
}


class Schedule:
    """Rounds of accumulation into alternating halves with no cycle between them, and drain reads of every sum of a half
    from the cycle of its commit on; what is read is worked out here, row after row."""

    def __init__(self, random, config, pattern, gaps):
        self.control, self.rows, self.reads, self.committed = {}, {}, {}, set()
        halves = np.zeros((2, ENTRIES, config.cols), np.int64)
        groups = config.cols // config.lanes
        written = set(), set()
        cycle = 0
        for number in range(4):
            half = number % 2
            # The half that this round's successor reuses must have been drained.
            rows = ENTRIES * groups + config.cols + control_lead(config) + 1 + int(random.integers(8))
            for index in range(rows):
                last = index == rows - 1
                cycle += int(random.integers(3)) if gaps else 0
                entry = PATTERNS[pattern](random, index)
                overwrite = entry not in written[half] or random.integers(6) == 0
                row = random.integers(-(1 << 31), 1 << 31, config.cols)
                halves[half, entry] = wrap32(row if overwrite else halves[half, entry] + row)
                written[half].add(entry)
                self.control[cycle] = (entry, int(overwrite), half, int(last))
                self.rows[cycle + control_lead(config)] = row
                cycle += 1
            done = cycle - 1 + control_lead(config) + commit_latency(config)
            self.committed.add(done)
            places = [(entry, group) for entry in sorted(written[half]) for group in range(groups)]
            for place, (entry, group) in enumerate(random.permutation(places).tolist()):
                lanes = halves[half, entry, group * config.lanes : (group + 1) * config.lanes]
                self.reads[done + place] = (half, entry, group, lanes.tolist())
        self.cycles = max(self.reads) + read_latency(config) + 1


@pytest.mark.parametrize("memory_latency, gaps, seed", [(1, False, 0), (1, True, 1), (2, False, 2), (2, True, 3)])
@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("cols, lanes", SHAPES)
def test_any_sequence_of_entries_is_exact(cols, lanes, pattern, memory_latency, gaps, seed):
    config = Config(
        rows=1,
        cols=cols,
        lanes=lanes,
        accumulators=ENTRIES,
        parameter_channels=lanes,
        memory_latency=memory_latency,
    )
    dut = Accumulator(config)
    random = np.random.default_rng(seed)
    schedule = Schedule(random, config, pattern, gaps)
    # Column c's sum of a row comes c cycles after column 0's; in all other cycles there is noise.
    sums = random.integers(-(1 << 31), 1 << 31, (schedule.cycles + cols, cols))
    for cycle, row in schedule.rows.items():
        sums[cycle + np.arange(cols), np.arange(cols)] = row

    async def testbench(ctx):
        expected = {}
        for t in range(schedule.cycles):
            noise = [int(random.integers(2)) for _ in range(4)]
            entry, overwrite, half, commit = schedule.control.get(t, noise)
            ctx.set(dut.control.valid, int(t in schedule.control))
            ctx.set(dut.control.entry, entry)
            ctx.set(dut.control.overwrite, overwrite)
            ctx.set(dut.control.half, half)
            ctx.set(dut.control.commit, commit)
            ctx.set(dut.sums.as_value(), pack(sums[t], 32))
            half, entry, group, lanes_expected = schedule.reads.get(t, (0, 0, 0, None))
            ctx.set(dut.read.enable, int(t in schedule.reads))
            ctx.set(dut.read.half, half)
            ctx.set(dut.read.entry, entry)
            ctx.set(dut.read.group, group)
            expected[t + dut.read_latency] = lanes_expected
            assert ctx.get(dut.committed) == (t in schedule.committed), t
            if expected.get(t) is not None:
                assert unpack(ctx.get(dut.read_data.as_value()), 32, lanes).tolist() == expected[t], t
            await ctx.tick()

    simulate(dut, testbench, cycles=schedule.cycles + 1)


def test_reset_drops_rows_on_their_way():
    """Without the valid bits' reset a commit of a run that was broken off would reach the next."""
    config = Config(cols=4, accumulators=4)
    inner = Accumulator(config)
    reset = Signal()
    dut = ResetInserter(reset)(inner)

    async def testbench(ctx):
        ctx.set(inner.control.valid, 1)
        ctx.set(inner.control.commit, 1)
        await ctx.tick()
        ctx.set(inner.control.valid, 0)
        await ctx.tick()
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        for _ in range(20):
            assert ctx.get(inner.committed) == 0
            await ctx.tick()

    simulate(dut, testbench, cycles=30)


def test_latencies():
    for memory in (1, 2):
        config = Config(memory_latency=memory)
        assert (control_lead(config), read_latency(config)) == (memory + 1, memory + 1)
    assert [commit_latency(Config(cols=cols)) for cols in (1, 4, 16)] == [1, 4, 16]
