"""Order between units: dependency tokens never underflow, and data of the shared read port goes to who asked for it."""

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Assume, Cover, Elaboratable, Module, Mux, ResetSignal, Signal, Value, signed
from amaranth.lib import data
from weft.rtl import bus, isa
from weft.rtl.config import Config
from weft.rtl.delay import delayed
from weft.rtl.tokens import TOKEN_BITS, UNITS, Gate, Tokens

from .dma import drive
from .inside import Inside
from .queues import FifoState
from .streams import given, gives


class Dependencies(Elaboratable):
    """Tokens behind the four gates, for any instructions and units that complete what they accepted.

    Until a counter overflows, which is reported in that cycle, each holds exactly the tokens that were given and not
    taken, and none is ever taken that is not there. So no instruction starts before those that it waits for.

    Pipelined, as in rtl/core.py, the counters hear of all a cycle later, and in that cycle a gate has no instruction:
    what `queues.Instructions` proves of the queue in front of it.
    """

    MOST = (1 << TOKEN_BITS) - 1

    def __init__(self, pipelined: bool = False) -> None:
        self.pipelined = pipelined

    def elaborate(self, platform: object) -> Module:
        m = Module()
        tokens = Tokens()
        inside = Inside(tokens)
        m.submodules.tokens = inside.fragment
        m.d.comb += [Assume(~ResetSignal()), tokens.clear.eq(0)]
        header = data.StructLayout({"header": isa.HEADER})
        overflowed = Signal()
        m.d.sync += overflowed.eq(overflowed | tokens.overflow.any())
        # Pipelined, a gate looked a cycle ago, and a counter that overflowed since is empty.
        lost = overflowed if self.pipelined else 0
        for unit in range(UNITS):
            gate = Gate(header, pipelined=self.pipelined)
            looked_into = Inside(gate)
            m.submodules[f"gate_{unit}"] = looked_into.fragment
            state = FifoState(m, looked_into["flight"], Gate.IN_FLIGHT, f"flight_{unit}")
            drive(m, gate.i, "valid", "payload")
            drive(m, gate.o, "ready")
            drive(m, gate, "done")
            given(m, f"instruction_{unit}", gate.i.valid, gate.i.ready, gate.i.payload.as_value())
            m.d.comb += [
                state.place.eq(0),
                Assume(~gate.done | (state.level != 0)),
                gate.available.eq(tokens.available[unit]),
                tokens.taken[unit].eq(delayed(m, f"take_{unit}", gate.take, int(self.pipelined))),
                tokens.given[unit].eq(delayed(m, f"give_{unit}", gate.give, int(self.pipelined))),
                # An instruction passes when all that it waits for is there, and never without.
                Assert(lost | ~gate.o.valid | ((gate.i.payload.header.wait & ~gate.available) == 0)),
            ]
            if self.pipelined:
                passed, offered = Signal(name=f"passed_{unit}"), looked_into.signal("offered")
                m.d.sync += passed.eq(gate.started)
                m.d.comb += [
                    Assume(~(passed & gate.i.valid)),
                    Assert(passed | ~Value.cast(tokens.taken[unit]).any()),
                    Assert(~(passed & offered)),
                    Assert(~offered | (gate.i.valid & (state.level != Gate.IN_FLIGHT))),
                ]
        for sink in range(UNITS):
            for source in range(UNITS):
                if source == sink:
                    continue
                count = inside.signal(f"from_{source}_to_{sink}")
                balance = Signal(signed(16), name=f"balance_{source}_{sink}")
                m.d.sync += balance.eq(balance + tokens.given[source][sink] - tokens.taken[sink][source])
                with m.If(~overflowed):
                    m.d.comb += [
                        Assert(balance == count),
                        Assert(balance + tokens.given[source][sink] - tokens.taken[sink][source] >= 0),
                    ]
        m.d.comb += Cover(tokens.taken[0][1] & tokens.taken[1][0] & tokens.taken[3][2])
        return m


class Shared(Elaboratable):
    """ReadArbiter: no request is lost, doubled or withdrawn, and the data of each goes to the side that made it.

    Pipelined, a SkidBuffer is behind it, of which `queues.Skid` proves as much.
    """

    def __init__(self, config: Config) -> None:
        self.config = config

    def elaborate(self, platform: object) -> Module:
        m = Module()
        arbiter = bus.ReadArbiter(self.config)
        inside = Inside(arbiter)
        m.submodules.dut = inside.fragment
        depth = bus.requests_in_flight(self.config)
        state = FifoState(m, inside["owners"], depth, "owners")
        port = arbiter.port
        drive(m, port.request, "ready")
        drive(m, port.data, "valid", "payload")
        m.d.comb += Assume(~ResetSignal())
        gives(m, "port", port.request.valid, port.request.ready, port.request.payload.as_value())
        for name, side in (("fetch", arbiter.fetch), ("load", arbiter.load)):
            drive(m, side.request, "valid", "payload")
            drive(m, side.data, "ready")
            given(m, name, side.request.valid, side.request.ready, side.request.payload.as_value())
        valid, ready, payload = port.request.valid, port.request.ready, port.request.payload.as_value()
        if self.config.pipelined:
            valid, payload = inside.signal("i__valid"), inside.signal("i__payload")
            ready = inside["request"].signal("i__ready")
        asked = valid & ready
        finished = port.data.valid & port.data.ready & port.data.payload.last
        fetch, load = (side.request.valid & side.request.ready for side in (arbiter.fetch, arbiter.load))
        m.d.comb += [
            Assert(asked == (fetch | load)),
            Assert(~(fetch & load)),
            Assert(~fetch | (payload == arbiter.fetch.request.payload.as_value())),
            Assert(~load | (payload == arbiter.load.request.payload.as_value())),
            Assert(~(arbiter.fetch.data.valid & arbiter.load.data.valid)),
            Assert(
                (port.data.valid & port.data.ready)
                == (
                    (arbiter.fetch.data.valid & arbiter.fetch.data.ready)
                    | (arbiter.load.data.valid & arbiter.load.data.ready)
                )
            ),
        ]
        # Any request is marked when it is made.
        marked, mark, owner = Signal(), Signal(), Signal()
        ahead = Signal(range(depth + 1))
        m.d.comb += [
            mark.eq(AnySeq(1) & asked & ~marked),
            state.place.eq(ahead),
            Cover(marked & finished & (ahead == 0) & owner),
        ]
        with m.If(mark):
            m.d.sync += [marked.eq(1), ahead.eq(state.level - finished), owner.eq(load)]
        with m.If(marked):
            m.d.comb += [Assert(ahead < state.level), Assert(state.word == owner)]
            with m.If(ahead == 0):
                m.d.comb += Assert(~Mux(owner, arbiter.fetch.data.valid, arbiter.load.data.valid))
            with m.If(finished):
                m.d.sync += [ahead.eq(ahead - 1), marked.eq(ahead != 0)]
        return m
