"""Rows of figures, and campaigns in processes of their own."""

from functools import partial

import pytest
from weft.sim.verification import Row, added, run_campaigns, sheet


def row(what="resets", count=10, failures=(), bar=10, seed="0 to 9", **more):
    return Row(what, count, list(failures), bar, 1.5, seed, **more)


def yields(*rows):
    yield from rows


def breaks():
    yield row()
    raise RuntimeError("the slave is gone")


def test_a_bar_is_reached_by_enough_without_a_failure():
    assert row().reached
    assert list(row().missed()) == []
    assert not row(count=9).reached
    assert not row(failures=["seed 3: wrong"]).reached
    assert list(row(count=9, failures=["seed 3: wrong"]).missed()) == [
        "resets: seed 3: wrong",
        "resets: 9 are less than 10",
    ]
    assert list(row(count=97.5, bar=98, unit=" %").missed()) == ["resets: 97.5 % are less than 98 %"]


def test_a_row_needs_a_name():
    with pytest.raises(ValueError, match="a row of figures needs a name"):
        row("")


def test_parts_of_a_campaign_are_added_up():
    parts = [row(count=4, failures=["seed 1: wrong"]), row("proofs"), row(count=6, seed="10 to 19")]
    total, proofs = added(parts)
    assert (total.count, total.failures, total.bar, total.seconds) == (10, ["seed 1: wrong"], 20, 3.0)
    assert total.seed == "0 to 9, 10 to 19"
    assert proofs == row("proofs")
    assert added([row("a", seed="none"), row("a", seed="none")])[0].seed == "none"


def test_campaigns_run_side_by_side_and_one_that_breaks_is_a_failure():
    told = []
    campaigns = {
        "resets 1": partial(yields, row(count=5, bar=5), row("lines", bar=1)),
        "bus": breaks,
        "resets 2": partial(yields, row(count=6, bar=6)),
    }
    rows = run_campaigns(campaigns, 2, lambda name, found: told.append((name, len(found))))
    assert [(one.what, one.count, one.reached) for one in rows] == [
        ("resets", 11, True),
        ("lines", 10, True),
        ("bus", 0, False),
    ]
    assert rows[2].failures == ["it ended with RuntimeError: the slave is gone"]
    assert sorted(told) == [("bus", 1), ("resets 1", 2), ("resets 2", 1)]


def test_the_table_shows_all_figures():
    text = sheet(
        [row(count=10_000, bar=10_000), row("lines", 98.5, ["cli.py:3: not covered"], 98, unit=" %")]
    ).markdown()
    assert "| resets | 10,000 | 0 | 10,000 | 2 | 0 to 9 |" in text
    assert "| lines | 98.5 % | 1 | 98 % | 2 | 0 to 9 |" in text
