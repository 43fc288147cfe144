"""Executes DRAIN: finished sums leave the accumulator, are pooled and requantized, and become activations."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from . import bus, isa
from .accumulator import drain_read_layout, read_latency
from .config import Config
from .delay import delay_line, delayed
from .drain_loops import SUM_CONTROL, DrainLoops
from .parameters import RECORD, parameter_read_layout
from .protected import flaws
from .registers import Activity
from .requantize import SETTINGS, Requantize, requantize_latency
from .scratchpad import drain_write_latency, drain_write_layout
from .tables import Tables

LOWEST = -(1 << 31)


def beside_lane(config: Config) -> int:
    """Cycles at either end of a lane: those of its tables, and a register."""
    return (config.memory_latency if config.tables else 0) + config.pipelined


def latency(config: Config) -> int:
    """Cycles from the issue of a window's last position to the write of its bytes."""
    return read_latency(config) + Lane.COMBINE + requantize_latency(config.pipelined) + 2 * beside_lane(config)


def table_stream(config: Config) -> stream.Signature:
    """Whole memory words on their way to the table space."""
    return stream.Signature(bus.local_write_layout(config, isa.LOCAL_BITS))


def _in_use(config: Config, control: data.View) -> Value:
    """Whether tables are looked up; where that is judged, only for what is drained now."""
    return control.look_up & control.valid if config.protection else control.look_up


class Lane(Component):
    """One channel at a time: the window's sums are combined, and the result is requantized.

    A line of stages that each name their latency: a table of int32 (config.tables), the register that holds the
    window's result so far, the requantizer, a table of int8 (config.tables). Products of two sums are the requantizer's
    first stage, so that they take no cycle of their own.

    Members
    -------
    sum : signed(32) and its control, SUM_CONTROL.
    parameters, settings : of a window, entrance + COMBINE cycles after its last sum.
    look_up_result : the window's result is looked up; `exit` cycles before `result`.
    table_write, table_address, table_data : a word for the tables; only with config.tables, as look_up_result.
    flaw : of the tables, see there.
    result : signed(8), `latency` cycles after the window's last sum.
    """

    COMBINE = 1

    def __init__(self, config: Config) -> None:
        self.config = config
        self.entrance = self.exit = beside_lane(config)
        self.latency = self.entrance + self.COMBINE + requantize_latency(config.pipelined) + self.exit
        tables = {
            "look_up_result": In(1),
            "table_write": In(1),
            "table_address": In(isa.LOCAL_BITS),
            "table_data": In(config.memory_width),
            "flaw": Out(1),
        }
        super().__init__(
            {
                "sum": In(signed(32)),
                "control": In(SUM_CONTROL),
                "parameters": In(RECORD),
                "settings": In(SETTINGS),
                "result": Out(signed(8)),
                **(tables if config.tables else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        entering, value = Signal(signed(32)), Signal(signed(32))
        leaving = Signal(signed(8))
        control = delayed(m, "control", self.control, self.entrance)
        m.submodules.requantize = requantize = Requantize(self.config.tables, self.config.pipelined)
        if self.config.tables:
            m.submodules.tables = tables = Tables(self.config)
            m.d.comb += [
                tables.write.eq(self.table_write),
                tables.write_address.eq(self.table_address),
                tables.write_data.eq(self.table_data),
                tables.sum.eq(self.sum),
                tables.operand.eq(self.control.operand),
                tables.look_up_sum.eq(_in_use(self.config, self.control)),
                entering.eq(tables.value),
                tables.result.eq(requantize.result),
                tables.look_up_result.eq(self.look_up_result),
                leaving.eq(tables.out),
                self.flaw.eq(tables.flaw),
            ]
        else:
            m.d.comb += [entering.eq(self.sum), leaving.eq(requantize.result)]
        registers = int(self.config.pipelined)
        compared = value
        if self.config.pipelined:
            # A copy, which synthesis would make one with the other if both started alike.
            compared = Signal(signed(32), name="entrance_compared", reset_less=True, init=-1)
            m.d.sync += compared.eq(entering)
        m.d.comb += [
            value.eq(delay_line(m, "entrance", entering, registers, reset_less=True)[-1]),
            self.result.eq(delay_line(m, "exit", leaving, registers, reset_less=True)[-1]),
        ]

        window = Signal(signed(32), reset_less=True)
        adds, largest = Signal(), Signal()
        m.d.comb += [adds.eq(control.combine == isa.Combine.ADD), largest.eq(control.combine == isa.Combine.MAX)]
        with m.If(control.valid):
            with m.If(control.inside & control.first):
                m.d.sync += window.eq(value)
            with m.Elif(control.first):
                m.d.sync += window.eq(Mux(adds, 0, LOWEST))
            with m.Elif(control.inside & adds):
                m.d.sync += window.eq(window + value)
            with m.Elif(control.inside & largest & (compared > window)):
                m.d.sync += window.eq(value)
        if self.config.tables:
            # The window's first sum is one factor of a product, its second sum the other one.
            second = Signal(signed(isa.FACTOR_BITS), reset_less=True)
            multiplies = Signal(reset_less=True)
            m.d.sync += [second.eq(value), multiplies.eq(control.combine == isa.Combine.MULTIPLY)]
            m.d.comb += [
                requantize.factors.multiply.eq(multiplies),
                requantize.factors.a.eq(window),
                requantize.factors.b.eq(second),
            ]
        m.d.comb += [
            requantize.value.eq(window),
            requantize.parameters.eq(self.parameters),
            requantize.settings.eq(self.settings),
        ]
        return m


class Drain(Component):
    """Loops, L lanes, and the delays between them. Nothing stalls behind an issue.

    A position that is issued at cycle t reads the accumulator at t; if it ends its window, the bytes are
    written to the scratchpad at t + latency; if it ends its instruction, `done` comes at t + done_latency. A
    read of the scratchpad in a later cycle than `done` sees them. A half that is released is free at t + 1.

    Members
    -------
    instruction : stream of isa.DRAIN whose tokens are taken. The next one is accepted when the last position
        of the one before is issued, and follows it without a bubble.
    half_full : the half to be drained next is committed; stays until `half_release`. Pipelined, it is so from the next
        cycle on, and may be said until the next cycle, too.
    half_release : the last sum of a released half is read in this cycle.
    accumulator_read, accumulator_data : the accumulator's drain port.
    parameter_read, parameter_data : the parameter memory's port.
    write : drain_write_layout. tables : stream of local writes to the table space, only with config.tables.
    done : pulse per completed instruction, in order.
    illegal : the instruction that was taken last is found to be illegal (with config.checks).
    flaw : a word of the tables is not as it was written (with config.protection).
    activity, tag : WAIT_ARRAY while an instruction waits for its half, BUSY until its last byte is written.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.latency = latency(config)
        self.done_latency = self.latency + drain_write_latency(config) - 1
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
                **({"tables": In(table_stream(config))} if config.tables else {}),
                "done": Out(1),
                "illegal": Out(1),
                "flaw": Out(1),
                "activity": Out(Activity),
                "tag": Out(16),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        m.submodules.loops = loops = DrainLoops(config)
        half = Signal()
        half_full = delayed(m, "half_full", self.half_full, int(config.pipelined))
        m.d.comb += [
            loops.instruction.payload.eq(self.instruction.payload),
            loops.instruction.valid.eq(self.instruction.valid),
            self.instruction.ready.eq(loops.instruction.ready),
            loops.proceed.eq(self.half_full),
            self.illegal.eq(loops.illegal),
            self.half_release.eq(loops.release),
            # Places outside of the image may have sums that nobody has ever written.
            self.accumulator_read.enable.eq(loops.issue & loops.control.inside if config.protection else loops.issue),
            self.accumulator_read.half.eq(half),
            self.accumulator_read.entry.eq(loops.position.entry),
            self.accumulator_read.group.eq(loops.position.group),
        ]
        with m.If(loops.release):
            m.d.sync += half.eq(~half)

        # What belongs to a window's end is needed at three places of the pipeline.
        lanes = [Lane(config) for _ in range(config.lanes)]
        before_requantize = read_latency(config) + lanes[0].entrance + lanes[0].COMBINE
        before_parameters = before_requantize - config.memory_latency
        control = delayed(m, "control_delay", loops.control, read_latency(config))
        window_end = delayed(m, "parameters_delay", loops.window_end, before_parameters)
        m.d.comb += [
            self.parameter_read.enable.eq(window_end.valid),
            self.parameter_read.line.eq(window_end.line),
        ]
        window_end = delayed(m, "requantize_delay", window_end, before_requantize - before_parameters)
        before_exit = self.latency - lanes[0].exit
        requantized = delayed(m, "exit_delay", window_end, before_exit - before_requantize)
        for index, lane in enumerate(lanes):
            m.submodules[f"lane_{index}"] = lane
            m.d.comb += [
                lane.sum.eq(self.accumulator_data[index]),
                lane.control.eq(control),
                lane.parameters.eq(self.parameter_data[index]),
                lane.settings.eq(window_end.settings),
                self.write.data[index].eq(lane.result),
            ]
            if config.tables:
                m.d.comb += [
                    lane.look_up_result.eq(_in_use(config, requantized)),
                    lane.table_write.eq(self.tables.valid),
                    lane.table_address.eq(self.tables.payload.address),
                    lane.table_data.eq(self.tables.payload.data),
                ]
        if config.tables:
            m.d.comb += [self.tables.ready.eq(1), self.flaw.eq(flaws(m, config, lanes))]
        window_end = delayed(m, "write_delay", requantized, self.latency - before_exit)
        m.d.comb += [
            self.write.enable.eq(window_end.valid),
            self.write.address.eq(window_end.address),
            self.write.strobe.eq(Cat(index < window_end.channels for index in range(config.lanes))),
            self.done.eq(delayed(m, "done_delay", loops.finish, self.done_latency)),
            self.tag.eq(loops.tag),
        ]

        emptying = Signal(range(self.done_latency + 1))
        with m.If(loops.issue):
            m.d.sync += emptying.eq(self.done_latency)
        with m.Elif(emptying != 0):
            m.d.sync += emptying.eq(emptying - 1)
        with m.If(loops.active & ~half_full):
            m.d.comb += self.activity.eq(Activity.WAIT_ARRAY)
        with m.Elif(loops.active | (emptying != 0)):
            m.d.comb += self.activity.eq(Activity.BUSY)
        return m
