"""The scratchpad: two writers and two readers share its banks, and every byte is as if each had them alone."""

from amaranth.asserts import AnyConst
from amaranth.hdl import Assert, Assume, Cat, Cover, Elaboratable, Module, Mux, ResetSignal, Signal
from weft.rtl.config import Config
from weft.rtl.scratchpad import Scratchpad, address_bits, read_latency

from .dma import drive
from .inside import Inside


class Bytes(Elaboratable):
    """Any one byte of the scratchpad, against a register that holds what was written to it last.

    In one cycle a bank takes one writer alone, the drain before the load unit; what the byte's bank holds WRITE_LATENCY
    cycles later is that writer's byte. A read gives the reader that was granted, and no other, what the bank held when
    it was read.
    """

    def __init__(self, config: Config) -> None:
        self.config = config

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        scratchpad = Scratchpad(config)
        inside = Inside(scratchpad)
        m.submodules.dut = inside.fragment
        size, bits = config.word_bytes, address_bits(config)
        offset_bits = (size - 1).bit_length()
        drive(m, scratchpad, "array_read", "drain_write")
        drive(m, scratchpad.load_write, "valid", "payload")
        drive(m, scratchpad.store_read, "valid", "payload")
        m.d.comb += Assume(~ResetSignal())
        place = Signal(bits)
        m.d.comb += place.eq(AnyConst(bits))

        # Who writes the byte, and what.
        drain, load = scratchpad.drain_write, scratchpad.load_write

        def byte_of(address: Signal, values: Signal, strobes: Signal, count: int) -> tuple[Signal, Signal]:
            distance = Signal(bits, name="distance")
            m.d.comb += distance.eq(place - address)
            near = distance < count
            index = distance[: max(1, (count - 1).bit_length())]
            return near & strobes.bit_select(index, 1), values.word_select(index, 8)

        drains, drained = byte_of(drain.address, drain.data.as_value(), drain.strobe, config.lanes)
        loads, loaded = byte_of(load.payload.address, load.payload.data, load.payload.strobe, config.memory_bytes)
        drain_writes, load_writes = Signal(), Signal()
        m.d.comb += [
            drain_writes.eq(drain.enable & drains),
            load_writes.eq(load.valid & load.ready & loads),
            Assert(~(drain_writes & load_writes)),
        ]
        written, value = Signal(), Signal(8)
        m.d.sync += [written.eq(drain_writes | load_writes), value.eq(Mux(drain_writes, drained, loaded))]

        # The byte in its bank: the model knows it from its first write on.
        known, model = Signal(), Signal(8)
        with m.If(written):
            m.d.sync += [known.eq(1), model.eq(value)]
        line = Signal(max(1, bits - offset_bits - 1))
        m.d.comb += line.eq(place[offset_bits + 1 :])
        words = [inside[bank]["memory"].word(line) for bank in ("even", "odd")]
        lane = place[:offset_bits]
        stored = Signal(8)
        m.d.comb += [
            stored.eq(Mux(place[offset_bits], words[1].word_select(lane, 8), words[0].word_select(lane, 8))),
            Assert(~known | (stored == model)),
        ]
        # What is about to be written is what was taken: the register in front of the banks.
        enables = [inside.signal(f"{bank}_enable") for bank in ("even", "odd")]
        lines = [inside.signal(f"{bank}_line") for bank in ("even", "odd")]
        held = [inside.signal(f"{bank}_lanes") for bank in ("even", "odd")]
        lanes = Signal.like(held[0])
        m.d.comb += lanes.eq(Mux(place[offset_bits], held[1], held[0]))
        hits = [enable.bit_select(lane, 1) & (at == line) for enable, at in zip(enables, lines, strict=True)]
        pending = Signal()
        m.d.comb += [
            pending.eq(Mux(place[offset_bits], hits[1], hits[0])),
            Assert(pending == written),
            Assert(~written | (Cat(lanes.replicate(size * 8 // len(lanes))).word_select(lane, 8) == value)),
        ]

        # Two readers: the array is never kept waiting, and the store unit gets what it was granted.
        array, store = scratchpad.array_read, scratchpad.store_read
        granted = Signal(read_latency(scratchpad.config))
        m.d.sync += granted.eq(Cat(store.valid & store.ready, granted[:-1]))
        m.d.comb += [
            Assert(~(array.enable & store.ready)),
            Assert(scratchpad.store_valid == granted[-1]),
            Assert(inside.signal("store_delay_1") == granted[0]),
            Cover(drain_writes & load.valid),
            Cover(known & load_writes & (model != loaded)),
        ]
        return m
