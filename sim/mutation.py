"""Two forms of an expression in one piece of hardware, of which an input chooses.

This file is also a part of the broken RTL that weft.sim.mutated makes, so it imports nothing of our own.
"""

from typing import Any

from amaranth.hdl import Mux, Signal, Value
from amaranth.lib import data

MUTANT = Signal(8)
"""The number of the mutant that the hardware is, from 1 on; with 0 it is as it should be."""


def mutated(number: int, right: Any, wrong: Any) -> Any:
    """`right`, but `wrong` while MUTANT is `number`; of the shape of `right`."""
    if isinstance(right, data.View):
        return data.View(right.shape(), mutated(number, right.as_value(), wrong.as_value()))
    right = Value.cast(right)
    chosen = Mux(number == MUTANT, wrong, right)[: len(right)]
    return chosen.as_signed() if right.shape().signed else chosen
