"""Fences: the parts of memory that the NPU may read and write, in pages of PAGE_BYTES.

A request outside is never made. With AXI the bursts' splitter holds it back, which costs no cycle; without, a stage of
its own in front of the memory port, which costs one, or two if it is pipelined.
"""

from amaranth.hdl import Module, Mux, ResetInserter, Signal, Value, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Member, Out
from amaranth.utils import exact_log2

from . import bus
from .config import Config
from .skid import SkidBuffer

PAGE_BITS = 12
PAGE_BYTES = 1 << PAGE_BITS


def window_layout(config: Config) -> data.StructLayout:
    """The first and the last page of a window; none lies in it when the last is before the first."""
    page = unsigned(config.address_width - PAGE_BITS)
    return data.StructLayout({"first": page, "last": page})


def fences_layout(config: Config) -> data.StructLayout:
    """The windows of reads, instructions included, and of writes."""
    return data.StructLayout({"read": window_layout(config), "write": window_layout(config)})


def refusal_layout(config: Config) -> data.StructLayout:
    """`valid` while a request is held back, with its address."""
    return data.StructLayout({"valid": 1, "address": unsigned(config.address_width)})


def fence_ports(config: Config) -> dict[str, Member]:
    """What passes between the core and an adapter that holds requests back, as seen by the adapter."""
    if not config.fences:
        return {}
    refusal = In(refusal_layout(config))
    return {"fences": In(fences_layout(config)), "refused_read": refusal.flip(), "refused_write": refusal.flip()}


class Window:
    """The comparisons with a window (of window_layout)."""

    def __init__(self, config: Config, window: data.View) -> None:
        self.config = config
        self.window = window

    def outside(self, first: Value, last: Value) -> Value:
        """Whether one of the bytes from address `first` to `last` is outside; a bit above the address makes it so."""
        width = self.config.address_width
        beyond = last[PAGE_BITS:] > self.window.last
        return (first[PAGE_BITS:width] < self.window.first) | beyond

    def last(self, m: Module, request: data.View) -> Signal:
        """The address of the last byte of a request (bus.request_layout)."""
        last = Signal(self.config.address_width + 1, name="last_address")
        m.d.comb += last.eq(request.address + (request.words << exact_log2(self.config.memory_bytes)) - 1)
        return last

    def refuses(self, m: Module, request: data.View) -> Value:
        """Whether a request is outside."""
        return self.outside(request.address, self.last(m, request))


class Fence(Component):
    """A register in the way of requests: those outside stay in it.

    Members
    -------
    i, o : requests. window : where they may go. clear : forget what is here.
    refused : refusal_layout.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        requests = stream.Signature(bus.request_layout(config))
        super().__init__(
            {
                "i": In(requests),
                "o": Out(requests),
                "window": In(window_layout(config)),
                "clear": In(1),
                "refused": Out(refusal_layout(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        request_layout = bus.request_layout(self.config)
        full = Signal()
        outside = Signal()
        taken = Signal()
        window = Window(self.config, self.window)
        request = self.i
        if self.config.pipelined:
            # The last byte's address is worked out in one cycle, and compared in the next.
            layout = data.StructLayout({"request": request_layout, "last": self.config.address_width + 1})
            buffer = SkidBuffer(layout)
            m.submodules.ended = ResetInserter(self.clear)(buffer)
            request = stream.Signature(request_layout).create()
            m.d.comb += [
                buffer.i.valid.eq(self.i.valid),
                buffer.i.payload.request.eq(self.i.payload),
                buffer.i.payload.last.eq(window.last(m, self.i.payload)),
                self.i.ready.eq(buffer.i.ready),
                request.valid.eq(buffer.o.valid),
                request.payload.eq(buffer.o.payload.request),
                buffer.o.ready.eq(request.ready),
            ]
            refuses = window.outside(request.payload.address, buffer.o.payload.last)
        else:
            refuses = window.refuses(m, request.payload)
        m.d.comb += [
            self.o.valid.eq(full & ~outside),
            request.ready.eq(~full | (self.o.valid & self.o.ready)),
            taken.eq(request.valid & request.ready),
            self.refused.valid.eq(full & outside),
            self.refused.address.eq(self.o.payload.address),
        ]
        m.d.sync += full.eq(Mux(request.ready, request.valid, full) & ~self.clear)
        with m.If(taken):
            m.d.sync += [self.o.payload.eq(request.payload), outside.eq(refuses)]
        return m
