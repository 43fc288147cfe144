"""The small form of the load and the store unit: one for both, a row, and a word of it, at a time."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out, connect, flipped
from amaranth.utils import exact_log2

from . import bus, fields, isa
from .config import Config
from .delay import delayed
from .dma import Rows, error_layout, strobe, word_address
from .registers import BASES, Activity
from .scratchpad import Scratchpad, read_latency


class CompactTransferUnit(Component):
    """Executes LOAD and STORE in the order of the program. A row is requested when the one before is complete; of a
    STORE a word is read when memory has taken the one before.

    Members
    -------
    instruction : of isa.LOAD's layout, with the opcode; valid when the instruction may start.
    bases : the base registers.
    read, write : bus.memory_read, bus.memory_write.
    scratchpad, weights, parameters : where loaded words go (bus.local_write_layout).
    store_read, store_data, store_valid : as of StoreUnit.
    done : one pulse per instruction; a read of the scratchpad in a later cycle sees what a LOAD wrote.
    error : see error_layout; the transfer goes on. activity, tag : as of LoadUnit.
    """

    LATENCY = Rows.LATENCY
    DONE_LATENCY = Scratchpad.WRITE_LATENCY - 1

    WORD_CYCLES = 4
    """Cycles per word of a STORE: it is read and registered, and memory takes it."""

    def __init__(self, config: Config) -> None:
        self.config = config
        scratchpad_bits = exact_log2(config.scratchpad_bytes)
        space = stream.Signature(bus.local_write_layout(config, config.local_bits))
        super().__init__(
            {
                "instruction": In(stream.Signature(fields.layout(config, isa.Opcode.LOAD))),
                "bases": In(data.ArrayLayout(config.address_width, BASES)),
                "read": Out(bus.memory_read(config)),
                "write": Out(bus.memory_write(config)),
                "scratchpad": Out(stream.Signature(bus.local_write_layout(config, scratchpad_bits))),
                "weights": Out(space),
                "parameters": Out(space),
                "store_read": Out(stream.Signature(unsigned(scratchpad_bits))),
                "store_data": In(config.memory_width),
                "store_valid": In(1),
                "done": Out(1),
                "error": Out(error_layout(config)),
                "activity": Out(Activity),
                "tag": Out(16),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        m.submodules.rows = rows = Rows(config)
        connect(m, flipped(self.instruction), rows.instruction)
        row = rows.row.payload
        offset_bits = exact_log2(config.memory_bytes)
        storing = Signal()
        requested = Signal()
        requesting = Signal()
        begin = Signal(init=1)
        moved = Signal()  # a word is where it belongs
        end = Signal()  # it is the row's last
        leave = Signal()
        address = word_address(m, config, row, begin, moved)
        strobes = strobe(m, config, row, begin, end)
        failed = Signal()
        m.d.comb += [
            rows.bases.eq(self.bases),
            storing.eq(self.instruction.payload.header.opcode == isa.Opcode.STORE),
            requesting.eq(rows.row.valid & ~requested),
            rows.row.ready.eq(leave),
            self.error.valid.eq(failed),
            self.error.address.eq(row.external),
            self.tag.eq(row.tag),
        ]
        for port, mine in ((self.read, ~storing), (self.write, storing)):
            m.d.comb += [
                port.request.valid.eq(requesting & mine),
                port.request.payload.address.eq(Cat(Const(0, offset_bits), row.external[offset_bits:])),
                port.request.payload.words.eq(row.words),
            ]
        accepted = Mux(storing, self.write.request.ready, self.read.request.ready)
        m.d.sync += requested.eq((requested | (requesting & accepted)) & ~leave)
        with m.If(moved):
            m.d.sync += begin.eq(end)

        # LOAD: a word is written in the cycle in which memory gives it, unless the target is not ready.
        words = self.read.data
        ready = Signal()
        loaded = Signal()
        m.d.comb += [words.ready.eq(ready), loaded.eq(words.valid & ready)]
        with m.Switch(row.space):
            for space, target in (
                (isa.Space.SCRATCHPAD, self.scratchpad),
                (isa.Space.WEIGHTS, self.weights),
                (isa.Space.PARAMETERS, self.parameters),
            ):
                m.d.comb += [
                    target.payload.address.eq(address),
                    target.payload.data.eq(words.payload.data),
                    target.payload.strobe.eq(strobes),
                ]
                with m.Case(space):
                    m.d.comb += [target.valid.eq(words.valid), ready.eq(target.ready)]
            with m.Default():
                m.d.comb += ready.eq(1)  # a space that does not exist takes everything, so that the unit cannot hang

        # STORE: ask for a word, hold it until memory takes it; after the last one comes the row's response.
        sent, response = self.write.data, self.write.response
        asked = Signal()
        here = Signal()
        complete = Signal()
        word = Signal(config.memory_width)
        left, following = (Signal(bus.words_bits(config), name=name) for name in ("left", "following"))
        granted = Signal()
        answered = Signal()
        mask = Cat(bit.replicate(8) for bit in strobes)
        expected = delayed(m, "expected", granted, read_latency(config))
        m.d.comb += [
            left.eq(Mux(begin, row.words, following)),
            self.store_read.valid.eq(storing & requested & ~asked & ~complete),
            self.store_read.payload.eq(address),
            granted.eq(self.store_read.valid & self.store_read.ready),
            sent.valid.eq(here),
            sent.payload.data.eq(word & mask),
            sent.payload.strobe.eq(strobes),
            response.ready.eq(1),
            answered.eq(response.valid & storing),
        ]
        m.d.sync += asked.eq((asked | granted) & ~moved)
        with m.If(self.store_valid & expected):
            m.d.sync += [here.eq(1), word.eq(self.store_data)]
        with m.If(moved):
            m.d.sync += [here.eq(0), following.eq(left - 1), complete.eq(storing & end)]
        with m.If(leave):
            m.d.sync += complete.eq(0)

        m.d.comb += [
            end.eq(Mux(storing, left == 1, words.payload.last)),
            moved.eq(Mux(storing, here & sent.ready, loaded)),
            leave.eq(Mux(storing, answered, loaded & end)),
            failed.eq(Mux(storing, answered & response.payload.error, loaded & words.payload.error)),
            self.error.decode.eq(Mux(storing, response.payload.decode, words.payload.decode)),
            self.done.eq(delayed(m, "done_delay", leave & row.final, self.DONE_LATENCY)),
        ]
        refused = Mux(storing, self.store_read.valid & ~self.store_read.ready, words.valid)
        with m.If(moved | self.done):
            m.d.comb += self.activity.eq(Activity.BUSY)
        with m.Elif(refused):
            m.d.comb += self.activity.eq(Activity.WAIT_SCRATCHPAD)
        with m.Elif(self.instruction.valid | rows.row.valid | requested):
            m.d.comb += self.activity.eq(Activity.WAIT_MEMORY)
        return m
