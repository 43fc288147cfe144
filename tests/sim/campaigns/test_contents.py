"""A sample of the flipped bits."""

import pytest
from weft.rtl.registers import ErrorCause, Feature
from weft.sim.campaigns.contents import CONFIG, attempt, campaign
from weft.sim.campaigns.faults import Bench
from weft.sw.transport import DeviceError


def test_flipped_bits_are_reported_or_without_effect():
    row, reported, silent = campaign(first=100, count=25)
    assert row.reached, row.failures
    assert reported.count + silent.count == 25
    assert reported.count > 5


def test_a_weight_that_flips_is_reported_and_counted():
    bench = Bench(config=CONFIG)
    npu = bench.npu
    assert npu.read_register("FEATURES") >> Feature.PROTECTION & 1
    assert bench.right()
    weights = [index for index, found in enumerate(npu.memories()) if found == (CONFIG.weight_lines, 36)]
    npu.flip(weights[0], 0, 3)
    with pytest.raises(DeviceError, match="stopped: contents of the array unit"):
        bench.right()
    assert npu.read_register("ERROR") & 0xFF == ErrorCause.CONTENTS
    assert npu.read_register("WEIGHT_FLAWS") > 0
    assert npu.read_register("SCRATCHPAD_FLAWS") == npu.read_register("PARAMETER_FLAWS") == 0
    assert bench.recover() == ""


def test_seeds_repeat():
    bench = Bench(config=CONFIG)
    assert attempt(bench, 3) == attempt(Bench(config=CONFIG), 3)
