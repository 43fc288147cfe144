"""What makes an instruction illegal whatever the memories hold, as bits that must be 0 and fields that must not be 0.

The functional machine refuses all that is undefined. Of this the hardware with `Config.checks` reports, as
ILLEGAL_INSTRUCTION and before the unit has begun: undefined opcodes and enumeration values, reserved bits, counts of
zero, tokens between a unit and itself, and numbers with a bit too high for the configuration. In the course of the
instruction, with the unit: a line, an accumulator entry or a local address beyond its memory, a transfer that is not
made of whole words where it must be, an empty clamp, a depthwise pass that its row does not fit, a product of other
than two pixels, and a half that is filled without being acquired or acquired twice. What is left has a result that is
undefined but harms nobody else: sums and bytes that were never written, and sums that a DRAIN takes from beyond its
half.
"""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from amaranth.utils import exact_log2

from .config import Config
from .isa import INSTRUCTION_BITS, Combine, Mode, Opcode, Space, fields
from .registers import Unit

UNIT_OF = {
    Opcode.LOAD: Unit.LOAD,
    Opcode.CONV: Unit.ARRAY,
    Opcode.DRAIN: Unit.DRAIN,
    Opcode.STORE: Unit.STORE,
}
"""Who executes what."""

AT_LEAST_ONE = {
    Opcode.LOAD: ("bytes", "rows"),
    Opcode.STORE: ("bytes", "rows"),
    Opcode.CONV: ("run", "ky_count", "kx_count", "ox_count", "oy_count", "n_count"),
    Opcode.DRAIN: (
        *("rows", "pixels", "group", "window_height", "window_width"),
        *("y_stride", "x_stride", "channels"),
    ),
    Opcode.END: (),
}
"""Counts and strides."""


def undefined_pairs(config: Config, opcode: Opcode) -> list[int]:
    """The lower bits of enumerations of two bits whose value 3 is not defined."""
    names = {
        Opcode.LOAD: () if config.tables else ("space",),
        Opcode.DRAIN: ("rounding", "combine") if config.tables else ("rounding",),
    }.get(opcode, ())
    return [fields(opcode)[name][0] for name in names]


@cache
def must_be_zero(config: Config, opcode: Opcode) -> int:
    """The bits of an instruction that are 0 in every legal one, as a mask of its 512 bits."""
    known = fields(opcode)
    free = 0xF
    for name, (bit, shape) in known.items():
        if not name.startswith("reserved"):
            free |= ((1 << shape.width) - 1) << bit
    mask = ((1 << INSTRUCTION_BITS) - 1) & ~free
    for name, allowed in _allowed(config, opcode):
        bit, shape = known[name]
        mask |= (((1 << shape.width) - 1) & ~allowed) << bit
    return mask


def _up_to(most: int) -> int:
    """The bits of the numbers up to `most`."""
    return (1 << most.bit_length()) - 1


def _allowed(config: Config, opcode: Opcode) -> Iterator[tuple[str, int]]:
    """Fields that may have these bits only."""
    if opcode is Opcode.END:
        yield from (("wait", 0), ("signal", 0))
        return
    others = ~(1 << UNIT_OF[opcode])
    yield from (("wait", others), ("signal", others))
    if opcode is Opcode.STORE:
        yield from (("space", Space.SCRATCHPAD.value), ("bytes", _up_to(config.scratchpad_bytes)))
    if opcode is Opcode.CONV:
        yield "mode", Mode.COLUMNS.value if config.depthwise else 0
        yield "weights", _up_to(config.weight_lines - 1)
        yield "entry", _up_to(config.accumulators - 1)
        yield "n_count", _up_to(config.accumulators)
    if opcode is Opcode.DRAIN:
        step = _up_to(config.cols - 1) & ~((config.lanes & -config.lanes) - 1)
        yield from (("pixel_column_step", step), ("window_column_step", step))
        yield from (("look_up_sums", int(config.tables)), ("look_up_results", int(config.tables)))
        yield "combine", 3 if config.tables else Combine.ADD.value
        yield "parameters", _up_to(config.parameter_lines - 1)
        yield "channels", _up_to(config.parameter_channels)


class Part(NamedTuple):
    """The part of a field that lies in one word of the program: bits `low` to `high` - 1 of the word; `begins` and
    `ends` say whether the field does."""

    low: int
    high: int
    begins: bool
    ends: bool


def parts_in_words(opcode: Opcode, width: int) -> list[list[Part]]:
    """Per word of `width` bits, the parts of the fields that must not be zero."""
    words: list[list[Part]] = [[] for _ in range(INSTRUCTION_BITS // width)]
    shift = exact_log2(width)
    for name in AT_LEAST_ONE[opcode]:
        bit, shape = fields(opcode)[name]
        end = bit + shape.width
        for word in range(bit >> shift, (end - 1 >> shift) + 1):
            low, high = max(bit, word * width), min(end, (word + 1) * width)
            words[word].append(Part(low - word * width, high - word * width, low == bit, high == end))
    return words
