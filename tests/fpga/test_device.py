import pytest
from weft.fpga.device import ecp5, gowin, ice40


def test_what_each_family_is_told():
    assert ecp5("85k", "caBGA381", 6).place == ("--85k", "--package", "CABGA381", "--speed", "6", "--placer", "static")
    assert ice40("up5k", "sg48").synthesis == "synth_ice40 -device u"
    assert ice40("hx8k", "ct256").synthesis == "synth_ice40 -device hx"
    tang = gowin("GW2A-LV18PG256C8/I7", "GW2A-18", "GW2A-18C")
    assert tang.synthesis == "synth_gowin -family gw2a"
    assert tang.pack == ("-d", "GW2A-18C")
    assert gowin("GW1NR-LV9QN88PC6/I5", "GW1N-9C", "GW1N-9C").synthesis == "synth_gowin -family gw1n"


def test_ice40_is_never_synthesized_with_dsp():
    """Yosys rewrites explicit SB_MAC16 cells then, without a word."""
    assert "-dsp" not in ice40("up5k", "sg48").synthesis


def test_sizes():
    assert ecp5("85k", "CABGA381", 6).size == "85k"
    assert ice40("up5k", "sg48").size == "up5k"
    assert gowin("GW2A-LV18PG256C8/I7", "GW2A-18", "GW2A-18C").size == "GW2A-LV18PG256C8/I7"


def test_board_adds_to_what_the_packer_is_told():
    assert ecp5("25k", "CABGA256", 6).with_pack("--compress").pack == ("--compress",)


@pytest.mark.parametrize(
    "size, speed, sentence",
    [
        ("86k", 6, "an ECP5's size must be one of 12k, .*, not '86k'"),
        ("85k", 5, "an ECP5's speed grade must be 6, 7 or 8, not 5"),
    ],
)
def test_devices_that_do_not_exist(size, speed, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        ecp5(size, "CABGA381", speed)
