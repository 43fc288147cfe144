import numpy as np
import pytest
from weft.rtl import isa
from weft.rtl.config import Config
from weft.rtl.queue import InstructionQueue

from tests.rtl.common import simulate


@pytest.mark.parametrize("stall_in, stall_out", [(0, 0), (0.5, 0), (0, 0.5), (0.6, 0.6)])
@pytest.mark.parametrize("width, depth", [(32, 1), (64, 2), (512, 3)])
def test_words_become_instructions(width, depth, stall_in, stall_out):
    """Whole instructions come out in order, whatever stalls on either side."""
    dut = InstructionQueue(
        Config(memory_width=width, axi_width=width, queue_depth=depth, scratchpad_bytes=8192), isa.CONV
    )
    random = np.random.default_rng(1)
    size = isa.CONV.size
    numbers = [int.from_bytes(random.bytes(64), "little") for _ in range(20)]

    async def source(ctx):
        for number in numbers:
            for index in range(512 // width):
                while random.random() < stall_in:
                    await ctx.tick()
                ctx.set(dut.i.payload, number >> index * width & (1 << width) - 1)
                ctx.set(dut.i.valid, 1)
                await ctx.tick().until(dut.i.ready)
                ctx.set(dut.i.valid, 0)

    async def sink(ctx):
        for number in numbers:
            while random.random() < stall_out:
                await ctx.tick()
            ctx.set(dut.o.ready, 1)
            (payload,) = await ctx.tick().sample(dut.o.payload.as_value()).until(dut.o.valid)
            ctx.set(dut.o.ready, 0)
            assert payload == number & (1 << size) - 1
        assert ctx.get(dut.empty)

    simulate(dut, source, sink, cycles=5000)
