"""The loop nest of DRAIN: which sums are read, and where their result goes."""

from collections.abc import Iterable

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value, signed, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from . import fields, isa, queue
from .accumulator import drain_read_layout
from .config import Config
from .parameters import parameter_read_layout
from .requantize import SETTINGS
from .scratchpad import address_bits


def coordinate(config: Config) -> Shape:
    """Holds every y and x that an instruction can form."""
    return signed(config.counter_bits + 2 if config.compact else 25)


SUM_CONTROL = data.StructLayout(
    {"valid": 1, "first": 1, "inside": 1, "operand": 1, "look_up": 1, "combine": isa.Combine}
)
"""Of a sum: there is one; it is its window's first; it is a pixel of the image; it is looked up, in this table; and how
it joins the others of the window."""


def position_layout(config: Config) -> data.StructLayout:
    """A position in an accumulator half: the entry, and the group of L columns."""
    read = drain_read_layout(config)
    return data.StructLayout({"entry": read["entry"].shape, "group": read["group"].shape})


def window_end_layout(config: Config) -> data.StructLayout:
    """What follows a window's last sum through the pipeline: where its result goes and what is done to it.
    `channels` is how many of the L lanes are written, at least 1."""
    return data.StructLayout(
        {
            "valid": 1,
            "line": parameter_read_layout(config)["line"].shape,
            "settings": SETTINGS,
            "look_up": 1,
            "address": unsigned(address_bits(config)),
            "channels": unsigned(config.lanes.bit_length()),
        }
    )


def columns_to_groups(config: Config, columns: Value) -> Value:
    """`columns` / L, for a multiple of L: exact division by an odd number multiplies by its inverse."""
    bits = position_layout(config)["group"].width
    twos = (config.lanes & -config.lanes).bit_length() - 1
    inverse = pow(config.lanes >> twos, -1, 1 << bits)
    return sum((columns >> twos) << bit for bit in range(bits) if inverse >> bit & 1)[:bits]


def countdown(
    m: Module,
    name: str,
    start: Value,
    first: Value,
    step: Value,
    restart: Value | int,
    again: Value,
    unit: int,
) -> tuple[Signal, Signal, Signal]:
    """What is left of a loop, this step included; whether this step is its last, from a register of its own; and
    whether the next cycle's step is.

    With `start` the counter takes the value `first`; with `step` it goes down by `unit`, but starts over with
    `again` after the last step and with `restart`.
    """
    left = Signal.like(first, name=f"{name}_left")
    last, next_last = Signal(name=f"{name}_last"), Signal(name=f"{name}_next_last")
    m.d.comb += next_last.eq(last)
    m.d.sync += last.eq(next_last)
    with m.If(start):
        m.d.sync += left.eq(first)
        m.d.comb += next_last.eq(first <= unit)
    with m.Elif(step & (last | restart)):
        m.d.sync += left.eq(again)
        m.d.comb += next_last.eq(again <= unit)
    with m.Elif(step):
        m.d.sync += left.eq(left - unit)
        m.d.comb += next_last.eq(left <= 2 * unit)
    return left, last, next_last


class DrainLoops(Component):
    """Issues one position per cycle, in the order that isa.DRAIN says.

    Loop registers form a chain from the slowest loop to the fastest; each step adds to the registers of its
    own level and copies them into the faster ones. So there is one adder per level and no multiplier.
    Positions are numbers of mixed radix: (entry, group of L columns). Column steps are multiples of L below
    C, so a step carries at most once.

    Members
    -------
    instruction : stream of isa.DRAIN; the next one is accepted in the cycle in which the last position of the
        one before is issued, or in the next one if it is pipelined or compact.
    proceed : issue; the half is committed. If it is pipelined, that is said of the next cycle.
    active : there is an instruction. issue : `position`, `control` and `window_end` are those of this cycle.
    finish : this is the instruction's last position. release : its half is free in the next cycle.
    tag : of the instruction accepted last.
    illegal : that instruction is found to be illegal (with config.checks).
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(
            {
                "instruction": In(stream.Signature(fields.layout(config, isa.Opcode.DRAIN))),
                "proceed": In(1),
                "active": Out(1),
                "issue": Out(1),
                "finish": Out(1),
                "release": Out(1),
                "tag": Out(16),
                "illegal": Out(1),
                "position": Out(position_layout(config)),
                "control": Out(SUM_CONTROL),
                "window_end": Out(window_end_layout(config)),
            }
        )

    def _step(self, m: Module, name: str, position: data.View, entries: Value | int, groups: Value | int) -> data.View:
        """`position` + (`entries`, `groups`)."""
        radix = self.config.cols // self.config.lanes
        stepped = Signal(position_layout(self.config), name=name)
        total = Signal(range(2 * radix + 1), name=f"{name}_group")
        carry = Signal(name=f"{name}_carry")
        m.d.comb += [
            total.eq(position.group + groups),
            carry.eq(total >= radix),
            stepped.group.eq(Mux(carry, total - radix, total)),
            stepped.entry.eq(position.entry + entries + carry),
        ]
        return stepped

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self.config
        drain = self.instruction.payload
        lanes = config.lanes
        layout = position_layout(config)

        pixel_groups = Signal(layout["group"].shape)
        window_groups = Signal(layout["group"].shape)
        accept = Signal()
        m.d.comb += [
            self.instruction.ready.eq(~self.active | (self.finish & int(queue.overlaps(config)))),
            accept.eq(self.instruction.valid & self.instruction.ready),
        ]
        # The instruction's constants.
        held = queue.held(m, config, drain, accept)

        # Loop counters, the fastest first.
        def counter(field: str, step: Value, restart: Value | int = 0, unit: int = 1) -> tuple[Signal, Signal, Signal]:
            return countdown(m, field, accept, drain[field], step, restart, held[field], unit)

        window_ends, pixel_ends, row_ends = (Signal(name=name) for name in ("window_ends", "pixel_ends", "row_ends"))
        _, last_window_column, next_window_column = counter("window_width", self.issue)
        _, last_window_row, next_last_window_row = counter("window_height", self.issue & last_window_column)
        channels, last_group, next_last_group = counter("channels", window_ends, unit=lanes)
        _, last_pixel, next_last_pixel = counter("pixels", pixel_ends)
        _, last_packed, _ = counter("group", pixel_ends, restart=last_pixel)
        _, last_row, next_last_row = counter("rows", row_ends)
        # Whether all loops up to one are in their last step.
        ends = [last_window_column & last_window_row, last_group, last_pixel, last_row]
        next_ends = [next_window_column & next_last_window_row, next_last_group, next_last_pixel, next_last_row]
        for index in range(1, len(ends)):
            ends[index] = ends[index - 1] & ends[index]
            next_ends[index] = next_ends[index - 1] & next_ends[index]
        if config.pipelined:
            registers = Signal(len(ends), name="ends")
            m.d.sync += registers.eq(Cat(next_ends))
            ends = list(registers)
        m.d.comb += [
            window_ends.eq(self.issue & ends[0]),
            pixel_ends.eq(self.issue & ends[1]),
            row_ends.eq(self.issue & ends[2]),
            self.finish.eq(self.issue & ends[3]),
            self.release.eq(self.finish & held.release),
            self.tag.eq(held.header.tag),
        ]

        if config.pipelined:
            # From a register, since all registers of the loops are enabled by it.
            m.d.sync += self.issue.eq((accept | (self.active & ~self.finish)) & self.proceed)
        else:
            m.d.comb += self.issue.eq(self.active & self.proceed)

        # Loop state.
        row_entry, group_entry = (Signal(layout["entry"].shape, name=name) for name in ("row_entry", "group_entry"))
        pixel, channel, window_row, position = chain = tuple(
            Signal(layout, name=name) for name in ("pixel", "channel", "window_row", "position")
        )
        row_y, y, pixel_x, x = (Signal(coordinate(config), name=name) for name in ("row_y", "y", "pixel_x", "x"))
        row_address, pixel_address, address = addresses = tuple(
            Signal(address_bits(config), name=name) for name in ("row_address", "pixel_address", "address")
        )
        line = Signal(self.window_end.line.shape())
        first = Signal()
        operand = Signal()  # 0 in the first column of the window

        m.d.comb += [
            self.position.eq(position),
            self.control.valid.eq(self.issue),
            self.control.first.eq(first),
            self.control.inside.eq((y >= 0) & (y < held.height) & (x >= 0) & (x < held.width)),
            self.control.operand.eq(operand),
            self.control.look_up.eq(held.look_up_sums),
            self.control.combine.eq(held.combine),
            self.window_end.valid.eq(window_ends),
            self.window_end.line.eq(line),
            self.window_end.settings.rounding.eq(held.rounding),
            self.window_end.settings.zero_point.eq(held.zero_point),
            self.window_end.settings.minimum.eq(held.minimum),
            self.window_end.settings.maximum.eq(held.maximum),
            self.window_end.look_up.eq(held.look_up_results),
            self.window_end.address.eq(address),
            self.window_end.channels.eq(Mux(last_group, channels, lanes)),
        ]

        next_position = self._step(m, "next_position", position, held.window_step, window_groups)
        next_window_row = self._step(m, "next_window_row", window_row, held.window_row_step, 0)
        next_channel = self._step(m, "next_channel", channel, 0, 1)
        next_pixel = self._step(m, "next_pixel", pixel, held.pixel_step, pixel_groups)
        next_group, next_row = (Signal(layout, name=name) for name in ("next_group", "next_row"))
        next_y, next_x = (Signal(coordinate(config), name=name) for name in ("next_y", "next_x"))
        next_row_address = Signal.like(address)
        next_pixel_address = Signal.like(address)
        m.d.comb += [
            next_group.entry.eq(group_entry + held.group_step),
            next_row.entry.eq(row_entry + held.row_step),
            next_y.eq(row_y + held.y_stride),
            next_x.eq(pixel_x + held.x_stride),
            next_row_address.eq(row_address + held.row_pitch),
            next_pixel_address.eq(pixel_address + held.pixel_pitch),
        ]

        # Faster loops start over first; the slowest loop that goes on then has the last word.
        with m.If(self.issue):
            m.d.sync += [
                first.eq(window_ends),
                operand.eq(~last_window_column),
                x.eq(x + 1),
                position.eq(next_position),
            ]
            with m.If(last_window_column):
                m.d.sync += [
                    x.eq(pixel_x),
                    y.eq(y + 1),
                    *(register.eq(next_window_row) for register in (window_row, position)),
                ]
            with m.If(window_ends):
                m.d.sync += [
                    y.eq(row_y),
                    line.eq(line + 1),
                    address.eq(address + lanes),
                    *(register.eq(next_channel) for register in (channel, window_row, position)),
                ]
            with m.If(pixel_ends):
                m.d.sync += [
                    line.eq(held.parameters),
                    *(register.eq(next_x) for register in (pixel_x, x)),
                    *(register.eq(next_pixel_address) for register in (pixel_address, address)),
                    *(register.eq(next_pixel) for register in chain),
                ]
                with m.If(last_packed):
                    m.d.sync += [
                        group_entry.eq(next_group.entry),
                        *(register.eq(next_group) for register in chain),
                    ]
                with m.If(last_pixel):
                    m.d.sync += [
                        *(register.eq(held.x0) for register in (pixel_x, x)),
                        *(register.eq(next_y) for register in (row_y, y)),
                        *(register.eq(next_row_address) for register in addresses),
                        *(register.eq(next_row.entry) for register in (row_entry, group_entry)),
                        *(register.eq(next_row) for register in chain),
                    ]
        with m.If(self.finish):
            m.d.sync += self.active.eq(0)
        with m.If(accept):
            m.d.sync += [
                self.active.eq(1),
                pixel_groups.eq(columns_to_groups(config, drain.pixel_column_step)),
                window_groups.eq(columns_to_groups(config, drain.window_column_step)),
                first.eq(1),
                *(register.eq(drain.entry) for register in (row_entry, group_entry)),
                *(register.entry.eq(drain.entry) for register in chain),
                *(register.group.eq(0) for register in chain),
                *(register.eq(drain.y0) for register in (row_y, y)),
                *(register.eq(drain.x0) for register in (pixel_x, x)),
                *(register.eq(drain.address) for register in addresses),
                line.eq(drain.parameters),
            ]
        if config.checks:
            groups = ((pixel_groups, held.pixel_column_step), (window_groups, held.window_column_step))
            lines = self._beyond_lines(m, accept, window_ends, pixel_ends, line, held)
            torn = (held.combine == isa.Combine.MULTIPLY) & self.issue & ~self.control.inside
            m.d.comb += self.illegal.eq(lines | torn | self._illegal_start(m, accept, held, groups))
        return m

    def _illegal_start(
        self, m: Module, accept: Signal, held: data.View, groups: Iterable[tuple[Signal, Value]]
    ) -> Signal:
        """One cycle after an instruction was taken: its clamp is empty, or a step is no place in a row of columns."""
        lanes = self.config.lanes
        taken, illegal = Signal(), Signal(name="illegal_start")
        faults = [held.minimum > held.maximum]
        if self.config.tables:
            pair = (held.window_height + held.window_width == 3) & (held.window_height < 3)
            faults.append((held.combine == isa.Combine.MULTIPLY) & ~pair)
        for quotient, step in groups:
            faults.append(step >= self.config.cols)
            if lanes & (lanes - 1):
                faults.append(quotient * lanes != step)
        m.d.sync += taken.eq(accept)
        m.d.comb += illegal.eq(taken & Cat(faults).any())
        return illegal

    def _beyond_lines(
        self, m: Module, accept: Signal, used: Signal, again: Signal, line: Signal, held: data.View
    ) -> Value:
        """Whether a line of parameters is beyond the memory; `line` itself wraps."""
        most = self.config.parameter_lines
        beyond = Signal(name="line_beyond")
        with m.If(accept):
            m.d.sync += beyond.eq(self.instruction.payload.parameters >= most)
        with m.Elif(again):
            m.d.sync += beyond.eq(held.parameters >= most)
        with m.Elif(used & (line == most - 1)):
            m.d.sync += beyond.eq(1)
        return used & beyond
