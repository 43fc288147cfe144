"""A sample of the resets."""

from weft.sim.campaigns.faults import Bench
from weft.sim.campaigns.resets import Cut, attempt, campaign


def test_the_inference_after_a_reset_is_right():
    (row,) = campaign(first=100_000, count=25)
    assert row.reached, row.failures
    assert row.seed == "100000 to 100024"


def test_most_attempts_cut_a_run_off():
    bench = Bench(kind=Cut)
    cuts = 0
    for seed in range(10):
        assert attempt(bench, bench.npu, seed) == ""
        cuts += bench.npu.cut
    assert cuts >= 5
