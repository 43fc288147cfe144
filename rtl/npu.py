"""The top: the core and its bus adapters."""

from amaranth.hdl import Module, ResetInserter
from amaranth.lib.wiring import Component, In, Member, Out, connect, flipped

from . import bus
from .axi import AxiLite, AxiMaster, axi4_ports, axi_lite_ports, pass_ports
from .compact_core import CompactCore
from .config import Config
from .core import Core, bus_ports
from .fence import Fence, fence_ports
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


def memory_ports(config: Config) -> dict[str, Member]:
    """The ports of an NPU without AXI: those of the core but for the fences, which are inside."""
    fences = fence_ports(config)
    return {name: member for name, member in bus_ports(config).items() if name not in fences}


class Npu(Component):
    """A complete NPU.

    With `config.axi` its ports are an AXI4 master `m_axi_...` (memory), an AXI4-Lite slave `s_axil_...` (registers),
    `interrupt` and the trace. Without, the core's memory port `read`, `write` and its register port `registers` take
    the place of AXI, and nothing is paid for it; `busy` and `failed` are the core's.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        ports = axi4_ports(config) | axi_lite_ports() if config.axi else memory_ports(config)
        super().__init__({**ports, "interrupt": Out(1), **trace_ports()})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        m.submodules.core = core = CompactCore(config) if config.compact else Core(config)
        if config.axi:
            master = AxiMaster(config)
            m.submodules.master = ResetInserter(core.disconnect)(master)
            m.submodules.slave = slave = AxiLite(bus.register_latency(config))
            connect(m, core.read, master.read)
            connect(m, core.write, master.write)
            for name, member in fence_ports(config).items():
                inner, outer = getattr(core, name), getattr(master, name)
                m.d.comb += outer.eq(inner) if member.flow is In else inner.eq(outer)
            connect(m, slave.registers, core.registers)
            pass_ports(m, axi4_ports(config), self, master)
            pass_ports(m, axi_lite_ports(), self, slave)
            m.d.comb += [master.abandon.eq(core.abandon), core.outstanding.eq(master.busy)]
        else:
            self._connect_memory(m, core)
            connect(m, flipped(self.registers), core.registers)
            m.d.comb += [
                self.abandon.eq(core.abandon),
                self.disconnect.eq(core.disconnect),
                self.busy.eq(core.busy),
                self.failed.eq(core.failed),
                core.outstanding.eq(self.outstanding),
            ]
        m.d.comb += self.interrupt.eq(core.interrupt)
        for unit in Unit:
            for name in ("activity", "tag", "done", "done_tag"):
                port = getattr(self, f"trace_{unit.name.lower()}_{name}")
                m.d.comb += port.eq(getattr(core.trace[unit], name))
        return m

    def _connect_memory(self, m: Module, core: Core) -> None:
        """The core's memory port is the top's, but for the fences."""
        connect(m, core.read.data, flipped(self.read.data))
        connect(m, core.write.data, flipped(self.write.data))
        connect(m, core.write.response, flipped(self.write.response))
        for name in ("read", "write"):
            inner, outer = getattr(core, name).request, getattr(self, name).request
            if not self.config.fences:
                connect(m, inner, flipped(outer))
                continue
            m.submodules[f"{name}_fence"] = fence = Fence(self.config)
            connect(m, inner, fence.i)
            connect(m, fence.o, flipped(outer))
            m.d.comb += [
                fence.window.eq(getattr(core.fences, name)),
                fence.clear.eq(core.abandon),
                getattr(core, f"refused_{name}").eq(fence.refused),
            ]
