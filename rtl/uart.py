"""A serial line: eight data bits, no parity, one stop bit, lowest bit first."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import Component, In, Out

from .link_protocol import DIVISOR_BITS

FRAME_BITS = 10
"""Start bit, data, stop bit."""


class Receiver(Component):
    """Bytes from a line.

    Each bit is sampled once, in its middle. A byte without a stop bit is dropped.

    Members
    -------
    serial : the line, high when idle; not synchronous to the clock.
    divisor : cycles of one bit, at least link_protocol.MIN_DIVISOR.
    valid, byte : a byte, for one cycle; nothing holds it back.
    """

    def __init__(self) -> None:
        super().__init__({"serial": In(1, init=1), "divisor": In(DIVISOR_BITS), "valid": Out(1), "byte": Out(8)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        line = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.serial, line, init=1)
        left = Signal(range(FRAME_BITS + 1))  # bits to sample; 0 when idle
        count = Signal(DIVISOR_BITS, init=1)
        first = Signal()
        sample = Signal()
        shift = Signal(8)
        m.d.comb += [
            first.eq(left == FRAME_BITS),
            sample.eq(count == Mux(first, self.divisor >> 1, self.divisor)),
            self.byte.eq(shift),
            self.valid.eq((left == 1) & sample & line),
        ]
        m.d.sync += count.eq(count + 1)
        with m.If((left == 0) | sample):
            m.d.sync += count.eq(1)
        with m.If(left == 0), m.If(~line):
            m.d.sync += left.eq(FRAME_BITS)
        with m.Elif(sample):
            m.d.sync += left.eq(left - 1)
            with m.If(first & line):
                m.d.sync += left.eq(0)  # a glitch, no start bit
            with m.If(left != 1):
                m.d.sync += shift.eq(Cat(shift[1:], line))
        return m


class Transmitter(Component):
    """Bytes to a line.

    Members
    -------
    i : the bytes; taken one after the other without a pause.
    divisor : cycles of one bit.
    serial : the line, high when idle.
    """

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(8)), "divisor": In(DIVISOR_BITS), "serial": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        left = Signal(range(FRAME_BITS + 1))
        count = Signal(DIVISOR_BITS, init=1)
        ended = Signal()
        shift = Signal(FRAME_BITS, init=-1)
        m.d.comb += [self.serial.eq(shift[0]), self.i.ready.eq(left == 0), ended.eq(count == self.divisor)]
        m.d.sync += count.eq(count + 1)
        with m.If((left == 0) | ended):
            m.d.sync += count.eq(1)
        with m.If(left == 0), m.If(self.i.valid):
            m.d.sync += [shift.eq(Cat(Const(0, 1), self.i.payload, Const(1, 1))), left.eq(FRAME_BITS)]
        with m.Elif(ended):
            m.d.sync += [shift.eq(Cat(shift[1:], Const(1, 1))), left.eq(left - 1)]
        return m
