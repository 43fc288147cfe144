"""Figures of other networks: bars and tables."""

import pytest
from weft.gen.presets import PRESETS
from weft.sw.commands.figures_networks import (
    CASES,
    SETUPS,
    Measured,
    Streamed,
    networks_sheet,
    slow_sheet,
    soonest,
    streamed_sheet,
)
from weft.sw.report import REST, Row

SMALL = PRESETS["small"]


def measured(cycles=(1000, 200), predicted=(1000, 200), most=1.15, bound=1100, drains=(100, 100), op="conv", stalls=()):
    rows = (
        Row("a", op, 5000, cycles[0], predicted[0], 900, dict(stalls)),
        Row("b", "add", 0, cycles[1], predicted[1], 150),
        Row(REST, "store", 0, 20),
    )
    return Measured("net", SMALL, rows, sum(cycles) + 20, bound, most, drains)


def test_all_bars_kept():
    assert list(measured().missed()) == []
    assert measured().ratio == 1220 / 1100


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"bound": 1000}, "net on 8x8 with 2 lanes: 1,220 cycles are 1.220 times 1,000, more than 1.15"),
        (
            {"cycles": (1076, 212), "predicted": (1076, 212), "bound": 1200},
            "net on 8x8 with 2 lanes: the 1,076 cycles of a are more than 1,075: the array waits for nothing",
        ),
        ({"predicted": (1051, 200)}, "net on 8x8 with 2 lanes: a was predicted to take 1,051 cycles and took 1,000"),
        ({"predicted": (1000, 189)}, "net on 8x8 with 2 lanes: b was predicted to take 189 cycles and took 200"),
    ],
)
def test_each_bar_has_a_sentence(changes, sentence):
    assert list(measured(**changes).missed()) == [sentence]


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({}, "the array waits for nothing"),
        (
            {
                "stalls": {
                    "array_wait_load": 30,
                    "drain_wait_array": 90,
                    "array_wait_drain": 40,
                    "array_wait_weights": 2,
                }
            },
            "the array waits for drain (40), load (30)",
        ),
        (
            {"drains": (1100, 0)},
            "the first 1 layers have 1,100 cycles of drain, 25 more than all their bars allow",
        ),
        (
            {"drains": (1050, 0), "op": "fully connected"},
            "1,050 cycles of drain: in no tiles does it take less than 1,082",
        ),
    ],
)
def test_a_layer_above_its_bar_says_what_bounds_it(changes, reason):
    one = measured(cycles=(1080, 210), **changes)
    (row,) = one.slow()
    assert one.reason(row) == reason
    assert slow_sheet([one]).rows == [
        ("a of net", "8x8", "2", "900", f"{one.drains[0]:,}", "1,080", "1,075", reason),
    ]


def test_a_layer_that_takes_turns_says_when_all_are_in_time_again():
    one = measured(cycles=(1080, 100))
    (row,) = one.slow()
    assert one.reason(row) == (
        "its tiles take turns with those of layers behind it: the first 2 together are 107 below their bars"
    )


@pytest.mark.parametrize(
    "passes, drain, preset, wanted", [(8, 16, "large", 66), (16, 64, "small", 97), (1, 9, "small", 41)]
)
def test_no_cut_of_a_product_into_tiles_is_faster(passes, drain, preset, wanted):
    """The autoencoder's layer 5, which takes 66 and 98 cycles on the RTL."""
    assert soonest(passes, drain, PRESETS[preset]) == wanted


def test_a_drain_may_be_too_long_though_those_before_it_left_room():
    one = measured(cycles=(900, 300), drains=(100, 250))
    (row,) = one.slow()
    assert one.reason(row) == "250 cycles of drain, of which too few can come before (all so far: 350)"


def test_a_network_without_a_bar_of_its_own():
    assert list(measured(most=None, bound=1).missed()) == []


def test_the_table_counts_layers():
    sheet = networks_sheet([measured(predicted=(1000, 150)), measured(most=None)])
    assert sheet.rows[0] == (
        "net", "8x8", "2", "1,100", "1,220", "1.109", "1.15", "1,150", "2 of 2", "1 of 2",
    )  # fmt: skip
    assert sheet.rows[1][6] == ""
    assert len(sheet.heads) == len(sheet.rows[0])


def test_json_has_the_layers():
    content = measured().as_json()
    assert [layer["name"] for layer in content["layers"]] == ["a", "b"]
    assert (content["rows"], content["lanes"], content["cycles"]) == (8, 2, 1220)


LAYERS = (Row("a", "conv", 5000, 900, 910, 900), Row("b", "add", 0, 100, 100, 90))


def streamed(**changes):
    values = {"config": PRESETS["large"], "latency": 40, "bandwidth": 8, "macs": 256 * 900, "cycles": 1000}
    return Streamed(**(values | {"predicted": 1010, "different": 0, "layers": LAYERS} | changes))


def test_multipliers_are_busy():
    assert list(streamed().missed()) == []
    assert streamed().share == 0.9
    assert streamed().as_json()["utilization"] == 0.9
    assert streamed_sheet(streamed()).rows[1][1:] == ("90.0%", "85%")


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"macs": 256 * 849}, "ResNet-50: only 84.9% of all multipliers' cycles are used, and not 85%"),
        ({"different": 3}, "ResNet-50: 3 results of the RTL differ from those of the functional machine"),
        ({"predicted": 949}, "ResNet-50 was predicted to take 949 cycles and took 1,000"),
        (
            {"layers": (Row("a", "conv", 5000, 900, 850, 900),)},
            "ResNet-50: a was predicted to take 850 cycles and took 900",
        ),
    ],
)
def test_each_bar_of_the_streamed_network_has_a_sentence(changes, sentence):
    assert list(streamed(**changes).missed()) == [sentence]


def test_setups_have_bounds():
    for preset, lanes, bound in SETUPS:
        assert preset in PRESETS
        assert lanes >= 2
        assert all(case.bounds[bound] > 0 for case in CASES)
