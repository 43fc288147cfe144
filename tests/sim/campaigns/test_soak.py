"""Random legal programs: 2,000 on the RTL and on the functional machine."""

import pytest
import typer
from typer.testing import CliRunner
from weft.gen.presets import SMALL
from weft.sim.campaigns import soak
from weft.sim.campaigns.soak import campaign, compare
from weft.sim.faulty import FaultyNpu


def invoke(*arguments):
    app = typer.Typer(add_completion=False)
    app.command()(soak.soak)
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize("first", [0, 1000])
def test_the_rtl_equals_the_machine(first):
    (row,) = campaign(first=first, count=1000, tiles=3)
    assert row.reached, row.failures


def test_another_memory_is_found(monkeypatch):
    npu = FaultyNpu(SMALL, 3 << 20)

    def spoil(job):
        npu.memory[-1] ^= 1

    monkeypatch.setattr(npu, "run", spoil)
    assert compare(npu, 5, tiles=1) == "the RTL leaves another memory than the functional machine"


def test_the_command_tells_its_seeds_and_ends():
    result = invoke("--seed", "7", "--count", "3")
    assert result.exit_code == 0
    assert "3 programs from seed 7 to 9" in result.output


def test_the_command_ends_when_the_time_is_up():
    result = invoke("--minutes", "0")
    assert result.exit_code == 0
    assert result.output.startswith("Random programs on small, from seed ")


def test_a_failure_is_told_with_its_seed(monkeypatch):
    monkeypatch.setattr(soak, "compare", lambda npu, seed: "it is wrong" if seed == 8 else "")
    result = invoke("--seed", "7", "--count", "3")
    assert result.exit_code == 1
    assert "weft: seed 8: it is wrong" in result.output
    assert "1 failure" in result.output


def test_a_preset_that_is_none_is_one_sentence():
    result = invoke("--preset", "mine")
    assert result.exit_code == 2
    assert "'mine' is not a preset" in result.output
