"""Dependency tokens: the only order between units, explicit and counted."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from .config import TOKEN_BITS
from .fifo import fifo
from .registers import Activity, Unit

UNITS = len(Unit)

WAITS = (Activity.WAIT_LOAD, Activity.WAIT_ARRAY, Activity.WAIT_DRAIN, Activity.WAIT_STORE)


class Tokens(Component):
    """One counter per ordered pair of units: tokens that `source` gave to `sink` and `sink` has not taken.

    A token that is given counts in its own cycle. `given` and `taken` are indexed [source][sink] and [sink][source],
    `available` and `counts` [sink][source]; `overflow` names the source that gave a token too much.
    """

    def __init__(self, bits: int = TOKEN_BITS) -> None:
        self.bits = bits
        grid = data.ArrayLayout(data.ArrayLayout(1, UNITS), UNITS)
        super().__init__(
            {
                "clear": In(1),
                "given": In(grid),
                "taken": In(grid),
                "available": Out(grid),
                "overflow": Out(UNITS),
                "counts": Out(data.ArrayLayout(data.ArrayLayout(TOKEN_BITS, UNITS), UNITS)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        overflows: list[list[Value]] = [[] for _ in range(UNITS)]
        for sink in range(UNITS):
            for source in range(UNITS):
                if source == sink:
                    continue
                count = Signal(self.bits, name=f"from_{source}_to_{sink}")
                given = self.given[source][sink]
                taken = self.taken[sink][source]
                m.d.comb += self.available[sink][source].eq((count != 0) | given)
                m.d.comb += self.counts[sink][source].eq(count)
                overflows[source].append((count == (1 << self.bits) - 1) & given & ~taken)
                with m.If(self.clear):
                    m.d.sync += count.eq(0)
                with m.Elif(given != taken):
                    m.d.sync += count.eq(count + Mux(taken, -1, 1))
        m.d.comb += self.overflow.eq(Cat(Cat(some).any() for some in overflows))
        return m


class Gate(Component):
    """Holds a unit's instructions back until their tokens are there, and gives tokens when they are complete.

    Members
    -------
    i, o : streams of the unit's instruction layout; `o` is `i` as soon as all tokens of its `wait` mask are there, or
        one cycle later if the gate is `pipelined`.
    stop : let no more pass.
    done : pulse of the unit per completed instruction, in order.
    available, take, give : masks by the other unit's number.
    retired : `done`, with the `retired_tag` of the instruction that it belongs to.
    started, flight : an instruction passes; how many have passed and are not complete.
    missing : the units whose tokens the instruction here lacks.
    idle : no instruction here or in the unit.

    With `compact` an instruction stays at `i` until it is complete, and the next one waits behind it.
    """

    IN_FLIGHT = 8
    """Instructions that a unit may have accepted and not completed."""

    def __init__(self, layout: data.StructLayout, compact: bool = False, pipelined: bool = False) -> None:
        self.layout = layout
        self.compact = compact
        self.pipelined = pipelined
        super().__init__(
            {
                "i": In(stream.Signature(layout)),
                "o": Out(stream.Signature(layout)),
                "stop": In(1),
                "available": In(UNITS),
                "take": Out(UNITS),
                "give": Out(UNITS),
                "done": In(1),
                "retired": Out(1),
                "retired_tag": Out(16),
                "started": Out(1),
                "flight": Out(range(self.IN_FLIGHT + 1)),
                "missing": Out(UNITS),
                "idle": Out(1),
                "activity": Out(Activity),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        header = self.i.payload.header
        missing = Signal(UNITS)
        pass_on = Signal()
        m.d.comb += [
            missing.eq(header.wait & ~self.available),
            self.o.payload.eq(self.i.payload),
            pass_on.eq(self.o.valid & self.o.ready),
            self.take.eq(Mux(pass_on, header.wait, 0)),
            self.retired.eq(self.done),
            self.started.eq(pass_on),
        ]
        waiting = self._stay(m, missing, pass_on) if self.compact else self._pass(m, missing, pass_on)
        m.d.comb += self.missing.eq(Mux(waiting, missing, 0))
        with m.If(waiting):
            for unit in reversed(Unit):
                with m.If(missing[unit]):
                    m.d.comb += self.activity.eq(WAITS[unit])
        return m

    def _stay(self, m: Module, missing: Signal, pass_on: Signal) -> Value:
        header = self.i.payload.header
        started = Signal()
        m.d.sync += started.eq((started | pass_on) & ~self.done)
        m.d.comb += [
            self.o.valid.eq(self.i.valid & (missing == 0) & ~started & ~self.stop),
            self.i.ready.eq(self.done),
            self.give.eq(Mux(self.done, header.signal, 0)),
            self.retired_tag.eq(header.tag),
            self.flight.eq(started),
            self.idle.eq(~self.i.valid),
        ]
        return self.i.valid & ~started

    def _pass(self, m: Module, missing: Signal, pass_on: Signal) -> Value:
        header = self.i.payload.header
        m.submodules.flight = flight = fifo(self.pipelined, width=UNITS + 16, depth=self.IN_FLIGHT)
        may_pass = Signal()
        m.d.comb += may_pass.eq(self.i.valid & (missing == 0) & flight.w_rdy)
        offered = may_pass
        if self.pipelined:
            # Tokens and places that are there stay until this instruction takes them.
            offered = Signal()
            m.d.sync += offered.eq(may_pass & ~pass_on)
        m.d.comb += [
            self.o.valid.eq(offered & ~self.stop),
            self.i.ready.eq(pass_on),
            flight.w_en.eq(pass_on),
            flight.w_data.eq(Cat(header.signal, header.tag)),
            flight.r_en.eq(self.done),
            self.give.eq(Mux(self.done, flight.r_data[:UNITS], 0)),
            self.retired_tag.eq(flight.r_data[UNITS:]),
            self.flight.eq(flight.level),
            self.idle.eq(~self.i.valid & ~flight.r_rdy),
        ]
        return self.i.valid
