"""The pytest half: the scratchpad and the accumulator on two simulators; bench_buffers.py has the tests proper."""

import pytest

from .blocks_top import CONFIGS, TOP, verilog
from .cases import runs, simulate

TESTS = {"convolutions", "matrix_products"}


@pytest.mark.parametrize("name, seed, stalls, simulator", runs(CONFIGS, "icarus"))
def test_buffers(name, seed, stalls, simulator, tmp_path):
    config = CONFIGS[name]
    ran = simulate(verilog(config), TOP, "bench_buffers", config, (seed, stalls, simulator), tmp_path)
    assert ran == TESTS
