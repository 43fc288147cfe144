"""Fetches the program and hands each instruction to the queue of its unit."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from . import bus, isa
from .config import Config
from .delay import delayed
from .fence import Window, window_layout
from .fifo import fifo
from .legality import UNIT_OF, must_be_zero, parts_in_words, undefined_pairs
from .registers import ErrorCause, Unit
from .skid import SkidBuffer


class Sequencer(Component):
    """Reads up to `fetch_depth` instructions ahead, so that a queue that is full never blocks the memory port.

    Members
    -------
    start, program : begin at this address.
    idle_units : every unit and queue is empty; ends the run once END was dispatched.
    stop : an error elsewhere ends the run: nothing more is dispatched.
    window : where the program may lie (with config.fences).
    queues : one stream of words per unit, in the order of Unit.
    dispatched : one pulse per instruction. finished : one pulse when the run is over.
    error : one pulse with its cause, and the address of the instruction at fault, in the cycle after its last word was
        dispatched, too early for its unit to have begun; pipelined two cycles later.
    at_fault : an error is found, pipelined in the cycle before, or told.
    fetching, flushing, ahead, address : the run goes on; what was fetched too much is thrown away; how many
        instructions were requested and not dispatched; of the next instruction to dispatch.
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
                **({"window": In(window_layout(config))} if config.fences else {}),
                "busy": Out(1),
                "dispatched": Out(1),
                "finished": Out(1),
                "error": Out(1),
                "at_fault": Out(1),
                "error_cause": Out(ErrorCause),
                "error_address": Out(config.address_width),
                "fetching": Out(1),
                "flushing": Out(1),
                "ahead": Out(range(config.fetch_depth + 1)),
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
        fetch_next = Signal.like(fetch_address)
        following = Signal.like(fetch_address)
        outside = Signal()  # what would be fetched next is outside the window
        request = self.memory.request
        if config.pipelined:
            m.submodules.request = buffer = SkidBuffer(bus.request_layout(config))
            connect(m, buffer.o, flipped(self.memory.request))
            request = buffer.i
        # Pipelined, one more is requested in the cycle of the end, and thrown away.
        goes_on = running if config.pipelined else running & ~ending
        m.d.comb += [
            request.valid.eq(requesting & ~outside),
            request.payload.address.eq(fetch_address),
            request.payload.words.eq(words),
            requested.eq(goes_on & (ahead != depth) & ~outside & (~requesting | request.ready)),
            fetch_next.eq(Mux(request.valid & request.ready, following, fetch_address)),
        ]
        m.d.sync += requesting.eq(requested | (requesting & ~request.ready & ~outside))
        with m.If(self.start & ~self.busy):
            m.d.comb += fetch_next.eq(self.program)
        m.d.sync += fetch_address.eq(fetch_next)
        if config.pipelined:
            m.d.sync += following.eq(fetch_next + isa.INSTRUCTION_BYTES)
        else:
            m.d.comb += following.eq(fetch_address + isa.INSTRUCTION_BYTES)
        if config.fences:
            window = Window(config, self.window)
            m.d.sync += outside.eq(window.outside(fetch_next, fetch_next))

        m.submodules.fifo = arrived = fifo(config.pipelined, width=config.memory_width + 2, depth=depth * words)
        arriving = self.memory.data.payload
        # The first word names the unit; the others follow it there.
        opcode_held = Signal(isa.Opcode, init=isa.Opcode.END)
        layout = data.StructLayout(
            {
                "word": config.memory_width,
                "error": 1,
                "decode": 1,
                "index": range(max(words, 2)),
                "opcode": Value.cast(opcode_held).shape(),
            }
        )
        fetched = stream.Signature(layout).create()
        next_index = Signal(range(max(words, 2)))
        m.d.comb += [
            arrived.w_data.eq(Cat(arriving.data, arriving.error, arriving.decode)),
            arrived.w_en.eq(self.memory.data.valid),
            self.memory.data.ready.eq(arrived.w_rdy),
            fetched.valid.eq(arrived.r_rdy),
            Cat(fetched.payload.word, fetched.payload.error, fetched.payload.decode).eq(arrived.r_data),
            fetched.payload.index.eq(next_index),
            fetched.payload.opcode.eq(Mux(next_index == 0, arrived.r_data[:4], opcode_held)),
            arrived.r_en.eq(fetched.ready),
        ]
        with m.If(fetched.valid & fetched.ready):
            m.d.sync += [
                next_index.eq(Mux(next_index == words - 1, 0, next_index + 1)),
                opcode_held.eq(fetched.payload.opcode),
            ]
        if config.pipelined:
            m.submodules.fetched = buffer = SkidBuffer(layout)
            connect(m, fetched, buffer.i)
            fetched = buffer.o
        word, unread, index = fetched.payload.word, fetched.payload.error, fetched.payload.index
        opcode = Signal(isa.Opcode, init=isa.Opcode.END)
        ready, take, known = Signal(), Signal(), Signal()
        m.d.comb += [opcode.eq(fetched.payload.opcode), fetched.ready.eq(take)]
        with m.Switch(opcode):
            for code, unit in UNIT_OF.items():
                with m.Case(code):
                    queue = self.queues[unit]
                    m.d.comb += [
                        known.eq(1),
                        ready.eq(queue.ready),
                        queue.payload.eq(word),
                        queue.valid.eq(running & ~self.error & fetched.valid),
                    ]
            with m.Case(isa.Opcode.END):
                m.d.comb += [known.eq(1), ready.eq(1)]

        complete = Signal()
        m.d.comb += [
            take.eq(fetched.valid & (flushing | (running & ~self.error & (ready | ~known)))),
            complete.eq(take & (index == words - 1)),
        ]
        last_judged = Signal()  # it is END
        refused = Signal()  # a request that was promised and not made
        m.d.comb += refused.eq(requesting & outside)
        m.d.sync += ahead.eq(ahead + requested - complete - refused)

        # An instruction is judged in the cycle after its last word, pipelined in the one after that; `address` is still
        # its own there.
        def checked(name: str, value: Value) -> Value:
            return delayed(m, f"checked_{name}", value, int(config.pipelined))

        judged = Signal()
        failure = Signal(ErrorCause)  # of the words so far
        word_failure = Signal(ErrorCause)
        illegal = self._illegal(m, index, opcode, word, take)
        first, wrong = checked("first", index == 0), checked("wrong", ~known | illegal)
        unread, undecoded = checked("unread", unread), checked("undecoded", fetched.payload.decode)
        whole = checked("whole", running & complete)
        m.d.comb += word_failure.eq(Mux(first, ErrorCause.NONE, failure))
        with m.If(first | (failure == ErrorCause.NONE)):
            with m.If(unread):
                m.d.comb += word_failure.eq(Mux(undecoded, ErrorCause.READ_DECODE_ERROR, ErrorCause.READ_ERROR))
            with m.Elif(wrong):
                m.d.comb += word_failure.eq(ErrorCause.ILLEGAL_INSTRUCTION)
        with m.If(checked("take", take)):
            m.d.sync += failure.eq(word_failure)
        m.d.sync += [judged.eq(whole), last_judged.eq(checked("end", opcode == isa.Opcode.END))]
        bad, stray = Signal(), Signal()
        m.d.comb += bad.eq(judged & (failure != ErrorCause.NONE))
        with m.If(judged & ~last_judged & ~bad):
            m.d.sync += address.eq(address + isa.INSTRUCTION_BYTES)

        # Nothing that was fetched is left, and what comes next is outside.
        undecided = whole | judged if config.pipelined else judged
        lost = running & outside & (ahead == 0) & ~undecided
        bad_cause = failure
        if config.pipelined:
            # A cycle later, when words of the next instruction have gone on; what is lost stays so.
            bad_cause = Signal(ErrorCause, name="bad_cause")
            m.d.sync += [
                bad_cause.eq(failure),
                stray.eq(lost & ~self.error),
                self.error.eq(bad | (lost & ~self.error)),
            ]
        else:
            m.d.comb += [stray.eq(lost), self.error.eq(bad | stray)]
        m.d.comb += [
            self.dispatched.eq(running & complete),
            self.error_cause.eq(Mux(stray, ErrorCause.FENCE, bad_cause)),
            self.at_fault.eq(bad | self.error),
            self.error_address.eq(address),
            self.fetching.eq(running),
            self.flushing.eq(flushing),
            self.ahead.eq(ahead),
            ending.eq(running & (self.error | self.stop | (complete & (opcode == isa.Opcode.END)))),
        ]
        with m.If(ending):
            m.d.sync += [running.eq(0), flushing.eq(1)]

        flushed = Signal()
        m.d.comb += [
            flushed.eq(flushing & (ahead == 0)),
            self.finished.eq(flushed & self.idle_units & ~self.error & ~(undecided if config.pipelined else bad)),
            self.busy.eq(running | flushing),
        ]
        with m.If(self.finished):
            m.d.sync += flushing.eq(0)
        with m.If(self.start & ~self.busy):
            m.d.sync += [running.eq(1), address.eq(self.program)]
        return m

    def _illegal(self, m: Module, index: Signal, opcode: Signal, word: Signal, take: Signal) -> Signal:
        """Whether a word has bits that a legal instruction has not, or ends a field of zeros that must not be zero."""
        config = self.config
        illegal = Signal()
        if not config.checks:
            return illegal
        width = config.memory_width
        before = Signal()  # the part of a field in the word before is not zero
        part_set = Signal()
        with m.If(take):
            m.d.sync += before.eq(part_set)
        with m.Switch(opcode):
            for code in isa.Opcode:
                mask = must_be_zero(config, code)
                pairs = undefined_pairs(config, code)
                with m.Case(code), m.Switch(index):
                    for number, parts in enumerate(parts_in_words(code, width)):
                        faults = [(word & (mask >> number * width & (1 << width) - 1)).any()]
                        faults += [word[bit % width : bit % width + 2].all() for bit in pairs if bit // width == number]
                        with m.Case(number):
                            for part in parts:
                                some = word[part.low : part.high].any()
                                if part.ends:
                                    faults.append(~(some if part.begins else some | before))
                                else:
                                    m.d.comb += part_set.eq(some)
                            m.d.comb += illegal.eq(Cat(faults).any())
        return illegal
