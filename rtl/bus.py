"""The narrow memory port and its arbiter, and the ports of on-chip memories. Widths come from the Config.

Memory addresses are in bytes and multiples of the memory word; a request names a run of whole words. Requests
are answered in order. Anything wider, shorter or unaligned is the business of the adapter behind the port.
"""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out, Signature, connect, flipped
from amaranth.utils import exact_log2

from .config import Config
from .fifo import fifo
from .skid import SkidBuffer


def words_bits(config: Config) -> int:
    """Bits of the word count of one memory request: the longest row, unaligned, on this port."""
    return config.local_bits - exact_log2(config.memory_bytes) + 1


def requests_in_flight(config: Config) -> int:
    """Requests that a user of the memory port should be able to have under way.

    One per burst that AXI may have outstanding, and one more that is being cut into bursts.
    """
    return config.axi_outstanding + 1


def request_layout(config: Config) -> data.StructLayout:
    """A run of `words` (at least 1) words from byte address `address`."""
    return data.StructLayout({"address": unsigned(config.address_width), "words": unsigned(words_bits(config))})


def read_layout(config: Config) -> data.StructLayout:
    """A word that was read; `last` marks the last word of its request, `error` a word that memory could not
    give, `decode` beside it that there is no memory at the address."""
    return data.StructLayout({"data": unsigned(config.memory_width), "last": 1, "error": 1, "decode": 1})


def response_layout() -> data.StructLayout:
    """What became of a write: as in `read_layout`."""
    return data.StructLayout({"error": 1, "decode": 1})


def write_layout(config: Config) -> data.StructLayout:
    """A word to write, with one strobe bit per byte."""
    return data.StructLayout({"data": unsigned(config.memory_width), "strobe": unsigned(config.memory_bytes)})


def memory_read(config: Config) -> Signature:
    """The reading half of the memory port, as seen by the unit that reads."""
    return Signature(
        {
            "request": Out(stream.Signature(request_layout(config))),
            "data": In(stream.Signature(read_layout(config))),
        }
    )


def memory_write(config: Config) -> Signature:
    """The writing half of the memory port, as seen by the unit that writes; one response per request."""
    return Signature(
        {
            "request": Out(stream.Signature(request_layout(config))),
            "data": Out(stream.Signature(write_layout(config))),
            "response": In(stream.Signature(response_layout())),
        }
    )


def local_write_layout(config: Config, address_bits: int) -> data.StructLayout:
    """Bytes of one memory word on their way to any byte address of an on-chip memory; byte i of `data` goes
    to `address` + i where strobe bit i is set."""
    return data.StructLayout(
        {
            "address": unsigned(address_bits),
            "data": unsigned(config.memory_width),
            "strobe": unsigned(config.memory_bytes),
        }
    )


def register_latency(config: Config) -> int:
    """Cycles from a read of a register to its value."""
    return 1 + config.pipelined


def register_port() -> Signature:
    """Single-cycle register access, as seen by the host side: `address` is a byte offset, `read_data` is
    valid `register_latency` cycles after `read`."""
    return Signature(
        {
            "address": Out(12),
            "write": Out(1),
            "write_data": Out(32),
            "read": Out(1),
            "read_data": In(32),
        }
    )


class ReadArbiter(Component):
    """Shares one reading half of the memory port between `fetch` and `load`.

    Requests are passed on in the cycle they are made; when both wait they take turns, so neither starves, and
    a request that was offered to `port` is never withdrawn. Data goes back in the order of the requests: each
    side must be able to take all that it requested, whatever happens to the other. Pipelined, requests pass a register.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.LATENCY = SkidBuffer.LATENCY if config.pipelined else 0
        port = memory_read(config)
        super().__init__({"fetch": In(port), "load": In(port), "port": Out(port)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.owners = owners = fifo(self.config.pipelined, width=1, depth=requests_in_flight(self.config))
        fetch, load, memory = self.fetch, self.load, self.port
        request = memory.request
        if self.config.pipelined:
            m.submodules.request = buffer = SkidBuffer(request_layout(self.config))
            connect(m, buffer.o, flipped(memory.request))
            request = buffer.i

        turn = Signal()  # whose request goes first when both have one: 0 fetch, 1 load
        choice = Signal()
        m.d.comb += [
            choice.eq(Mux(fetch.request.valid & load.request.valid, turn, load.request.valid)),
            request.valid.eq((fetch.request.valid | load.request.valid) & owners.w_rdy),
            request.payload.eq(Mux(choice, load.request.payload, fetch.request.payload)),
            fetch.request.ready.eq(request.ready & owners.w_rdy & ~choice),
            load.request.ready.eq(request.ready & owners.w_rdy & choice),
            owners.w_data.eq(choice),
            owners.w_en.eq(request.valid & request.ready),
        ]
        with m.If(request.valid):
            m.d.sync += turn.eq(choice ^ request.ready)

        m.d.comb += [
            fetch.data.payload.eq(memory.data.payload),
            load.data.payload.eq(memory.data.payload),
            fetch.data.valid.eq(memory.data.valid & owners.r_rdy & ~owners.r_data),
            load.data.valid.eq(memory.data.valid & owners.r_rdy & owners.r_data),
            memory.data.ready.eq(owners.r_rdy & Mux(owners.r_data, load.data.ready, fetch.data.ready)),
            owners.r_en.eq(memory.data.valid & memory.data.ready & memory.data.payload.last),
        ]
        return m


class CompactArbiter(Component):
    """As ReadArbiter, but one request at a time is under way, and `fetch` goes first."""

    LATENCY = 0

    def __init__(self, config: Config) -> None:
        port = memory_read(config)
        super().__init__({"fetch": In(port), "load": In(port), "port": Out(port)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        fetch, load, memory = self.fetch, self.load, self.port
        busy = Signal()  # a request is under way, or was offered and will not be withdrawn
        owner = Signal()  # of it: 0 fetch, 1 load
        taken = Signal()
        choice = Signal()
        m.d.comb += [
            choice.eq(Mux(busy, owner, ~fetch.request.valid)),
            memory.request.valid.eq(~taken & Mux(choice, load.request.valid, fetch.request.valid)),
            memory.request.payload.eq(Mux(choice, load.request.payload, fetch.request.payload)),
            fetch.request.ready.eq(memory.request.ready & ~taken & ~choice),
            load.request.ready.eq(memory.request.ready & ~taken & choice),
            fetch.data.payload.eq(memory.data.payload),
            load.data.payload.eq(memory.data.payload),
            fetch.data.valid.eq(memory.data.valid & ~owner),
            load.data.valid.eq(memory.data.valid & owner),
            memory.data.ready.eq(Mux(owner, load.data.ready, fetch.data.ready)),
        ]
        m.d.sync += owner.eq(choice)
        with m.If(memory.request.valid):
            m.d.sync += [busy.eq(1), taken.eq(memory.request.ready)]
        with m.If(memory.data.valid & memory.data.ready & memory.data.payload.last):
            m.d.sync += [busy.eq(0), taken.eq(0)]
        return m
