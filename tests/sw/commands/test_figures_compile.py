"""The bars of the compiler, and its table."""

from dataclasses import replace

from weft.sw.commands.figures_compile import PRESETS, SECONDS, TITLES, Compiled, compile_sheet
from weft.sw.synthetic import NETWORKS

ONE = Compiled("mobilenet_v2", "large", 66, 300_774_272, 12_345, 7.25)


def test_every_network_can_be_made_and_has_a_title():
    assert set(SECONDS) == set(TITLES)
    assert set(SECONDS) <= set(NETWORKS)
    assert len(PRESETS) == 2


def test_a_bar_that_is_missed_is_a_sentence():
    assert list(ONE.missed()) == []
    assert list(replace(ONE, seconds=31.4).missed()) == [
        "compiling MobileNetV2 1.0, 224x224 for large took 31 s, more than 30"
    ]
    assert list(replace(ONE, network="squeezenet", seconds=999).missed()) == []


def test_table():
    sheet = compile_sheet([ONE, replace(ONE, network="squeezenet")])
    assert sheet.rows[0] == ("MobileNetV2 1.0, 224x224", "large", "66", "300,774,272", "12,345", "7.2", "30")
    assert sheet.rows[1][-1] == ""
    assert ONE.as_json()["seconds"] == 7.25
