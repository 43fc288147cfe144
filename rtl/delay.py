"""Delay lines of registers."""

from typing import Any

from amaranth.hdl import Module, Signal


def delay_line(m: Module, name: str, value: Any, cycles: int, *, reset_less: bool = False) -> list[Any]:
    """A value and its delayed copies; the registers are called `name_1`, `name_2` and so on.

    Parameters
    ----------
    value : Value or view
        What enters the line in each cycle.
    cycles : int
        Length of the line in registers.
    reset_less : bool
        Leave the registers alone on reset: for data whose valid bit is reset elsewhere.

    Returns
    -------
    list of Value or view
        Element i is `value` i cycles ago, for i up to and including `cycles`.
    """
    line = [value]
    for step in range(1, cycles + 1):
        register = Signal(value.shape(), name=f"{name}_{step}", reset_less=reset_less)
        m.d.sync += register.eq(line[-1])
        line.append(register)
    return line


def delayed(m: Module, name: str, value: Any, cycles: int) -> Any:
    """The value of `cycles` cycles ago: `value` itself for none; the registers are cleared by reset."""
    return delay_line(m, name, value, cycles)[-1]
