"""The accumulator's small form: one memory for both halves and all columns."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from .accumulator import commit_latency, control_layout, slot_layout
from .config import Config
from .memory import Memory1R1W


class CompactAccumulator(Component):
    """A memory of 2 * `accumulators` rows of C sums; additions wrap modulo 2^32.

    All columns are in step. A row is read in one cycle; in the next its sums are there, are added and written. A row
    that goes to the same entry as the one before gets the newest sums instead of what was read.

    The memory's one reading port serves the drain, too: control.slot takes the place of a row.

    Members
    -------
    control : control_layout; the row whose sums are valid a cycle later, or the drain's read.
    sums : C x signed(32).
    committed : one pulse, in the cycle after the sums of the row with `commit`.
    read, read_data : control.slot of a cycle before, and the sum that it asked for.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.commit_latency = commit_latency(config)
        super().__init__(
            {
                "control": In(control_layout(config)),
                "sums": In(data.ArrayLayout(signed(32), config.cols)),
                "committed": Out(1),
                "read": Out(slot_layout(config)),
                "read_data": Out(signed(32)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        control = self.control
        m.submodules.memory = memory = Memory1R1W(32 * config.cols, 2 << config.entry_bits)
        address = Cat(control.entry, control.half)
        valid, overwrite, newest = (Signal(name=name) for name in ("valid", "overwrite", "newest"))
        line = Signal.like(memory.write.address)
        commit = Signal()
        m.d.comb += [
            memory.read.address.eq(address),
            memory.read.enable.eq(control.valid | control.slot.valid),
            memory.write.address.eq(line),
            memory.write.enable.eq(valid),
        ]
        m.d.sync += [
            valid.eq(control.valid),
            line.eq(address),
            overwrite.eq(control.overwrite),
            newest.eq(valid & (line == address)),
            commit.eq(control.valid & control.commit),
            self.committed.eq(commit),
            self.read.eq(control.slot),
        ]
        with m.Switch(self.read.column):
            for col in range(config.cols):
                old = memory.read.data.word_select(col, 32)
                new = Signal(32, name=f"new_{col}")
                last = Signal(32, name=f"last_{col}", reset_less=True)
                m.d.comb += [
                    new.eq(Mux(overwrite, 0, Mux(newest, last, old)) + self.sums[col]),
                    memory.write.data.word_select(col, 32).eq(new),
                ]
                m.d.sync += last.eq(new)
                with m.Case(col):
                    m.d.comb += self.read_data.eq(old)
        return m
