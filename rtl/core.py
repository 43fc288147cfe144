"""The NPU between its memory port and its register port: instances and connections, no data path of its own."""

from amaranth.hdl import Cat, Const, Module, Mux, ResetInserter, Signal, Value, ValueLike
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Member, Out, connect, flipped

from . import bus, isa
from .accumulator import Accumulator
from .array import Array
from .config import Config
from .control import ControlRegisters
from .delay import delay_line, delayed
from .dma import LoadUnit, StoreUnit
from .drain import Drain
from .faults import Faults, inside, left_over
from .feeder import Feeder
from .fence import fence_ports
from .parameters import ParameterMemory
from .protected import FLAWS_LATENCY
from .queue import InstructionQueue
from .registers import Activity, Unit
from .scratchpad import Scratchpad
from .sequencer import Sequencer
from .tokens import Gate, Tokens
from .weights import WeightStore

PROGRESS = (Activity.BUSY, Activity.WAIT_WEIGHTS)
"""What a unit does while something happens in it."""

LAYOUTS = {Unit.LOAD: isa.LOAD, Unit.ARRAY: isa.CONV, Unit.DRAIN: isa.DRAIN, Unit.STORE: isa.STORE}


def trace_layout() -> data.StructLayout:
    """What one unit does in this cycle: its activity and the tag concerned, and the tag of an instruction that it has
    just completed."""
    return data.StructLayout({"activity": Activity, "tag": 16, "done": 1, "done_tag": 16})


def bus_ports(config: Config) -> dict[str, Member]:
    """The ports that a bus adapter, or a board, connects to."""
    return {
        **{name: member.flip() for name, member in fence_ports(config).items()},
        "read": Out(bus.memory_read(config)),
        "write": Out(bus.memory_write(config)),
        "registers": In(bus.register_port()),
        "abandon": Out(1),
        "disconnect": Out(1),
        "outstanding": In(1),
        "busy": Out(1),
        "failed": Out(1),
    }


class Core(Component):
    """Everything but the bus adapters.

    Members
    -------
    read, write : the memory port.
    registers : the host's access to registers.REGISTERS.
    abandon : while an error is not cleared, and in a reset: what is on its way through the ports has no effect any
        more, and nothing is requested.
    disconnect : pulse with which the adapter behind the memory port forgets what is outstanding.
    outstanding : of that adapter: it has not finished what was requested.
    fences, refused_read, refused_write : see fence.fence_ports.
    interrupt : level, while done or failed and enabled.
    busy : a program runs. failed : the last one ended with an error.
    trace : one trace_layout per unit, for simulation and debugging.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        trace = Out(data.ArrayLayout(trace_layout(), len(Unit)))
        super().__init__({**bus_ports(config), "interrupt": Out(1), "trace": trace})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config

        m.submodules.control = control = ControlRegisters(config)
        resettable = ResetInserter(control.reset)
        sequencer = Sequencer(config)
        arbiter = bus.ReadArbiter(config)
        m.submodules.sequencer = resettable(sequencer)
        m.submodules.arbiter = resettable(arbiter)
        m.submodules.scratchpad = scratchpad = Scratchpad(config)
        m.submodules.weights = weights = WeightStore(config)
        m.submodules.parameters = parameters = ParameterMemory(config)
        m.submodules.array = array = Array(config)
        accumulator = Accumulator(config)
        m.submodules.accumulator = resettable(accumulator)
        units = {
            Unit.LOAD: LoadUnit(config),
            Unit.ARRAY: Feeder(config),
            Unit.DRAIN: Drain(config),
            Unit.STORE: StoreUnit(config),
        }
        load, feeder, drain, store = units.values()
        for unit, component in units.items():
            m.submodules[f"{unit.name.lower()}_unit"] = resettable(component)

        def late(name: str, value: ValueLike) -> Value:
            """What need not be known at once, pipelined a cycle later; a reset ends it, too."""
            if not config.pipelined:
                return Value.cast(value)
            return delayed(m, f"late_{name}", Mux(control.reset, 0, value), 1)

        # Memory <-> units.
        connect(m, arbiter.port, flipped(self.read))
        connect(m, sequencer.memory, arbiter.fetch)
        connect(m, load.memory, arbiter.load)
        connect(m, store.memory, flipped(self.write))
        connect(m, flipped(self.registers), control.port)

        m.d.comb += [
            self.abandon.eq(control.reset | control.failed),
            self.disconnect.eq(control.disconnect),
            control.outstanding.eq(self.outstanding),
        ]

        # Data: memory -> scratchpad, weights, parameters.
        connect(m, load.scratchpad, scratchpad.load_write)
        connect(m, load.weights, weights.write)
        connect(m, load.parameters, parameters.write)
        if config.tables:
            connect(m, load.tables, drain.tables)
        # Data: scratchpad and weights -> array -> accumulator -> drain -> scratchpad -> memory.
        m.d.comb += [
            scratchpad.array_read.eq(feeder.read),
            feeder.read_data.eq(scratchpad.array_data),
            feeder.pause.eq(scratchpad.starved),
            weights.read.eq(feeder.line),
            array.weights.eq(weights.weights),
            array.activations.eq(feeder.activations),
            array.first.eq(feeder.first),
            *([array.north.eq(feeder.north), array.columns.eq(feeder.columns)] if config.depthwise else []),
            accumulator.sums.eq(array.sums),
            accumulator.control.eq(feeder.control),
            accumulator.read.eq(drain.accumulator_read),
            drain.accumulator_data.eq(accumulator.read_data),
            parameters.read.eq(drain.parameter_read),
            drain.parameter_data.eq(parameters.read_data),
            scratchpad.drain_write.eq(drain.write),
        ]
        connect(m, store.store_read, scratchpad.store_read)
        m.d.comb += [store.store_data.eq(scratchpad.store_data), store.store_valid.eq(scratchpad.store_valid)]

        # Halves of the accumulator that wait for the drain.
        full = Signal(2)
        full_next = Signal.like(full)
        # Pipelined, what changes these counts is seen a cycle later.
        released = drain.half_release & ~control.reset
        release = late("release", released)
        m.d.comb += full_next.eq(full + accumulator.committed - release)
        m.d.sync += full.eq(Mux(control.reset, 0, full_next))
        m.d.comb += [
            drain.half_full.eq(full_next != 0 if config.pipelined else (full != 0) | accumulator.committed),
            feeder.release.eq(released),
        ]
        m.d.comb += [load.bases.eq(control.bases), store.bases.eq(control.bases)]

        error = late("sequencer_error", sequencer.error)
        halt = self._halt(m, sequencer.at_fault, error, control.failed)

        # Instructions: queue -> gate -> unit, with tokens between the gates. Pipelined, the tokens hear of all a cycle
        # later; a gate has no next instruction before it is told that what it took is gone.
        m.submodules.tokens = tokens = Tokens()
        m.d.comb += tokens.clear.eq(control.start | control.reset)
        idle, moves = [], []
        queues, gates = {}, {}
        for unit, component in units.items():
            queue = InstructionQueue(config, LAYOUTS[unit])
            gate = Gate(LAYOUTS[unit], pipelined=config.pipelined)
            queues[unit], gates[unit] = queue, gate
            name = unit.name.lower()
            m.submodules[f"{name}_queue"] = resettable(queue)
            m.submodules[f"{name}_gate"] = resettable(gate)
            connect(m, sequencer.queues[unit], queue.i)
            connect(m, queue.o, gate.i)
            connect(m, gate.o, component.instruction)
            m.d.comb += [
                gate.stop.eq(halt),
                gate.available.eq(tokens.available[unit]),
                tokens.taken[unit].eq(late(f"{name}_taken", gate.take)),
                tokens.given[unit].eq(late(f"{name}_given", gate.give)),
                gate.done.eq(component.done),
            ]
            idle.append(gate.idle & queue.empty)
            trace = self.trace[unit]
            m.d.comb += [
                trace.activity.eq(Mux(component.activity != Activity.IDLE, component.activity, gate.activity)),
                trace.tag.eq(Mux(component.activity != Activity.IDLE, component.tag, queue.o.payload.header.tag)),
                trace.done.eq(gate.retired),
                trace.done_tag.eq(gate.retired_tag),
                control.activity[unit].eq(late(f"{name}_activity", trace.activity)),
            ]
            moves.append(late(f"{name}_moves", gate.started | gate.retired))

        # Status and errors.
        faults = Faults(config)
        m.submodules.faults = resettable(faults)
        m.d.comb += [
            sequencer.start.eq(control.start),
            sequencer.program.eq(control.program),
            sequencer.idle_units.eq(late("idle", Cat(idle).all())),
            sequencer.stop.eq(halt),
            control.busy.eq(sequencer.busy),
            control.finished.eq(late("finished", sequencer.finished)),
            control.dispatched.eq(late("dispatched", sequencer.dispatched)),
            self.interrupt.eq(control.interrupt),
            self.busy.eq(sequencer.busy),
            self.failed.eq(control.failed),
            faults.clear.eq(control.start | control.reset),
            faults.sequencer.valid.eq(error),
            faults.sequencer.cause.eq(late("sequencer_cause", sequencer.error_cause)),
            faults.sequencer.address.eq(late("sequencer_address", sequencer.error_address)),
            faults.left_over.eq(
                late("left_over", sequencer.finished & left_over(tokens.counts, full, feeder.free_halves))
            ),
            faults.load.eq(load.error),
            faults.store.eq(store.error),
            faults.overflow.eq(late("overflow", tokens.overflow)),
            faults.illegal.eq(late("illegal", Cat(component.illegal for component in units.values()))),
            faults.started.eq(Cat(gate.started for gate in gates.values())),
            *(faults.flight[unit].eq(gate.flight) for unit, gate in gates.items()),
            control.error.eq(faults.error),
            control.error_cause.eq(faults.cause),
            control.error_unit.eq(faults.unit),
            control.error_address.eq(faults.address),
        ]
        if config.pipelined:
            m.d.comb += faults.retired.eq(Cat(gate.retired for gate in gates.values()))
        if config.fences:
            m.d.comb += [
                sequencer.window.eq(control.fences.read),
                self.fences.eq(control.fences),
                *(
                    Value.cast(late_refusal).eq(late(name, Value.cast(refusal)))
                    for name, late_refusal, refusal in (
                        ("refused_read", faults.refused_load, self.refused_read),
                        ("refused_write", faults.refused_store, self.refused_write),
                    )
                ),
            ]
        if config.protection:
            flaws = Cat(scratchpad.flaw, weights.flaw, parameters.flaw, accumulator.flaw, drain.flaw)
            # What was read before a reset is judged after it.
            resets = delay_line(m, "reset", control.reset, FLAWS_LATENCY)
            m.d.comb += [
                control.flaws.eq(flaws),
                faults.flaws.eq(Mux(Cat(resets).any(), 0, flaws)),
            ]
        if config.autopsy:
            m.d.comb += control.progress.eq(
                control.dispatched
                | Cat(moves).any()
                | Cat(control.activity[unit] == activity for unit in Unit for activity in PROGRESS).any()
            )
            found = inside(
                Cat(sequencer.fetching, sequencer.flushing, Const(0, 6), sequencer.ahead),
                sequencer.error_address,
                (feeder.free_halves, full),
                {
                    unit: {
                        "begun": faults.begun[unit],
                        "flight": gate.flight,
                        "tag": self.trace[unit].tag,
                        "missing": gate.missing,
                        "level": queues[unit].level,
                        "tokens": [tokens.counts[unit][giver] for giver in Unit],
                    }
                    for unit, gate in gates.items()
                },
            )
            m.d.comb += [control.inside[name].eq(value) for name, value in found.items()]
        return m

    def _halt(self, m: Module, at_fault: Value, error: Value, failed: Value) -> Value:
        """Whether nothing may begin any more.

        Pipelined it comes out of two registers, since it goes everywhere. An instruction that the sequencer found to be
        illegal must not begin, three cycles after its last word: `at_fault` is soon enough, and `error` and `failed`
        follow it.
        """
        if not self.config.pipelined:
            return failed
        known, halt = Signal(name="halt_known"), Signal(name="halt")
        m.d.sync += [known.eq(at_fault | error | failed), halt.eq(known | at_fault)]
        return halt
