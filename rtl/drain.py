"""Executes DRAIN: finished sums leave the accumulator, are pooled and requantized, and become activations."""

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from . import isa
from .accumulator import Accumulator, drain_read_layout
from .config import Config
from .delay import delayed
from .drain_loops import SUM_CONTROL, DrainLoops
from .parameters import RECORD, ParameterMemory, parameter_read_layout
from .registers import Activity
from .requantize import SETTINGS, Requantize
from .scratchpad import Scratchpad, drain_write_layout

LOWEST = -(1 << 31)


class Lane(Component):
    """One channel at a time: the window's sums are combined, and the result is requantized.

    The lane is a line of stages that each name their latency. A table of int32 would stand in front of the
    register that holds the window's result so far; another way to combine would be another right-hand side
    there; a table of 256 bytes would stand behind the requantizer.

    Members
    -------
    sum : signed(32) and its control, SUM_CONTROL.
    parameters, settings : of a window, COMBINE cycles after its last sum.
    result : signed(8), LATENCY cycles after the window's last sum.
    """

    COMBINE = 1
    LATENCY = COMBINE + Requantize.LATENCY

    sum: In(signed(32))
    control: In(SUM_CONTROL)
    parameters: In(RECORD)
    settings: In(SETTINGS)
    result: Out(signed(8))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        window = Signal(signed(32), reset_less=True)
        with m.If(self.control.valid):
            with m.If(self.control.inside & (self.control.first | (self.sum > window))):
                m.d.sync += window.eq(self.sum)
            with m.Elif(self.control.first):
                m.d.sync += window.eq(LOWEST)

        m.submodules.requantize = requantize = Requantize()
        m.d.comb += [
            requantize.value.eq(window),
            requantize.parameters.eq(self.parameters),
            requantize.settings.eq(self.settings),
            self.result.eq(requantize.result),
        ]
        return m


class Drain(Component):
    """Loops, L lanes, and the delays between them. Nothing stalls behind an issue.

    A position that is issued at cycle t reads the accumulator at t; if it ends its window, the bytes are
    written to the scratchpad at t + LATENCY; if it ends its instruction, `done` comes at t + DONE_LATENCY. A
    read of the scratchpad in a later cycle than `done` sees them. A half that is released is free at t + 1.

    Members
    -------
    instruction : stream of isa.DRAIN whose tokens are taken. The next one is accepted when the last position
        of the one before is issued, and follows it without a bubble.
    half_full : the half to be drained next is committed; stays until `half_release`.
    half_release : the last sum of a released half is read in this cycle.
    accumulator_read, accumulator_data : the accumulator's drain port.
    parameter_read, parameter_data : the parameter memory's port.
    write : drain_write_layout.
    done : pulse per completed instruction, in order.
    activity, tag : WAIT_ARRAY while an instruction waits for its half, BUSY until its last byte is written.
    """

    LATENCY = Accumulator.READ_LATENCY + Lane.LATENCY
    DONE_LATENCY = LATENCY + Scratchpad.WRITE_LATENCY - 1

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(
            {
                "instruction": In(stream.Signature(isa.DRAIN)),
                "half_full": In(1),
                "half_release": Out(1),
                "accumulator_read": Out(drain_read_layout(config)),
                "accumulator_data": In(data.ArrayLayout(signed(32), config.lanes)),
                "parameter_read": Out(parameter_read_layout(config)),
                "parameter_data": In(data.ArrayLayout(RECORD, config.lanes)),
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
        half = Signal()
        m.d.comb += [
            loops.instruction.payload.eq(self.instruction.payload),
            loops.instruction.valid.eq(self.instruction.valid),
            self.instruction.ready.eq(loops.instruction.ready),
            loops.proceed.eq(self.half_full),
            self.half_release.eq(loops.release),
            self.accumulator_read.enable.eq(loops.issue),
            self.accumulator_read.half.eq(half),
            self.accumulator_read.entry.eq(loops.position.entry),
            self.accumulator_read.group.eq(loops.position.group),
        ]
        with m.If(loops.release):
            m.d.sync += half.eq(~half)

        # What belongs to a window's end is needed at three places of the pipeline.
        before_requantize = Accumulator.READ_LATENCY + Lane.COMBINE
        before_parameters = before_requantize - ParameterMemory.LATENCY
        control = delayed(m, "control_delay", loops.control, Accumulator.READ_LATENCY)
        window_end = delayed(m, "parameters_delay", loops.window_end, before_parameters)
        m.d.comb += [
            self.parameter_read.enable.eq(window_end.valid),
            self.parameter_read.line.eq(window_end.line),
        ]
        window_end = delayed(m, "requantize_delay", window_end, before_requantize - before_parameters)
        for index in range(config.lanes):
            m.submodules[f"lane_{index}"] = lane = Lane()
            m.d.comb += [
                lane.sum.eq(self.accumulator_data[index]),
                lane.control.eq(control),
                lane.parameters.eq(self.parameter_data[index]),
                lane.settings.eq(window_end.settings),
                self.write.data[index].eq(lane.result),
            ]
        window_end = delayed(m, "write_delay", window_end, self.LATENCY - before_requantize)
        m.d.comb += [
            self.write.enable.eq(window_end.valid),
            self.write.address.eq(window_end.address),
            self.write.strobe.eq(Cat(index < window_end.channels for index in range(config.lanes))),
            self.done.eq(delayed(m, "done_delay", loops.finish, self.DONE_LATENCY)),
            self.tag.eq(loops.tag),
        ]

        emptying = Signal(range(self.DONE_LATENCY + 1))
        with m.If(loops.issue):
            m.d.sync += emptying.eq(self.DONE_LATENCY)
        with m.Elif(emptying != 0):
            m.d.sync += emptying.eq(emptying - 1)
        with m.If(loops.active & ~self.half_full):
            m.d.comb += self.activity.eq(Activity.WAIT_ARRAY)
        with m.Elif(loops.active | (emptying != 0)):
            m.d.comb += self.activity.eq(Activity.BUSY)
        return m
