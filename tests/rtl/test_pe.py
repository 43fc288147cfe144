# amaranth: UnusedElaboratable=no

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.hdl import Signal, signed
from weft.rtl import pe
from weft.rtl.pe import ProcessingElement, sum_width

from tests.rtl.common import simulate, wrap32

EXTREMES = [-128, -127, -1, 0, 1, 127]


@pytest.mark.parametrize("latency, seed", [(1, 0), (1, 1), (2, 2)])
def test_multiplies_by_the_weight_of_the_latest_first(latency, seed):
    """psum_out = psum_in + activation * weight, with the partial sum as late as the product."""
    random = np.random.default_rng(seed)
    cycles = 200
    activation, weight = random.integers(-128, 128, (2, cycles))
    activation[::3], weight[::2] = random.choice(EXTREMES, len(activation[::3])), random.choice(EXTREMES, cycles // 2)
    first = random.integers(0, 3, cycles) == 0
    first[0] = True
    psum = random.integers(-(1 << 31), 1 << 31, cycles)
    held = weight[np.maximum.accumulate(np.where(first, np.arange(cycles), 0))]
    expected = wrap32(psum + np.roll(activation * held, latency))
    dut = ProcessingElement(latency)

    async def testbench(ctx):
        for t in range(cycles):
            ctx.set(dut.activation_in, int(activation[t]))
            ctx.set(dut.first, int(first[t]))
            ctx.set(dut.weight, int(weight[t]))
            ctx.set(dut.psum_in, int(psum[t]))
            if t >= pe.ACTIVATION_LATENCY:
                assert ctx.get(dut.activation_out) == activation[t - pe.ACTIVATION_LATENCY]
            if t >= dut.LATENCY:
                assert ctx.get(dut.psum_out) == expected[t - pe.SUM_LATENCY]
            await ctx.tick()

    simulate(dut, testbench, cycles=cycles + 1)


@pytest.mark.parametrize("products", [1, 2, 3, 4, 7, 8, 16, 64, 128])
def test_sums_of_products_just_fit(products):
    limit = 1 << sum_width(products) - 1
    assert limit / 2 <= products * 128 * 128 < limit
    assert -limit <= products * -128 * 127


def test_latency():
    assert ProcessingElement().LATENCY == pe.latency(1) == 2
    assert ProcessingElement(2).LATENCY == pe.latency(2) == 3


def test_a_platform_may_replace_the_multiplier():
    class Platform:
        def multiply(self, m, name, activation, weight, first, latency):
            product = Signal(signed(16), name=f"product_{name}")
            m.d.sync += product.eq(activation)
            return activation, product

    assert "$mul" in rtlil.convert(ProcessingElement(), emit_src=False)
    assert "$mul" not in rtlil.convert(ProcessingElement(), platform=Platform(), emit_src=False)
