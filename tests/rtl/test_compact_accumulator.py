import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal
from weft.rtl.accumulator import commit_latency, control_lead
from weft.rtl.compact_accumulator import SHORT_PASS, CompactAccumulator
from weft.rtl.config import Config

from tests.rtl.common import pack, simulate, wrap32

ENTRIES = 5


@pytest.mark.parametrize(
    "cols, spread, weight_rows", [(1, 1, 4), (4, 2, 4), (5, ENTRIES, 2), (4, 2, 1), (3, ENTRIES, 1)]
)
def test_sums_and_reads_share_the_memory(cols, spread, weight_rows):
    """Rows to few entries, so that many follow each other to the same one; reads of the other half in between."""
    config = Config(compact=True, rows=4, cols=cols, weight_rows=weight_rows, accumulators=ENTRIES)
    any_order = config.weight_steps < SHORT_PASS
    rows = {}  # the entry of each cycle's row
    dut = CompactAccumulator(config)
    random = np.random.default_rng(cols)
    halves = np.zeros((2, ENTRIES, cols), np.int64)
    written = {0: set(), 1: set()}
    arriving, expected, commits = {}, {}, set()
    committed = []

    async def testbench(ctx):
        for cycle in range(600):
            half = cycle // 100 % 2
            sums = arriving.pop(cycle, random.integers(-(1 << 31), 1 << 31, cols))
            ctx.set(dut.sums.as_value(), pack(sums, 32))
            control = {}
            what = random.integers(3)
            if what == 0 and written[1 - half] and cycle % 100 > 3:
                entry, column = int(random.choice(sorted(written[1 - half]))), int(random.integers(cols))
                place = {"first": int(random.integers(2)), "last": int(random.integers(2)), "inside": 1}
                control = {"entry": entry, "half": 1 - half, "slot": {"valid": 1, "column": column, **place}}
                expected[cycle + 1] = (halves[1 - half, entry, column], place)
            elif what == 1:
                entry = int(random.integers(spread))
                if not any_order and rows.get(cycle - 1, entry) != entry == rows.get(cycle - 2):
                    entry = rows[cycle - 1]
                rows[cycle] = entry
                overwrite = entry not in written[half] or random.integers(5) == 0
                row = random.integers(-(1 << 31), 1 << 31, cols)
                halves[half, entry] = wrap32(row if overwrite else halves[half, entry] + row)
                written[half].add(entry)
                arriving[cycle + control_lead(config)] = row
                commit = int(random.integers(2))
                control = {"valid": 1, "entry": entry, "half": half, "overwrite": int(overwrite), "commit": commit}
                if commit:
                    commits.add(cycle + control_lead(config) + commit_latency(config))
            ctx.set(dut.control, control)
            if cycle in expected:
                total, place = expected[cycle]
                assert ctx.get(dut.read.valid)
                assert ctx.get(dut.read_data) == total
                assert {name: ctx.get(getattr(dut.read, name)) for name in place} == place
            else:
                assert not ctx.get(dut.read.valid)
            if ctx.get(dut.committed):
                committed.append(cycle)
            await ctx.tick()

    simulate(dut, testbench, cycles=620)
    assert len(expected) > 50
    assert committed == sorted(cycle for cycle in commits if cycle < 600)


def test_reset_forgets_what_is_under_way():
    config = Config(compact=True, accumulators=ENTRIES)
    reset = Signal()
    inner = CompactAccumulator(config)
    dut = ResetInserter(reset)(inner)

    async def testbench(ctx):
        ctx.set(inner.control, {"valid": 1, "commit": 1, "overwrite": 1})
        await ctx.tick()
        ctx.set(inner.control, {})
        ctx.set(reset, 1)
        await ctx.tick()
        ctx.set(reset, 0)
        for _ in range(4):
            assert not ctx.get(inner.committed)
            await ctx.tick()

    simulate(dut, testbench, cycles=20)
