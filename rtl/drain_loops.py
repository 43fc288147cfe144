"""The loop nest of DRAIN: which sums are read, and where their result goes."""

from amaranth.hdl import Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, stream
from amaranth.lib.wiring import Component, In, Out

from . import isa
from .accumulator import drain_read_layout
from .config import Config
from .parameters import parameter_read_layout
from .requantize import SETTINGS
from .scratchpad import address_bits

COORDINATE = signed(25)
"""Holds every y and x that an instruction can form."""

SUM_CONTROL = data.StructLayout({"valid": 1, "first": 1, "inside": 1})
"""Of a sum: there is one; it is its window's first; it is a pixel of the image."""


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


class DrainLoops(Component):
    """Issues one position per cycle, in the order that isa.DRAIN says.

    Loop registers form a chain from the slowest loop to the fastest; each step adds to the registers of its
    own level and copies them into the faster ones. So there is one adder per level and no multiplier.
    Positions are numbers of mixed radix: (entry, group of L columns). Column steps are multiples of L below
    C, so a step carries at most once.

    Members
    -------
    instruction : stream of isa.DRAIN; the next one is accepted in the cycle in which the last position of the
        one before is issued.
    proceed : issue; the half is committed.
    active : there is an instruction. issue : `position`, `control` and `window_end` are those of this cycle.
    finish : this is the instruction's last position. release : its half is free in the next cycle.
    tag : of the instruction accepted last.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        super().__init__(
            {
                "instruction": In(stream.Signature(isa.DRAIN)),
                "proceed": In(1),
                "active": Out(1),
                "issue": Out(1),
                "finish": Out(1),
                "release": Out(1),
                "tag": Out(16),
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

        # The instruction's constants, copied so that the queue can present the next one.
        held = Signal(isa.DRAIN)
        pixel_groups = Signal(layout["group"].shape)
        window_groups = Signal(layout["group"].shape)
        # Loop state; counters count the steps that are left, this one included.
        rows, pixels = (Signal(16, name=name) for name in ("rows", "pixels"))
        packed, window_rows, window_columns = (
            Signal(8, name=name) for name in ("packed", "window_rows", "window_columns")
        )
        channels = Signal(16)
        row_entry, group_entry = (Signal(layout["entry"].shape, name=name) for name in ("row_entry", "group_entry"))
        pixel, channel, window_row, position = chain = tuple(
            Signal(layout, name=name) for name in ("pixel", "channel", "window_row", "position")
        )
        row_y, y, pixel_x, x = (Signal(COORDINATE, name=name) for name in ("row_y", "y", "pixel_x", "x"))
        row_address, pixel_address, address = addresses = tuple(
            Signal(address_bits(config), name=name) for name in ("row_address", "pixel_address", "address")
        )
        line = Signal(self.window_end.line.shape())
        first = Signal()

        last_window_column, last_window_row, last_group, last_packed, last_pixel, last_row = (
            Signal(name=f"last_{name}") for name in ("window_column", "window_row", "group", "packed", "pixel", "row")
        )
        last_of_window = Signal()
        accept = Signal()
        m.d.comb += [
            last_window_column.eq(window_columns == 1),
            last_window_row.eq(window_rows == 1),
            last_group.eq(channels <= lanes),
            last_packed.eq(packed == 1),
            last_pixel.eq(pixels == 1),
            last_row.eq(rows == 1),
            last_of_window.eq(last_window_column & last_window_row),
            self.issue.eq(self.active & self.proceed),
            self.finish.eq(self.issue & last_of_window & last_group & last_pixel & last_row),
            self.release.eq(self.finish & held.release),
            self.tag.eq(held.header.tag),
            self.instruction.ready.eq(~self.active | self.finish),
            accept.eq(self.instruction.valid & self.instruction.ready),
        ]

        m.d.comb += [
            self.position.eq(position),
            self.control.valid.eq(self.issue),
            self.control.first.eq(first),
            self.control.inside.eq((y >= 0) & (y < held.height) & (x >= 0) & (x < held.width)),
            self.window_end.valid.eq(self.issue & last_of_window),
            self.window_end.line.eq(line),
            self.window_end.settings.rounding.eq(held.rounding),
            self.window_end.settings.zero_point.eq(held.zero_point),
            self.window_end.settings.minimum.eq(held.minimum),
            self.window_end.settings.maximum.eq(held.maximum),
            self.window_end.address.eq(address),
            self.window_end.channels.eq(Mux(last_group, channels, lanes)),
        ]

        next_position = self._step(m, "next_position", position, held.window_step, window_groups)
        next_window_row = self._step(m, "next_window_row", window_row, held.window_row_step, 0)
        next_channel = self._step(m, "next_channel", channel, 0, 1)
        next_pixel = self._step(m, "next_pixel", pixel, held.pixel_step, pixel_groups)
        next_group, next_row = (Signal(layout, name=name) for name in ("next_group", "next_row"))
        next_y, next_x = (Signal(COORDINATE, name=name) for name in ("next_y", "next_x"))
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
                first.eq(last_of_window),
                window_columns.eq(window_columns - 1),
                x.eq(x + 1),
                position.eq(next_position),
            ]
            with m.If(last_window_column):
                m.d.sync += [
                    window_columns.eq(held.window_width),
                    x.eq(pixel_x),
                    window_rows.eq(window_rows - 1),
                    y.eq(y + 1),
                    *(register.eq(next_window_row) for register in (window_row, position)),
                ]
            with m.If(last_of_window):
                m.d.sync += [
                    window_rows.eq(held.window_height),
                    y.eq(row_y),
                    channels.eq(channels - lanes),
                    line.eq(line + 1),
                    address.eq(address + lanes),
                    *(register.eq(next_channel) for register in (channel, window_row, position)),
                ]
            with m.If(last_of_window & last_group):
                m.d.sync += [
                    channels.eq(held.channels),
                    line.eq(held.parameters),
                    pixels.eq(pixels - 1),
                    packed.eq(packed - 1),
                    *(register.eq(next_x) for register in (pixel_x, x)),
                    *(register.eq(next_pixel_address) for register in (pixel_address, address)),
                    *(register.eq(next_pixel) for register in chain),
                ]
                with m.If(last_packed):
                    m.d.sync += [
                        packed.eq(held.group),
                        group_entry.eq(next_group.entry),
                        *(register.eq(next_group) for register in chain),
                    ]
                with m.If(last_pixel):
                    m.d.sync += [
                        pixels.eq(held.pixels),
                        packed.eq(held.group),
                        rows.eq(rows - 1),
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
                held.eq(drain),
                pixel_groups.eq(columns_to_groups(config, drain.pixel_column_step)),
                window_groups.eq(columns_to_groups(config, drain.window_column_step)),
                first.eq(1),
                rows.eq(drain.rows),
                pixels.eq(drain.pixels),
                packed.eq(drain.group),
                channels.eq(drain.channels),
                window_rows.eq(drain.window_height),
                window_columns.eq(drain.window_width),
                *(register.eq(drain.entry) for register in (row_entry, group_entry)),
                *(register.entry.eq(drain.entry) for register in chain),
                *(register.group.eq(0) for register in chain),
                *(register.eq(drain.y0) for register in (row_y, y)),
                *(register.eq(drain.x0) for register in (pixel_x, x)),
                *(register.eq(drain.address) for register in addresses),
                line.eq(drain.parameters),
            ]
        return m
