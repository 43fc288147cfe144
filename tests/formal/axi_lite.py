"""The AXI4-Lite slave in front of the real registers: one response per access, none without, all payloads stable."""

from amaranth.asserts import AnyConst, AnySeq
from amaranth.hdl import Assert, Assume, Cover, Elaboratable, Module, Mux, ResetSignal, Signal
from amaranth.lib.wiring import In, connect
from weft.rtl import axi, registers
from weft.rtl.config import Config
from weft.rtl.control import ControlRegisters

from .inside import Inside
from .streams import given, gives


class Registers(Elaboratable):
    """AxiLite and ControlRegisters under any master that keeps AXI's rules, and anything that the hardware reports.

    What was written to a base register last is what is read from it: the register that `chosen` names, in any order of
    accesses, with any pauses.
    """

    def __init__(self, config: Config) -> None:
        self.config = config

    def elaborate(self, platform: object) -> Module:
        m = Module()
        slave, control = axi.AxiLite(), ControlRegisters(self.config)
        inside, behind = Inside(slave), Inside(control)
        m.submodules.slave, m.submodules.control = inside.fragment, behind.fragment
        connect(m, slave.registers, control.port)
        m.d.comb += Assume(~ResetSignal())
        for name, member in axi.axi_lite_ports().items():
            if member.flow is In:
                m.d.comb += getattr(slave, name).eq(AnySeq(member.shape))
        for name, member in control.signature.members.items():
            if member.flow is In and name != "port":
                port = getattr(control, name)
                value = port.as_value() if hasattr(port, "as_value") else port
                m.d.comb += value.eq(AnySeq(len(value)))

        # The master keeps its rules, the slave keeps its own.
        given(m, "aw", slave.s_axil_awvalid, slave.s_axil_awready, slave.s_axil_awaddr)
        given(m, "w", slave.s_axil_wvalid, slave.s_axil_wready, slave.s_axil_wdata, slave.s_axil_wstrb)
        given(m, "ar", slave.s_axil_arvalid, slave.s_axil_arready, slave.s_axil_araddr)
        gives(m, "b", slave.s_axil_bvalid, slave.s_axil_bready, slave.s_axil_bresp)
        gives(m, "r", slave.s_axil_rvalid, slave.s_axil_rready, slave.s_axil_rdata, slave.s_axil_rresp)

        # No response without a request, and one for each.
        writes, data, reads = (Signal(2, name=name) for name in ("writes", "data", "reads"))
        reading = inside.signal("reading_1")
        address, word, answer, asked, told = (
            Signal(name=name) for name in ("address", "word", "answer", "asked", "told")
        )
        m.d.comb += [
            address.eq(slave.s_axil_awvalid & slave.s_axil_awready),
            word.eq(slave.s_axil_wvalid & slave.s_axil_wready),
            answer.eq(slave.s_axil_bvalid & slave.s_axil_bready),
            asked.eq(slave.s_axil_arvalid & slave.s_axil_arready),
            told.eq(slave.s_axil_rvalid & slave.s_axil_rready),
            Assert(writes == data),
            Assert(slave.s_axil_bvalid == (writes != 0)),
            Assert(writes <= 1),
            Assert(reads == slave.s_axil_rvalid + reading),
            Assert(reads <= 1),
            Assert(~slave.s_axil_bvalid | (slave.s_axil_bresp == axi.OKAY) | (slave.s_axil_bresp == axi.SLVERR)),
            Assert(slave.s_axil_rresp == axi.OKAY),
            Cover(answer & told),
        ]
        m.d.sync += [
            writes.eq(writes + address - answer),
            data.eq(data + word - answer),
            reads.eq(reads + asked - told),
        ]

        # What is written is read.
        chosen, width = Signal(2), self.config.address_width
        offset, model, expected, follows = Signal(12), Signal(width), Signal(width), Signal()
        m.d.comb += [
            chosen.eq(AnyConst(2)),
            offset.eq(registers.BY_NAME["BASE_0"].offset + 4 * chosen),
            Assert(control.bases[chosen] == model),
        ]
        with m.If(word & slave.s_axil_wstrb.all() & (slave.s_axil_awaddr[2:] == offset[2:])):
            m.d.sync += model.eq(slave.s_axil_wdata)
        with m.If(asked):
            m.d.sync += [follows.eq(slave.s_axil_araddr[2:] == offset[2:]), expected.eq(model)]
        with m.If(follows & (reads != 0)):
            m.d.comb += Assert(Mux(reading, control.port.read_data, slave.s_axil_rdata) == expected)
            m.d.comb += Cover(told & (expected != 0))
        return m
