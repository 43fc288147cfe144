"""Queues of the standard library's interface, whose flags come out of registers where the clock is fast."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import Component, In, Out


class RegisteredFifo(Component):
    """A SyncFIFO in all that can be seen at its ports. Whether there is room, and whether there is an item, is worked
    out in the cycle before, so that no comparison of the level stands in front of what depends on it.

    Members
    -------
    w_data, w_en, w_rdy, r_data, r_en, r_rdy, level : as SyncFIFO has them.
    """

    def __init__(self, *, width: int, depth: int) -> None:
        self.width = width
        self.depth = depth
        super().__init__(
            {
                "w_data": In(width),
                "w_en": In(1),
                "w_rdy": Out(1, init=1),
                "r_data": Out(width),
                "r_en": In(1),
                "r_rdy": Out(1),
                "level": Out(range(depth + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth = self.depth
        m.submodules.storage = storage = Memory(shape=self.width, depth=depth, init=[])
        write, read = storage.write_port(), storage.read_port(domain="comb")
        come, gone = Signal(), Signal()
        m.d.comb += [
            come.eq(self.w_en & self.w_rdy),
            gone.eq(self.r_en & self.r_rdy),
            write.data.eq(self.w_data),
            write.en.eq(come),
            self.r_data.eq(read.data),
        ]
        for name, address, moves in (("produce", write.addr, come), ("consume", read.addr, gone)):
            place = Signal.like(address, name=name)
            m.d.comb += address.eq(place)
            with m.If(moves):
                m.d.sync += place.eq(Mux(place == depth - 1, 0, place + 1))
        with m.If(come & ~gone):
            m.d.sync += [self.level.eq(self.level + 1), self.r_rdy.eq(1), self.w_rdy.eq(self.level != depth - 1)]
        with m.If(gone & ~come):
            m.d.sync += [self.level.eq(self.level - 1), self.w_rdy.eq(1), self.r_rdy.eq(self.level != 1)]
        return m


def fifo(pipelined: bool, *, width: int, depth: int) -> RegisteredFifo | SyncFIFO:
    """A queue that offers an item in the cycle after it came, for a configuration that is `pipelined` or not."""
    return (RegisteredFifo if pipelined else SyncFIFO)(width=width, depth=depth)
