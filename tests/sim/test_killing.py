"""Every ninth mutant is killed; `make verify` does them all."""

import pytest
from weft.sim import killing
from weft.sim.killing import COUNTED, Killers, campaign, verdict
from weft.sim.mutants import MUTANTS

OFTEN = range(3, len(MUTANTS) + 1, 9)


@pytest.fixture(scope="module")
def killers():
    return Killers()


@pytest.mark.parametrize("number", OFTEN, ids=lambda number: MUTANTS[number - 1].what)
def test_the_mutant_is_killed(killers, number):
    found = verdict(killers, number)
    assert found.killer is not None
    assert 0 <= found.programs <= COUNTED


def test_the_unbroken_rtl_survives(killers):
    killers.choose(0)
    assert [said for _, said in killers.run_all(2)] == [None] * 5


def test_a_survivor_is_a_failure(monkeypatch, killers):
    monkeypatch.setattr(killing, "Killers", lambda: killers)
    monkeypatch.setattr(killers, "choose", lambda number: None)
    monkeypatch.setattr(killing, "MOST", 1)
    (row,) = campaign(0, len(MUTANTS))
    assert (row.count, row.bar) == (0, 1)
    assert row.failures == [f"{MUTANTS[0].module}: {MUTANTS[0].what}: survives"]
