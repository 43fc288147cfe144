"""AXI: an AXI4 master for the memory port and an AXI4-Lite slave for the register port.

Sources: AMBA AXI and ACE Protocol Specification, ARM IHI 0022E: valid never waits for ready (A3.2.1), payload
is stable until the handshake (A3.2.1), bursts do not cross 4 KB (A3.4.1), responses (A3.4.4), AXI4-Lite (B1).
"""

from amaranth.hdl import Cat, Const, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import Component, In, Member, Out, connect, flipped
from amaranth.utils import exact_log2

from . import bus
from .config import Config
from .delay import delay_line
from .fence import Window, fence_ports, refusal_layout, window_layout

BOUNDARY_BYTES = 4096
INCR = 1
OKAY = 0
SLVERR = 2
ID_BITS = 1
REGISTER_ADDRESS_BITS = 12

_CONSTANTS = {
    "id": (ID_BITS, 0),
    "size": (3, None),
    "burst": (2, INCR),
    "lock": (1, 0),
    "cache": (4, 0b0011),  # normal memory, not cacheable, bufferable
    "prot": (3, 0),
    "qos": (4, 0),
}


def axi4_ports(config: Config) -> dict[str, Member]:
    """The ports of an AXI4 master, `m_axi_awaddr` and so on, for the top's signature."""
    width = config.axi_width
    ports = {}
    for channel in ("aw", "ar"):
        ports |= {f"{channel}addr": Out(config.address_width), f"{channel}len": Out(8)}
        ports |= {f"{channel}{name}": Out(bits) for name, (bits, _) in _CONSTANTS.items()}
        ports |= {f"{channel}valid": Out(1), f"{channel}ready": In(1)}
    ports |= {
        "wdata": Out(width),
        "wstrb": Out(width // 8),
        "wlast": Out(1),
        "wvalid": Out(1),
        "wready": In(1),
    }
    ports |= {"bid": In(ID_BITS), "bresp": In(2), "bvalid": In(1), "bready": Out(1)}
    ports |= {
        "rid": In(ID_BITS),
        "rdata": In(width),
        "rresp": In(2),
        "rlast": In(1),
        "rvalid": In(1),
        "rready": Out(1),
    }
    return {f"m_axi_{name}": member for name, member in ports.items()}


def axi_lite_ports() -> dict[str, Member]:
    """The ports of an AXI4-Lite slave, `s_axil_awaddr` and so on, for the top's signature."""
    ports = {}
    for channel in ("aw", "ar"):
        ports |= {
            f"{channel}addr": In(REGISTER_ADDRESS_BITS),
            f"{channel}prot": In(3),
            f"{channel}valid": In(1),
            f"{channel}ready": Out(1),
        }
    ports |= {"wdata": In(32), "wstrb": In(4), "wvalid": In(1), "wready": Out(1)}
    ports |= {"bresp": Out(2), "bvalid": Out(1), "bready": In(1)}
    ports |= {"rdata": Out(32), "rresp": Out(2), "rvalid": Out(1), "rready": In(1)}
    return {f"s_axil_{name}": member for name, member in ports.items()}


def pass_ports(m: Module, ports: dict[str, Member], outer: Component, inner: Component) -> None:
    """Connect ports of the same names of a component and of one of its submodules."""
    for name, member in ports.items():
        here, there = getattr(outer, name), getattr(inner, name)
        m.d.comb += here.eq(there) if member.flow is Out else there.eq(here)


def burst_words(config: Config) -> int:
    """Beats of the bursts in the middle of a request: the largest power of two that is neither longer than
    `axi_burst` nor than 4 KB. Such bursts start at multiples of their size, so none crosses 4 KB."""
    longest = min(config.axi_burst, BOUNDARY_BYTES * 8 // config.axi_width)
    return 1 << longest.bit_length() - 1


def lane_bits(config: Config) -> int:
    """Bits of the number of a memory word inside an AXI beat."""
    return exact_log2(config.axi_width // config.memory_width)


def burst_layout(config: Config) -> data.StructLayout:
    """A burst of `length` + 1 beats; its words start in lane `first` of the first beat and end with lane
    `last_lane` of the last one; `last` marks the last burst of a request."""
    lane = unsigned(lane_bits(config))
    return data.StructLayout(
        {
            "address": unsigned(config.address_width),
            "length": 8,
            "first_lane": lane,
            "last_lane": lane,
            "last": 1,
        }
    )


class Splitter(Component):
    """Cuts requests into bursts, one per cycle, the first `LATENCY` cycles after the request was taken.

    While `drop` is set, no request is taken and none is continued beyond the burst that is offered already. With
    config.fences, a request outside `window` is taken and not offered; it is shown as `refused` until `drop`.
    """

    LATENCY = 1

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(
            {
                "request": In(stream.Signature(bus.request_layout(config))),
                "burst": Out(stream.Signature(burst_layout(config))),
                "drop": In(1),
                "busy": Out(1),
                **(
                    {"window": In(window_layout(config)), "refused": Out(refusal_layout(config))}
                    if config.fences
                    else {}
                ),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        word_bits = exact_log2(config.memory_bytes)
        lanes = lane_bits(config)
        beat_bits = word_bits + lanes
        index_bits = exact_log2(burst_words(config))

        beat = Signal(config.address_width - beat_bits)  # address in beats
        left = Signal(bus.words_bits(config))  # beats after this one
        lane = Signal(lanes)
        last_lane = Signal(lanes)
        active = Signal()
        taken = Signal()
        outside = Signal()

        # A burst ends at the next multiple of the burst size, or with the request.
        room = Signal(index_bits)
        last = Signal()
        burst = self.burst.payload
        m.d.comb += [
            room.eq(~beat[:index_bits]),
            last.eq(left <= room),
            burst.address.eq(Cat(Const(0, beat_bits), beat)),
            burst.last.eq(last),
            burst.length.eq(Mux(last, left, room)),
            burst.first_lane.eq(lane),
            burst.last_lane.eq(Mux(last, last_lane, (1 << lanes) - 1)),
            self.burst.valid.eq(active & ~outside),
            taken.eq(active & ~outside & self.burst.ready),
            self.busy.eq(active),
            self.request.ready.eq((~active | (taken & last)) & ~self.drop),
        ]
        with m.If(taken):
            m.d.sync += [
                beat.eq(Cat(Const(0, index_bits), beat[index_bits:] + 1)),
                left.eq(left - room - 1),
                lane.eq(0),
                active.eq(~last & ~self.drop),
            ]
        with m.If(self.request.valid & self.request.ready):
            new = self.request.payload
            end = Signal(bus.words_bits(config) + 1)
            m.d.comb += end.eq(new.address[word_bits:beat_bits] + new.words - 1)
            m.d.sync += [
                active.eq(1),
                beat.eq(new.address[beat_bits:]),
                lane.eq(new.address[word_bits:beat_bits]),
                left.eq(end[lanes:]),
                last_lane.eq(end[:lanes]),
            ]
        if config.fences:
            window = Window(config, self.window)
            with m.If(self.request.ready):
                m.d.sync += outside.eq(self.request.valid & window.refuses(m, self.request.payload))
            with m.If(outside & self.drop):
                m.d.sync += [active.eq(0), outside.eq(0)]
            m.d.comb += [
                self.refused.valid.eq(outside),
                self.refused.address.eq(Cat(Const(0, word_bits), lane, beat)),
            ]
        return m


class AxiMaster(Component):
    """The memory port on AXI4: `read` and `write` in, `m_axi_...` out.

    One identifier, INCR bursts of whole beats. A word is passed on in the cycle in which its beat is there,
    so a beat of n words stays on the bus for n cycles; written words are put together in one register. A
    burst's address never waits for its data, nor the data for the address.

    Members
    -------
    read, write : the memory port.
    abandon : set when the core behind the port failed or is reset: what was requested before is finished as AXI
        obliges, without effect (read data is dropped, words still to be written are written with no strobe
        set, responses are dropped), and requests made in later cycles are taken after that.
    busy : bursts are outstanding.
    fences, refused_read, refused_write : the windows, and the requests outside them that wait to be abandoned; only
        with config.fences.
    """

    LATENCY = Splitter.LATENCY
    """Cycles from a read request's being taken to ARVALID; AWVALID takes one more. None from RDATA to the
    word; one from the last word of a beat to WVALID."""

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(
            {
                "read": In(bus.memory_read(config)),
                "write": In(bus.memory_write(config)),
                "abandon": In(1),
                "busy": Out(1),
                **fence_ports(config),
                **axi4_ports(config),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        constants = _CONSTANTS | {"size": (3, exact_log2(self.config.axi_width // 8))}
        for channel in ("aw", "ar"):
            for name, (_, value) in constants.items():
                m.d.comb += getattr(self, f"m_axi_{channel}{name}").eq(value)
        abandoned = Signal()
        drop = Signal()
        reading = Signal()
        writing = Signal()
        m.d.comb += [self.busy.eq(reading | writing), drop.eq(self.abandon | abandoned)]
        m.d.sync += abandoned.eq(drop & self.busy)
        self._read(m, drop, reading)
        self._write(m, drop, writing)
        return m

    def _read(self, m: Module, drop: Signal, busy: Signal) -> None:
        config = self.config
        m.submodules.read_splitter = splitter = Splitter(config)
        layout = burst_layout(config)
        m.submodules.read_bursts = bursts = SyncFIFO(width=layout.size, depth=config.axi_outstanding)
        connect(m, flipped(self.read.request), splitter.request)
        if config.fences:
            m.d.comb += [splitter.window.eq(self.fences.read), self.refused_read.eq(splitter.refused)]
        burst = splitter.burst
        m.d.comb += [
            splitter.drop.eq(drop),
            busy.eq(splitter.busy | bursts.r_rdy),
            self.m_axi_arvalid.eq(burst.valid & bursts.w_rdy),
            self.m_axi_araddr.eq(burst.payload.address),
            self.m_axi_arlen.eq(burst.payload.length),
            burst.ready.eq(self.m_axi_arready & bursts.w_rdy),
            bursts.w_en.eq(burst.valid & self.m_axi_arready),
            bursts.w_data.eq(burst.payload),
        ]

        arriving = Signal(layout)
        begin = Signal(init=1)
        following = Signal(lane_bits(config))
        lane = Signal(lane_bits(config))
        end_of_beat = Signal()
        word = self.read.data
        taken = Signal()
        m.d.comb += [
            arriving.eq(bursts.r_data),
            lane.eq(Mux(begin, arriving.first_lane, following)),
            end_of_beat.eq(lane == Mux(self.m_axi_rlast, arriving.last_lane, ~Const(0, lane_bits(config)))),
            word.valid.eq(self.m_axi_rvalid & bursts.r_rdy & ~drop),
            word.payload.data.eq(self.m_axi_rdata.word_select(lane, config.memory_width)),
            word.payload.last.eq(self.m_axi_rlast & arriving.last & end_of_beat),
            word.payload.error.eq(self.m_axi_rresp[1]),
            word.payload.decode.eq(self.m_axi_rresp.all()),
            self.m_axi_rready.eq(bursts.r_rdy & (drop | (word.ready & end_of_beat))),
            taken.eq(self.m_axi_rvalid & self.m_axi_rready),
            bursts.r_en.eq(taken & self.m_axi_rlast),
        ]
        with m.If(taken):
            m.d.sync += [following.eq(0), begin.eq(self.m_axi_rlast)]
        with m.Elif(word.valid & word.ready):
            m.d.sync += [following.eq(lane + 1), begin.eq(0)]

    def _write(self, m: Module, drop: Signal, busy: Signal) -> None:
        config = self.config
        lanes = lane_bits(config)
        m.submodules.write_splitter = splitter = Splitter(config)
        layout = burst_layout(config)
        m.submodules.write_bursts = bursts = SyncFIFO(width=layout.size, depth=2)
        m.submodules.write_responses = responses = SyncFIFO(width=1, depth=config.axi_outstanding)
        connect(m, flipped(self.write.request), splitter.request)
        if config.fences:
            m.d.comb += [splitter.window.eq(self.fences.write), self.refused_write.eq(splitter.refused)]

        # A slave may wait for WVALID before it takes the address: the data sets out together with it.
        burst = splitter.burst
        issued = Signal()
        m.d.comb += [
            splitter.drop.eq(drop),
            busy.eq(splitter.busy | responses.r_rdy),
            burst.ready.eq((~self.m_axi_awvalid | self.m_axi_awready) & bursts.w_rdy & responses.w_rdy),
            issued.eq(burst.valid & burst.ready),
            bursts.w_en.eq(issued),
            bursts.w_data.eq(burst.payload),
            responses.w_en.eq(issued),
            responses.w_data.eq(burst.payload.last),
        ]
        with m.If(issued):
            m.d.sync += [
                self.m_axi_awvalid.eq(1),
                self.m_axi_awaddr.eq(burst.payload.address),
                self.m_axi_awlen.eq(burst.payload.length),
            ]
        with m.Elif(self.m_axi_awready):
            m.d.sync += self.m_axi_awvalid.eq(0)

        current = Signal(layout)
        begin = Signal(init=1)  # of a burst
        fresh = Signal(init=1)  # no word of the next beat is in the register
        beat = Signal(8)
        following = Signal(lanes)
        lane = Signal(lanes)
        last_beat = Signal()
        end_of_beat = Signal()
        word = self.write.data
        room = Signal()
        taken = Signal()
        m.d.comb += [
            current.eq(bursts.r_data),
            lane.eq(Mux(begin, current.first_lane, following)),
            last_beat.eq(beat == current.length),
            end_of_beat.eq(lane == Mux(last_beat, current.last_lane, ~Const(0, lanes))),
            room.eq(bursts.r_rdy & (~self.m_axi_wvalid | self.m_axi_wready)),
            word.ready.eq(room & ~drop),
            taken.eq(room & (word.valid | drop)),
            bursts.r_en.eq(taken & end_of_beat & last_beat),
        ]
        with m.If(taken):
            m.d.sync += [
                begin.eq(end_of_beat & last_beat),
                fresh.eq(end_of_beat),
                following.eq(lane + 1),
                self.m_axi_wlast.eq(last_beat),
            ]
            with m.If(end_of_beat):
                m.d.sync += beat.eq(Mux(last_beat, 0, beat + 1))
            with m.If(fresh):
                m.d.sync += self.m_axi_wstrb.eq(0)
            strobe_bits = config.memory_bytes
            for index in range(1 << lanes):
                # Not a Switch: Yosys drops the assignments in one on a signal of no bits, when another precedes.
                with m.If(lane == index):
                    m.d.sync += [
                        self.m_axi_wdata.word_select(index, config.memory_width).eq(word.payload.data),
                        self.m_axi_wstrb.word_select(index, strobe_bits).eq(Mux(drop, 0, word.payload.strobe)),
                    ]
        m.d.sync += self.m_axi_wvalid.eq(Mux(taken, end_of_beat, self.m_axi_wvalid & ~self.m_axi_wready))

        # One response per request: the worst of its bursts'.
        failed = Signal(bus.response_layout())
        answer = self.write.response
        answered = Signal()
        m.d.comb += [
            answer.valid.eq(self.m_axi_bvalid & responses.r_rdy & responses.r_data & ~drop),
            answer.payload.error.eq(failed.error | self.m_axi_bresp[1]),
            answer.payload.decode.eq(failed.decode | self.m_axi_bresp.all()),
            self.m_axi_bready.eq(responses.r_rdy & (drop | answer.ready)),
            answered.eq(self.m_axi_bvalid & self.m_axi_bready),
            responses.r_en.eq(answered),
        ]
        with m.If(drop):
            m.d.sync += failed.eq(0)
        with m.Elif(answered):
            m.d.sync += failed.eq(Mux(responses.r_data, 0, answer.payload.as_value()))


class AxiLite(Component):
    """An AXI4-Lite slave, `s_axil_...`, in front of the register port.

    One access per cycle; reads and writes that wait for each other take turns. Addresses are cut to whole
    registers. Only whole registers are written: a write with some but not all strobes set changes nothing and
    answers SLVERR, one with no strobe set changes nothing.
    """

    WRITE_LATENCY = 1
    """Cycles from AWVALID and WVALID to BVALID."""

    def __init__(self, register_latency: int = 1) -> None:
        self.register_latency = register_latency
        self.READ_LATENCY = 1 + register_latency
        """Cycles from ARVALID to RVALID."""
        super().__init__({"registers": Out(bus.register_port()), **axi_lite_ports()})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        registers = self.registers
        can_write = Signal()
        can_read = Signal()
        write = Signal()
        read = Signal()
        reading, waiting = Signal(), Signal()
        turn = Signal()  # who goes first when both can: 0 write, 1 read
        whole = Signal()
        address = Signal(REGISTER_ADDRESS_BITS)
        m.d.comb += [
            can_write.eq(self.s_axil_awvalid & self.s_axil_wvalid & (~self.s_axil_bvalid | self.s_axil_bready)),
            can_read.eq(self.s_axil_arvalid & ~waiting & (~self.s_axil_rvalid | self.s_axil_rready)),
            write.eq(can_write & ~(can_read & turn)),
            read.eq(can_read & ~(can_write & ~turn)),
            whole.eq(self.s_axil_wstrb.all()),
            self.s_axil_awready.eq(write),
            self.s_axil_wready.eq(write),
            self.s_axil_arready.eq(read),
            address.eq(Mux(read, self.s_axil_araddr, self.s_axil_awaddr)),
            registers.address.eq(Cat(Const(0, 2), address[2:])),
            registers.write.eq(write & whole),
            registers.write_data.eq(self.s_axil_wdata),
            registers.read.eq(read),
            self.s_axil_rresp.eq(OKAY),
        ]
        with m.If(read | write):
            m.d.sync += turn.eq(write)
        stages = delay_line(m, "reading", read, self.register_latency)
        m.d.comb += [waiting.eq(Cat(stages[1:]).any()), reading.eq(stages[-1])]

        with m.If(write):
            m.d.sync += [
                self.s_axil_bvalid.eq(1),
                self.s_axil_bresp.eq(Mux(whole | ~self.s_axil_wstrb.any(), OKAY, SLVERR)),
            ]
        with m.Elif(self.s_axil_bready):
            m.d.sync += self.s_axil_bvalid.eq(0)

        with m.If(reading):
            m.d.sync += [self.s_axil_rvalid.eq(1), self.s_axil_rdata.eq(registers.read_data)]
        with m.Elif(self.s_axil_rready):
            m.d.sync += self.s_axil_rvalid.eq(0)
        return m
