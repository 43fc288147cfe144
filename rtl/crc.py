"""CRC-32, one bit per cycle."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib.wiring import Component, In, Out

from .link_protocol import CRC_INIT, CRC_POLYNOMIAL, CRC_RESIDUE


class Crc32(Component):
    """The CRC of the bits since `clear`.

    Members
    -------
    clear : start anew; outranks `enable`.
    enable, bit : take a bit, each byte's lowest first.
    emit : with `enable`, drop a bit of the CRC instead.
    next : the bit of the CRC that is sent first.
    good : the last 32 bits were the CRC of those before them.
    """

    def __init__(self) -> None:
        super().__init__({"clear": In(1), "enable": In(1), "bit": In(1), "emit": In(1), "next": Out(1), "good": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        state = Signal(32, init=CRC_INIT)
        feedback = Signal()
        m.d.comb += [
            feedback.eq((state[0] ^ self.bit) & ~self.emit),
            self.next.eq(~state[0]),
            self.good.eq(state == CRC_RESIDUE),
        ]
        with m.If(self.enable):
            m.d.sync += state.eq((state >> 1) ^ Mux(feedback, Const(CRC_POLYNOMIAL, 32), 0))
        with m.If(self.clear):
            m.d.sync += state.eq(CRC_INIT)
        return m
