"""Queues never lose, duplicate or reorder.

One word, any word, is marked when it is written. `ahead` counts how many are in front of it; when none is, it must be
what is read. The invariants say where in the queue's state the marked word lies. They are all that induction needs, so
one step proves it for ever, for any contents.
"""

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Assume, Cover, Elaboratable, Module, Mux, ResetSignal, Signal, Value
from amaranth.lib import data
from weft.rtl import isa
from weft.rtl.config import Config
from weft.rtl.fifo import fifo
from weft.rtl.queue import InstructionQueue
from weft.rtl.skid import SkidBuffer

from .inside import Inside
from .streams import given, gives


def wrapped(position: Value, depth: int) -> Value:
    """`position` modulo `depth`, for one below 2 * depth."""
    return Mux(position >= depth, position - depth, position)


class FifoState:
    """The state of a queue of rtl/fifo.py that is a submodule: assertions that it is sound, and the word at a place in
    it."""

    def __init__(self, m: Module, inside: Inside, depth: int, name: str) -> None:
        self.depth = depth
        self.level = inside.signal("level")
        self.produce, self.consume = Signal(range(depth)), Signal(range(depth))
        if depth > 1:
            self.produce, self.consume = inside.signal("produce"), inside.signal("consume")
        m.d.comb += [
            Assert(self.level <= depth),
            Assert(self.consume < depth),
            Assert(self.produce == wrapped(self.consume + self.level, depth)),
            Assert(inside.signal("r_rdy") == (self.level != 0)),
            Assert(inside.signal("w_rdy") == (self.level != depth)),
        ]
        self.place = Signal(range(2 * depth), name=f"{name}_place")
        address = Signal(range(depth), name=f"{name}_address")
        m.d.comb += address.eq(wrapped(self.consume + self.place, depth))
        self.word = inside["storage"].word(address)
        """The word that is `place` places behind the one that is read next."""


class Fifo(Elaboratable):
    """The queue of which all of the hardware's queues and buffers are made, in both its forms."""

    def __init__(self, width: int, depth: int, pipelined: bool = False) -> None:
        self.fifo = fifo(pipelined, width=width, depth=depth)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        queue = self.fifo
        inside = Inside(queue)
        m.submodules.dut = inside.fragment
        state = FifoState(m, inside, queue.depth, "queue")
        mark = Signal()
        marked = Signal()
        word = Signal(queue.width)
        ahead = Signal(range(queue.depth + 1))
        write, read = Signal(), Signal()
        m.d.comb += [
            Assume(~ResetSignal()),
            queue.w_en.eq(AnySeq(1)),
            queue.w_data.eq(AnySeq(queue.width)),
            queue.r_en.eq(AnySeq(1)),
            write.eq(queue.w_en & queue.w_rdy),
            read.eq(queue.r_en & queue.r_rdy),
            mark.eq(AnySeq(1) & write & ~marked),
            state.place.eq(ahead),
            Cover(marked & read & (ahead == 0)),
        ]
        with m.If(mark):
            m.d.sync += [marked.eq(1), word.eq(queue.w_data), ahead.eq(state.level - read)]
        with m.If(marked):
            m.d.comb += [Assert(ahead < state.level), Assert(state.word == word)]
            with m.If(ahead == 0):
                m.d.comb += Assert(queue.r_data == word)
            with m.If(read):
                m.d.sync += [ahead.eq(ahead - 1), marked.eq(ahead != 0)]
        return m


class Skid(Elaboratable):
    """SkidBuffer: what comes in goes out once, in order, and stands until it is taken."""

    def __init__(self, width: int) -> None:
        self.width = width

    def elaborate(self, platform: object) -> Module:
        m = Module()
        dut = SkidBuffer(self.width)
        inside = Inside(dut)
        m.submodules.dut = inside.fragment
        spare, spare_full = inside.signal("spare"), inside.signal("spare_full")
        come, gone = Signal(), Signal()
        mark, marked, behind = Signal(), Signal(), Signal()  # behind: it is in the second place
        word = Signal(self.width)
        m.d.comb += [
            Assume(~ResetSignal()),
            dut.i.valid.eq(AnySeq(1)),
            dut.i.payload.eq(AnySeq(self.width)),
            dut.o.ready.eq(AnySeq(1)),
            come.eq(dut.i.valid & dut.i.ready),
            gone.eq(dut.o.valid & dut.o.ready),
            mark.eq(AnySeq(1) & come & ~marked),
            Assert(dut.o.valid | ~spare_full),
            Cover(marked & gone & ~behind),
        ]
        given(m, "i", dut.i.valid, dut.i.ready, dut.i.payload)
        gives(m, "o", dut.o.valid, dut.o.ready, dut.o.payload)
        with m.If(mark):
            m.d.sync += [marked.eq(1), word.eq(dut.i.payload), behind.eq(dut.o.valid & ~gone)]
        with m.If(marked):
            with m.If(behind):
                m.d.comb += Assert(spare_full & (spare == word))
            with m.Else():
                m.d.comb += Assert(dut.o.valid & (dut.o.payload == word))
            with m.If(gone):
                m.d.sync += [behind.eq(0), marked.eq(behind)]
        return m


class Instructions(Elaboratable):
    """InstructionQueue: every word of every instruction comes out once, in its place, in order; `empty` is true.

    Pipelined, there is no instruction in the cycle after one was taken: what that took is known only then.
    """

    def __init__(self, memory_width: int, depth: int, pipelined: bool = False) -> None:
        self.config = Config(memory_width=memory_width, axi_width=memory_width, queue_depth=depth, pipelined=pipelined)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width = self.config.memory_width
        words = isa.INSTRUCTION_BITS // width
        whole = data.StructLayout({"words": data.ArrayLayout(width, words)})
        queue = InstructionQueue(self.config, whole)
        inside = Inside(queue)
        m.submodules.dut = inside.fragment
        depth = self.config.queue_depth * words
        state = FifoState(m, inside["fifo"], depth, "queue")
        index, full, assembled = (inside.signal(name) for name in ("index", "full", "assembled"))
        held = Signal(range(depth + 2 * words + 1))  # words that came in and did not leave
        ahead = Signal.like(held)
        put_together = Signal.like(held)  # words that have left the inner queue
        marked, mark = Signal(), Signal()
        word = Signal(width)
        write, take = Signal(), Signal()
        m.d.comb += [
            Assume(~ResetSignal()),
            queue.i.valid.eq(AnySeq(1)),
            queue.i.payload.eq(AnySeq(width)),
            queue.o.ready.eq(AnySeq(1)),
            write.eq(queue.i.valid & queue.i.ready),
            take.eq(queue.o.valid & queue.o.ready),
            mark.eq(AnySeq(1) & write & ~marked),
            put_together.eq(index + Mux(full, words, 0)),
            state.place.eq(ahead - put_together),
            Assert(index < words),
            Assert(~full | (index == 0)),
            Assert(held == put_together + state.level),
            Assert(~queue.o.valid | (held >= words)),
            Assert(queue.empty == (held == 0)),
            Cover(marked & take & (ahead == words - 1)),
        ]
        if self.config.pipelined:
            taken = Signal()
            m.d.sync += taken.eq(take)
            m.d.comb += Assert(~(taken & queue.o.valid))
        m.d.sync += held.eq(held + write - Mux(take, words, 0))
        with m.If(mark):
            m.d.sync += [marked.eq(1), word.eq(queue.i.payload), ahead.eq(held - Mux(take, words, 0))]
        with m.If(marked):
            m.d.comb += Assert(ahead < held)
            with m.If(ahead < put_together):
                m.d.comb += Assert(assembled.word_select(ahead[: max(1, (words - 1).bit_length())], width) == word)
            with m.Else():
                m.d.comb += Assert(state.word == word)
            with m.If(take):
                with m.If(ahead < words):
                    place = ahead[: max(1, (words - 1).bit_length())]
                    m.d.comb += Assert(queue.o.payload.as_value().word_select(place, width) == word)
                    m.d.sync += marked.eq(0)
                with m.Else():
                    m.d.sync += ahead.eq(ahead - words)
        return m
