"""The sequencer's small form: it fetches one instruction at a time."""

from enum import IntEnum

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import enum, stream
from amaranth.lib.wiring import Component, In, Out
from amaranth.utils import exact_log2

from . import bus, isa
from .config import Config
from .registers import ErrorCause


class Target(IntEnum):
    """Who takes instructions; LOAD and STORE go to one component, in the order of the program."""

    TRANSFER = 0
    ARRAY = 1
    DRAIN = 2


TARGET_OF = {
    isa.Opcode.LOAD: Target.TRANSFER,
    isa.Opcode.CONV: Target.ARRAY,
    isa.Opcode.DRAIN: Target.DRAIN,
    isa.Opcode.STORE: Target.TRANSFER,
}


class _State(enum.Enum):
    IDLE = 0
    ASK_FIRST = 1
    """Ask memory for an instruction's first word, which names the unit."""
    FIRST = 2
    PASS = 3
    """Pass that word on, as soon as the unit takes it."""
    ASK_REST = 4
    REST = 5
    """The unit takes the other words as they come, so that memory never waits for it."""
    END = 6


class CompactSequencer(Component):
    """As Sequencer, without its memory: what is asked of the memory port is never more than a unit has room for.

    Members
    -------
    targets : one stream of words per component, in the order of Target; the others as of Sequencer, without the address
        of an instruction at fault.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "program": In(config.address_width),
                "memory": Out(bus.memory_read(config)),
                "targets": Out(stream.Signature(unsigned(config.memory_width))).array(len(Target)),
                "idle_units": In(1),
                "stop": In(1),
                "busy": Out(1),
                "dispatched": Out(1),
                "finished": Out(1),
                "error": Out(1),
                "error_cause": Out(ErrorCause),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        width = config.memory_width
        # Every instruction lies at a multiple of its size.
        size_bits = exact_log2(isa.INSTRUCTION_BYTES)
        number = Signal(config.address_width - size_bits)
        address = number << size_bits
        state = Signal(_State)
        first = Signal(width)
        opcode = Signal(isa.Opcode, init=isa.Opcode.END)
        failed, decode = Signal(), Signal()
        unread = Mux(decode, ErrorCause.READ_DECODE_ERROR, ErrorCause.READ_ERROR)
        known = Signal()
        rest = Signal(range(isa.INSTRUCTION_BITS // width))
        chosen_ready = Signal()
        passing = Signal()
        memory = self.memory
        m.d.comb += [
            opcode.eq(first[:4]),
            memory.request.valid.eq((state == _State.ASK_FIRST) | (state == _State.ASK_REST)),
            memory.request.payload.address.eq(address + Mux(state == _State.ASK_REST, width // 8, 0)),
            memory.request.payload.words.eq(Mux(state == _State.ASK_REST, rest, 1)),
            memory.data.ready.eq((state == _State.FIRST) | (state == _State.REST)),
            passing.eq(
                (state == _State.PASS) | ((state == _State.REST) & memory.data.valid & ~memory.data.payload.error)
            ),
        ]
        for target in self.targets:
            m.d.comb += target.payload.eq(Mux(state == _State.PASS, first, memory.data.payload.data))
        with m.Switch(opcode):
            for code, target in TARGET_OF.items():
                with m.Case(code):
                    m.d.comb += [
                        known.eq(1),
                        rest.eq(isa.words(code, width) - 1),
                        chosen_ready.eq(self.targets[target].ready),
                        self.targets[target].valid.eq(passing & ~failed),
                    ]
            with m.Case(isa.Opcode.END):
                m.d.comb += known.eq(1)

        with m.Switch(state):
            with m.Case(_State.IDLE), m.If(self.start):
                m.d.sync += [state.eq(_State.ASK_FIRST), number.eq(self.program[-len(number) :])]
            with m.Case(_State.ASK_FIRST), m.If(memory.request.ready):
                m.d.sync += state.eq(_State.FIRST)
            with m.Case(_State.FIRST), m.If(memory.data.valid):
                m.d.sync += [
                    state.eq(_State.PASS),
                    first.eq(memory.data.payload.data),
                    failed.eq(memory.data.payload.error),
                    decode.eq(memory.data.payload.decode),
                ]
            with m.Case(_State.PASS):
                with m.If(failed):
                    m.d.comb += [self.error.eq(1), self.error_cause.eq(unread)]
                with m.Elif(~known):
                    m.d.comb += [self.error.eq(1), self.error_cause.eq(ErrorCause.ILLEGAL_INSTRUCTION)]
                with m.If(self.error | self.stop):
                    m.d.sync += state.eq(_State.END)
                with m.Elif(opcode == isa.Opcode.END):
                    m.d.comb += self.dispatched.eq(1)
                    m.d.sync += state.eq(_State.END)
                with m.Elif(chosen_ready):
                    m.d.sync += state.eq(_State.ASK_REST)
                    if any(isa.words(code, width) == 1 for code in TARGET_OF):
                        with m.If(rest == 0):
                            m.d.comb += self.dispatched.eq(1)
                            m.d.sync += [number.eq(number + 1), state.eq(_State.ASK_FIRST)]
            with m.Case(_State.ASK_REST), m.If(memory.request.ready):
                m.d.sync += state.eq(_State.REST)
            with m.Case(_State.REST), m.If(memory.data.valid):
                with m.If(memory.data.payload.error):
                    m.d.sync += [failed.eq(1), decode.eq(memory.data.payload.decode)]
                with m.If(memory.data.payload.last):
                    m.d.comb += self.dispatched.eq(1)
                    # PASS reports a failure, and passes nothing on then.
                    m.d.sync += [
                        number.eq(number + 1),
                        state.eq(
                            Mux(
                                failed | memory.data.payload.error,
                                _State.PASS,
                                Mux(self.stop, _State.END, _State.ASK_FIRST),
                            )
                        ),
                    ]
            with m.Case(_State.END):
                m.d.comb += self.finished.eq(self.idle_units)
                with m.If(self.finished):
                    m.d.sync += state.eq(_State.IDLE)
        m.d.comb += self.busy.eq(state != _State.IDLE)
        return m
