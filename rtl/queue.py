"""The queue in front of a unit: a memory of words, and the next instruction put together from them."""

from amaranth.hdl import Module, Signal, Value, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from . import fields, isa
from .config import Config
from .fifo import fifo


def held(m: Module, config: Config, instruction: data.View, accept: Value) -> data.View:
    """The instruction that a unit works on: a copy, so that the queue can present the next one; with `compact` the
    queue's own registers, which stay until the unit is done."""
    if config.compact:
        return instruction
    copy = Signal(instruction.shape(), name="held")
    with m.If(accept):
        m.d.sync += copy.eq(instruction)
    return copy


def overlaps(config: Config) -> bool:
    """Whether a unit takes an instruction in the last cycle of the one before: not if it is pipelined, nor with
    `compact`, where the next one comes only when that is complete."""
    return not (config.pipelined or config.compact)


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
        m.submodules.fifo = waiting = fifo(self.config.pipelined, width=width, depth=self.config.queue_depth * words)
        # Words that the layout does not reach are taken and dropped.
        assembled = Signal(isa.INSTRUCTION_BITS)
        index = Signal(range(max(words, 2)))
        full = Signal()
        m.d.comb += [
            waiting.w_data.eq(self.i.payload),
            waiting.w_en.eq(self.i.valid),
            self.i.ready.eq(waiting.w_rdy),
            self.o.payload.eq(assembled[: self.layout.size]),
            self.o.valid.eq(full),
            # Pipelined, whether the unit takes its instruction is known late.
            waiting.r_en.eq(~full if self.config.pipelined else ~full | self.o.ready),
            self.level.eq(waiting.level),
            self.empty.eq(~full & ~waiting.r_rdy & (index == 0)),
        ]
        with m.If(full & self.o.ready):
            m.d.sync += full.eq(0)
        with m.If(waiting.r_en & waiting.r_rdy):
            with m.Switch(index):
                for word in range(words):
                    with m.Case(word):
                        m.d.sync += assembled[word * width : (word + 1) * width].eq(waiting.r_data)
            m.d.sync += index.eq(index + 1)
            with m.If(index == words - 1):
                m.d.sync += [index.eq(0), full.eq(1)]
        return m


class InstructionHolder(Component):
    """The registers of one instruction, filled word by word; only the bits that the configuration keeps.

    Takes an instruction's words up to the last that its layout reaches. `o` offers the instruction until it is taken,
    and only then `i` takes words again. `empty` as in InstructionQueue.
    """

    def __init__(self, config: Config, opcode: isa.Opcode) -> None:
        self.config = config
        self.opcode = opcode
        super().__init__(
            {
                "i": In(stream.Signature(unsigned(config.memory_width))),
                "o": Out(stream.Signature(fields.layout(config, opcode))),
                "empty": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width = self.config.memory_width
        words = isa.words(self.opcode, width)
        whole = isa.LAYOUTS[self.opcode]
        bits = Signal(whole.size, reset_less=True)
        full = Signal()
        index = Signal(range(max(words, 2)))
        m.d.comb += [
            self.i.ready.eq(~full),
            self.o.valid.eq(full),
            self.empty.eq(~full & (index == 0)),
        ]
        mask = 0
        for name, field in self.o.payload.shape():
            part = bits[whole[name].offset :][: field.width]
            m.d.comb += self.o.payload.as_value()[field.offset : field.offset + field.width].eq(part)
            mask |= (1 << field.width) - 1 << whole[name].offset
        with m.If(full & self.o.ready):
            m.d.sync += full.eq(0)
        with m.If(self.i.valid & ~full):
            with m.Switch(index):
                for word in range(words):
                    with m.Case(word):
                        for bit in range(word * width, min((word + 1) * width, whole.size)):
                            if mask >> bit & 1:
                                m.d.sync += bits[bit].eq(self.i.payload[bit - word * width])
            m.d.sync += index.eq(index + 1)
            with m.If(index == words - 1):
                m.d.sync += [index.eq(0), full.eq(1)]
        return m
