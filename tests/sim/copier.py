"""The smallest top with the NPU's ports: one run copies one AXI burst. It tests the harness alone."""

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import Component, Out
from weft.rtl.axi import axi4_ports, axi_lite_ports
from weft.rtl.config import Config
from weft.rtl.npu import trace_ports
from weft.rtl.registers import BY_NAME, IDENTITY, Activity, Control, Status

LOAD_TAG = 7
STORE_TAG = 40000

FIXED, NO_LAST, NEVER_DONE = 0x100, 0x200, 0x400
"""Bits of the PROGRAM register, above the number of beats - 1."""


class Copier(Component):
    """PROGRAM: bits 0 to 7 beats - 1, and FIXED: a burst that is not INCR, NO_LAST: WLAST stays low, NEVER_DONE:
    the response is ignored when the strobes are all ones. BASE_1: from. BASE_2: to. BASE_3: strobes, repeated."""

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(axi4_ports(config) | axi_lite_ports() | {"interrupt": Out(1)} | trace_ports())

    def elaborate(self, platform: object) -> Module:
        m = Module()
        names = ("PROGRAM", "BASE_0", "BASE_1", "BASE_2", "BASE_3")
        values = {name: Signal(32, name=name.lower()) for name in names}
        enable, done, failed, running, cycles = Signal(), Signal(), Signal(), Signal(), Signal(32)
        start = self._registers(m, values, enable, done, failed, running, cycles)

        program = values["PROGRAM"]
        width = self.config.axi_width // 8
        for channel, base in (("ar", "BASE_1"), ("aw", "BASE_2")):
            valid = getattr(self, f"m_axi_{channel}valid")
            m.d.comb += [
                getattr(self, f"m_axi_{channel}addr").eq(values[base]),
                getattr(self, f"m_axi_{channel}len").eq(program[:8]),
                getattr(self, f"m_axi_{channel}size").eq(width.bit_length() - 1),
                getattr(self, f"m_axi_{channel}burst").eq(~program[8]),
            ]
            with m.If(start):
                m.d.sync += valid.eq(1)
            with m.Elif(getattr(self, f"m_axi_{channel}ready")):
                m.d.sync += valid.eq(0)
        m.d.comb += [
            self.m_axi_wvalid.eq(self.m_axi_rvalid),
            self.m_axi_rready.eq(self.m_axi_wready),
            self.m_axi_wdata.eq(self.m_axi_rdata),
            self.m_axi_wlast.eq(self.m_axi_rlast & ~program[9]),
            self.m_axi_wstrb.eq(values["BASE_3"].replicate(4)),
            self.m_axi_bready.eq(1),
        ]
        hang = program[10] & values["BASE_3"].all()
        answered = self.m_axi_bvalid & ~hang
        bad = Signal()
        with m.If(self.m_axi_rvalid & self.m_axi_rready):
            m.d.sync += bad.eq(bad | self.m_axi_rresp.any())
        with m.If(start):
            m.d.sync += [running.eq(1), cycles.eq(0), bad.eq(0)]
        with m.If(running):
            m.d.sync += cycles.eq(cycles + 1)
            with m.If(answered):
                m.d.sync += running.eq(0)
                with m.If(bad | self.m_axi_bresp.any()):
                    m.d.sync += failed.eq(1)
                with m.Else():
                    m.d.sync += done.eq(1)
        m.d.comb += self.interrupt.eq(enable & (done | failed))

        reading, writing = Signal(), Signal()
        with m.If(start):
            m.d.sync += [reading.eq(1), writing.eq(1)]
        with m.If(self.m_axi_rvalid & self.m_axi_rready & self.m_axi_rlast):
            m.d.sync += reading.eq(0)
            m.d.comb += self.trace_load_done.eq(1)
        with m.If(answered):
            m.d.sync += writing.eq(0)
            m.d.comb += self.trace_store_done.eq(1)
        moving = self.m_axi_rvalid & self.m_axi_rready
        for name, busy, tag in (("load", reading, LOAD_TAG), ("store", writing, STORE_TAG)):
            activity = getattr(self, f"trace_{name}_activity")
            with m.If(busy):
                m.d.comb += activity.eq(Activity.WAIT_MEMORY)
                with m.If(moving):
                    m.d.comb += activity.eq(Activity.BUSY)
            m.d.comb += getattr(self, f"trace_{name}_tag").eq(tag)
            m.d.comb += getattr(self, f"trace_{name}_done_tag").eq(tag)
        for name in ("array", "drain"):
            for port in ("activity", "tag", "done", "done_tag"):
                m.d.comb += getattr(self, f"trace_{name}_{port}").eq(0)
        return m

    def _registers(
        self,
        m: Module,
        values: dict[str, Signal],
        enable: Signal,
        done: Signal,
        failed: Signal,
        running: Signal,
        cycles: Signal,
    ) -> Signal:
        """AXI4-Lite: one write and one read at a time."""
        start, write, has_address, has_data = Signal(), Signal(), Signal(), Signal()
        address, data = Signal(12), Signal(32)
        m.d.comb += [
            self.s_axil_awready.eq(~has_address),
            self.s_axil_wready.eq(~has_data),
            self.s_axil_arready.eq(~self.s_axil_rvalid),
            write.eq(has_address & has_data & ~self.s_axil_bvalid),
            start.eq(write & (address == BY_NAME["CONTROL"].offset) & data[Control.START]),
        ]
        with m.If(self.s_axil_awvalid & self.s_axil_awready):
            m.d.sync += [has_address.eq(1), address.eq(self.s_axil_awaddr)]
        with m.If(self.s_axil_wvalid & self.s_axil_wready):
            m.d.sync += [has_data.eq(1), data.eq(self.s_axil_wdata)]
        with m.If(self.s_axil_bvalid & self.s_axil_bready):
            m.d.sync += self.s_axil_bvalid.eq(0)
        with m.If(write):
            m.d.sync += [has_address.eq(0), has_data.eq(0), self.s_axil_bvalid.eq(1)]
            with m.Switch(address):
                for name, value in values.items():
                    with m.Case(BY_NAME[name].offset):
                        m.d.sync += value.eq(data)
                with m.Case(BY_NAME["CONTROL"].offset):
                    m.d.sync += enable.eq(data[Control.INTERRUPT_ENABLE])
                with m.Case(BY_NAME["STATUS"].offset):
                    m.d.sync += [
                        done.eq(done & ~data[Status.DONE]),
                        failed.eq(failed & ~data[Status.ERROR]),
                    ]
        with m.If(self.s_axil_rvalid & self.s_axil_rready):
            m.d.sync += self.s_axil_rvalid.eq(0)
        status = (running << Status.BUSY) | (done << Status.DONE) | (failed << Status.ERROR)
        with m.If(self.s_axil_arvalid & self.s_axil_arready):
            m.d.sync += [self.s_axil_rvalid.eq(1), self.s_axil_rdata.eq(0)]
            with m.Switch(self.s_axil_araddr):
                for name, value in {
                    **values,
                    "IDENTITY": IDENTITY,
                    "DIGEST": self.config.digest32,
                    "CYCLES": cycles,
                    "STATUS": status,
                }.items():
                    with m.Case(BY_NAME[name].offset):
                        m.d.sync += self.s_axil_rdata.eq(value)
        return start
