"""The two halves of the accumulator: the array and the drain never meet in one, in the whole core."""

from amaranth.hdl import Assert, Assume, Cat, Cover, Elaboratable, Module, Mux, ResetSignal, Signal
from amaranth.lib import data
from weft.rtl import array, isa
from weft.rtl.accumulator import control_layout, control_lead
from weft.rtl.config import Config
from weft.rtl.core import Core
from weft.rtl.feeder import issue_latency

from .dma import drive
from .inside import Inside

CONFIG = Config(
    rows=1, cols=1, weight_tiles=4, scratchpad_bytes=16, accumulators=4, parameter_channels=4, counters=False
)
"""As small as it goes."""

WIDE = CONFIG.replace(
    memory_width=512, axi_width=512, scratchpad_bytes=256, queue_depth=1, fetch_depth=1, axi_outstanding=1
)
"""The memory port takes an instruction in one word, so that a run needs few cycles."""


class Halves(Elaboratable):
    """Core under any host and memory, and any program whose CONVs acquire a half that they or a later one commits with
    a position that yields a sum.

    Halves are filled in turn and drained in turn. Number them as they are acquired: of those committed and not released
    the drain has the oldest; rows on their way to the accumulator belong to later ones. The invariant is that there are
    two of them in all, and that each row is marked with the parity of its half's number.
    """

    def __init__(self, config: Config = CONFIG) -> None:
        self.config = config

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        core = Core(config)
        inside = Inside(core)
        m.submodules.dut = inside.fragment
        feeder, drain, accumulator = inside["array_unit"], inside["drain_unit"], inside["accumulator"]
        drive(m, core.read.request, "ready")
        drive(m, core.read.data, "valid", "payload")
        drive(m, core.write.request, "ready")
        drive(m, core.write.data, "ready")
        drive(m, core.write.response, "valid", "payload")
        drive(m, core.registers, "address", "write", "write_data", "read")
        reset = inside["control"].signal("reset")
        m.d.comb += Assume(~ResetSignal())

        # The order that the program keeps: acquire, accumulate as often as it likes, commit. `held` shows what was
        # accepted in the cycle before.
        accepted, closed, due, is_closed, is_due = (
            Signal(name=name, init=name == "closed") for name in ("accepted", "closed", "due", "is_closed", "is_due")
        )
        held = data.View(isa.CONV, feeder.signal("held"))
        last_issue = feeder.signal("last_issue")
        m.d.comb += [
            is_closed.eq(Mux(accepted, held.commit, closed)),
            is_due.eq(Mux(accepted, held.commit, due)),
            Assume(~accepted | (held.acquire == closed)),
            Assume(~last_issue | feeder.signal("yields")),
        ]
        m.d.sync += [
            accepted.eq(feeder.signal("taken") & ~reset),
            closed.eq(is_closed | reset),
            due.eq(is_due & ~last_issue & ~reset),
        ]
        active, pixels_done = feeder.signal("active"), feeder.signal("pixels_done")
        ends = Cat(feeder.signal(f"last_{name}") for name in ("chunk", "kx", "ky", "n"))
        reads = drain["loops"].signal("issue")
        half, free, full = feeder.signal("half"), feeder.signal("free", "sync"), inside.signal("full")
        begins, at_work = Signal(), Signal()  # pipelined, an instruction begins a cycle after it was taken
        m.d.comb += at_work.eq(active | begins)
        if config.pipelined:
            # What the feeder knows from registers, and a release that the count of full halves hears of a cycle later.
            issue = feeder.signal("issue")
            next_half = Signal(name="next_half")
            counted = Signal(2, name="counted")
            m.d.comb += [
                begins.eq(feeder.signal("accept_1")),
                next_half.eq(half ^ (begins & held.acquire)),
                counted.eq(full - inside.signal("late_release_1")),
                Assert(feeder.signal("may_acquire") == (free != 0)),
                Assert(begins == accepted),
                Assert(~(active & begins)),
                Assert(feeder.signal("n_ends") == ends.all()),
                Assert(feeder.signal("last_pixel") == feeder.signal("last_ox") & feeder.signal("last_oy")),
                Assert(~issue | (active & ~pixels_done)),
                Assert(active | ~pixels_done),
                Assert(full >= inside.signal("late_release_1")),
                Assert(~reads | (drain["loops"].signal("active") & (counted != 0))),
            ]
            half, full = next_half, counted
        m.d.comb += [
            Assert(~is_due | (at_work & held.commit)),
            Assert(~at_work | (is_closed == held.commit)),
            Assert(~(at_work & held.commit) | (is_due == (begins | ~(pixels_done & ends.all())))),
        ]

        # The rows on their way, the youngest first: whether there is one, of which half, and whether it commits.
        rows = [
            (row.valid, row.half, row.valid & row.commit)
            for row in (
                data.View(control_layout(config), feeder.signal(f"control_delay_{cycle}"))
                for cycle in range(1, issue_latency(config) + array.latency(config) - control_lead(config) + 1)
            )
        ]
        entry_bits = control_layout(config)["entry"].width
        for cycle in range(1, config.cols + control_lead(config)):
            rows.append(
                (
                    accumulator.signal(f"valid_{cycle}"),
                    accumulator.signal(f"step_{cycle}")[entry_bits],
                    accumulator.signal(f"commit_{cycle}"),
                )
            )
        leaving = accumulator.signal(f"commit_{config.cols + control_lead(config)}")
        drained = drain.signal("half")
        older = full + leaving
        for index, (valid, of, commit) in reversed(list(enumerate(rows))):
            number = Signal(4, name=f"number_{index}")
            m.d.comb += [
                number.eq(older),
                Assert(~valid | ((of == drained ^ number[0]) & (number + free < 2))),
                Assert(~commit | valid),
            ]
            older = number + commit
        committed = Signal(4)
        is_open = Signal()
        m.d.comb += [
            committed.eq(older),
            is_open.eq(is_due | ~is_closed),
            Assert(free + is_open + committed == 2),
            Assert(~half == drained ^ (committed + ~is_open)[0]),
        ]

        # What it is for: no access of the one to a half in which the other is.
        for column in range(config.cols):
            for number in range(2):
                m.d.comb += Assert(~(accumulator.signal(f"fetches_{column}_{number}") & reads & (drained == number)))
            written, of, _ = rows[column - config.cols]
            m.d.comb += Assert(~(written & reads & (of == drained)))
        m.d.comb += Cover(reads)
        return m
