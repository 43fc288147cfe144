"""The drain's small form: the next window is read while one value at a time is requantized."""

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import stream
from amaranth.lib.wiring import Component, In, Out, connect, flipped

from . import fields, isa
from .accumulator import slot_layout
from .compact_requantize import CompactRequantize
from .config import Config
from .delay import delayed
from .drain import LOWEST
from .drain_loops import DrainLoops
from .parameters import RECORD, parameter_read_layout
from .registers import Activity
from .scratchpad import Scratchpad, address_bits, drain_write_layout


class CompactDrain(Component):
    """One window's sums may be under way while the value before is requantized; positions wait for slots.

    Members
    -------
    instruction, half_full, half_release, write, done, activity, tag : as of Drain.
    slot : a read may take its place among the array's sums in this cycle. request : the read that takes it.
    read, sum : the answer, some cycles later: CompactAccumulator.read and read_data.
    parameter_read, parameter_data : the parameter memory's port.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(
            {
                "instruction": In(stream.Signature(fields.layout(config, isa.Opcode.DRAIN))),
                "half_full": In(1),
                "half_release": Out(1),
                "slot": In(1),
                "request": Out(slot_layout(config)),
                "read": In(slot_layout(config)),
                "sum": In(signed(32)),
                "parameter_read": Out(parameter_read_layout(config)),
                "parameter_data": In(RECORD),
                "write": Out(drain_write_layout(config)),
                "done": Out(1),
                "activity": Out(Activity),
                "tag": Out(16),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        m.submodules.loops = loops = DrainLoops(config)
        m.submodules.requantize = requantize = CompactRequantize()
        connect(m, flipped(self.instruction), loops.instruction)
        end = loops.window_end
        pending = Signal()  # all positions of a window are issued
        complete = Signal()  # and its last sum has come
        half = Signal()
        m.d.comb += [
            loops.proceed.eq(self.half_full & ~pending & self.slot),
            self.half_release.eq(loops.release),
            self.request.valid.eq(loops.active & self.half_full & ~pending),
            self.request.entry.eq(loops.position.entry),
            self.request.half.eq(half),
            self.request.column.eq(loops.position.group),
            self.request.first.eq(loops.control.first),
            self.request.last.eq(end.valid),
            self.request.inside.eq(loops.control.inside),
            self.parameter_read.enable.eq(end.valid),
            self.parameter_read.line.eq(end.line),
            self.tag.eq(loops.tag),
        ]
        m.d.sync += half.eq(half ^ loops.release)

        # The window's result so far.
        window = Signal(signed(32), reset_less=True)
        adds = loops.control.combine == isa.Combine.ADD
        with m.If(self.read.valid):
            with m.If(self.read.first):
                m.d.sync += window.eq(Mux(self.read.inside, self.sum, Mux(adds, 0, LOWEST)))
            with m.Elif(self.read.inside & adds):
                m.d.sync += window.eq(window + self.sum)
            with m.Elif(self.read.inside & (self.sum > window)):
                m.d.sync += window.eq(self.sum)

        taken = Signal()
        finishing = Signal()  # the instruction's last position is issued
        next_address = Signal(address_bits(config))
        address = Signal(address_bits(config))
        m.d.comb += [
            requantize.i.payload.value.eq(window),
            requantize.i.payload.parameters.eq(self.parameter_data),
            requantize.i.valid.eq(complete),
            requantize.settings.eq(end.settings),
            taken.eq(complete & requantize.i.ready),
            self.write.enable.eq(requantize.valid),
            self.write.address.eq(address),
            self.write.data[0].eq(requantize.result),
            self.write.strobe.eq(1),
            self.done.eq(
                delayed(m, "done_delay", requantize.valid & finishing & ~pending, Scratchpad.WRITE_LATENCY - 1)
            ),
        ]
        m.d.sync += [
            pending.eq((pending | end.valid) & ~taken),
            complete.eq((complete | (self.read.valid & self.read.last)) & ~taken),
            finishing.eq((finishing | loops.finish) & ~self.done),
        ]
        with m.If(end.valid):
            m.d.sync += next_address.eq(end.address)
        with m.If(taken):
            m.d.sync += address.eq(next_address)
        with m.If(loops.active & ~self.half_full):
            m.d.comb += self.activity.eq(Activity.WAIT_ARRAY)
        with m.Elif(loops.active | finishing):
            m.d.comb += self.activity.eq(Activity.BUSY)
        return m
