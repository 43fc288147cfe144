"""Pauses of all kinds on all channels and any latency: samples of the 1024 combinations that `make verify` runs."""

import pytest
from weft.sim.cosim import SIMULATORS, missing_tool

from .stalls import COMBINATIONS, run_stalls


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_results_do_not_depend_on_timing(simulator, tmp_path):
    if tool := missing_tool(simulator):
        pytest.skip(f"needs {tool}")
    step = COMBINATIONS // 15
    run_stalls(simulator, SIMULATORS.index(simulator), step, tmp_path)
