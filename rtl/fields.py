"""How many bits of each instruction field a configuration keeps: all, or with `Config.compact` what it needs."""

from amaranth.hdl import Shape, signed, unsigned
from amaranth.lib import data

from . import isa
from .config import Config
from .isa import Instruction, Opcode

WRAPPING = frozenset(
    {
        *("address", "entry", "y_pitch", "ky_pitch", "row_pitch", "pixel_pitch", "step"),
        *("row_step", "group_step", "pixel_step", "window_row_step", "window_step", "entry_step"),
    }
)
"""Fields that only add to addresses or entries, which wrap: bits that are not kept never counted."""


def kept_bits(config: Config, opcode: Opcode) -> dict[str, int]:
    """Bits kept of each field that is kept in part; the others are kept whole."""
    if not config.compact:
        return {}
    count = config.counter_bits
    small = config.small_counter_bits
    local = (config.scratchpad_bytes - 1).bit_length()
    entry = config.entry_bits
    transfer = {
        "offset": config.address_width,
        "step": config.address_width,
        **dict.fromkeys(("local", "local_step", "bytes"), config.local_bits),
        "rows": count,
    }
    kept = {
        Opcode.LOAD: transfer,
        Opcode.STORE: transfer,
        Opcode.CONV: {
            **dict.fromkeys(("address", "entry", "y_pitch", "ky_pitch"), local),
            **dict.fromkeys(("row_bytes", "x_step", "kx_step", "run"), local + 1),
            "x0": local + 2,
            **dict.fromkeys(("height", "ox_count", "oy_count", "n_count"), count),
            "y0": count + 1,
            **dict.fromkeys(("y_step", "ky_step", "ky_count", "kx_count"), small),
            "weights": max(1, (config.weight_lines - 1).bit_length()),
            **dict.fromkeys(("entry", "entry_step"), entry),
        },
        Opcode.DRAIN: {
            **dict.fromkeys(("entry", "row_step", "group_step", "pixel_step", "window_row_step", "window_step"), entry),
            **dict.fromkeys(("pixel_column_step", "window_column_step"), max(1, (config.cols - 1).bit_length())),
            **dict.fromkeys(("rows", "pixels", "height", "width", "channels"), count),
            **dict.fromkeys(("group", "window_height", "window_width", "y_stride", "x_stride"), small),
            **dict.fromkeys(("y0", "x0"), small + 1),
            "parameters": max(1, (config.parameter_lines - 1).bit_length()),
            **dict.fromkeys(("address", "row_pitch", "pixel_pitch"), local),
        },
        Opcode.END: {},
    }[opcode]
    whole = {name: shape.width for name, (_, shape) in isa.fields(opcode).items()}
    return {name: min(bits, whole[name]) for name, bits in kept.items()}


def layout(config: Config, opcode: Opcode) -> data.StructLayout:
    """The instruction as its unit sees it: isa.LAYOUTS with the bits that are kept."""
    kept = kept_bits(config, opcode)
    if not kept:
        return isa.LAYOUTS[opcode]
    return data.StructLayout(
        {
            name: (signed if Shape.cast(field.shape).signed else unsigned)(kept[name]) if name in kept else field.shape
            for name, field in isa.LAYOUTS[opcode]
        }
    )


def misfit(config: Config, one: Instruction) -> str | None:
    """Why the configuration cannot execute an instruction, as a sentence, or None if it can."""
    shapes = isa.fields(one.opcode)
    for name, bits in kept_bits(config, one.opcode).items():
        negative = shapes[name][1].signed
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if negative else (0, (1 << bits) - 1)
        value = one.fields[name]
        if name not in WRAPPING and not low <= value <= high:
            return f"{name} must be from {low} to {high} in this configuration, not {value}"
    return None
