"""A register in the way of a stream."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out


class SkidBuffer(Component):
    """A stream with a register on every way through it, back-pressure included, at one item per cycle.

    Of two places one is the output; the other takes the item that comes in the cycle in which the output stalls.

    Members
    -------
    i, o : streams; what is taken at cycle t is offered from t + LATENCY on.
    """

    LATENCY = 1

    def __init__(self, shape: Any) -> None:
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        taken, given = Value.cast(self.i.payload), Value.cast(self.o.payload)
        spare = Signal.like(taken, name="spare", reset_less=True)
        spare_full = Signal()
        m.d.comb += self.i.ready.eq(~spare_full)
        with m.If(~spare_full):
            m.d.sync += spare.eq(taken)
        with m.If(self.o.ready | ~self.o.valid):
            m.d.sync += [
                self.o.valid.eq(spare_full | self.i.valid),
                given.eq(Mux(spare_full, spare, taken)),
                spare_full.eq(0),
            ]
        with m.Else():
            m.d.sync += spare_full.eq(spare_full | self.i.valid)
        return m
