"""Fetches the program and hands each instruction to the queue of its unit."""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import stream
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import Component, In, Out

from . import bus, isa
from .config import Config
from .registers import ErrorCause, Unit

UNIT_OF = {
    isa.Opcode.LOAD: Unit.LOAD,
    isa.Opcode.CONV: Unit.ARRAY,
    isa.Opcode.DRAIN: Unit.DRAIN,
    isa.Opcode.STORE: Unit.STORE,
}


class Sequencer(Component):
    """Reads up to `fetch_depth` instructions ahead, so that a queue that is full never blocks the memory port.

    Members
    -------
    start, program : begin at this address.
    idle_units : every unit and queue is empty; ends the run once END was dispatched.
    stop : an error elsewhere ends the run: nothing more is dispatched.
    queues : one stream of words per unit, in the order of Unit.
    dispatched : one pulse per instruction. finished : one pulse when the run is over.
    error : one pulse with its cause, and the address of the instruction at fault.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        words = stream.Signature(unsigned(config.memory_width))
        super().__init__(
            {
                "start": In(1),
                "program": In(config.address_width),
                "memory": Out(bus.memory_read(config)),
                "queues": Out(words).array(len(Unit)),
                "idle_units": In(1),
                "stop": In(1),
                "busy": Out(1),
                "dispatched": Out(1),
                "finished": Out(1),
                "error": Out(1),
                "error_cause": Out(ErrorCause),
                "error_address": Out(config.address_width),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        words = isa.INSTRUCTION_BITS // config.memory_width
        depth = config.fetch_depth

        running = Signal()  # instructions are fetched and dispatched
        flushing = Signal()  # what was fetched behind the end is thrown away
        fetch_address = Signal(config.address_width)
        address = Signal(config.address_width)  # of the instruction to be dispatched next
        ahead = Signal(range(depth + 1))  # instructions requested and not yet dispatched

        # A request that was made stays until it is taken, whatever ends the run meanwhile.
        requesting = Signal()
        requested = Signal()
        ending = Signal()
        m.d.comb += [
            self.memory.request.valid.eq(requesting),
            self.memory.request.payload.address.eq(fetch_address),
            self.memory.request.payload.words.eq(words),
            requested.eq(running & ~ending & (ahead != depth) & (~requesting | self.memory.request.ready)),
        ]
        m.d.sync += requesting.eq(requested | (requesting & ~self.memory.request.ready))
        with m.If(requesting & self.memory.request.ready):
            m.d.sync += fetch_address.eq(fetch_address + isa.INSTRUCTION_BYTES)

        m.submodules.fifo = fifo = SyncFIFO(width=config.memory_width + 1, depth=depth * words)
        m.d.comb += [
            fifo.w_data.eq(self.memory.data.payload.data),
            fifo.w_data[-1].eq(self.memory.data.payload.error),
            fifo.w_en.eq(self.memory.data.valid),
            self.memory.data.ready.eq(fifo.w_rdy),
        ]

        # The first word names the unit; the others follow it there.
        word = Signal(unsigned(config.memory_width))
        failed = Signal()
        index = Signal(range(max(words, 2)))
        opcode = Signal(isa.Opcode, init=isa.Opcode.END)
        opcode_held = Signal(isa.Opcode, init=isa.Opcode.END)
        ready = Signal()
        take = Signal()
        known = Signal()
        m.d.comb += [
            word.eq(fifo.r_data[: config.memory_width]),
            failed.eq(fifo.r_data[-1]),
            opcode.eq(Mux(index == 0, word[:4], opcode_held)),
            fifo.r_en.eq(take),
        ]
        with m.Switch(opcode):
            for code, unit in UNIT_OF.items():
                with m.Case(code):
                    queue = self.queues[unit]
                    m.d.comb += [
                        known.eq(1),
                        ready.eq(queue.ready),
                        queue.payload.eq(word),
                        queue.valid.eq(running & fifo.r_rdy & ~failed),
                    ]
            with m.Case(isa.Opcode.END):
                m.d.comb += [known.eq(1), ready.eq(1)]

        complete = Signal()
        m.d.comb += [
            take.eq(fifo.r_rdy & (flushing | (running & (ready | ~known | failed)))),
            complete.eq(take & (index == words - 1)),
        ]
        with m.If(take):
            m.d.sync += index.eq(index + 1)
            with m.If(index == 0):
                m.d.sync += opcode_held.eq(opcode)
            with m.If(index == words - 1):
                m.d.sync += index.eq(0)
        with m.If(complete):
            m.d.sync += address.eq(address + isa.INSTRUCTION_BYTES)
        m.d.sync += ahead.eq(ahead + requested - complete)

        with m.If(running):
            m.d.comb += self.dispatched.eq(complete)
            with m.If(take & failed):
                m.d.comb += [self.error.eq(1), self.error_cause.eq(ErrorCause.READ_ERROR)]
            with m.Elif(take & ~known):
                m.d.comb += [self.error.eq(1), self.error_cause.eq(ErrorCause.ILLEGAL_INSTRUCTION)]
            m.d.comb += ending.eq(self.error | self.stop | (complete & (opcode == isa.Opcode.END)))
        m.d.comb += self.error_address.eq(address)
        with m.If(ending):
            m.d.sync += [running.eq(0), flushing.eq(1)]

        flushed = Signal()
        m.d.comb += [
            flushed.eq(flushing & (ahead == 0)),
            self.finished.eq(flushed & self.idle_units),
            self.busy.eq(running | flushing),
        ]
        with m.If(self.finished):
            m.d.sync += flushing.eq(0)
        with m.If(self.start & ~self.busy):
            m.d.sync += [running.eq(1), fetch_address.eq(self.program), address.eq(self.program)]
        return m
