"""Cells that programs reach, counted on generated programs; the campaign itself on one small shape."""

from collections import Counter

import pytest
import typer
from weft.sim.fuzz import random_program

from tests import crosses
from tests.configurations import CONFIGURATIONS
from tests.crosses import PROGRAMS, STALLS, cells, reached, report


def test_programs_reach_nearly_all_cells():
    """By the programs of `make verify`, without running them."""
    for name in ("1x1", "2x3"):
        counts = Counter(
            cell
            for index, stalls in enumerate(STALLS)
            for seed in range(PROGRAMS * index, PROGRAMS * index + PROGRAMS)
            for cell in reached(name, stalls, random_program(CONFIGURATIONS[name], seed).program)
        )
        assert set(counts) <= cells(name)
        assert len(counts) > 0.95 * len(cells(name))
        assert f"| shape: {name} | {len(counts):,} | {len(cells(name)):,} |" in report(counts, cells(name)).markdown()


def test_a_campaign_compares_and_counts(monkeypatch):
    monkeypatch.setattr(crosses, "PROGRAMS", 1)
    programs, share = crosses.campaign(["2x3"], most=2)
    assert (programs.count, programs.failures, programs.seed) == (8, [], "0 to 7")
    assert 0 < share.count < 100


def test_rounds_end_when_every_cell_has_run(monkeypatch):
    firsts = []

    def counted(name, programs, first):
        firsts.append(first)
        return Counter(list(cells(name))[len(firsts) == 1 :]), ["wrong"]

    monkeypatch.setattr(crosses, "count", counted)
    assert crosses.rounds("2x3")[1:] == (["wrong", "wrong"], 2 * PROGRAMS * len(STALLS))
    assert firsts == [0, PROGRAMS * len(STALLS)]


def test_a_shape_that_there_is_not(capsys):
    with pytest.raises(typer.Exit) as error:
        crosses.crosses(["2x4"])
    assert error.value.exit_code == 2
    assert "2x4 is not a shape; the shapes are 1x1" in capsys.readouterr().err
