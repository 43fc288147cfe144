"""The pytest half: the load and the store unit behind AXI, on two simulators; bench_dma.py has the tests
proper."""

from functools import cache

import pytest
from weft.gen.verilog import to_verilog
from weft.rtl.config import Config
from weft.sim.cosim import SIMULATORS

from .cases import simulate
from .dma_top import TOP, DmaTop

CASES = [
    (1, 1, "half"),
    (2, 4, "flowing"),
    (4, 16, "scarce"),
    (1, 4, "scarce"),
    (1, 16, "flowing"),
    (2, 1, "scarce"),
    (2, 16, "half"),
    (4, 1, "flowing"),
    (4, 4, "half"),
]
"""AXI's width as a multiple of the memory port's, beats of a burst, stalls: each pair of values meets. The
first three have all values; they run on both simulators, the others on Icarus, which compiles in a second."""

TESTS = {
    "random_transfers",
    "cycles_of_a_load",
    "cycles_of_a_store",
    "outstanding_reads_hide_latency",
    "errors_are_reported_and_transfers_end",
    "registers",
    "abandoned_transfers_leave_the_bus_clean",
}


@cache
def verilog(config):
    return to_verilog(DmaTop(config), TOP)


RUNS = [(*case, simulator) for simulator in SIMULATORS for case in CASES[: 3 if simulator == "verilator" else None]]


@pytest.mark.parametrize("ratio, burst, stalls, simulator", RUNS)
def test_dma(ratio, burst, stalls, simulator, tmp_path):
    config = Config(address_width=16, scratchpad_bytes=1024, axi_width=32 * ratio, axi_burst=burst, axi_outstanding=4)
    run = 100 * ratio + burst, stalls, simulator
    assert simulate(verilog(config), TOP, "bench_dma", config, run, tmp_path) == TESTS
