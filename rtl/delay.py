"""Delay lines of registers."""

from typing import Any

from amaranth.hdl import Module, Signal, Value

from .memory import Memory1R1W

MEMORY_DEPTH = 256
"""Of a delay in a memory: the smallest block RAM there is has no fewer words."""


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


def delayed_in_memory(m: Module, name: str, value: Any, cycles: int) -> Any:
    """As `delayed`, with a block RAM in place of the registers, for 2 to MEMORY_DEPTH cycles; a reset changes nothing,
    and what comes out first is undefined."""
    m.submodules[name] = memory = Memory1R1W(Value.cast(value).shape().width, MEMORY_DEPTH)
    now = Signal(range(MEMORY_DEPTH), name=f"{name}_now", reset_less=True)
    result = Signal(value.shape(), name=f"{name}_result")
    m.d.sync += now.eq(now + 1)
    m.d.comb += [
        memory.write.address.eq(now),
        memory.write.data.eq(value),
        memory.write.enable.eq(1),
        memory.read.address.eq(now - (cycles - memory.latency)),
        memory.read.enable.eq(1),
        Value.cast(result).eq(memory.read.data),
    ]
    return result
