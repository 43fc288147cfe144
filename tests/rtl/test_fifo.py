"""Queues with registered flags against the standard library's, at every port and in every cycle."""

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib.fifo import SyncFIFO
from weft.rtl.fifo import RegisteredFifo, fifo

from tests.rtl.common import simulate


@pytest.mark.parametrize("depth", [1, 2, 3, 8])
@pytest.mark.parametrize("seed", range(2))
def test_it_cannot_be_told_from_the_librarys(depth, seed):
    random = np.random.default_rng(seed)
    both = [RegisteredFifo(width=8, depth=depth), SyncFIFO(width=8, depth=depth)]
    m = Module()
    m.submodules += both

    async def testbench(ctx):
        levels = set()
        for cycle in range(400):
            write, read = (int(random.random() < share) for share in ((0.8, 0.3) if cycle // 50 % 2 else (0.3, 0.8)))
            item = int(random.integers(256))
            seen = []
            for one in both:
                ctx.set(one.w_data, item)
                ctx.set(one.w_en, write)
                ctx.set(one.r_en, read)
                ready = ctx.get(one.r_rdy)
                seen.append((ctx.get(one.w_rdy), ready, ctx.get(one.level), ready and ctx.get(one.r_data)))
            assert seen[0] == seen[1]
            levels.add(seen[0][2])
            await ctx.tick()
        assert levels == set(range(depth + 1))

    simulate(m, testbench, cycles=500)


@pytest.mark.parametrize("pipelined", [False, True])
def test_the_configuration_chooses(pipelined):
    dut = fifo(pipelined, width=1, depth=2)

    async def testbench(ctx):
        assert isinstance(dut, RegisteredFifo) == pipelined

    simulate(dut, testbench, cycles=2)
