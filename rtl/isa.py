"""The instruction set: one definition of each bit pattern, for decoder, assembler, functional machine and docs.

Every instruction is 64 bytes, little endian, and starts with the same 32-bit header. One instruction describes the
whole loop nest of one tile. Units take their instructions in program order; between units only tokens order.

Local addresses count bytes of the scratchpad (they wrap at its size) or of the weight or parameter space.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from amaranth.hdl import Shape, signed
from amaranth.lib import data, enum

from .config import LOCAL_BITS

INSTRUCTION_BYTES = 64
INSTRUCTION_BITS = 8 * INSTRUCTION_BYTES


FACTOR_BITS = 9
"""Bits of a factor of a product: the difference of two int8."""

SUM_TABLES = 2
SUM_TABLE_BYTES = 1024
RESULT_TABLE_OFFSET = SUM_TABLES * SUM_TABLE_BYTES
RESULT_TABLE_BYTES = 256
TABLE_SPACE_BYTES = RESULT_TABLE_OFFSET + RESULT_TABLE_BYTES


class Opcode(enum.Enum, shape=4):
    """What an instruction does; zero is illegal, so that empty memory is never executed."""

    LOAD = 1
    CONV = 2
    DRAIN = 3
    STORE = 4
    END = 15


class Space(enum.Enum, shape=2):
    """Where a LOAD writes."""

    SCRATCHPAD = 0
    WEIGHTS = 1
    PARAMETERS = 2
    TABLES = 3
    """Only where `Config.tables` builds it: at byte 0 and at byte 1024 the two tables of 256 int32 that sums may be
    looked up in, at byte 2048 the 256 int8 that results may be looked up in; each indexed by an int8 as unsigned."""


class Rounding(enum.Enum, shape=2):
    """How the drain rounds when it requantizes."""

    DOUBLE = 0
    """TFLite: rounding doubling high multiply, then rounding divide by a power of two."""
    NEAREST_EVEN = 1
    """ONNX: the exact product is rounded once, ties to even."""
    HALF_AWAY = 2
    """Average pooling: the exact product is rounded once, ties away from zero."""


class Combine(enum.Enum, shape=2):
    """How the drain combines the sums of a window."""

    MAX = 0
    ADD = 1
    """Modulo 2^32; positions outside count as 0."""
    MULTIPLY = 2
    """The product of the two positions of a window, both inside, each modulo 2^9 as signed; it takes the place of value
    and bias. Only where `Config.tables` builds it."""


class Mode(enum.Enum, shape=2):
    """How activations enter the array."""

    DENSE = 0
    """Every column takes the same R bytes, from the west; the rows are elements of the reduction."""
    COLUMNS = 1
    """Column c takes byte c, from the north; the rows are the taps of a filter that belongs to the column. Only where
    `Config.depthwise` builds it."""


HEADER = data.StructLayout(
    {
        "opcode": Opcode,
        "wait": 4,
        "signal": 4,
        "reserved": 4,
        "tag": 16,
    }
)
"""`wait` bit u: before it starts, take one token that unit u gave to this unit. `signal` bit u: when it has
completed, give unit u one token. `tag` names the layer in traces."""

_TRANSFER = {
    "header": HEADER,
    "space": Space,
    "base": 2,
    "reserved": 4,
    "offset": 32,
    "step": 32,
    "local": LOCAL_BITS,
    "local_step": LOCAL_BITS,
    "bytes": LOCAL_BITS,
    "rows": 16,
}

LOAD = data.StructLayout(_TRANSFER)
"""Copy `rows` rows of `bytes` bytes from memory (base register `base` + `offset`, `step` bytes from row to row) into
`space` (`local`, `local_step` from row to row). In the weight and parameter spaces addresses and sizes are multiples
of the memory port's word. Complete when the last byte is written."""

STORE = data.StructLayout(_TRANSFER)
"""Copy rows from the scratchpad (`space` must be SCRATCHPAD) to memory. Complete when memory has acknowledged."""

CONV = data.StructLayout(
    {
        "header": HEADER,
        "mode": Mode,
        "acquire": 1,
        "commit": 1,
        "accumulate": 1,
        "zero_point": signed(8),
        "address": LOCAL_BITS,
        "y_pitch": LOCAL_BITS,
        "ky_pitch": LOCAL_BITS,
        "row_bytes": LOCAL_BITS,
        "x0": signed(LOCAL_BITS),
        "x_step": LOCAL_BITS,
        "kx_step": LOCAL_BITS,
        "run": LOCAL_BITS,
        "height": 16,
        "y0": signed(16),
        "y_step": 8,
        "ky_step": 8,
        "ky_count": 8,
        "kx_count": 8,
        "ox_count": 16,
        "oy_count": 16,
        "n_count": 16,
        "weights": LOCAL_BITS,
        "entry": 16,
        "entry_step": 16,
        "warmup": 8,
        "interval": 8,
    }
)
"""Passes of the array, weight-stationary; all counts are at least 1:

    pass = 0
    for n in range(n_count):                     # column tiles
     for ky in range(ky_count):                  # kernel rows
      for kx in range(kx_count):                 # kernel columns, 1 when a run covers them
       for k in range(0, run, R):                # chunks of the run
        weight tile at line `weights` + pass * S; pass += 1
        for oy in range(oy_count):
         for ox in range(ox_count):
          y = y0 + oy * y_step + ky * ky_step
          x = x0 + ox * x_step + kx * kx_step + k
          start = address + oy * y_pitch + ky * ky_pitch + x          # modulo the scratchpad's size
          a[j] = scratchpad[start + j] if 0 <= y < height and 0 <= x + j < row_bytes and k + j < run else zero_point
          sums[c] = sum over j of a[j] * tile[j][c]                   # modulo 2^32
          at accumulator entry `entry` + n + (oy * ox_count + ox) * entry_step:
           overwrite if this is the first pass of this n and not `accumulate`, else add

In COLUMNS mode the pixels of a row are positions of a stream that walks along the filter: the taps of one pass, at most
R of them, sit in the rows in reverse, tap t in row `warmup` - t, and the unused rows hold zeros. With byte c of the
position in place of a[j], `run` (at most C) of them valid, and x not advanced by n, a pass does

          a[oy][ox][c] = the byte that lane c would get in DENSE mode
          if ox >= warmup and (ox - warmup) % interval == 0:
           sums[c] = sum over rows r of a[oy][ox - r][c] * tile[r][c]
           at the next accumulator entry, as above; entries advance by `entry_step` per sum, not per position

so `kx_count` counts groups of at most R taps and `kx_step` is the distance of such groups. `interval` is at least 1,
and the last position of a row yields a sum. In DENSE mode both fields are ignored.

`acquire` waits for a free accumulator half first; `commit` hands the half to the drain at the end. Complete when the
last sum is in the accumulator (then scratchpad and weights are no longer read)."""

DRAIN = data.StructLayout(
    {
        "header": HEADER,
        "rounding": Rounding,
        "combine": Combine,
        "release": 1,
        "look_up_sums": 1,
        "look_up_results": 1,
        "zero_point": signed(8),
        "minimum": signed(8),
        "maximum": signed(8),
        "entry": 16,
        "row_step": 16,
        "group_step": 16,
        "pixel_step": 16,
        "pixel_column_step": 8,
        "window_row_step": 16,
        "window_step": 16,
        "window_column_step": 8,
        "rows": 16,
        "pixels": 16,
        "group": 8,
        "window_height": 8,
        "window_width": 8,
        "y0": signed(8),
        "y_stride": 8,
        "height": 16,
        "x0": signed(8),
        "x_stride": 8,
        "width": 16,
        "channels": 16,
        "parameters": 16,
        "address": LOCAL_BITS,
        "row_pitch": LOCAL_BITS,
        "pixel_pitch": LOCAL_BITS,
    }
)
"""Post-process the committed accumulator half; all counts and strides are at least 1. A position in the half is
(entry, column); adding a column step that passes the last column carries into the next entry, and entries count modulo
2^16, so that a window may begin before the half's first entry:

    for py in range(rows):
     for px in range(pixels):
      for g in range(ceil(channels / L)):
       value[i] = the most negative int32 (MAX), 0 (ADD) or 1 (MULTIPLY), i in range(L)
       for wy in range(window_height):
        for wx in range(window_width):
         y = y0 + py * y_stride + wy;  x = x0 + px * x_stride + wx
         position = (entry + py * row_step + (px // group) * group_step, 0)
                    + (px % group) * (pixel_step, pixel_column_step)
                    + (wy * window_row_step, 0) + wx * (window_step, window_column_step) + (0, g * L)
         s[i] = sums at position + (0, i)
         if look_up_sums: s[i] = sum table 0 (wx == 0) or 1 (wx > 0) at s[i] modulo 256
         if 0 <= y < height and 0 <= x < width: value[i] = max(value[i], s[i]), or value[i] + s[i],
                                                or value[i] * (s[i] modulo 2^9, signed)
       p = parameters line `parameters` + g, whose bias counts as 0 in MULTIPLY
       out[i] = clamp(requantize(value[i] + p.bias[i], p.multiplier[i], p.shift[i], rounding) + zero_point,
                      minimum, maximum)
       if look_up_results: out[i] = result table at out[i] modulo 256
       the first min(L, channels - g * L) of out go to scratchpad[address + py * row_pitch + px * pixel_pitch + g * L]

Columns of a group of L start at a multiple of L. Waits for a committed half before it starts; `release` frees the half
as soon as its last sum is read. Complete when the last byte is written. Requantize is defined in docs/numerics.md and
weft.sim.golden."""

END = data.StructLayout({"header": HEADER})
"""The program ends here: the run is done when all units have completed what was dispatched before."""

LAYOUTS = {
    Opcode.LOAD: LOAD,
    Opcode.CONV: CONV,
    Opcode.DRAIN: DRAIN,
    Opcode.STORE: STORE,
    Opcode.END: END,
}


def words(opcode: Opcode, width: int) -> int:
    """Words of `width` bits that the fields of an instruction reach."""
    return -(-LAYOUTS[opcode].size // width)


class Instruction(NamedTuple):
    """One decoded instruction: the opcode and the value of every field but the opcode, flat (`wait`, `signal`, `tag`
    beside the others; reserved fields left out)."""

    opcode: Opcode
    fields: dict[str, int]

    def __getattr__(self, name: str) -> int:
        try:
            return self.fields[name]
        except KeyError:
            raise AttributeError(f"{self.opcode.name} has no field {name}") from None


@cache
def fields(opcode: Opcode) -> Mapping[str, tuple[int, Shape]]:
    """The fields of an instruction, flat: name -> (first bit, shape), in order; the opcode is left out, names that
    start with `reserved` are kept."""
    found: dict[str, tuple[int, Shape]] = {}
    for name, field in LAYOUTS[opcode]:
        if name == "header":
            for inner, part in HEADER:
                if inner != "opcode":
                    key = inner if inner not in ("reserved",) else "reserved_header"
                    found[key] = (field.offset + part.offset, Shape.cast(part.shape))
        else:
            found[name] = (field.offset, Shape.cast(field.shape))
    return found


@cache
def _ranges(opcode: Opcode) -> Mapping[str, tuple[int, int]]:
    """The least and the largest value of each field that is not reserved."""
    shapes = {name: shape for name, (_, shape) in fields(opcode).items() if not name.startswith("reserved")}
    return {
        name: (-(1 << shape.width - 1), (1 << shape.width - 1) - 1) if shape.signed else (0, (1 << shape.width) - 1)
        for name, shape in shapes.items()
    }


@cache
def _places(opcode: Opcode) -> tuple[tuple[str, int, int], ...]:
    """Of each field that is not reserved: name, first bit, and the bits of its value."""
    return tuple(
        (name, offset, (1 << shape.width) - 1)
        for name, (offset, shape) in fields(opcode).items()
        if not name.startswith("reserved")
    )


def instruction(opcode: Opcode, **values: Any) -> Instruction:
    """Make an instruction; fields not named are 0.

    Raises
    ------
    ValueError
        For a name that is not a field, or a value that does not fit.
    """
    ranges = _ranges(opcode)
    numbers = dict.fromkeys(ranges, 0)
    for name, value in values.items():
        if name not in ranges:
            raise ValueError(f"{opcode.name} has no field {name}; it has {', '.join(ranges)}")
        low, high = ranges[name]
        number = int(value.value) if isinstance(value, enum.Enum) else int(value)
        if not low <= number <= high:
            raise ValueError(f"{opcode.name}.{name} must be from {low} to {high}, not {number}")
        numbers[name] = number
    return Instruction(opcode, numbers)


def encode(one: Instruction) -> bytes:
    """The instruction's 64 bytes."""
    word = int(one.opcode.value)
    for name, offset, mask in _places(one.opcode):
        word |= (one.fields[name] & mask) << offset
    return word.to_bytes(INSTRUCTION_BYTES, "little")


def decode(raw: bytes) -> Instruction:
    """The instruction in 64 bytes.

    Raises
    ------
    ValueError
        For another size, an unknown opcode, or a bit set where none is defined.
    """
    if len(raw) != INSTRUCTION_BYTES:
        raise ValueError(f"an instruction has {INSTRUCTION_BYTES} bytes, not {len(raw)}")
    word = int.from_bytes(raw, "little")
    try:
        opcode = Opcode(word & 0xF)
    except ValueError:
        raise ValueError(f"{word & 0xF} is not an opcode") from None
    values = {}
    used = 0xF
    for name, (offset, shape) in fields(opcode).items():
        mask = (1 << shape.width) - 1
        value = word >> offset & mask
        if name.startswith("reserved"):
            continue
        used |= mask << offset
        values[name] = value - (1 << shape.width) if shape.signed and value >> shape.width - 1 else value
    if word & ~used:
        raise ValueError(f"{opcode.name} has reserved bits set")
    return Instruction(opcode, values)


def assemble(program: Sequence[Instruction]) -> bytes:
    """The bytes of a program, one instruction after the other."""
    return b"".join(encode(one) for one in program)


def disassemble(raw: bytes) -> list[Instruction]:
    """The instructions of a program, up to and including the first END.

    Raises
    ------
    ValueError
        For an undefined instruction (its offset is named) or a program without END.
    """
    program = []
    for offset in range(0, len(raw), INSTRUCTION_BYTES):
        try:
            one = decode(raw[offset : offset + INSTRUCTION_BYTES])
        except ValueError as error:
            raise ValueError(f"instruction at byte {offset}: {error}") from None
        program.append(one)
        if one.opcode is Opcode.END:
            return program
    raise ValueError(f"the program of {len(raw)} bytes has no END")
