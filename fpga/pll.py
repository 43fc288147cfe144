"""Phase-locked loops: a board's oscillator to the frequency of the NPU.

Sources: Lattice FPGA-TN-02200, ECP5 sysCLOCK PLL; FPGA-TN-02052, iCE40 sysCLOCK PLL.
"""

from collections.abc import Callable
from itertools import product

from amaranth.hdl import Const, Instance, Module, Signal, Value
from weft.sw.errors import UserError

from .device import Family

MHZ = 1_000_000

Parameters = dict[str, int]
"""Of the cell, by name."""


def ecp5_parameters(source_hz: int, target_hz: int) -> Parameters | None:
    """Of an EHXPLLL with feedback from its first output, None if it cannot do that.

    target = source / CLKI_DIV * CLKFB_DIV; the oscillator, target * CLKOP_DIV, runs at 400 to 800 MHz, and its inputs
    are compared at 3.125 to 400 MHz. Of several ways the one with the fastest comparison is the most quiet.
    """
    for input_divider, feedback in product(range(1, 129), range(1, 81)):
        if source_hz * feedback != target_hz * input_divider or source_hz / input_divider < 3.125 * MHZ:
            continue
        divider = round(600 * MHZ / target_hz)
        if 1 <= divider <= 128 and 400 * MHZ <= target_hz * divider <= 800 * MHZ:
            return {"CLKI_DIV": input_divider, "CLKFB_DIV": feedback, "CLKOP_DIV": divider}
    return None


def _ecp5(m: Module, clock: Value, output: Signal, numbers: Parameters) -> None:
    m.submodules.pll = Instance(
        "EHXPLLL",
        *(("p", name, value) for name, value in numbers.items()),
        p_CLKOP_ENABLE="ENABLED",
        p_CLKOP_CPHASE=numbers["CLKOP_DIV"] - 1,
        p_FEEDBK_PATH="CLKOP",
        i_CLKI=clock,
        i_CLKFB=output,
        i_RST=Const(0),
        i_STDBY=Const(0),
        i_PLLWAKESYNC=Const(0),
        i_ENCLKOP=Const(0),
        i_PHASESEL0=Const(0),
        i_PHASESEL1=Const(0),
        i_PHASEDIR=Const(1),
        i_PHASESTEP=Const(1),
        i_PHASELOADREG=Const(1),
        o_CLKOP=output,
    )


def ice40_parameters(source_hz: int, target_hz: int) -> Parameters | None:
    """Of an SB_PLL40_PAD with simple feedback, None if it cannot do that.

    target = source / (DIVR + 1) * (DIVF + 1) / 2^DIVQ; the oscillator runs at 533 to 1066 MHz, and its inputs are
    compared at 10 to 133 MHz.
    """
    for reference, feedback, quotient in product(range(16), range(128), range(1, 7)):
        compared = source_hz / (reference + 1)
        oscillator = compared * (feedback + 1)
        if not (10 * MHZ <= compared <= 133 * MHZ and 533 * MHZ <= oscillator <= 1066 * MHZ):
            continue
        if oscillator == target_hz << quotient:
            limits = (17, 26, 44, 66, 101)
            filter_range = 1 + sum(compared >= limit * MHZ for limit in limits)
            return {"DIVR": reference, "DIVF": feedback, "DIVQ": quotient, "FILTER_RANGE": filter_range}
    return None


def _ice40(m: Module, clock: Value, output: Signal, numbers: Parameters) -> None:
    widths = {"DIVR": 4, "DIVF": 7, "DIVQ": 3, "FILTER_RANGE": 3}
    m.submodules.pll = Instance(
        "SB_PLL40_PAD",
        *(("p", name, Const(value, widths[name])) for name, value in numbers.items()),
        p_FEEDBACK_PATH="SIMPLE",
        p_PLLOUT_SELECT="GENCLK",
        i_PACKAGEPIN=clock,
        i_RESETB=Const(1),
        i_BYPASS=Const(0),
        o_PLLOUTGLOBAL=output,
    )


Maker = tuple[Callable[[int, int], Parameters | None], Callable[[Module, Value, Signal, Parameters], None]]

PLLS: dict[Family, Maker] = {"ecp5": (ecp5_parameters, _ecp5), "ice40": (ice40_parameters, _ice40)}

SIMULATED = """
module EHXPLLL(
  input CLKI, CLKFB, RST, STDBY, PLLWAKESYNC, ENCLKOP, PHASESEL0, PHASESEL1, PHASEDIR, PHASESTEP, PHASELOADREG,
  output CLKOP
);
  parameter CLKI_DIV = 1, CLKFB_DIV = 1, CLKOP_DIV = 1, CLKOP_CPHASE = 0;
  parameter CLKOP_ENABLE = "", FEEDBK_PATH = "";
  assign CLKOP = CLKI;
endmodule
module SB_PLL40_PAD(input PACKAGEPIN, RESETB, BYPASS, output PLLOUTGLOBAL);
  parameter DIVR = 0, DIVF = 0, DIVQ = 0, FILTER_RANGE = 0;
  parameter FEEDBACK_PATH = "", PLLOUT_SELECT = "";
  assign PLLOUTGLOBAL = PACKAGEPIN;
endmodule
"""
"""For netlists in simulation, where cycles count and not time: the clock goes straight through."""


def parameters(family: Family, source_hz: int, target_hz: int) -> Parameters | None:
    """Of the family's PLL; None where the frequency is already right.

    Raises
    ------
    UserError
        If the family's PLL, or the one known here, cannot make this frequency.
    """
    if source_hz == target_hz:
        return None
    numbers = PLLS[family][0](source_hz, target_hz) if family in PLLS else None
    if numbers is None:
        raise UserError(f"the board's clock of {source_hz / MHZ:g} MHz cannot be made one of {target_hz / MHZ:g} MHz")
    return numbers


def multiplied(m: Module, family: Family, clock: Value, source_hz: int, target_hz: int) -> Value:
    """`clock` itself, or that of a PLL made of it.

    Raises
    ------
    UserError
        As `parameters` does.
    """
    numbers = parameters(family, source_hz, target_hz)
    if numbers is None:
        return clock
    output = Signal(name="pll_clock")
    PLLS[family][1](m, clock, output, numbers)
    return output
