"""The queue in front of a unit: a memory of words, and the next instruction put together from them."""

from amaranth.hdl import Module, Signal, unsigned
from amaranth.lib import data, stream
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import Component, In, Out

from . import isa
from .config import Config


class InstructionQueue(Component):
    """Takes an instruction's words, lowest first, and offers whole instructions.

    `queue_depth` instructions wait as words; one more is put together while the unit executes the one before. `empty`
    says that no part of an instruction is here; `level` counts the words that wait.
    """

    def __init__(self, config: Config, layout: data.StructLayout) -> None:
        self.config = config
        self.layout = layout
        depth = config.queue_depth * (isa.INSTRUCTION_BITS // config.memory_width)
        super().__init__(
            {
                "level": Out(range(depth + 1)),
                "i": In(stream.Signature(unsigned(config.memory_width))),
                "o": Out(stream.Signature(layout)),
                "empty": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width = self.config.memory_width
        words = isa.INSTRUCTION_BITS // width
        m.submodules.fifo = fifo = SyncFIFO(width=width, depth=self.config.queue_depth * words)
        # Words that the layout does not reach are taken and dropped.
        assembled = Signal(isa.INSTRUCTION_BITS)
        index = Signal(range(max(words, 2)))
        full = Signal()
        m.d.comb += [
            fifo.w_data.eq(self.i.payload),
            fifo.w_en.eq(self.i.valid),
            self.i.ready.eq(fifo.w_rdy),
            self.o.payload.eq(assembled[: self.layout.size]),
            self.o.valid.eq(full),
            fifo.r_en.eq(~full | self.o.ready),
            self.level.eq(fifo.level),
            self.empty.eq(~full & ~fifo.r_rdy & (index == 0)),
        ]
        with m.If(full & self.o.ready):
            m.d.sync += full.eq(0)
        with m.If(fifo.r_en & fifo.r_rdy):
            with m.Switch(index):
                for word in range(words):
                    with m.Case(word):
                        m.d.sync += assembled[word * width : (word + 1) * width].eq(fifo.r_data)
            m.d.sync += index.eq(index + 1)
            with m.If(index == words - 1):
                m.d.sync += [index.eq(0), full.eq(1)]
        return m
