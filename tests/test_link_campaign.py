from tests.link_campaign import link_faults


def test_a_short_one_reaches_its_bars():
    rows = list(link_faults(100, seed=3))
    assert [missed for row in rows for missed in row.missed()] == []
    assert rows[0].count == 100
