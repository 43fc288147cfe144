"""The accumulator's small form: one memory for both halves and all columns."""

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data
from amaranth.lib.wiring import Component, In, Out

from .accumulator import commit_latency, control_layout, slot_layout
from .config import Config
from .memory import Memory1R1W

SHORT_PASS = 3
"""Cycles from which on passes are long enough that a row cannot come to the entry of the row before last too soon."""


class CompactAccumulator(Component):
    """A memory of 2 * `accumulators` rows of C sums; additions wrap modulo 2^32.

    All columns are in step. A row is read in one cycle; in the next its sums are there and are added, into registers
    that are written in the one after. A row that goes to the same entry as the one before gets the sums in these
    registers instead of what was read, however long ago that was.

    A row must not go to the entry of the row before last while that is written: in the second cycle after it, with a
    row to another entry between. Where passes may be shorter than three cycles, what is written is kept for a cycle
    longer, and any sequence of entries is exact.

    The memory's one reading port serves the drain, too: control.slot takes the place of a row.

    Members
    -------
    control : control_layout; the row whose sums are valid a cycle later, or the drain's read.
    sums : C x signed(32).
    committed : one pulse, in the cycle after the sums of the row with `commit`; reads in later cycles see all sums.
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
        valid, overwrite, newest, written, commit = (
            Signal(name=name) for name in ("valid", "overwrite", "newest", "written", "commit")
        )
        line, written_line = (
            Signal(memory.write.address.shape(), name=name, reset_less=True) for name in ("line", "written_line")
        )
        m.d.comb += [
            memory.read.address.eq(address),
            memory.read.enable.eq(control.valid | control.slot.valid),
            memory.write.address.eq(written_line),
            memory.write.enable.eq(written),
        ]
        m.d.sync += [
            valid.eq(control.valid),
            overwrite.eq(control.overwrite),
            newest.eq(line == address),
            written.eq(valid),
            commit.eq(control.valid & control.commit),
            self.committed.eq(commit),
            self.read.eq(control.slot),
        ]
        with m.If(control.valid):
            m.d.sync += line.eq(address)
        with m.If(valid):
            m.d.sync += written_line.eq(line)
        short = config.weight_steps < SHORT_PASS
        late = Signal()
        if short:
            m.d.sync += late.eq(written & (written_line == address))
        olds = [memory.read.data.word_select(col, 32) for col in range(config.cols)]
        with m.Switch(self.read.column):
            for col, old in enumerate(olds):
                with m.Case(col):
                    m.d.comb += self.read_data.eq(old)
        for col, old in enumerate(olds):
            new = Signal(32, name=f"new_{col}")
            last = Signal(32, name=f"last_{col}", reset_less=True)
            if short:
                before = Signal(32, name=f"before_{col}", reset_less=True)
                m.d.sync += before.eq(last)
                old = Mux(late, before, old)
            m.d.comb += [
                new.eq(Mux(overwrite, 0, Mux(newest, last, old)) + self.sums[col]),
                memory.write.data.word_select(col, 32).eq(last),
            ]
            with m.If(valid):
                m.d.sync += last.eq(new)
        return m
