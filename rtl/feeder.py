"""Executes CONV: reads activations and weights in the order of the array's passes and says where the sums belong."""

from types import SimpleNamespace

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from . import array, fields, isa, queue
from .accumulator import commit_latency, control_layout, control_lead, slot_layout
from .ahead import Ahead, State, restarted, stepped
from .config import Config
from .delay import delayed, delayed_in_memory
from .registers import Activity
from .scratchpad import array_read_layout, read_latency
from .weights import weight_read_layout

MASK_LATENCY = 3
"""Cycles in which the lanes are worked out that hold pixels of the image."""


def issue_latency(config: Config) -> int:
    """Cycles from issuing a pixel to its entering the array: the address's register, and the scratchpad's."""
    return 1 + read_latency(config)


FLAGS = ("last_ox", "last_oy", "last_n", "last_kx", "last_ky", "run_ends", "first_ox", "first", "pixels_done")
"""Of the loops, whose next values are needed, too."""


class Feeder(Component):
    """The array's controller.

    Loop registers form a chain from the slowest loop to the fastest; each step adds to the registers of its own level
    and copies them into the faster ones. One pixel is issued per cycle, but in a pause; a pass that has fewer pixels
    than the weights take to arrive waits for the rest. An issue at cycle t reads the scratchpad at t + 1; the pixel
    enters the array at t + issue_latency and its sums leave column 0 at t + sums_latency.

    Members
    -------
    instruction : stream of isa.CONV, whose tokens are taken. Accepted in the cycle in which the previous one issues
        its last pixel, so that passes of different instructions follow each other without a bubble; in the next one if
        it is compact, or pipelined, when it also begins a cycle later.
    release : the drain frees a half in this cycle; pipelined, it may be acquired in the next one.
    pause : leave out an issue, as soon as that does no harm: a pass's first pixel meets its weights, and a depthwise
        stream must not be torn.
    drain, slot : the drain's read of the accumulator, which takes the place of an issue; `slot` says that it may. Only
        with config.compact.
    done : one pulse per instruction, when its last sum is in the accumulator.
    free_halves : halves that an instruction may acquire.
    illegal : the instruction that was taken last is found to be illegal (with config.checks).
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.issue_latency = issue_latency(config)
        self.sums_latency = self.issue_latency + array.latency(config)
        self.control_latency = self.sums_latency - control_lead(config)
        self.done_latency = self.sums_latency + commit_latency(config)
        super().__init__(
            {
                "instruction": In(stream.Signature(fields.layout(config, isa.Opcode.CONV))),
                "release": In(1),
                "pause": In(1),
                **({"drain": In(slot_layout(config)), "slot": Out(1)} if config.compact else {}),
                "read": Out(array_read_layout(config)),
                "read_data": In(data.ArrayLayout(unsigned(8), config.word_bytes)),
                "line": Out(weight_read_layout(config)),
                "activations": Out(data.ArrayLayout(signed(8), config.rows)),
                "first": Out(1),
                **(
                    {"north": Out(data.ArrayLayout(signed(8), config.cols)), "columns": Out(1)}
                    if config.depthwise
                    else {}
                ),
                "control": Out(control_layout(config)),
                "done": Out(1),
                "free_halves": Out(2),
                "illegal": Out(1),
                "activity": Out(Activity),
                "tag": Out(16),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        offered = self.instruction.payload
        rows = config.rows
        steps = config.weight_steps
        address_bits = self.read.address.shape().width
        entry_bits = self.control.entry.shape().width
        line_bits = self.line.line.shape().width

        # Halves that are neither being filled nor waiting for the drain. A release counts in its own cycle, pipelined
        # in the next one, when a register says whether there are any.
        free = Signal(2, init=2)
        free_next = Signal(2)
        half = Signal()
        if config.pipelined:
            may_acquire = Signal(name="may_acquire", init=1)
            m.d.sync += may_acquire.eq(free_next != 0)
        else:
            may_acquire = (free != 0) | self.release

        active = Signal()
        finish = Signal()
        taken = Signal()
        can_start = Signal()
        free_now = ~active | (finish & int(queue.overlaps(config)))
        if config.pipelined:
            # What is taken begins in the next cycle, out of the instruction's registers.
            accept = delayed(m, "accept", taken, 1)
            free_now &= ~accept
        else:
            accept = taken
        m.d.comb += [
            can_start.eq(free_now & (~offered.acquire | may_acquire)),
            self.instruction.ready.eq(can_start),
            taken.eq(self.instruction.valid & can_start),
        ]
        m.d.comb += self.free_halves.eq(free)
        m.d.comb += free_next.eq(free + self.release - (taken & offered.acquire))
        m.d.sync += free.eq(free_next)

        # Nothing inside a row is farther away than the scratchpad is large.
        local_bits = address_bits + 1
        # The instruction's constants.
        held = queue.held(m, config, offered, taken)
        conv = held if config.pipelined else offered
        # Loop state; counters run down to zero.
        row_ky, row = (Signal(address_bits, name=name) for name in ("row_ky", "row"))
        y_ky, y = (Signal(signed(config.counter_bits + 2), name=name) for name in ("y_ky", "y"))
        x_kx, x_k, x = (Signal(signed(local_bits + 1), name=name) for name in ("x_kx", "x_k", "x"))
        k_left = Signal(local_bits)
        ox, oy, n = (Signal.like(conv[f"{name}_count"], name=name) for name in ("ox", "oy", "n"))
        kx, ky = (Signal.like(conv[f"{name}_count"], name=name) for name in ("kx", "ky"))
        # Whether each of them is in its last step, and whether the run is in its last chunk.
        ahead = SimpleNamespace(**{name: Ahead(m, name) for name in FLAGS})
        state = State(m)
        last_ox, last_oy, last_n, last_kx, last_ky, run_ends = (
            getattr(ahead, name).now for name in ("last_ox", "last_oy", "last_n", "last_kx", "last_ky", "run_ends")
        )
        first_ox = ahead.first_ox.now  # the next pixel is its row's first
        entry_n, entry = (Signal(entry_bits, name=name) for name in ("entry_n", "entry"))
        line = Signal(line_bits)
        fresh = Signal()  # the first pass of this n
        first = ahead.first.now  # the first pixel of this pass
        columns, next_columns = Signal(), Signal()  # COLUMNS mode: held.mode, or 0 where it is not built
        wait = Signal(8)  # positions until the next one that yields a sum
        yields = Signal()
        pixels_done = ahead.pixels_done.now  # all pixels of this pass are issued, weights still arrive
        step = Signal(range(steps + 1))  # cycles of this pass so far, up to steps

        issue = Signal()
        last_pixel = Signal()
        pass_end, last_pass = Signal(), Signal()
        last_chunk = Signal()
        pause = Signal()
        # The weights of a pass arrive together with its first pixel.
        may_pause = ~first
        if config.depthwise:
            if config.pipelined:
                m.d.comb += next_columns.eq(Mux(accept, conv.mode == isa.Mode.COLUMNS, columns))
                m.d.sync += columns.eq(next_columns)
            else:
                m.d.comb += columns.eq(held.mode == isa.Mode.COLUMNS)
            may_pause &= ~columns | first_ox
        stop = self.pause
        if config.compact:
            m.d.comb += self.slot.eq(~active | pixels_done | may_pause)
            stop |= self.drain.valid
        m.d.comb += [
            yields.eq(~columns | (wait == 0)),
            last_chunk.eq(columns | run_ends),
        ]
        if config.pipelined:
            # What enables all registers of the loops depends on few registers alone: a pause and an issue are decided
            # in the cycle before, from what the loops will be at, and so is whether all of them are in their last step.
            # Two cycles of a pause are enough: a store is served in both before it is known here.
            paused = Signal()
            safe = ~ahead.first.next & (~columns | ahead.first_ox.next)
            next_pause = stop & safe & ~(pause & paused)
            pixel_ends, n_ends = Signal(), Signal()
            next_kx_ends = (next_columns | ahead.run_ends.next) & ahead.last_kx.next
            m.d.sync += [
                pause.eq(next_pause),
                paused.eq(pause),
                issue.eq((accept | (active & ~finish)) & ~ahead.pixels_done.next & ~next_pause),
                pixel_ends.eq(ahead.last_ox.next & ahead.last_oy.next),
                n_ends.eq(next_kx_ends & ahead.last_ky.next & ahead.last_n.next),
            ]
            m.d.comb += [
                last_pixel.eq(pixel_ends),
                pass_end.eq((pixels_done | (issue & pixel_ends)) & (step >= steps - 1)),
                last_pass.eq(n_ends),
            ]
        else:
            m.d.comb += [
                pause.eq(stop & may_pause),
                issue.eq(active & ~pixels_done & ~pause),
                last_pixel.eq(last_ox & last_oy),
                pass_end.eq(active & (pixels_done | (issue & last_pixel)) & (step >= steps - 1)),
                last_pass.eq(last_chunk & last_kx & last_ky & last_n),
            ]
        m.d.comb += finish.eq(pass_end & last_pass)

        next_row = Signal(address_bits)
        next_row_ky = Signal(address_bits)
        next_x_k = Signal.like(x)
        next_x_kx = Signal.like(x)
        next_y_ky = Signal.like(y)
        next_entry_n = Signal(entry_bits)
        m.d.comb += [
            next_row.eq(row + held.y_pitch),
            next_row_ky.eq(row_ky + held.ky_pitch),
            next_x_k.eq(x_k + rows),
            next_x_kx.eq(x_kx + held.kx_step),
            next_y_ky.eq(y_ky + held.ky_step),
            next_entry_n.eq(entry_n + 1),
        ]

        with m.If(issue):
            state += [ahead.first.to(0), wait.eq(Mux(yields, held.interval - 1, wait - 1))]
            with m.If(yields):
                state += entry.eq(entry + held.entry_step)
            with m.If(~last_ox):
                state += [*stepped(ox, ahead.last_ox), ahead.first_ox.to(0), x.eq(x + held.x_step)]
            with m.Elif(~last_oy):
                state += [
                    *stepped(oy, ahead.last_oy),
                    *restarted(ox, ahead.last_ox, held.ox_count),
                    ahead.first_ox.to(1),
                    x.eq(x_k),
                    y.eq(y + held.y_step),
                    row.eq(next_row),
                    wait.eq(held.warmup),
                ]
            with m.Else():
                state += ahead.pixels_done.to(1)
        with m.If(active & (step < steps)):
            state += step.eq(step + 1)

        with m.If(pass_end):
            # The next pass starts over at its first pixel; which one depends on the fastest loop that goes on.
            state += [
                ahead.pixels_done.to(0),
                ahead.first.to(1),
                step.eq(0),
                *restarted(ox, ahead.last_ox, held.ox_count),
                ahead.first_ox.to(1),
                *restarted(oy, ahead.last_oy, held.oy_count),
                entry.eq(entry_n),
                wait.eq(held.warmup),
                fresh.eq(0),
            ]
            with m.If(~last_chunk):
                state += [
                    k_left.eq(k_left - rows),
                    ahead.run_ends.to(k_left <= 2 * rows),
                    x_k.eq(next_x_k),
                    x.eq(next_x_k),
                    row.eq(row_ky),
                    y.eq(y_ky),
                ]
            with m.Else():
                state += [k_left.eq(held.run), ahead.run_ends.to(held.run <= rows)]
                with m.If(~last_kx):
                    state += [
                        *stepped(kx, ahead.last_kx),
                        x_kx.eq(next_x_kx),
                        x_k.eq(next_x_kx),
                        x.eq(next_x_kx),
                        row.eq(row_ky),
                        y.eq(y_ky),
                    ]
                with m.Else():
                    state += [
                        *restarted(kx, ahead.last_kx, held.kx_count),
                        x_kx.eq(held.x0),
                        x_k.eq(held.x0),
                        x.eq(held.x0),
                    ]
                    with m.If(~last_ky):
                        state += [
                            *stepped(ky, ahead.last_ky),
                            row_ky.eq(next_row_ky),
                            row.eq(next_row_ky),
                            y_ky.eq(next_y_ky),
                            y.eq(next_y_ky),
                        ]
                    with m.Else():
                        state += [
                            *restarted(ky, ahead.last_ky, held.ky_count),
                            row_ky.eq(held.address),
                            row.eq(held.address),
                            y_ky.eq(held.y0),
                            y.eq(held.y0),
                            *stepped(n, ahead.last_n),
                            entry_n.eq(next_entry_n),
                            entry.eq(next_entry_n),
                            fresh.eq(1),
                        ]
        with m.If(finish):
            state += active.eq(0)
        with m.If(accept):
            state += [
                active.eq(1),
                half.eq(half ^ conv.acquire),
                row_ky.eq(conv.address),
                row.eq(conv.address),
                y_ky.eq(conv.y0),
                y.eq(conv.y0),
                x_kx.eq(conv.x0),
                x_k.eq(conv.x0),
                x.eq(conv.x0),
                k_left.eq(conv.run),
                ahead.run_ends.to(conv.run <= rows),
                *restarted(ox, ahead.last_ox, conv.ox_count),
                ahead.first_ox.to(1),
                *restarted(oy, ahead.last_oy, conv.oy_count),
                *restarted(n, ahead.last_n, conv.n_count),
                *restarted(kx, ahead.last_kx, conv.kx_count),
                *restarted(ky, ahead.last_ky, conv.ky_count),
                entry_n.eq(conv.entry),
                entry.eq(conv.entry),
                wait.eq(conv.warmup),
                fresh.eq(1),
                ahead.first.to(1),
                ahead.pixels_done.to(0),
                step.eq(0),
            ]

        self._mask(m, issue, y, x, k_left, held)
        if config.checks:
            entries = self._beyond_entries(
                m, accept, conv, issue & yields, pass_end, last_chunk & last_kx & last_ky, held, entry, entry_n
            )
            lines = self._beyond_lines(m, accept, conv, active & (step < steps), line)
            torn = columns & issue & last_ox & ~yields
            m.d.comb += self.illegal.eq(entries | lines | torn | self._illegal_start(m, accept, conv))

        # Read addresses, one register behind the loops.
        m.d.sync += [self.read.enable.eq(issue), self.read.address.eq(row + x)]
        line_delay = self.issue_latency - config.memory_latency
        request = Signal(self.line.shape())
        m.d.comb += [request.enable.eq(active & (step < steps)), request.line.eq(line)]
        if config.compact:
            # Nothing of the instruction before is on its way any more when the next one sets the line.
            enable = delayed(m, "line_delay", request.enable, line_delay)
            m.d.comb += [self.line.enable.eq(enable), self.line.line.eq(line)]
        else:
            enable = request.enable
            m.d.comb += self.line.eq(delayed(m, "line_delay", request, line_delay))
        with m.If(enable):
            m.d.sync += line.eq(line + 1)
        with m.If(accept):
            m.d.sync += line.eq(conv.weights)
        m.d.comb += [
            self.first.eq(delayed(m, "first_delay", issue & first, self.issue_latency)),
        ]
        if config.depthwise:
            m.d.comb += self.columns.eq(delayed(m, "columns_delay", columns, self.issue_latency))

        # The drain's half is the one that `half` named when it was committed: the first acquired is half 0.
        control = Signal(self.control.shape())
        last_issue = Signal()
        m.d.comb += [
            last_issue.eq(issue & last_pixel & last_pass),
            control.valid.eq(issue & yields),
            control.entry.eq(entry),
            control.overwrite.eq(fresh & ~held.accumulate),
            control.half.eq(~half),
            control.commit.eq(last_issue & held.commit),
        ]
        if config.compact:
            drained = self.drain.valid & self.slot
            m.d.comb += [control.slot.eq(self.drain), control.slot.valid.eq(drained)]
            with m.If(drained):
                m.d.comb += [control.entry.eq(self.drain.entry), control.half.eq(self.drain.half)]
        if config.compact:
            m.d.comb += self.control.eq(delayed_in_memory(m, "control_delay", control, self.control_latency))
            # What changes something when it comes must not be undefined, nor outlive a reset.
            for name, bit, late in (
                ("valid", control.valid, self.control.valid),
                ("commit", control.commit, self.control.commit),
                ("drained", control.slot.valid, self.control.slot.valid),
            ):
                m.d.comb += late.eq(delayed(m, f"{name}_delay", bit, self.control_latency))
        else:
            m.d.comb += self.control.eq(delayed(m, "control_delay", control, self.control_latency))
        m.d.comb += [
            self.done.eq(delayed(m, "done_delay", last_issue, self.done_latency)),
            self.tag.eq(Mux(active, held.header.tag, offered.header.tag)),
        ]
        with m.If(issue):
            m.d.comb += self.activity.eq(Activity.BUSY)
        with m.Elif(active & ~pixels_done):
            m.d.comb += self.activity.eq(Activity.WAIT_SCRATCHPAD)
        with m.Elif(active):
            m.d.comb += self.activity.eq(Activity.WAIT_WEIGHTS)
        with m.Elif(self.instruction.valid & ~can_start):
            m.d.comb += self.activity.eq(Activity.WAIT_DRAIN)
        return m

    def _illegal_start(self, m: Module, accept: Signal, conv: data.View) -> Signal:
        """One cycle after an instruction was taken: it has no half to fill, or a depthwise pass that cannot be."""
        config = self.config
        holds = Signal()  # a half that is not committed
        faults = [conv.acquire == holds]
        if config.depthwise:
            faults += [
                (conv.mode == isa.Mode.COLUMNS) & fault
                for fault in (
                    conv.run > config.cols,
                    conv.interval == 0,
                    conv.warmup >= config.rows,
                    conv.warmup >= conv.ox_count,
                )
            ]
        illegal = Signal(name="illegal_start")
        m.d.sync += illegal.eq(accept & Cat(faults).any())
        with m.If(accept):
            m.d.sync += holds.eq(~conv.commit)
        return illegal

    def _beyond_entries(
        self,
        m: Module,
        accept: Signal,
        conv: data.View,
        used: Value,
        pass_end: Signal,
        tile_end: Value,
        held: data.View,
        entry: Signal,
        entry_n: Signal,
    ) -> Value:
        """Whether a sum goes beyond its half; `entry` and `entry_n` themselves wrap."""
        most = self.config.accumulators
        beyond, beyond_n = Signal(), Signal()
        total = Signal(18, name="entry_total")
        next_n = Signal()
        m.d.comb += [total.eq(entry + held.entry_step), next_n.eq(beyond_n | (entry_n == most - 1))]
        with m.If(accept):
            late = conv.entry >= most
            m.d.sync += [beyond.eq(late), beyond_n.eq(late)]
        with m.Elif(pass_end & tile_end):
            m.d.sync += [beyond.eq(next_n), beyond_n.eq(next_n)]
        with m.Elif(pass_end):
            m.d.sync += beyond.eq(beyond_n)
        with m.Elif(used & (total >= most)):
            m.d.sync += beyond.eq(1)
        return used & beyond

    def _beyond_lines(self, m: Module, accept: Signal, conv: data.View, used: Value, line: Signal) -> Value:
        """Whether a line of weights is beyond the store; `line` itself wraps."""
        most = self.config.weight_lines
        beyond = Signal(name="line_beyond")
        with m.If(accept):
            m.d.sync += beyond.eq(conv.weights >= most)
        with m.Elif(used & (line == most - 1)):
            m.d.sync += beyond.eq(1)
        return used & beyond

    def _mask(self, m: Module, issue: Signal, y: Signal, x: Signal, k_left: Signal, held: data.View) -> None:
        """Force every byte that is not a pixel of the image to the zero point, on the way into the array.

        Lane j is valid when low <= j < high. Both are worked out while the scratchpad reads."""
        # As many lanes as the wider of the two ways into the array has.
        lanes = max(self.config.rows, self.config.cols) if self.config.depthwise else self.config.rows
        small = range(lanes + 1)
        inside = Signal()
        before = Signal(signed(x.shape().width + 1))  # bytes before the row's start
        behind = Signal(signed(x.shape().width + 1))  # bytes to the row's end
        chunk = Signal(small)
        m.d.sync += [
            inside.eq((y >= 0) & (y < held.height)),
            before.eq(-x),
            behind.eq(held.row_bytes - x),
            chunk.eq(Mux(k_left <= lanes, k_left, lanes)),
        ]
        low, high, high_row = Signal(small), Signal(small), Signal(small)
        m.d.comb += high_row.eq(Mux(behind <= 0, 0, Mux(behind <= lanes, behind, lanes)))
        m.d.sync += [
            low.eq(Mux(before <= 0, 0, Mux(before <= lanes, before, lanes))),
            high.eq(Mux(inside, Mux(high_row < chunk, high_row, chunk), 0)),
        ]
        in_range = Signal(lanes)
        m.d.sync += in_range.eq(Cat((low <= lane) & (lane < high) for lane in range(lanes)))
        valid = delayed(m, "in_range_delay", in_range, self.issue_latency - MASK_LATENCY)
        # A compact unit's instruction stays until its last sum is in the accumulator.
        delay = 0 if self.config.compact else self.issue_latency
        zero_point = delayed(m, "zero_point_delay", held.zero_point, delay)
        for lane in range(lanes):
            byte = Signal(signed(8), name=f"byte_{lane}")
            m.d.comb += byte.eq(Mux(valid[lane], self.read_data[lane].as_signed(), zero_point))
            if lane < self.config.rows:
                m.d.comb += self.activations[lane].eq(byte)
            if self.config.depthwise and lane < self.config.cols:
                m.d.comb += self.north[lane].eq(byte)
