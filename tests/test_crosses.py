"""Cells that programs reach, counted on generated programs; the campaign itself on one small shape."""

from collections import Counter

from weft.sim.fuzz import random_program

from tests.configurations import CONFIGURATIONS
from tests.crosses import PROGRAMS, STALLS, campaign, cells, reached, report


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


def test_a_campaign_compares_and_counts():
    programs, share = campaign(["2x3"], programs=2)
    assert (programs.count, programs.failures) == (8, [])
    assert 0 < share.count < 100
