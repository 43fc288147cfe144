"""The core's small form, made of the small forms of the units: instances and connections."""

from amaranth.hdl import Cat, Const, Module, Mux, ResetInserter, Signal
from amaranth.lib import data
from amaranth.lib.wiring import Component, Out, connect, flipped

from . import bus, fields, isa
from .array import Array
from .compact_accumulator import CompactAccumulator
from .compact_dma import CompactTransferUnit
from .compact_drain import CompactDrain
from .compact_sequencer import CompactSequencer, Target
from .config import Config
from .control import ControlRegisters
from .core import bus_ports, trace_layout
from .feeder import Feeder
from .parameters import ParameterMemory
from .queue import InstructionHolder
from .registers import SEQUENCER, Activity, ErrorCause, Unit
from .scratchpad import Scratchpad
from .tokens import Gate, Tokens
from .weights import WeightStore

OPCODES = {Unit.LOAD: isa.Opcode.LOAD, Unit.STORE: isa.Opcode.STORE}

UNITS = {
    Target.TRANSFER: (isa.Opcode.LOAD, (Unit.LOAD, Unit.STORE)),
    Target.ARRAY: (isa.Opcode.CONV, (Unit.ARRAY,)),
    Target.DRAIN: (isa.Opcode.DRAIN, (Unit.DRAIN,)),
}
"""The layout of a component's instructions, and the units that it is to the program."""


class CompactCore(Component):
    """As Core, to the program and to the host, but for registers that read as zero: see docs/registers.md."""

    def __init__(self, config: Config) -> None:
        self.config = config
        trace = Out(data.ArrayLayout(trace_layout(), len(Unit)))
        super().__init__({**bus_ports(config), "interrupt": Out(1), "trace": trace})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config

        m.submodules.control = control = ControlRegisters(config)
        resettable = ResetInserter(control.reset)
        sequencer = CompactSequencer(config)
        arbiter = bus.CompactArbiter(config)
        accumulator = CompactAccumulator(config)
        components = {
            Target.TRANSFER: CompactTransferUnit(config),
            Target.ARRAY: Feeder(config),
            Target.DRAIN: CompactDrain(config),
        }
        transfer, feeder, drain = components.values()
        m.submodules.sequencer = resettable(sequencer)
        m.submodules.arbiter = resettable(arbiter)
        m.submodules.scratchpad = scratchpad = Scratchpad(config)
        m.submodules.weights = weights = WeightStore(config)
        m.submodules.parameters = parameters = ParameterMemory(config)
        m.submodules.array = array = Array(config)
        m.submodules.accumulator = resettable(accumulator)
        for target, component in components.items():
            m.submodules[f"{target.name.lower()}_unit"] = resettable(component)

        # Memory <-> units.
        connect(m, arbiter.port, flipped(self.read))
        connect(m, sequencer.memory, arbiter.fetch)
        connect(m, transfer.read, arbiter.load)
        connect(m, transfer.write, flipped(self.write))
        connect(m, flipped(self.registers), control.port)

        # Data: memory -> scratchpad, weights, parameters; scratchpad -> memory.
        connect(m, transfer.scratchpad, scratchpad.load_write)
        connect(m, transfer.weights, weights.write)
        connect(m, transfer.parameters, parameters.write)
        connect(m, transfer.store_read, scratchpad.store_read)
        m.d.comb += [
            transfer.store_data.eq(scratchpad.store_data),
            transfer.store_valid.eq(scratchpad.store_valid),
            transfer.bases.eq(control.bases),
            self.abandon.eq(control.reset | control.failed),
            self.disconnect.eq(control.disconnect),
            control.outstanding.eq(self.outstanding),
        ]
        # Data: scratchpad and weights -> array -> accumulator -> drain -> scratchpad.
        m.d.comb += [
            scratchpad.array_read.eq(feeder.read),
            feeder.read_data.eq(scratchpad.array_data),
            feeder.pause.eq(scratchpad.starved),
            weights.read.eq(feeder.line),
            array.weights.eq(weights.weights),
            array.activations.eq(feeder.activations),
            array.first.eq(feeder.first),
            accumulator.sums.eq(array.sums),
            accumulator.control.eq(feeder.control),
            feeder.drain.eq(drain.request),
            drain.slot.eq(feeder.slot),
            drain.read.eq(accumulator.read),
            drain.sum.eq(accumulator.read_data),
            parameters.read.eq(drain.parameter_read),
            drain.parameter_data.eq(parameters.read_data[0]),
            scratchpad.drain_write.eq(drain.write),
        ]

        # Halves of the accumulator that wait for the drain.
        full = Signal(2)
        with m.If(control.reset):
            m.d.sync += full.eq(0)
        with m.Else():
            m.d.sync += full.eq(full + accumulator.committed - drain.half_release)
        m.d.comb += drain.half_full.eq((full != 0) | accumulator.committed)
        # A register between the drain's loops and the feeder's.
        with m.If(control.reset):
            m.d.sync += feeder.release.eq(0)
        with m.Else():
            m.d.sync += feeder.release.eq(drain.half_release)

        # Instructions: holder -> gate -> component, with tokens between the gates.
        m.submodules.tokens = tokens = Tokens(config.token_bits)
        m.d.comb += tokens.clear.eq(control.start | control.reset)
        idle = []
        for target, component in components.items():
            opcode, units = UNITS[target]
            holder = InstructionHolder(config, opcode)
            gate = Gate(fields.layout(config, opcode), compact=True)
            name = target.name.lower()
            m.submodules[f"{name}_holder"] = resettable(holder)
            m.submodules[f"{name}_gate"] = resettable(gate)
            connect(m, sequencer.targets[target], holder.i)
            connect(m, holder.o, gate.i)
            connect(m, gate.o, component.instruction)
            m.d.comb += [gate.done.eq(component.done), gate.stop.eq(control.failed)]
            idle.append(gate.idle & holder.empty)
            header = holder.o.payload.header
            activity = Signal(Activity, name=f"{name}_activity")
            m.d.comb += activity.eq(Mux(component.activity != Activity.IDLE, component.activity, gate.activity))
            for unit in units:
                mine = header.opcode == OPCODES[unit] if len(units) > 1 else Const(1)
                trace = self.trace[unit]
                with m.If(mine):
                    m.d.comb += [
                        gate.available.eq(tokens.available[unit]),
                        tokens.taken[unit].eq(gate.take),
                        tokens.given[unit].eq(gate.give),
                        trace.activity.eq(activity),
                        trace.done.eq(gate.retired),
                    ]
                m.d.comb += [
                    trace.tag.eq(header.tag),
                    trace.done_tag.eq(header.tag),
                    control.activity[unit].eq(trace.activity),
                ]

        # A cycle late, since what gives and takes tokens is the longest path; no run can end in between.
        overflow = Signal.like(tokens.overflow)
        with m.If(tokens.clear):
            m.d.sync += overflow.eq(0)
        with m.Else():
            m.d.sync += overflow.eq(tokens.overflow)

        # Status and errors; when several come at once the first in this list is kept.
        m.d.comb += [
            sequencer.start.eq(control.start),
            sequencer.program.eq(control.program),
            sequencer.idle_units.eq(Cat(idle).all()),
            sequencer.stop.eq(control.failed),
            control.busy.eq(sequencer.busy),
            control.finished.eq(sequencer.finished),
            self.busy.eq(sequencer.busy),
            self.failed.eq(control.failed),
            control.dispatched.eq(sequencer.dispatched),
            self.interrupt.eq(control.interrupt),
        ]
        with m.If(sequencer.error):
            m.d.comb += [
                control.error.eq(1),
                control.error_cause.eq(sequencer.error_cause),
                control.error_unit.eq(SEQUENCER),
            ]
        with m.Elif(transfer.error.valid):
            storing = self.trace[Unit.STORE].activity != Activity.IDLE
            m.d.comb += [
                control.error.eq(1),
                control.error_cause.eq(
                    Mux(
                        transfer.error.decode,
                        Mux(storing, ErrorCause.WRITE_DECODE_ERROR, ErrorCause.READ_DECODE_ERROR),
                        Mux(storing, ErrorCause.WRITE_ERROR, ErrorCause.READ_ERROR),
                    )
                ),
                control.error_unit.eq(Mux(storing, Unit.STORE, Unit.LOAD)),
            ]
        with m.Elif(overflow.any()):
            m.d.comb += [control.error.eq(1), control.error_cause.eq(ErrorCause.TOKEN_OVERFLOW)]
            for unit in reversed(Unit):
                with m.If(overflow[unit]):
                    m.d.comb += control.error_unit.eq(unit)
        return m
