import pytest
from weft.fpga.resources import FAMILIES, block_rams, resources
from weft.gen.presets import load_config


def test_lenets_weights_take_32_block_rams_on_8x8():
    """As docs and measurements on ECP5 have it: 64 KB in memories of 512 x 32 bits."""
    assert resources(load_config(preset="small"), "ecp5").weight_rams == 32


@pytest.mark.parametrize(
    "width, depth, granule, expected",
    [(32, 512, 8, 1), (36, 512, 8, 2), (36, 512, 1, 1), (8, 513, 8, 2), (64, 512, 32, 2)],
)
def test_whole_granules_share_a_block(width, depth, granule, expected):
    assert block_rams(FAMILIES["ecp5"], width, depth, granule) == expected


def test_ice40_multiplies_two_at_a_time():
    config = load_config(preset="tiny")
    assert resources(config, "ice40").multipliers == 8
    assert resources(config, "ecp5").multipliers == 16


def test_unknown_family_is_named():
    with pytest.raises(ValueError, match="virtex is not a known device family; they are ecp5"):
        resources(load_config(preset="tiny"), "virtex")
