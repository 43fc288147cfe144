"""The pytest half: the array and the weight store on two simulators; bench_array.py has the tests proper."""

import pytest

from .blocks_top import CONFIGS, TOP, verilog
from .cases import runs, simulate

TESTS = {"matrix_products", "convolutions"}


@pytest.mark.parametrize("name, seed, stalls, simulator", runs(CONFIGS, "icarus"))
def test_array(name, seed, stalls, simulator, tmp_path):
    config = CONFIGS[name]
    ran = simulate(verilog(config), TOP, "bench_array", config, (seed, stalls, simulator), tmp_path)
    assert ran == TESTS | ({"depthwise_convolutions"} if config.depthwise else set())
