"""The real load and store units: what the AXI master assumes of its memory port is what they give."""

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Assume, Cat, Cover, Elaboratable, Module, Mux, ResetSignal, Signal, signed
from amaranth.lib import data
from weft.rtl import bus, dma, isa
from weft.rtl.config import Config
from weft.rtl.scratchpad import read_latency

from .inside import Inside
from .queues import FifoState
from .streams import given, gives


def drive(m: Module, component: object, *names: str) -> None:
    """Any value, in every cycle, at inputs of a component."""
    for name in names:
        port = getattr(component, name)
        value = port.as_value() if hasattr(port, "as_value") else port
        m.d.comb += value.eq(AnySeq(len(value)))


def hold_bases(m: Module, unit: object) -> None:
    """Base addresses do not change during a run."""
    value = unit.bases.as_value()
    before, known = Signal(len(value), name="bases_before"), Signal(name="bases_known")
    m.d.sync += [before.eq(value), known.eq(1)]
    m.d.comb += [value.eq(AnySeq(len(value))), Assume(~known | (value == before))]


class Loads(Elaboratable):
    """LoadUnit: a request stands until it is taken, and data is only taken for a request.

    Pipelined, what comes is taken as long as there is room, and it is memory that gives nothing unasked.
    """

    def __init__(self, config: Config) -> None:
        self.config = config

    def elaborate(self, platform: object) -> Module:
        m = Module()
        unit = dma.LoadUnit(self.config)
        inside = Inside(unit)
        m.submodules.dut = inside.fragment
        instruction, request, word = unit.instruction, unit.memory.request, unit.memory.data
        depth = bus.requests_in_flight(self.config)
        state = FifoState(m, inside["requested"], depth, "rows")
        m.d.comb += [Assume(~ResetSignal()), state.place.eq(0)]
        hold_bases(m, unit)
        drive(m, instruction, "valid", "payload")
        drive(m, request, "ready")
        drive(m, word, "valid", "payload")
        for name in ("scratchpad", "weights", "parameters", *(["tables"] if self.config.tables else [])):
            drive(m, getattr(unit, name), "ready")
        given(m, "instruction", instruction.valid, instruction.ready, instruction.payload.as_value())
        gives(m, "request", request.valid, request.ready, request.payload.as_value())
        outstanding = Signal(range(depth + 2))
        finished = Signal()
        targets = [unit.scratchpad, unit.weights, unit.parameters]
        m.d.comb += [
            finished.eq(word.valid & word.ready & word.payload.last),
            Assert(outstanding == state.level),
            Assume(~word.valid | (outstanding != 0))
            if self.config.pipelined
            else Assert(~word.ready | (outstanding != 0)),
            Assert(request.payload.address % self.config.memory_bytes == 0),
            # A word has one target.
            *(
                Assert(~(one.valid & other.valid))
                for index, one in enumerate(targets)
                for other in targets[index + 1 :]
            ),
            Cover(finished & unit.scratchpad.valid),
        ]
        if self.config.pipelined:
            for index, target in enumerate(targets):
                gives(m, f"target_{index}", target.valid, target.ready, target.payload.as_value())
        m.d.sync += outstanding.eq(outstanding + (request.valid & request.ready) - finished)
        return m


class Stores(Elaboratable):
    """StoreUnit: requests and words stand until they are taken, and as many words are sent as were requested."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        unit = dma.StoreUnit(config)
        inside = Inside(unit)
        m.submodules.dut = inside.fragment
        instruction, request, word = unit.instruction, unit.memory.request, unit.memory.data
        response = unit.memory.response
        m.d.comb += Assume(~ResetSignal())
        hold_bases(m, unit)
        drive(m, instruction, "valid", "payload")
        drive(m, request, "ready")
        drive(m, word, "ready")
        drive(m, response, "valid", "payload")
        drive(m, unit.store_read, "ready")
        drive(m, unit, "store_data")
        given(m, "instruction", instruction.valid, instruction.ready, instruction.payload.as_value())
        # A size of nothing is not legal.
        m.d.comb += Assume(~instruction.valid | (instruction.payload.bytes != 0))
        gives(m, "request", request.valid, request.ready, request.payload.as_value())
        gives(m, "word", word.valid, word.ready, word.payload.as_value())

        # The scratchpad answers read_latency cycles after it has granted a read.
        grant = Signal()
        m.d.comb += grant.eq(unit.store_read.valid & unit.store_read.ready)
        flight = Signal(read_latency(config))
        m.d.sync += flight.eq(Cat(grant, flight[:-1]))
        m.d.comb += unit.store_valid.eq(flight[-1])

        # Words requested and not sent; words granted and not sent.
        owed, under_way = Signal(signed(bus.words_bits(config) + 8)), Signal(range(unit.buffer + 2))
        strobes = FifoState(m, inside["strobes"], unit.buffer, "strobes")
        words = FifoState(m, inside["words"], unit.buffer, "words")
        responses = FifoState(m, inside["responses"], bus.requests_in_flight(config), "responses")
        requested, read, begin, following, following_ends = (
            inside.signal(name) for name in ("requested", "read", "begin", "following", "following_ends")
        )
        rows = inside["rows"]
        active = worked_out = rows.signal("active")
        if config.pipelined:
            buffer = rows["offered"]
            active = buffer.signal("o__valid")
            spare, spare_full = (buffer.signal(name) for name in ("spare", "spare_full"))
            m.d.comb += Assert(active | ~spare_full)
            for valid, value in ((active, buffer.signal("o__payload")), (spare_full, spare)):
                row = data.View(dma.row_layout(config), value)
                m.d.comb += Assert(~valid | ((row.words != 0) & (row.single == (row.words == 1))))
        sent, asked, done_words = Signal(), Signal(), Signal(bus.words_bits(config))
        outstanding = Signal(range(bus.requests_in_flight(config) + 2))
        expected = [inside.signal(f"expected_{cycle}") for cycle in range(1, read_latency(config) + 1)]
        m.d.comb += [
            strobes.place.eq(0),
            words.place.eq(0),
            responses.place.eq(0),
            sent.eq(word.valid & word.ready),
            asked.eq(request.valid & request.ready),
            Assert(Cat(expected) == flight),
            Assert(under_way == strobes.level),
            Assert(strobes.level == words.level + sum(flight)),
            Assert(outstanding == responses.level),
            Assert(~response.ready | (outstanding != 0)),
            Cover(sent & (request.payload.words == 3) & read),
        ]
        m.d.sync += [
            under_way.eq(under_way + grant - sent),
            owed.eq(owed + Mux(asked, request.payload.words, 0) - sent),
            outstanding.eq(outstanding + asked - (response.valid & response.ready)),
        ]
        # Of the row that is being worked on: all words asked for or none, and so many read.
        m.d.comb += [
            done_words.eq(
                Mux(~active, 0, Mux(read, request.payload.words, Mux(begin, 0, request.payload.words - following)))
            ),
            Assert(owed == under_way + Mux(active & requested, request.payload.words, 0) - done_words),
            Assert(active | (begin & ~requested & ~read)),
            Assert(~(requested & read)),
            Assert(~read | begin),
            Assert(~(active & ~begin) | ((following != 0) & (following < request.payload.words))),
            Assert(begin | (following_ends == (following == 1))),
            Assert(~worked_out | (data.View(isa.STORE, rows.signal("held")).bytes != 0)),
            Assert(~active | (request.payload.words != 0)),
        ]
        return m
