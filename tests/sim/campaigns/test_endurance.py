"""A sample of inferences back to back."""

from weft.sim.campaigns.endurance import campaign


def test_inferences_back_to_back_are_right():
    (row,) = campaign(first=100, seeds=2, each=60)
    assert row.reached, row.failures
    assert row.count == 120
