"""The registers behind the register port: start, status, error, interrupt, base addresses and counters."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, ValueLike
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from . import bus, registers
from .config import Config
from .delay import delay_line, delayed
from .fence import PAGE_BITS, fences_layout
from .registers import AUTOPSY, SEQUENCER, Activity, Control, ErrorCause, Feature, Status, Unit

GROUP = 32
"""Bytes of the registers of which one is chosen in a cycle, when a read takes two."""


def inside_layout() -> data.StructLayout:
    """The registers of an autopsy, by name in lower case."""
    names = [f"{unit.name}_{name}" for unit in Unit for name, _ in AUTOPSY]
    return data.StructLayout({name.lower(): 32 for name in (*names, "HALVES", "FETCH", "NEXT")})


class ControlRegisters(Component):
    """Implements registers.REGISTERS.

    Members
    -------
    port : the host's accesses (register_port).
    start, reset, disconnect : one-cycle pulses; start is not given while busy.
    outstanding : the adapter behind the memory port has not finished what was requested.
    busy, finished : of the sequencer. dispatched : pulse per instruction.
    error, error_cause, error_unit, error_address : the first error of a run is kept.
    activity : what each unit does now.
    flaws : of the memories in registers.FLAWS (with config.protection).
    fences : the windows (with config.fences).
    progress : something happens; inside : what the autopsy registers show (both with config.autopsy).
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(
            {
                "port": In(bus.register_port()),
                "start": Out(1),
                "reset": Out(1),
                "disconnect": Out(1),
                "program": Out(config.address_width),
                "bases": Out(data.ArrayLayout(config.address_width, registers.BASES)),
                "failed": Out(1),
                "interrupt": Out(1),
                "busy": In(1),
                "outstanding": In(1),
                "finished": In(1),
                "dispatched": In(1),
                "error": In(1),
                "error_cause": In(ErrorCause),
                "error_unit": In(3),
                "error_address": In(config.address_width),
                "activity": In(data.ArrayLayout(Activity, len(Unit))),
                **({"flaws": In(len(registers.FLAWS))} if config.protection else {}),
                **({"fences": Out(fences_layout(config))} if config.fences else {}),
                **({"progress": In(1), "inside": In(inside_layout())} if config.autopsy else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        port = self.port
        done, failed, interrupt_enable, running = (
            Signal(name=name) for name in ("done", "failed", "interrupt_enable", "running")
        )
        cycles = Signal(32)
        instructions = Signal(32)
        cause = Signal(8)
        unit = Signal(3)
        fault = Signal(32)
        busy = Signal()
        m.d.comb += [
            busy.eq(self.busy | running | (self.start if config.pipelined else 0)),
            self.failed.eq(failed),
            self.interrupt.eq(interrupt_enable & (done | failed)),
        ]
        units = now = Cat(self.activity[index] for index in range(len(Unit)))
        if config.compact:
            # A cycle late, and out of a long path.
            units = Signal(len(now), name="units")
            m.d.sync += units.eq(now)
        readable = {
            "IDENTITY": registers.IDENTITY,
            "VERSION": registers.INTERFACE_VERSION,
            "DIGEST": config.digest32,
            "CONTROL": interrupt_enable << Control.INTERRUPT_ENABLE,
            "STATUS": Cat(busy & ~failed, done, failed, self.outstanding),
            "ERROR": Cat(cause, unit),
            "ERROR_ADDRESS": 0 if config.compact else fault,
            "PROGRAM": self.program[:32],
            **{f"BASE_{index}": self.bases[index][:32] for index in range(registers.BASES)},
            "CYCLES": cycles,
            "UNITS": units,
            "INSTRUCTIONS": 0 if config.compact else instructions,
            "FEATURES": sum(getattr(config, one.name.lower()) << one for one in Feature),
        }
        write_data = port.write_data
        with m.If(running):
            m.d.sync += cycles.eq(cycles + 1)
        m.d.sync += instructions.eq(instructions + self.dispatched)

        if config.counters:
            for index in Unit:
                for activity in Activity:
                    if activity is Activity.IDLE:
                        continue
                    name = f"{index.name}_{activity.name}"
                    counter = Signal(32, name=name.lower())
                    readable[name] = counter
                    with m.If(self.start):
                        m.d.sync += counter.eq(0)
                    with m.Elif(running & (self.activity[index] == activity)):
                        m.d.sync += counter.eq(counter + 1)

        written = {register.name: Signal(name=f"write_{register.name.lower()}") for register in registers.REGISTERS}
        for name, signal in written.items():
            m.d.comb += signal.eq(port.write & (port.address == registers.BY_NAME[name].offset))
        # Pipelined, what reaches the whole NPU comes from a register.
        m.d["sync" if config.pipelined else "comb"] += [
            self.start.eq(written["CONTROL"] & port.write_data[Control.START] & ~busy & ~failed),
            self.reset.eq(written["CONTROL"] & port.write_data[Control.RESET]),
            self.disconnect.eq(written["CONTROL"] & port.write_data[Control.DISCONNECT]),
        ]
        with m.If(written["CONTROL"]):
            m.d.sync += interrupt_enable.eq(port.write_data[Control.INTERRUPT_ENABLE])
        with m.If(written["PROGRAM"]):
            m.d.sync += self.program.eq(port.write_data)
        for index in range(registers.BASES):
            with m.If(written[f"BASE_{index}"]):
                m.d.sync += self.bases[index].eq(port.write_data)
        with m.If(written["STATUS"]):
            m.d.sync += [
                done.eq(done & ~port.write_data[Status.DONE]),
                failed.eq(failed & ~port.write_data[Status.ERROR]),
            ]

        if config.fences:
            for name in ("read", "write"):
                window = getattr(self.fences, name)
                first, last = f"{name.upper()}_FIRST", f"{name.upper()}_LAST"
                # The last page is kept inverted, so that reset opens the window.
                last_inverted = Signal(window.last.shape(), name=f"{name}_last_inverted")
                m.d.comb += window.last.eq(~last_inverted)
                readable[first] = Cat(Const(0, PAGE_BITS), window.first)
                readable[last] = Cat(~Const(0, PAGE_BITS), window.last)
                with m.If(written[first]):
                    m.d.sync += window.first.eq(write_data[PAGE_BITS:])
                with m.If(written[last]):
                    m.d.sync += last_inverted.eq(~write_data[PAGE_BITS:])

        if config.protection:
            for index, (name, *_) in enumerate(registers.FLAWS):
                count = Signal(16, name=f"{name.lower()}_flaws")
                readable[f"{name}_FLAWS"] = count
                m.d.sync += count.eq(count + self.flaws[index])

        # Set for one cycle when a run has gone on too long, and why.
        late = Signal()
        late_cause = Signal(ErrorCause)
        if config.autopsy:
            readable |= {name.upper(): self.inside[name] for name, _ in inside_layout()}
            watchdog, limit, still = (Signal(32, name=name) for name in ("watchdog", "limit", "still"))
            readable |= {"WATCHDOG": watchdog, "LIMIT": limit}
            for name, register in (("WATCHDOG", watchdog), ("LIMIT", limit)):
                with m.If(written[name]):
                    m.d.sync += register.eq(write_data)
            progressed, stuck, expired = (Signal(name=name) for name in ("progressed", "stuck", "expired"))
            m.d.sync += [
                progressed.eq(self.progress | ~running),
                still.eq(Mux(progressed, 1, still + 1)),
                stuck.eq(~progressed & (still == watchdog) & (watchdog != 0)),
                expired.eq((cycles == limit) & (limit != 0)),
            ]
            m.d.comb += [
                late.eq(running & (stuck | expired)),
                late_cause.eq(Mux(stuck, ErrorCause.NO_PROGRESS, ErrorCause.TIME_LIMIT)),
            ]

        self._read(m, {registers.BY_NAME[name].offset: value for name, value in readable.items()})

        # What happens in the hardware outranks what the host clears in the same cycle.
        with m.If(self.finished & running):
            m.d.sync += [running.eq(0), done.eq(~failed & ~self.error)]
        with m.If(self.error & ~failed):
            m.d.sync += [
                failed.eq(1),
                running.eq(0),
                cause.eq(self.error_cause),
                unit.eq(self.error_unit),
                fault.eq(self.error_address),
            ]
        with m.Elif(late & ~failed):
            m.d.sync += [
                failed.eq(1),
                running.eq(0),
                done.eq(0),
                cause.eq(late_cause),
                unit.eq(SEQUENCER),
                fault.eq(0),
            ]
        with m.If(self.start):
            m.d.sync += [
                running.eq(1),
                done.eq(0),
                cycles.eq(0),
                instructions.eq(0),
                cause.eq(ErrorCause.NONE),
            ]
        with m.If(self.reset):
            m.d.sync += [running.eq(0), done.eq(0), failed.eq(0)]
        return m

    def _read(self, m: Module, readable: dict[int, ValueLike]) -> None:
        """Registers by their addresses; pipelined, one of each group is chosen first, and then the group."""
        port, address, read = self.port, self.port.address, self.port.read
        if self.config.pipelined:
            low = GROUP.bit_length() - 1
            groups: dict[int, dict[int, ValueLike]] = {}
            for offset, value in readable.items():
                groups.setdefault(offset >> low, {})[offset] = value
            chosen: dict[int, ValueLike] = {}
            for group, members in groups.items():
                choice = Signal(32, name=f"group_{group}", reset_less=True)
                m.d.sync += choice.eq(0)
                with m.Switch(address[:low]):
                    for offset, value in members.items():
                        with m.Case(offset % GROUP):
                            m.d.sync += choice.eq(value)
                chosen[group] = choice
            address = delay_line(m, "group", address[low:], 1, reset_less=True)[-1]
            readable, read = chosen, delayed(m, "read", read, 1)
        with m.If(read):
            m.d.sync += port.read_data.eq(0)
            with m.Switch(address):
                for offset, value in readable.items():
                    with m.Case(offset):
                        m.d.sync += port.read_data.eq(value)
