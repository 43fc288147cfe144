"""Octet stuffing (RFC 1662): a FLAG begins a frame and is nowhere inside one."""

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from .link_protocol import ESCAPE, FLAG, FLIP


class Unstuffer(Component):
    """The line's bytes to the frame's, in the same cycle.

    Members
    -------
    line_valid, line : a byte of the line.
    begin : it is a FLAG: a frame begins. valid, byte : it is a byte of the frame, escape undone.
    """

    def __init__(self) -> None:
        super().__init__({"line_valid": In(1), "line": In(8), "begin": Out(1), "valid": Out(1), "byte": Out(8)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        escaped = Signal()
        m.d.comb += self.byte.eq(self.line ^ (escaped << FLIP.bit_length() - 1))
        with m.If(self.line_valid):
            m.d.sync += escaped.eq(0)
            with m.If(self.line == FLAG):
                m.d.comb += self.begin.eq(1)
            with m.Elif(self.line == ESCAPE):
                m.d.sync += escaped.eq(1)
            with m.Else():
                m.d.comb += self.valid.eq(1)
        return m


class Stuffer(Component):
    """The frame's bytes to the line's. An item with `begin` is a FLAG and nothing else."""

    def __init__(self) -> None:
        item = data.StructLayout({"byte": 8, "begin": 1})
        super().__init__({"i": In(stream.Signature(item)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        escaped = Signal()
        special = Signal()
        byte = self.i.payload.byte
        m.d.comb += [
            special.eq(((byte == FLAG) | (byte == ESCAPE)) & ~self.i.payload.begin),
            self.o.valid.eq(self.i.valid),
            self.o.payload.eq(byte),
            self.i.ready.eq(self.o.ready & (~special | escaped)),
        ]
        with m.If(self.i.payload.begin):
            m.d.comb += self.o.payload.eq(FLAG)
        with m.Elif(special):
            m.d.comb += self.o.payload.eq(byte ^ FLIP)
            with m.If(~escaped):
                m.d.comb += self.o.payload.eq(ESCAPE)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += escaped.eq(special & ~escaped)
        return m
