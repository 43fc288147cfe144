# amaranth: UnusedElaboratable=no

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module, Signal
from weft.fpga.pll import MHZ, SIMULATED, ecp5_parameters, ice40_parameters, multiplied
from weft.sw.errors import UserError


@pytest.mark.parametrize("target", [50, 75, 80, 100, 110, 125])
def test_ecp5(target):
    numbers = ecp5_parameters(25 * MHZ, target * MHZ)
    compared = 25 / numbers["CLKI_DIV"]
    assert compared * numbers["CLKFB_DIV"] == target
    assert 3.125 <= compared <= 400
    assert 400 <= target * numbers["CLKOP_DIV"] <= 800


@pytest.mark.parametrize("target", [18, 21, 24, 30, 48])
def test_ice40(target):
    numbers = ice40_parameters(12 * MHZ, target * MHZ)
    compared = 12 / (numbers["DIVR"] + 1)
    oscillator = compared * (numbers["DIVF"] + 1)
    assert oscillator / 2 ** numbers["DIVQ"] == target
    assert 10 <= compared <= 133
    assert 533 <= oscillator <= 1066
    assert numbers["FILTER_RANGE"] == 1  # as icepll has it for 12 MHz


@pytest.mark.parametrize("family, cell", [("ecp5", "EHXPLLL"), ("ice40", "SB_PLL40_PAD")])
def test_the_cell_is_there_and_has_a_model(family, cell):
    m = Module()
    source, output = Signal(), Signal()
    sources = {"ecp5": 25, "ice40": 12}
    m.d.comb += output.eq(multiplied(m, family, source, sources[family] * MHZ, 75 * MHZ))
    assert f"\\{cell}" in rtlil.convert(m, ports=[source, output])
    assert f"module {cell}(" in SIMULATED


def test_the_same_frequency_needs_none():
    m, source = Module(), Signal()
    assert multiplied(m, "gowin", source, 27 * MHZ, 27 * MHZ) is source


@pytest.mark.parametrize("family, source, target", [("gowin", 27, 54), ("ecp5", 25, 66), ("ice40", 12, 20)])
def test_what_cannot_be_made(family, source, target):
    with pytest.raises(UserError) as caught:
        multiplied(Module(), family, Signal(), source * MHZ, target * MHZ)
    assert str(caught.value) == f"the board's clock of {source} MHz cannot be made one of {target} MHz"
