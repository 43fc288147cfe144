"""The load and the store unit: rows of bytes between memory and the on-chip memories.

A row is requested as the memory words that cover it, and word k of it belongs at local address
local - external % Mw + k * Mw, for a memory port of Mw bytes: the local memory takes any byte address, so
bytes are never shifted here, only masked at the row's two ends.
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out, connect, flipped
from amaranth.utils import exact_log2

from . import bus, fields, isa
from .config import Config
from .delay import delayed
from .fifo import fifo
from .queue import held, overlaps
from .registers import BASES, Activity
from .scratchpad import Scratchpad, read_latency
from .skid import SkidBuffer


def row_layout(config: Config) -> data.StructLayout:
    """One row of a transfer.

    `external` is the address of its first byte, `local` where the first byte of its first word belongs, which may not
    be part of it. `words` are the memory words that cover it, `single` says that this is one alone,
    `last_byte` the place of its last byte in the last word; `final` marks the instruction's last row.
    """
    return data.StructLayout(
        {
            "external": unsigned(config.address_width),
            "local": unsigned(config.local_bits),
            "words": unsigned(bus.words_bits(config)),
            "single": 1,
            "last_byte": unsigned(exact_log2(config.memory_bytes)),
            "final": 1,
            "space": isa.Space,
            "tag": 16,
        }
    )


def word_layout(config: Config) -> data.StructLayout:
    """A word on its way to an on-chip memory; `final` marks the instruction's last one."""
    return data.StructLayout(
        {"write": bus.local_write_layout(config, config.local_bits), "space": isa.Space, "final": 1, "tag": 16}
    )


def error_layout(config: Config) -> data.StructLayout:
    """`valid` for one cycle, with the address of the first byte of the row at fault; `decode` as in bus.read_layout."""
    return data.StructLayout({"valid": 1, "decode": 1, "address": unsigned(config.address_width)})


class Rows(Component):
    """The loop over an instruction's rows.

    The first row is offered `LATENCY` cycles after the instruction was taken, then one row per cycle; the
    next instruction is taken together with the last row. If pipelined, both are one cycle later. With
    config.checks, `illegal` says that the next row is none.
    """

    LATENCY = 1

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(
            {
                "instruction": In(stream.Signature(fields.layout(config, isa.Opcode.LOAD))),
                "bases": In(data.ArrayLayout(config.address_width, BASES)),
                "row": Out(stream.Signature(row_layout(config))),
                "illegal": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        word = config.memory_bytes
        offset_bits = exact_log2(word)
        new = self.instruction.payload
        # Of the instruction: the steps, the sizes, the space and the tag.
        current = held(m, config, new, self.instruction.valid & self.instruction.ready)
        external = Signal(config.address_width)
        local = Signal(config.local_bits)
        left = Signal.like(new.rows)
        active = Signal()
        taken = Signal()

        row = Signal(row_layout(config))
        reach = Signal(config.local_bits + 1)
        m.d.comb += [
            reach.eq(external[:offset_bits] + current.bytes),
            row.external.eq(external),
            row.local.eq(local - external[:offset_bits]),
            row.words.eq((reach + (word - 1)) >> offset_bits),
            row.single.eq(reach <= word),
            row.last_byte.eq(reach[:offset_bits] - 1),
            row.final.eq(left == 1),
            row.space.eq(current.space),
            row.tag.eq(current.header.tag),
        ]
        if self.config.pipelined:
            # A row is worked out in one cycle and offered from the next one on.
            m.submodules.offered = buffer = SkidBuffer(row_layout(config))
            connect(m, buffer.o, flipped(self.row))
            m.d.comb += [
                buffer.i.valid.eq(active & ~self.illegal),
                buffer.i.payload.eq(row),
                taken.eq(active & buffer.i.ready),
                self.instruction.ready.eq(~active),
            ]
        else:
            m.d.comb += [
                taken.eq(active & self.row.ready),
                self.row.valid.eq(active),
                self.row.payload.eq(row),
                self.instruction.ready.eq(~active | (taken & row.final & int(overlaps(config)))),
            ]
        with m.If(taken):
            m.d.sync += [
                external.eq(external + current.step),
                local.eq(local + current.local_step),
                left.eq(left - 1),
            ]
        with m.If(taken & row.final):
            m.d.sync += active.eq(0)
        with m.If(self.instruction.valid & self.instruction.ready):
            m.d.sync += [
                active.eq(1),
                external.eq(self.bases[new.base] + new.offset),
                local.eq(new.local),
                left.eq(new.rows),
            ]
        if self.config.checks:
            self._check(m, current, external, local, active, taken)
        return m

    def _check(
        self, m: Module, current: data.View, external: Signal, local: Signal, active: Signal, taken: Signal
    ) -> None:
        """Whole words inside their space; in the scratchpad any bytes, and no row longer than that."""
        config = self.config
        word_bits = exact_log2(config.memory_bytes)
        wrapped = Signal()  # the local address has passed 2^24
        with m.If(self.instruction.valid & self.instruction.ready):
            m.d.sync += wrapped.eq(0)
        with m.Elif(taken & (local + current.local_step)[isa.LOCAL_BITS]):
            m.d.sync += wrapped.eq(1)
        sizes = {
            isa.Space.WEIGHTS: config.weight_space_bytes,
            isa.Space.PARAMETERS: config.parameter_lines * config.parameter_line_bytes,
            isa.Space.TABLES: isa.TABLE_SPACE_BYTES,
        }
        # Where the row ends is kept beside where it begins, so that the comparison has no sum in front of it.
        end = Signal(isa.LOCAL_BITS + 1, name="local_end")
        beyond = Signal()
        with m.If(self.instruction.valid & self.instruction.ready):
            m.d.sync += end.eq(self.instruction.payload.local + self.instruction.payload.bytes)
        with m.Elif(taken):
            m.d.sync += end.eq(end + current.local_step)
        with m.Switch(current.space):
            for space, size in sizes.items():
                with m.Case(space):
                    parts = (external[:word_bits] | local[:word_bits] | current.bytes[:word_bits]).any()
                    m.d.comb += beyond.eq((end > size) | wrapped | parts)
            with m.Case(isa.Space.SCRATCHPAD):
                m.d.comb += beyond.eq(current.bytes > config.scratchpad_bytes)
        m.d.comb += self.illegal.eq(active & beyond)


def word_address(m: Module, config: Config, row: data.View, begin: Value, advance: Value) -> Signal:
    """The local address of a row's current word.

    Parameters
    ----------
    row
        The row, of row_layout.
    begin
        The current word is the row's first.
    advance
        In the next cycle the word after this one is the current one.
    """
    address = Signal(config.local_bits, name="word_address")
    following = Signal(config.local_bits, name="following_address")
    m.d.comb += address.eq(Mux(begin, row.local, following))
    with m.If(advance):
        m.d.sync += following.eq(address + config.memory_bytes)
    return address


def strobe(m: Module, config: Config, row: data.View, begin: Value, end: Value) -> Signal:
    """Which bytes of the row's current word belong to the row: all but those cut off in its first and last
    word."""
    strobes = Signal(config.memory_bytes, name="strobes")
    offset = row.external[: exact_log2(config.memory_bytes)]
    m.d.comb += strobes.eq(
        Cat((~begin | (offset <= byte)) & (~end | (row.last_byte >= byte)) for byte in range(config.memory_bytes))
    )
    return strobes


def word_latency(config: Config) -> int:
    """Cycles from memory's giving a word to its being written."""
    return SkidBuffer.LATENCY if config.pipelined else 0


class LoadUnit(Component):
    """Executes LOAD.

    Requests run ahead of the data by as many rows as the memory port may have under way, across instructions.
    A word is written in the cycle in which memory gives it, or `word_latency` later, unless the target is not ready.

    Members
    -------
    instruction : valid when the instruction may start. bases : the base registers.
    memory : bus.memory_read.
    scratchpad, weights, parameters, tables : where the words go (bus.local_write_layout).
    done : one pulse per instruction, in order, DONE_LATENCY cycles after its last word is accepted by its target. A
        read of the scratchpad in a later cycle than `done` sees its bytes.
    error : see error_layout; the transfer goes on.
    illegal : the instruction that was taken last is found to be illegal (with config.checks).
    activity, tag : what the unit does in this cycle, and for which instruction.
    """

    LATENCY = Rows.LATENCY
    """Cycles from an instruction's being taken to its first request."""

    DONE_LATENCY = Scratchpad.WRITE_LATENCY - 1
    """For every space: the scratchpad's reader that follows soonest is a STORE that waits for this token."""

    def __init__(self, config: Config) -> None:
        self.config = config
        scratchpad_bits = exact_log2(config.scratchpad_bytes)
        space = stream.Signature(bus.local_write_layout(config, config.local_bits))
        super().__init__(
            {
                "instruction": In(stream.Signature(fields.layout(config, isa.Opcode.LOAD))),
                "bases": In(data.ArrayLayout(config.address_width, BASES)),
                "memory": Out(bus.memory_read(config)),
                "scratchpad": Out(stream.Signature(bus.local_write_layout(config, scratchpad_bits))),
                "weights": Out(space),
                "parameters": Out(space),
                **({"tables": Out(space)} if config.tables else {}),
                "done": Out(1),
                "error": Out(error_layout(config)),
                "illegal": Out(1),
                "activity": Out(Activity),
                "tag": Out(16),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        layout = row_layout(config)
        m.submodules.rows = rows = Rows(config)
        m.submodules.requested = requested = fifo(
            config.pipelined, width=layout.size, depth=bus.requests_in_flight(config)
        )
        connect(m, flipped(self.instruction), rows.instruction)
        row = rows.row.payload
        offset_bits = exact_log2(config.memory_bytes)
        request = self.memory.request
        m.d.comb += [
            rows.bases.eq(self.bases),
            request.valid.eq(rows.row.valid & requested.w_rdy),
            request.payload.address.eq(Cat(Const(0, offset_bits), row.external[offset_bits:])),
            request.payload.words.eq(row.words),
            rows.row.ready.eq(request.ready & requested.w_rdy),
            requested.w_en.eq(request.valid & request.ready),
            requested.w_data.eq(row),
        ]

        arriving = Signal(layout)
        begin = Signal(init=1)
        moved = Signal()
        end = self.memory.data.payload.last
        word = stream.Signature(word_layout(config)).create()
        m.d.comb += [
            arriving.eq(requested.r_data),
            word.valid.eq(self.memory.data.valid & requested.r_rdy),
            word.payload.write.address.eq(word_address(m, config, arriving, begin, moved)),
            word.payload.write.data.eq(self.memory.data.payload.data),
            word.payload.write.strobe.eq(strobe(m, config, arriving, begin, end)),
            word.payload.space.eq(arriving.space),
            word.payload.final.eq(end & arriving.final),
            word.payload.tag.eq(arriving.tag),
            # The row of a word that comes has been here since it was requested.
            self.memory.data.ready.eq(word.ready if config.pipelined else word.ready & requested.r_rdy),
            moved.eq(word.valid & word.ready),
            requested.r_en.eq(moved & end),
            self.error.valid.eq(moved & self.memory.data.payload.error),
            self.error.decode.eq(self.memory.data.payload.decode),
            self.error.address.eq(arriving.external),
            self.illegal.eq(rows.illegal),
        ]
        with m.If(moved):
            m.d.sync += begin.eq(end)

        if config.pipelined:
            m.submodules.word = buffer = SkidBuffer(word_layout(config))
            connect(m, word, buffer.i)
            word = buffer.o
        valid, ready, written = word.valid, Signal(), Signal()
        m.d.comb += [
            word.ready.eq(ready),
            written.eq(valid & ready),
            self.done.eq(delayed(m, "done_delay", written & word.payload.final, self.DONE_LATENCY)),
        ]
        with m.Switch(word.payload.space):
            for space, target in (
                (isa.Space.SCRATCHPAD, self.scratchpad),
                (isa.Space.WEIGHTS, self.weights),
                (isa.Space.PARAMETERS, self.parameters),
                *([(isa.Space.TABLES, self.tables)] if config.tables else []),
            ):
                m.d.comb += [
                    getattr(target.payload, name).eq(getattr(word.payload.write, name))
                    for name in ("address", "data", "strobe")
                ]
                with m.Case(space):
                    m.d.comb += [target.valid.eq(valid), ready.eq(target.ready)]
            with m.Default():
                m.d.comb += ready.eq(1)  # a space that does not exist takes everything, so that the unit cannot hang

        m.d.comb += self.tag.eq(Mux(valid, word.payload.tag, Mux(requested.r_rdy, arriving.tag, row.tag)))
        with m.If(written):
            m.d.comb += self.activity.eq(Activity.BUSY)
        with m.Elif(valid):
            m.d.comb += self.activity.eq(Activity.WAIT_SCRATCHPAD)
        with m.Elif(self.instruction.valid | rows.row.valid | requested.r_rdy):
            m.d.comb += self.activity.eq(Activity.WAIT_MEMORY)
        with m.Elif(self.done):
            # The last word is on its way into the memory.
            m.d.comb += self.activity.eq(Activity.BUSY)
        return m


class StoreUnit(Component):
    """Executes STORE.

    A row is requested while its words are read from the scratchpad; the next row follows without a pause,
    across instructions, and responses are awaited behind that.

    Members
    -------
    instruction : valid when the instruction may start. bases : the base registers.
    memory : bus.memory_write.
    store_read : byte addresses to read. store_data, store_valid : a memory word from there on,
        scratchpad.read_latency cycles after the handshake.
    done : one pulse per instruction, in order, in the cycle of the last response.
    error : see error_layout; the transfer goes on.
    illegal : the instruction that was taken last is found to be illegal (with config.checks).
    activity, tag : what the unit does in this cycle, and for which instruction.
    """

    LATENCY = Rows.LATENCY
    """Cycles from an instruction's being taken to its first request and its first read."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.buffer = read_latency(config) + 2
        """Words under way from the scratchpad or waiting for memory: enough for one word per cycle."""
        super().__init__(
            {
                "instruction": In(stream.Signature(fields.layout(config, isa.Opcode.STORE))),
                "bases": In(data.ArrayLayout(config.address_width, BASES)),
                "memory": Out(bus.memory_write(config)),
                "store_read": Out(stream.Signature(unsigned(exact_log2(config.scratchpad_bytes)))),
                "store_data": In(config.memory_width),
                "store_valid": In(1),
                "done": Out(1),
                "error": Out(error_layout(config)),
                "illegal": Out(1),
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

        # A row is left behind when it has been requested and all of its words have been read.
        requested = Signal()
        read = Signal()
        leave = Signal()
        request = self.memory.request
        outcome = data.StructLayout({"external": unsigned(config.address_width), "final": 1})
        m.submodules.responses = responses = fifo(
            config.pipelined, width=outcome.size, depth=bus.requests_in_flight(config)
        )
        request_now = Signal()
        m.d.comb += [
            rows.bases.eq(self.bases),
            request.valid.eq(rows.row.valid & ~requested & responses.w_rdy),
            request.payload.address.eq(row.external & ~Const(config.memory_bytes - 1, config.address_width)),
            request.payload.words.eq(row.words),
            request_now.eq(request.valid & request.ready),
            responses.w_en.eq(request_now),
            responses.w_data.eq(Cat(row.external, row.final)),
        ]

        # A word's strobes wait for its data, and hold its place in the buffer meanwhile.
        m.submodules.strobes = strobes = fifo(config.pipelined, width=config.memory_bytes, depth=self.buffer)
        m.submodules.words = words = fifo(config.pipelined, width=config.memory_width, depth=self.buffer)
        begin = Signal(init=1)
        end = Signal()
        left = Signal(bus.words_bits(config))
        following = Signal(bus.words_bits(config))
        following_ends = Signal()
        granted = Signal()
        # What was on its way when the unit was reset belongs to nothing any more.
        expected = delayed(m, "expected", granted, read_latency(config))
        m.d.comb += [
            left.eq(Mux(begin, row.words, following)),
            end.eq(Mux(begin, row.single, following_ends)),
            granted.eq(self.store_read.valid & self.store_read.ready),
            self.store_read.valid.eq(rows.row.valid & ~read & strobes.w_rdy),
            self.store_read.payload.eq(word_address(m, config, row, begin, granted)),
            strobes.w_en.eq(granted),
            strobes.w_data.eq(strobe(m, config, row, begin, end)),
            words.w_en.eq(self.store_valid & expected),
            words.w_data.eq(self.store_data),
        ]
        with m.If(granted):
            m.d.sync += [following.eq(left - 1), following_ends.eq(left == 2), begin.eq(end)]
        m.d.comb += [
            leave.eq((requested | request_now) & (read | (granted & end))),
            rows.row.ready.eq(leave),
        ]
        with m.If(leave):
            m.d.sync += [requested.eq(0), read.eq(0)]
        with m.Else():
            m.d.sync += [requested.eq(requested | request_now), read.eq(read | (granted & end))]

        # Bytes that are not written are sent as zero, never as what the scratchpad happens to hold around the
        # row.
        sent = self.memory.data
        mask = Cat(bit.replicate(8) for bit in strobes.r_data)
        m.d.comb += [
            sent.valid.eq(words.r_rdy),
            sent.payload.data.eq(words.r_data & mask),
            sent.payload.strobe.eq(strobes.r_data),
            words.r_en.eq(sent.ready),
            strobes.r_en.eq(sent.ready & words.r_rdy),
        ]

        answered = Signal()
        result = data.View(outcome, responses.r_data)
        m.d.comb += [
            self.memory.response.ready.eq(responses.r_rdy),
            answered.eq(self.memory.response.valid & responses.r_rdy),
            responses.r_en.eq(answered),
            self.done.eq(answered & result.final),
            self.error.valid.eq(answered & self.memory.response.payload.error),
            self.error.decode.eq(self.memory.response.payload.decode),
            self.error.address.eq(result.external),
            self.illegal.eq(rows.illegal),
        ]

        m.d.comb += self.tag.eq(row.tag)
        with m.If(sent.valid & sent.ready):
            m.d.comb += self.activity.eq(Activity.BUSY)
        with m.Elif(self.store_read.valid & ~self.store_read.ready):
            m.d.comb += self.activity.eq(Activity.WAIT_SCRATCHPAD)
        with m.Elif(self.instruction.valid | rows.row.valid | responses.r_rdy):
            m.d.comb += self.activity.eq(Activity.WAIT_MEMORY)
        return m
