"""The load and the store unit between AXI and a scratchpad, and the register port behind AXI4-Lite, as one
top."""

from amaranth.hdl import Module, ResetInserter
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out, connect, flipped
from weft.rtl import bus, isa
from weft.rtl.axi import AxiLite, AxiMaster, axi4_ports, axi_lite_ports, pass_ports
from weft.rtl.config import Config
from weft.rtl.dma import LoadUnit, StoreUnit, error_layout
from weft.rtl.registers import BASES
from weft.rtl.scratchpad import Scratchpad

TOP = "dma_top"


class DmaTop(Component):
    """`array_reads` and `drain_writes` take the scratchpad's ports away from the units for a cycle; `abandon`
    resets the units in the midst of their transfers."""

    def __init__(self, config: Config) -> None:
        self.config = config
        space = Out(stream.Signature(bus.local_write_layout(config, isa.LOCAL_BITS)))
        super().__init__(
            {
                "load": In(stream.Signature(isa.LOAD)),
                "store": In(stream.Signature(isa.STORE)),
                "fetch": In(bus.memory_read(config)),
                "bases": In(data.ArrayLayout(config.address_width, BASES)),
                "weights": space,
                "parameters": space,
                "array_reads": In(1),
                "drain_writes": In(1),
                "load_done": Out(1),
                "store_done": Out(1),
                "load_error": Out(error_layout(config)),
                "store_error": Out(error_layout(config)),
                "abandon": In(1),
                "busy": Out(1),
                "registers": Out(bus.register_port()),
                **axi4_ports(config),
                **axi_lite_ports(),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        load, store, arbiter = LoadUnit(config), StoreUnit(config), bus.ReadArbiter(config)
        resettable = ResetInserter(self.abandon)
        m.submodules.load_unit = resettable(load)
        m.submodules.store_unit = resettable(store)
        m.submodules.arbiter = resettable(arbiter)
        m.submodules.scratchpad = scratchpad = Scratchpad(config)
        m.submodules.master = master = AxiMaster(config)
        m.submodules.slave = slave = AxiLite()
        connect(m, flipped(self.load), load.instruction)
        connect(m, flipped(self.store), store.instruction)
        connect(m, flipped(self.fetch), arbiter.fetch)
        connect(m, load.memory, arbiter.load)
        connect(m, arbiter.port, master.read)
        connect(m, store.memory, master.write)
        connect(m, load.weights, flipped(self.weights))
        connect(m, load.parameters, flipped(self.parameters))
        connect(m, store.store_read, scratchpad.store_read)
        connect(m, slave.registers, flipped(self.registers))
        pass_ports(m, axi4_ports(config), self, master)
        pass_ports(m, axi_lite_ports(), self, slave)
        m.d.comb += [
            store.store_data.eq(scratchpad.store_data),
            store.store_valid.eq(scratchpad.store_valid),
            scratchpad.array_read.enable.eq(self.array_reads),
            scratchpad.load_write.payload.eq(load.scratchpad.payload),
            scratchpad.load_write.valid.eq(load.scratchpad.valid & ~self.drain_writes),
            load.scratchpad.ready.eq(scratchpad.load_write.ready & ~self.drain_writes),
            load.bases.eq(self.bases),
            store.bases.eq(self.bases),
            self.load_done.eq(load.done),
            self.store_done.eq(store.done),
            self.load_error.eq(load.error),
            self.store_error.eq(store.error),
            master.abandon.eq(self.abandon),
            self.busy.eq(master.busy),
        ]
        return m
