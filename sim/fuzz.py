"""Random legal programs over the whole instruction set, to hold the RTL against the functional machine.

A program fills all local memories with random bytes, works through a few random tiles, and stores what they left in
the scratchpad. The scratchpad has two halves: tiles read the lower one, or the upper one behind a token; they write
the upper one.
"""

from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from weft.rtl.config import PARAMETER_RECORD_BYTES, Config
from weft.rtl.isa import (
    RESULT_TABLE_OFFSET,
    TABLE_SPACE_BYTES,
    Combine,
    Instruction,
    Mode,
    Opcode,
    Rounding,
    Space,
    assemble,
    instruction,
)
from weft.rtl.registers import Unit

COARSE = 64
"""Sums that are multiples of it make ties when they are rounded."""

REGION = 1 << 20
"""Bytes between the base addresses: program, data, results, unused."""


OPCODES = {Unit.LOAD: Opcode.LOAD, Unit.ARRAY: Opcode.CONV, Unit.DRAIN: Opcode.DRAIN, Unit.STORE: Opcode.STORE}


class RandomProgram(NamedTuple):
    """A program at address 0 and the memory that it expects; results are the `results` bytes at base 2."""

    program: list[Instruction]
    memory: NDArray[np.uint8]
    bases: tuple[int, int, int, int]
    results: int


def mask(*units: Unit) -> int:
    """The token mask that names these units."""
    return sum(1 << unit for unit in units)


class _Writer:
    """Collects instructions; the tokens of the last instruction of a unit can still be added to."""

    def __init__(self, config: Config, random: Generator) -> None:
        self.config = config
        self.random = random
        self.program: list[Instruction] = []
        self.data = np.zeros(REGION, np.uint8)
        self.used = 0
        self.waits: dict[Unit, int] = dict.fromkeys(Unit, 0)
        # The lower half of the tiles is for dense passes, the upper one for filters of so many taps.
        self.tiles = min(config.weight_tiles, 64)
        self.taps = self.integer(1, config.rows)

    def integer(self, low: int, high: int) -> int:
        """Uniform from `low` to `high`, both included."""
        return int(self.random.integers(low, high + 1))

    def token(self, giver: Unit, taker: Unit) -> None:
        """The next instruction of `taker` waits for the last one of `giver`."""
        for index in reversed(range(len(self.program))):
            if self.program[index].opcode is OPCODES[giver]:
                one = self.program[index]
                if one.fields["signal"] & mask(taker):
                    return  # its token is waited for already, or was taken: then the order stands
                self.program[index] = Instruction(
                    one.opcode, one.fields | {"signal": one.fields["signal"] | mask(taker)}
                )
                self.waits[taker] |= mask(giver)
                return

    def add(self, unit: Unit, opcode: Opcode, **fields: object) -> None:
        """Append an instruction of a unit with the tokens that it waits for."""
        self.program.append(instruction(opcode, wait=self.waits[unit], tag=len(self.program) & 0xFFFF, **fields))
        self.waits[unit] = 0

    def load(self, space: Space, local: int, raw: NDArray[np.uint8]) -> None:
        """Put bytes into the data region and load them, in one piece or as rows with gaps."""
        word = self.config.memory_bytes
        count = len(raw)
        rows = self.integer(2, 6) if self.random.integers(2) and count % (6 * word) == 0 else 1
        while count % (rows * word) and rows > 1:
            rows -= 1
        length = count // rows
        gap = self.integer(0, 3) * word
        # Any alignment for the scratchpad; the other spaces want whole words.
        skew = self.integer(0, word - 1) if space is Space.SCRATCHPAD else 0
        offset = self.used + skew
        step = length + gap
        for row in range(rows):
            self.data[offset + row * step : offset + row * step + length] = raw[row * length : (row + 1) * length]
        self.used = -(-(offset + rows * step) // word) * word
        self.add(
            Unit.LOAD, Opcode.LOAD, space=space, base=1, offset=offset, step=step,
            local=local, local_step=length, bytes=length, rows=rows,
        )  # fmt: skip


def random_parameters(config: Config, random: Generator, lines: int) -> NDArray[np.uint8]:
    """So many lines of parameter records: a third of all that can be, a third whose results are small enough for int8,
    and a third of those with a power of two as the multiplier, which makes ties."""
    records = np.zeros((lines, config.parameter_line_bytes), np.uint8)
    for lane in range(config.lanes):
        part = records[:, lane * PARAMETER_RECORD_BYTES : (lane + 1) * PARAMETER_RECORD_BYTES]
        bias = random.integers(-(2**31), 2**31, lines) >> random.integers(0, 31, lines)
        multiplier = random.integers(0, 2**31, lines) | (random.integers(0, 4, lines) > 0).astype(np.int64) << 30
        shift = np.where(
            random.integers(0, 4, lines) > 0, -random.integers(0, 16, lines), random.integers(-31, 4, lines)
        )
        kind = random.integers(0, 3, lines)
        bias >>= np.where(kind > 0, 16, 0)
        bias &= np.where(kind == 2, -COARSE, -1)
        small = np.where(kind == 1, random.integers(0, 12, lines), 0)
        multiplier = np.where(kind == 1, (multiplier | 1 << 30) >> small, np.where(kind == 2, 1 << 30, multiplier))
        shift = np.where(kind > 0, small - random.integers(5, 12, lines), shift)
        part[:, 0:4] = bias.astype("<i4").view(np.uint8).reshape(lines, 4)
        part[:, 4:8] = multiplier.astype("<u4").view(np.uint8).reshape(lines, 4)
        part[:, 8] = shift.astype(np.int8).view(np.uint8)
    return records.reshape(-1)


def random_tables(random: Generator) -> NDArray[np.uint8]:
    """The table space: int32 of all sizes, multiples of COARSE, and results."""
    space: NDArray[np.uint8] = random.integers(0, 256, TABLE_SPACE_BYTES, np.uint8)
    sums = space[:RESULT_TABLE_OFFSET].view("<i4")
    sums[:] = sums >> random.integers(0, 24, len(sums)) & -COARSE
    return space


def random_weights(config: Config, random: Generator, tiles: int, taps: int) -> NDArray[np.uint8]:
    """So many tiles of random weights, half the time of multiples of COARSE; with fewer taps than rows, the rows above
    hold zeros."""
    kept = random.choice([0xFF, 256 - COARSE])
    lines = np.zeros((tiles, config.weight_steps, config.weight_line_bytes), np.uint8)
    for row in range(taps):
        bank, step = divmod(row, config.weight_steps)
        start = bank * config.weight_pitch
        lines[:, step, start : start + config.cols] = random.integers(0, 256, (tiles, config.cols), np.uint8) & kept
    return lines.reshape(-1)


def _conv_shape(write: _Writer, like: dict[str, int] | None = None) -> dict[str, int]:
    """Fields of a CONV that fits into an accumulator half; the geometry of an image with `channels` channels. With
    `like` its sums go where those of another one go."""
    config = write.config
    while True:
        ox, oy, n = write.integer(1, 8), write.integer(1, 6), write.integer(1, 4)
        if like is not None:
            ox, oy, n = like["_ox"], like["oy_count"], like["n_count"]
        if ox * oy * n <= config.accumulators:
            break
    channels, width = write.integer(1, 12), write.integer(1, 10)
    if write.integer(0, 3) == 0:
        channels = min((config.rows, config.cols)[write.integer(0, 1)], 16)
    stride, dilation = write.integer(1, 3), write.integer(1, 2)
    kernel_x, kernel_y = write.integer(1, 4), write.integer(1, 4)
    row_pitch = width * channels + write.integer(0, 3) * write.integer(0, 1)
    runs = dilation == 1 and write.integer(0, 2) > 0
    run = kernel_x * channels if runs else channels
    passes = n * kernel_y * (1 if runs else kernel_x) * -(-run // config.rows)
    columns = config.depthwise and write.integer(0, 1) == 1
    first = 0
    if columns:
        # A filter down each column: `kernel_x` groups of so many taps, over streams of positions.
        channels = min(channels, config.cols)
        run = channels
        passes = n * kernel_y * kernel_x
        first = write.tiles // 2
    entry = write.integer(0, max(0, config.accumulators - ox * oy * n)) if write.integer(0, 1) else 0
    shared = write.integer(0, 7) == 0  # all pixels go to one entry
    if like is not None:
        entry, shared = like["entry"], like["entry_step"] == 0
    return {
        "zero_point": write.integer(-128, 127),
        "y_pitch": stride * row_pitch,
        "ky_pitch": dilation * row_pitch,
        "row_bytes": width * channels,
        "x0": -write.integer(0, 3) * write.integer(0, 1) * channels,
        "x_step": stride * channels,
        "kx_step": dilation * channels,
        "run": run,
        "height": write.integer(1, 12),
        "y0": -write.integer(0, 3) * write.integer(0, 1),
        "y_step": stride,
        "ky_step": dilation,
        "ky_count": kernel_y,
        "kx_count": 1 if runs and not columns else kernel_x,
        "ox_count": (ox - 1) * stride + write.taps if columns else ox,
        "oy_count": oy,
        "n_count": n,
        "entry": entry,
        "entry_step": 0 if shared else n,
        "mode": (Mode.COLUMNS if columns else Mode.DENSE).value,
        "warmup": write.taps - 1 if columns else write.integer(0, 255),
        "interval": stride if columns else write.integer(0, 255),
        "weights": (first + write.integer(0, max(0, write.tiles // 2 - passes))) * config.weight_steps,
        "_passes": passes,
        "_ox": ox,
        "_sums": 1 if shared else ox,
        "_rows": 1 if shared else oy,
    }


def _drain_shape(write: _Writer, conv: dict[str, int], lines: int) -> dict[str, int]:
    """Fields of a DRAIN that reads what the CONV wrote: plain, pooled, or unpacked."""
    config = write.config
    lanes, n, ox, oy = config.lanes, conv["n_count"], conv["_sums"], conv["_rows"]
    packed = write.integer(1, 4)
    room = n * config.cols // packed // lanes
    if room == 0:
        packed, room = 1, n * config.cols // lanes
    groups = min(write.integer(1, room), lines)
    channels = groups * lanes - write.integer(0, lanes - 1) * write.integer(0, 1)
    pitch = groups * lanes
    height, width = oy, ox * packed
    pool_y = write.integer(1, min(3, height))
    stride_y = write.integer(1, 3)
    if packed > 1:
        options = [size for size in (1, 2, 3, 4) if packed % size == 0]
        pool_x = stride_x = options[write.integer(0, len(options) - 1)]
        x0 = 0
    else:
        pool_x, stride_x = write.integer(1, min(3, width)), write.integer(1, 3)
        x0 = -write.integer(0, pool_x - 1)
    y0 = -write.integer(0, pool_y - 1)
    multiplies = config.tables and write.integer(0, 3) == 0 and (width >= 2 if packed == 1 else packed % 2 == 0)
    if multiplies:
        pool_y, pool_x, x0, y0 = 1, 2, 0, 0
        stride_x = stride_x if packed == 1 else 2
    # The last windows may reach beyond the image, below and on the right; products may not.
    beyond = not multiplies and write.integer(0, 1)
    rows = max(1, (height - y0 - (1 if beyond else pool_y)) // stride_y + 1)
    pixels = max(1, (width - x0 - (1 if beyond and packed == 1 else pool_x)) // stride_x + 1)
    pixels = write.integer(1, pixels)
    group = packed // stride_x if packed > 1 else 1

    def split(columns: int) -> tuple[int, int]:
        return columns // config.cols, columns % config.cols

    step, column_step = split(stride_x * pitch) if packed > 1 else (0, 0)
    window_step, window_column_step = split(pitch) if packed > 1 else (n, 0)
    modulus = 1 << 16
    return {
        "combine": (Combine.MULTIPLY if multiplies else (Combine.MAX, Combine.ADD)[write.integer(0, 1)]).value,
        "look_up_sums": write.integer(0, 1) * config.tables,
        "look_up_results": write.integer(0, 1) * config.tables,
        "rounding": list(Rounding)[write.integer(0, 2)].value,
        "zero_point": write.integer(-128, 127),
        "minimum": write.integer(-128, 0),
        "maximum": write.integer(0, 127),
        "entry": (conv["entry"] + y0 * ox * n + (x0 * n if packed == 1 else 0)) % modulus,
        "row_step": stride_y * ox * n,
        "group_step": n if packed > 1 else stride_x * n,
        "pixel_step": step,
        "pixel_column_step": column_step,
        "window_row_step": ox * n,
        "window_step": window_step,
        "window_column_step": window_column_step,
        "rows": rows,
        "pixels": pixels,
        "group": group,
        "window_height": pool_y,
        "window_width": pool_x,
        "y0": y0,
        "y_stride": stride_y,
        "height": height,
        "x0": x0,
        "x_stride": stride_x,
        "width": width,
        "channels": channels,
        "parameters": write.integer(0, lines - groups),
    }


def random_program(config: Config, seed: int, tiles: int = 6) -> RandomProgram:
    """A legal program with about so many tiles; the same for the same seed."""
    random = np.random.default_rng(seed)
    write = _Writer(config, random)
    size = min(config.scratchpad_bytes, 4096)
    half = size // 2
    # The end of the upper half is for what is loaded while tiles are drained; the rest is for their results.
    results = half - size // 8
    lines = min(config.parameter_lines, 16)

    write.load(Space.SCRATCHPAD, 0, random.integers(0, 256, size, np.uint8))
    write.load(Space.PARAMETERS, 0, random_parameters(config, random, lines))
    if config.tables:
        write.load(Space.TABLES, 0, random_tables(random))
    halves = [
        random_weights(config, random, write.tiles // 2, config.rows),
        random_weights(config, random, write.tiles - write.tiles // 2, write.taps),
    ]
    write.load(Space.WEIGHTS, 0, np.concatenate(halves))
    write.token(Unit.LOAD, Unit.ARRAY)

    stored = 0
    while tiles > 0:
        tiles -= 1
        shape = _conv_shape(write)
        if shape["_passes"] > write.tiles // 2:
            tiles += 1
            continue
        reads_upper = write.integer(0, 2) == 0 and any(one.opcode is Opcode.DRAIN for one in write.program)
        if reads_upper:
            write.token(Unit.DRAIN, Unit.ARRAY)
        split = write.integer(1, 2)
        for part in range(split):
            one = shape
            if part and write.integer(0, 1):
                # Another convolution on top, of the other mode perhaps, without a bubble.
                one = _conv_shape(write, shape)
                while one["_passes"] > write.tiles // 2:
                    one = _conv_shape(write, shape)
            # Where a read wraps around or strays into the other half it would race with the drain: masked lanes are
            # not read, so it is enough that the image lies inside its half.
            extent = (one["height"] - 1) * one["ky_pitch"] // one["ky_step"] + one["row_bytes"]
            while extent > results:
                one["height"] -= 1
                extent = (one["height"] - 1) * one["ky_pitch"] // one["ky_step"] + one["row_bytes"]
            origin = write.integer(0, results - extent) + half * reads_upper
            address = origin + one["y0"] * (one["ky_pitch"] // one["ky_step"])
            fields = {name: value for name, value in one.items() if name[0] != "_"}
            write.add(
                Unit.ARRAY, Opcode.CONV, **fields, address=address % (1 << 24),
                acquire=part == 0, commit=part == split - 1, accumulate=part > 0,
            )  # fmt: skip
        if write.integer(0, 2) == 0:
            count = write.integer(1, half - results)
            start = half + results + write.integer(0, half - results - count)
            write.load(Space.SCRATCHPAD, start, random.integers(0, 256, count, np.uint8))
        if config.tables and write.integer(0, 3) == 0:
            _new_elements(write)
        drains = write.integer(1, 2)
        for part in range(drains):
            drained = _drain_shape(write, shape, lines)
            pixel_pitch = drained["channels"] + write.integer(0, 2)
            row_pitch = drained["pixels"] * pixel_pitch + write.integer(0, 5)
            extent = drained["rows"] * row_pitch
            if extent > results:
                drained["rows"] = max(1, results // row_pitch)
                extent = drained["rows"] * row_pitch
            local = half + write.integer(0, max(0, results - extent))
            write.add(
                Unit.DRAIN, Opcode.DRAIN, **drained, address=local, pixel_pitch=pixel_pitch, row_pitch=row_pitch,
                release=part == drains - 1,
            )  # fmt: skip
        if write.integer(0, 2) == 0:
            write.token(Unit.DRAIN, Unit.STORE)
            stored = _store(write, half, results, stored)
            write.token(Unit.STORE, Unit.DRAIN)
        if write.integer(0, 2) == 0:
            # New weights for the tiles to come.
            write.token(Unit.ARRAY, Unit.LOAD)
            write.load(Space.WEIGHTS, 0, random_weights(config, random, write.integer(1, 4), config.rows))
            write.token(Unit.LOAD, Unit.ARRAY)
    write.token(Unit.DRAIN, Unit.STORE)
    write.token(Unit.LOAD, Unit.STORE)
    stored = _store(write, 0, size, stored)
    # Tokens that nobody waits for any more would be left behind: take back what was promised to later instructions.
    _forget_unused(write)
    write.program.append(instruction(Opcode.END))

    memory = np.zeros(3 * REGION, np.uint8)
    raw = np.frombuffer(assemble(write.program), np.uint8)
    memory[: len(raw)] = raw
    memory[REGION : 2 * REGION] = write.data
    memory[2 * REGION :] = random.integers(0, 256, REGION, np.uint8)
    return RandomProgram(write.program, memory, (0, REGION, 2 * REGION, 0), stored)


def _new_elements(write: _Writer) -> None:
    """Load a few words of the tables anew, between two instructions of the drain."""
    word = write.config.memory_bytes
    count = word * write.integer(1, 8)
    start = word * write.integer(0, (TABLE_SPACE_BYTES - count) // word)
    write.token(Unit.DRAIN, Unit.LOAD)
    write.load(Space.TABLES, start, random_tables(write.random)[start : start + count])
    write.token(Unit.LOAD, Unit.DRAIN)


def _store(write: _Writer, local: int, count: int, stored: int) -> int:
    """Store bytes of the scratchpad with any alignment behind what is stored already."""
    word = write.config.memory_bytes
    rows = write.integer(1, 4)
    length = count // rows
    offset = stored + write.integer(0, word - 1)
    step = length + write.integer(0, 9)
    write.add(
        Unit.STORE, Opcode.STORE, space=Space.SCRATCHPAD, base=2, offset=offset, step=step,
        local=local, local_step=length, bytes=length, rows=rows,
    )  # fmt: skip
    return offset + rows * step


def _forget_unused(write: _Writer) -> None:
    for taker, waits in write.waits.items():
        for giver in Unit:
            if waits >> giver & 1:
                for index in reversed(range(len(write.program))):
                    one = write.program[index]
                    if one.opcode is OPCODES[giver] and one.fields["signal"] >> taker & 1:
                        signal = one.fields["signal"] & ~mask(taker)
                        write.program[index] = Instruction(one.opcode, one.fields | {"signal": signal})
                        break
