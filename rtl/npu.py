"""The top: the core and its bus adapters."""

from amaranth.hdl import Module
from amaranth.lib.wiring import Component, Member, Out, connect, flipped

from .axi import AxiLite, AxiMaster, axi4_ports, axi_lite_ports, pass_ports
from .config import Config
from .core import Core, bus_ports
from .registers import Activity, Unit


def trace_ports() -> dict[str, Member]:
    """`trace_load_activity` and so on: see core.trace_layout. They cost nothing where they are left open."""
    ports: dict[str, Member] = {}
    for unit in Unit:
        name = f"trace_{unit.name.lower()}"
        ports |= {
            f"{name}_activity": Out(Activity),
            f"{name}_tag": Out(16),
            f"{name}_done": Out(1),
            f"{name}_done_tag": Out(16),
        }
    return ports


class Npu(Component):
    """A complete NPU.

    With `config.axi` its ports are an AXI4 master `m_axi_...` (memory), an AXI4-Lite slave `s_axil_...` (registers),
    `interrupt` and the trace. Without, the core's memory port `read`, `write` and its register port `registers` take
    the place of AXI, and nothing is paid for it.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        ports = axi4_ports(config) | axi_lite_ports() if config.axi else bus_ports(config)
        super().__init__({**ports, "interrupt": Out(1), **trace_ports()})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        m.submodules.core = core = Core(config)
        if config.axi:
            m.submodules.master = master = AxiMaster(config)
            m.submodules.slave = slave = AxiLite()
            connect(m, core.read, master.read)
            connect(m, core.write, master.write)
            connect(m, slave.registers, core.registers)
            pass_ports(m, axi4_ports(config), self, master)
            pass_ports(m, axi_lite_ports(), self, slave)
            m.d.comb += master.abandon.eq(core.abandon)
        else:
            connect(m, core.read, flipped(self.read))
            connect(m, core.write, flipped(self.write))
            connect(m, flipped(self.registers), core.registers)
            m.d.comb += self.abandon.eq(core.abandon)
        m.d.comb += self.interrupt.eq(core.interrupt)
        for unit in Unit:
            for name in ("activity", "tag", "done", "done_tag"):
                port = getattr(self, f"trace_{unit.name.lower()}_{name}")
                m.d.comb += port.eq(getattr(core.trace[unit], name))
        return m
