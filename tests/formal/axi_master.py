"""The AXI4 master and its splitter: handshakes, lengths, WLAST, 4 KB, and no response without a request."""

from amaranth.asserts import AnySeq
from amaranth.hdl import Assert, Assume, Cover, Elaboratable, Module, Mux, ResetSignal, Signal
from weft.rtl import axi, bus
from weft.rtl.config import Config

from .inside import Inside
from .queues import FifoState
from .streams import given, gives


def assert_burst(m: Module, config: Config, address: Signal, length: Signal) -> None:
    """A burst of whole beats is aligned, not too long, and ends before the next multiple of 4 KB."""
    beat = config.axi_width // 8
    end = Signal(14)
    m.d.comb += [
        end.eq(address[:12] + (length + 1) * beat),
        Assert(address % beat == 0),
        Assert(length < axi.burst_words(config)),
        Assert(end <= axi.BOUNDARY_BYTES),
    ]


class Splits(Elaboratable):
    """Splitter: the bursts of a request are its words, each once, in order, and none crosses 4 KB."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        splitter = axi.Splitter(config)
        inside = Inside(splitter)
        m.submodules.dut = inside.fragment
        request, burst = splitter.request, splitter.burst
        word = config.memory_bytes
        lanes = config.axi_width // config.memory_width
        m.d.comb += [
            Assume(~ResetSignal()),
            request.valid.eq(AnySeq(1)),
            request.payload.eq(AnySeq(len(request.payload.as_value()))),
            burst.ready.eq(AnySeq(1)),
            Assume(request.payload.words != 0),
            Assume(request.payload.address % word == 0),
        ]
        gives(m, "burst", burst.valid, burst.ready, burst.payload.as_value())
        with m.If(burst.valid):
            assert_burst(m, config, burst.payload.address, burst.payload.length)

        # The words of the request that no burst has taken yet.
        left = Signal(bus.words_bits(config) + 8)
        index = Signal(config.address_width - (word - 1).bit_length())
        taken = Signal(bus.words_bits(config) + 8)
        beat, rest, lane, last_lane = (inside.signal(name) for name in ("beat", "left", "lane", "last_lane"))
        m.d.comb += [
            taken.eq(burst.payload.length * lanes + burst.payload.last_lane - burst.payload.first_lane + 1),
            Assert(burst.valid == (left != 0)),
        ]
        with m.If(burst.valid):
            m.d.comb += [
                Assert(left == rest * lanes + last_lane - lane + 1),
                Assert(index == (beat * lanes + lane)[: len(index)]),
                Assert((rest != 0) | (last_lane >= lane)),
                Assert(
                    burst.payload.address + burst.payload.first_lane * word == (index * word)[: config.address_width]
                ),
                Assert(taken <= left),
                Assert(burst.payload.last == (taken == left)),
            ]
        with m.If(burst.valid & burst.ready):
            m.d.sync += [left.eq(left - taken), index.eq(index + taken)]
            m.d.comb += Cover(~burst.payload.last)
        with m.If(request.valid & request.ready):
            m.d.comb += Assert((left == 0) | (burst.ready & (taken == left)))
            m.d.sync += [left.eq(request.payload.words), index.eq(request.payload.address // word)]
        return m


class Master(Elaboratable):
    """AxiMaster under any traffic of its memory port, any slave that keeps AXI's rules, and `abandon` at any time."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        master = self.master = axi.AxiMaster(config)
        inside = self.inside = Inside(master)
        m.submodules.dut = inside.fragment
        read, write = master.read, master.write
        m.d.comb += [
            Assume(~ResetSignal()),
            master.abandon.eq(AnySeq(1)),
            read.data.ready.eq(AnySeq(1)),
            write.data.valid.eq(AnySeq(1)),
            write.data.payload.eq(AnySeq(len(write.data.payload.as_value()))),
            write.response.ready.eq(AnySeq(1)),
        ]
        given(m, "data", write.data.valid, write.data.ready, write.data.payload.as_value(), unless=master.abandon)
        for name, half in (("read", read), ("write", write)):
            request = half.request
            m.d.comb += [
                request.valid.eq(AnySeq(1)),
                request.payload.eq(AnySeq(len(request.payload.as_value()))),
                Assume(request.payload.words != 0),
                Assume(request.payload.address % config.memory_bytes == 0),
            ]
            given(m, name, request.valid, request.ready, request.payload.as_value(), unless=master.abandon)
        for name, member in axi.axi4_ports(config).items():
            if member.flow.name == "In":
                m.d.comb += getattr(master, name).eq(AnySeq(member.shape))
        self._constants(m)
        self._read(m)
        self._write(m)
        return m

    def _constants(self, m: Module) -> None:
        """INCR bursts of whole beats and one identifier on both address channels."""
        beat_bits = (self.config.axi_width // 8 - 1).bit_length()
        for channel in ("ar", "aw"):
            for name, value in (("burst", axi.INCR), ("size", beat_bits), ("id", 0), ("lock", 0)):
                m.d.comb += Assert(getattr(self.master, f"m_axi_{channel}{name}") == value)

    def _read(self, m: Module) -> None:
        master, config = self.master, self.config
        depth = config.axi_outstanding
        state = FifoState(m, self.inside["read_bursts"], depth, "reads")
        m.d.comb += state.place.eq(0)
        gives(m, "ar", master.m_axi_arvalid, master.m_axi_arready, master.m_axi_araddr, master.m_axi_arlen)
        given(
            m, "r", master.m_axi_rvalid, master.m_axi_rready,
            master.m_axi_rdata, master.m_axi_rresp, master.m_axi_rlast,
        )  # fmt: skip
        with m.If(master.m_axi_arvalid):
            assert_burst(m, config, master.m_axi_araddr, master.m_axi_arlen)
        outstanding = Signal(range(depth + 2))
        finished = Signal()
        m.d.comb += [
            finished.eq(master.m_axi_rvalid & master.m_axi_rready & master.m_axi_rlast),
            Assume(~master.m_axi_rvalid | (outstanding != 0)),
            Assert(outstanding == state.level),
            Assert(~master.m_axi_rready | (outstanding != 0)),
            Assert(~master.read.data.valid | ((outstanding != 0) & master.m_axi_rvalid)),
            Cover(finished & master.read.data.payload.last),
        ]
        m.d.sync += outstanding.eq(outstanding + (master.m_axi_arvalid & master.m_axi_arready) - finished)

    def _write(self, m: Module) -> None:
        master, config = self.master, self.config
        outstanding_most = config.axi_outstanding
        gives(m, "aw", master.m_axi_awvalid, master.m_axi_awready, master.m_axi_awaddr, master.m_axi_awlen)
        gives(
            m, "w", master.m_axi_wvalid, master.m_axi_wready,
            master.m_axi_wdata, master.m_axi_wstrb, master.m_axi_wlast,
        )  # fmt: skip
        given(m, "b", master.m_axi_bvalid, master.m_axi_bready, master.m_axi_bresp)
        with m.If(master.m_axi_awvalid):
            assert_burst(m, config, master.m_axi_awaddr, master.m_axi_awlen)
        # Bursts that were addressed, less those whose data or response is complete. An address is new in the cycle
        # in which it is first offered.
        shown, new, address, last, answer = (
            Signal(name=name) for name in ("shown", "new", "address", "last", "answer")
        )
        no_data, no_answer = Signal(range(outstanding_most + 3)), Signal(range(outstanding_most + 3))
        offered_no_data, offered_no_answer = Signal.like(no_data), Signal.like(no_answer)
        addressed, complete = Signal(range(outstanding_most + 3)), Signal(range(outstanding_most + 3))
        m.d.comb += [
            address.eq(master.m_axi_awvalid & master.m_axi_awready),
            last.eq(master.m_axi_wvalid & master.m_axi_wready & master.m_axi_wlast),
            answer.eq(master.m_axi_bvalid & master.m_axi_bready),
            new.eq(master.m_axi_awvalid & ~shown),
            offered_no_data.eq(no_data + new),
            offered_no_answer.eq(no_answer + new),
        ]
        m.d.sync += [
            shown.eq(master.m_axi_awvalid & ~master.m_axi_awready),
            no_data.eq(offered_no_data - last),
            no_answer.eq(offered_no_answer - answer),
            addressed.eq(addressed + address - answer),
            complete.eq(complete + last - answer),
        ]
        bursts = FifoState(m, self.inside["write_bursts"], 2, "writes")
        responses = FifoState(m, self.inside["write_responses"], outstanding_most, "answers")
        beat = self.inside.signal("beat")
        ending = Signal()  # the last beat of a burst waits on the bus
        m.d.comb += [
            responses.place.eq(0),
            ending.eq(master.m_axi_wvalid & master.m_axi_wlast),
            # A slave answers what it has got the address and all data of.
            Assume(~master.m_axi_bvalid | ((addressed != 0) & (complete != 0))),
            Assert(offered_no_data == bursts.level + ending),
            Assert(offered_no_answer == responses.level),
            Assert(offered_no_answer >= offered_no_data),
            Assert(addressed + master.m_axi_awvalid == offered_no_answer),
            Assert(complete + offered_no_data == offered_no_answer),
            Assert(~new | (bursts.level != 0)),
            Assert(~master.m_axi_wvalid | (offered_no_data != 0)),
            Assert(~master.m_axi_bready | (offered_no_answer != 0)),
            Assert(~master.write.response.valid | master.m_axi_bvalid),
        ]

        # Any burst is marked when its address is first offered: its beats are as many as it said, WLAST with the last.
        marked, mark = Signal(), Signal()
        ahead = Signal.like(no_data)
        length, count = Signal(8), Signal(8)
        moves = Signal()
        waiting = Signal()
        entry = bursts.word
        offset = axi.burst_layout(config)["length"].offset
        m.d.comb += [
            mark.eq(AnySeq(1) & new & ~marked),
            moves.eq(master.m_axi_wvalid & master.m_axi_wready),
            waiting.eq(master.m_axi_wvalid & ~master.m_axi_wlast),
            bursts.place.eq(Mux(marked, ahead, no_data) - ending),
            Cover(marked & moves & (ahead == 0) & master.m_axi_wlast & (length == 2)),
        ]
        with m.If(mark):
            m.d.sync += [marked.eq(1), ahead.eq(no_data - last), length.eq(master.m_axi_awlen), count.eq(0)]
        # The entry made together with the address that is on the bus has the address's length.
        with m.If(new):
            newest = Signal(8)
            m.d.comb += newest.eq(entry[offset : offset + 8])
            with m.If(~marked):
                m.d.comb += Assert(newest == master.m_axi_awlen)
                with m.If(bursts.level == 1):
                    m.d.comb += Assert(beat == 0)
        current = Signal(8)  # beats less one of the burst whose data is being put together
        m.d.comb += [
            current.eq(self.inside.signal("current")[offset : offset + 8]),
            Assert(~waiting | ((bursts.level != 0) & (beat != 0))),
            Assert(Mux(bursts.level != 0, beat <= current, beat == 0)),
        ]
        with m.If(marked):
            m.d.comb += Assert(ahead < offered_no_data)
            with m.If(ahead >= ending):
                m.d.comb += Assert(entry[offset : offset + 8] == length)
                with m.If(ahead == ending):
                    m.d.comb += Assert(count == beat - waiting)
                with m.Else():
                    m.d.comb += Assert(count == 0)
            with m.Else():
                m.d.comb += Assert(count == length)
            with m.If(moves & (ahead == 0)):
                m.d.comb += Assert(master.m_axi_wlast == (count == length))
                m.d.sync += count.eq(count + 1)
            with m.If(last):
                m.d.sync += [ahead.eq(ahead - 1), marked.eq(ahead != 0)]
        return m
