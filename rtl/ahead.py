"""Registers whose next value is needed in the cycle before, and loops that count down with one as their flag."""

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Module, Signal, Value


class Ahead:
    """A register of one bit, `now`, and what it will be, `next`."""

    def __init__(self, m: Module, name: str) -> None:
        self.now = Signal(name=name)
        self.next = Signal(name=f"next_{name}")
        m.d.comb += self.next.eq(self.now)
        m.d.sync += self.now.eq(self.next)

    def to(self, value: Any) -> "Step":
        """It takes a value."""
        return Step(self.next.eq(value))


@dataclass(frozen=True)
class Step:
    """What an Ahead does."""

    statement: Any


class State:
    """Takes assignments to registers, those to an Ahead among them."""

    def __init__(self, m: Module) -> None:
        self.m = m

    def __iadd__(self, statements: Any) -> "State":
        for one in statements if isinstance(statements, list) else [statements]:
            if isinstance(one, Step):
                self.m.d.comb += one.statement
            else:
                self.m.d.sync += one
        return self


def restarted(counter: Signal, last: Ahead, count: Value) -> list[Any]:
    """A loop of `count` steps begins: the counter runs down to zero, and `last` says in time that it is there."""
    return [counter.eq(count - 1), last.to(count == 1)]


def stepped(counter: Signal, last: Ahead) -> list[Any]:
    """One step of such a loop, not the last one."""
    return [counter.eq(counter - 1), last.to(counter == 1)]
