import re
from typing import get_args

from weft.fpga.cells import cell_models, shared_folder
from weft.fpga.device import Family


def test_models_that_come_with_yosys():
    assert (shared_folder() / "ice40" / "cells_sim.v").is_file()
    ice40 = cell_models("ice40")
    for cell in ("SB_LUT4", "SB_CARRY", "SB_DFFESR", "SB_MAC16", "SB_SPRAM256KA", "SB_RAM40_4K", "SB_PLL40_PAD"):
        assert f"module {cell} " in ice40.replace("(", " ")
    assert len(re.findall(r"^module SB_PLL40_PAD\b", ice40, re.MULTILINE)) == 1  # Yosys' own is a black box
    assert not any("`include" in cell_models(family) for family in get_args(Family))


def test_models_of_cells_that_yosys_has_none_of():
    ecp5 = cell_models("ecp5")
    for cell in ("LUT4", "CCU2C", "PFUMX", "L6MUX21", "TRELLIS_FF", "TRELLIS_DPR16X4", "MULT18X18D", "PDPW16KD"):
        assert f"module {cell} " in ecp5.replace("(", " ")
    assert len(re.findall(r"^module DP16KD\b", ecp5, re.MULTILINE)) == 1  # Yosys' own is a black box


def test_models_of_gowins():
    gowin = cell_models("gowin")
    for cell in ("LUT4", "ALU", "DFFRE", "MUX2_LUT8", "RAM16SDP4", "MULT9X9", "MULT18X18", "DPB", "SPX9", "SDPX9B"):
        assert len(re.findall(rf"^module {cell}\b", gowin, re.MULTILINE)) == 1
