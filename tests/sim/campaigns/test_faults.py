"""A sample of the faults of an inference."""

import pytest
from weft.gen.presets import SMALL
from weft.rtl.registers import ErrorCause
from weft.sim.campaigns.faults import Bench, Fault, behind_the_end, campaign
from weft.sim.faulty import Channel, FaultyNpu, Response


def test_each_so_many_th_fault_is_reported_and_recovered_from():
    beats, silences = campaign(stride=97)
    for row in (beats, silences):
        assert row.reached, row.failures
    assert beats.count > 150
    assert silences.count >= 1


def test_a_silence_on_each_channel():
    bench = Bench()
    for channel in Channel:
        fault = Fault(False, channel, 0, Response.NONE)
        assert bench.provoke(fault) == ""
        assert bench.npu.read_register("ERROR") & 0xFF == ErrorCause.NO_PROGRESS
        assert bench.npu.interrupted
        assert bench.recover() == ""


def test_what_goes_wrong_is_found(monkeypatch):
    """An answer that is expected otherwise, a fault that hits nothing, and one without its interrupt."""
    bench = Bench()
    fault = Fault(False, Channel.R, 0, Response.SLVERR)
    with monkeypatch.context() as patch:
        patch.setattr(FaultyNpu, "interrupted", property(lambda npu: False, lambda npu, value: None), raising=False)
        assert bench.provoke(fault) == "no interrupt is raised"
    assert bench.recover() == ""
    assert bench.provoke(Fault(False, Channel.R, 10**6, Response.SLVERR)) == "no error is reported"
    bench.expected = {name: value + 1 for name, value in bench.expected.items()}
    assert bench.recover() == "the next inference is wrong"


@pytest.mark.parametrize("offset, behind", [(-64, False), (0, True), (64 * SMALL.fetch_depth, False)])
def test_behind_the_end(offset, behind):
    (program,) = Bench().workload.network.programs
    end = program.run
    while program.image[end] & 0xF != 15:
        end += 64
    assert behind_the_end(Bench().workload.network, end + 64 + offset) is behind
