"""Which instruction each unit is at, and the one fault that is reported when several come at once."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from .config import Config
from .dma import error_layout
from .fence import refusal_layout
from .registers import FLAWS, SEQUENCER, ErrorCause, Unit

NUMBER_BITS = 24


class Faults(Component):
    """Collects what is wrong in the units; of several faults in one cycle the first in this list is kept.

    Members
    -------
    clear : a run begins.
    sequencer : the sequencer's error. left_over : at the end something is left for the next run.
    load, store : what memory answered. refused_load, refused_store : requests outside the fences.
    flaws : memories that gave a byte that is not as it was written.
    overflow, illegal : per unit: the instruction that it has just completed gave the token, that which it took last is
        at fault. Pipelined, `overflow` is two cycles late, and `illegal` one, in which it takes no other.
    started, retired, flight : of the units' gates; `retired` only if pipelined.
    begun : instructions that each unit has begun in this run.
    error, cause, unit, address : see registers.ErrorCause.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        address = unsigned(config.address_width)
        units = len(Unit)
        super().__init__(
            {
                "clear": In(1),
                "sequencer": In(data.StructLayout({"valid": 1, "cause": ErrorCause, "address": address})),
                "left_over": In(1),
                "flaws": In(len(FLAWS)),
                "load": In(error_layout(config)),
                "store": In(error_layout(config)),
                "refused_load": In(refusal_layout(config)),
                "refused_store": In(refusal_layout(config)),
                "overflow": In(units),
                "illegal": In(units),
                "started": In(units),
                **({"retired": In(units)} if config.pipelined else {}),
                "flight": In(data.ArrayLayout(4, units)),
                "begun": Out(data.ArrayLayout(NUMBER_BITS, units)),
                "error": Out(1),
                "cause": Out(ErrorCause),
                "unit": Out(3),
                "address": Out(address),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        causes = [
            (self.sequencer.valid, self.sequencer.cause, SEQUENCER, self.sequencer.address),
            (
                self.load.valid,
                Mux(self.load.decode, ErrorCause.READ_DECODE_ERROR, ErrorCause.READ_ERROR),
                Unit.LOAD,
                self.load.address,
            ),
            (
                self.store.valid,
                Mux(self.store.decode, ErrorCause.WRITE_DECODE_ERROR, ErrorCause.WRITE_ERROR),
                Unit.STORE,
                self.store.address,
            ),
            self._of_units(m, "overflow", ErrorCause.TOKEN_OVERFLOW, self.overflow, self._retired(m)),
        ]
        if config.fences:
            causes += [
                (self.refused_load.valid, ErrorCause.FENCE, Unit.LOAD, self.refused_load.address),
                (self.refused_store.valid, ErrorCause.FENCE, Unit.STORE, self.refused_store.address),
            ]
        if config.checks:
            causes += [
                self._of_units(m, "illegal", ErrorCause.ILLEGAL_INSTRUCTION, self.illegal, [Const(1)] * len(Unit)),
                (self.left_over, ErrorCause.LEFT_OVER, SEQUENCER, self.sequencer.address),
            ]
        if config.protection:
            causes += [(self.flaws[index], ErrorCause.CONTENTS, unit, 0) for index, (*_, unit) in enumerate(FLAWS)]
        if config.checks or config.autopsy:
            for unit in Unit:
                with m.If(self.clear):
                    m.d.sync += self.begun[unit].eq(0)
                with m.Else():
                    m.d.sync += self.begun[unit].eq(self.begun[unit] + self.started[unit])
        for index, (valid, cause, unit, address) in enumerate(causes):
            with m.Elif(valid) if index else m.If(valid):
                m.d.comb += [self.error.eq(1), self.cause.eq(cause), self.unit.eq(unit), self.address.eq(address)]
        return m

    def _retired(self, m: Module) -> list[Value]:
        """How many instructions each unit has begun from the one on that gave the token of `overflow`."""
        if not self.config.pipelined:
            return [self.flight[unit] for unit in Unit]
        since = Signal(len(Unit), name="retired_since")
        m.d.sync += since.eq(self.retired)
        return [self.flight[unit] + since[unit] + 1 for unit in Unit]

    def _of_units(
        self, m: Module, name: str, cause: ErrorCause, faulty: Value, behind: Sequence[Value]
    ) -> tuple[Value, ErrorCause, Signal, Signal]:
        """The fault of the first unit that has one, a cycle later: of the instruction that many before the next."""
        valid = Signal(name=f"{name}_valid")
        unit = Signal(3, name=f"{name}_unit")
        number = Signal(NUMBER_BITS, name=f"{name}_number")
        m.d.sync += valid.eq(faulty.any())
        for index in reversed(Unit):
            with m.If(faulty[index]):
                m.d.sync += unit.eq(index)
                if self.config.checks:
                    m.d.sync += number.eq(self.begun[index] - behind[index])
        return valid, cause, unit, number


def left_over(tokens: data.View, full: Value, free: Value) -> Value:
    """Whether a token of Tokens.counts is not taken, or an accumulator half is not free."""
    return (Value.cast(tokens) != 0) | (full != 0) | (free != 2)


def inside(
    fetch: Value, address: Value, halves: tuple[Value, Value], units: dict[Unit, dict[str, Value]]
) -> dict[str, Value]:
    """The registers of an autopsy: see registers.AUTOPSY."""
    found = {"HALVES": Cat(*halves), "FETCH": fetch, "NEXT": address}
    for unit, one in units.items():
        found |= {
            f"{unit.name}_INSTRUCTION": Cat(one["begun"], one["flight"]),
            f"{unit.name}_TAG": Cat(one["tag"], one["missing"], Value.cast(0).replicate(4), one["level"]),
            f"{unit.name}_TOKENS": Cat(*(Cat(count, Value.cast(0).replicate(2)) for count in one["tokens"])),
        }
    return {name.lower(): value for name, value in found.items()}
