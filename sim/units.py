"""What each instruction does to the state of the functional machine: one function per opcode.

The semantics are those in weft.rtl.isa; a tile's whole loop nest is one gather and one matrix product.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import PARAMETER_RECORD_BYTES, Config
from weft.rtl.isa import (
    FACTOR_BITS,
    RESULT_TABLE_BYTES,
    RESULT_TABLE_OFFSET,
    SUM_TABLE_BYTES,
    SUM_TABLES,
    TABLE_SPACE_BYTES,
    Combine,
    Instruction,
    Mode,
    Opcode,
    Rounding,
    Space,
)
from weft.rtl.legality import AT_LEAST_ONE

from .golden import requantize
from .numerics import INT32_MAX, INT32_MIN, MAX_SHIFT

Index: TypeAlias = NDArray[np.int64]

BLOCK = 1 << 20
"""Elements of one gather; bounds the memory that a large tile takes."""

EXACT_FLOAT32_DEPTH = 1 << 10
"""Products of two int8 are at most 2^14, so float32 is exact for sums of up to 2^10 of them."""


class Fault(Exception):
    """An instruction asks for something undefined; the message says what, the machine adds where."""


class Local:
    """A local memory in bytes, with a note of the bytes that were ever written."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.data = np.zeros(size, np.int8)
        self.written = np.zeros(size, np.bool_)


class State:
    """All contents: the external memory, the local memories and the accumulators.

    `known` marks sums that were overwritten since their half was acquired, by weights that were all loaded.
    """

    def __init__(self, config: Config, memory: NDArray[np.uint8]) -> None:
        self.config = config
        self.memory = memory
        self.local = {
            Space.SCRATCHPAD: Local("scratchpad", config.scratchpad_bytes),
            Space.WEIGHTS: Local("weight space", config.weight_space_bytes),
            Space.PARAMETERS: Local("parameter space", config.parameter_lines * config.parameter_line_bytes),
            Space.TABLES: Local("table space", TABLE_SPACE_BYTES if config.tables else 0),
        }
        self.sums = np.zeros((2, config.accumulators, config.cols), np.int32)
        self.known = np.zeros(self.sums.shape, np.bool_)


def check(one: Instruction) -> None:
    """Refuse counts of zero and undefined enumeration values."""
    for name in AT_LEAST_ONE[one.opcode]:
        if one.fields[name] < 1:
            raise Fault(f"{name} must be at least 1")
    enums: dict[Opcode, tuple[tuple[str, Any], ...]] = {
        Opcode.LOAD: (("space", Space),),
        Opcode.STORE: (("space", Space),),
        Opcode.CONV: (("mode", Mode),),
        Opcode.DRAIN: (("rounding", Rounding), ("combine", Combine)),
    }
    for name, kind in enums[one.opcode]:
        if one.fields[name] not in [member.value for member in kind]:
            raise Fault(f"{name} {one.fields[name]} is not defined")
    if one.opcode is Opcode.STORE and one.space != Space.SCRATCHPAD.value:
        raise Fault("a STORE takes from the scratchpad only")


def load(state: State, one: Instruction, bases: Sequence[int]) -> None:
    """Memory to a local memory."""
    local = state.local[Space(one.space)]
    for outside, inside in _transfers(state, one, bases):
        local.data[inside] = state.memory[outside].view(np.int8)
        local.written[inside] = True


def store(state: State, one: Instruction, bases: Sequence[int]) -> None:
    """The scratchpad to memory."""
    local = state.local[Space.SCRATCHPAD]
    for outside, inside in _transfers(state, one, bases):
        _refuse_unwritten(local, inside, np.True_)
        state.memory[outside] = local.data[inside].view(np.uint8)


def _transfers(state: State, one: Instruction, bases: Sequence[int]) -> Iterator[tuple[Index, Index]]:
    """Memory addresses and local addresses of a transfer's bytes, in order, in blocks of whole rows."""
    config = state.config
    local = state.local[Space(one.space)]
    start = bases[one.base] + one.offset
    if Space(one.space) is not Space.SCRATCHPAD:
        words = {"local": one.local, "bytes": one.bytes, "memory address": start}
        if one.rows > 1:
            words |= {"local_step": one.local_step, "step": one.step}
        for name, value in words.items():
            if value % config.memory_bytes:
                raise Fault(f"in the {local.name} {name} must be a multiple of {config.memory_bytes}, not {value}")
        if one.local + (one.rows - 1) * one.local_step + one.bytes > local.data.size:
            raise Fault(f"the rows end beyond the {local.name} of {local.data.size} bytes")
    elif one.bytes > local.data.size:
        raise Fault(f"a row of {one.bytes} bytes is longer than the {local.name}")
    column = np.arange(one.bytes, dtype=np.int64)
    for rows in _blocks(one.rows, one.bytes):
        outside = (start + rows * one.step) % (1 << config.address_width)
        highest = outside.max() + one.bytes - 1
        if highest >= state.memory.size:
            raise Fault(f"the memory has {state.memory.size} bytes, the transfer reaches byte {highest:#x}")
        inside = (one.local + rows * one.local_step)[:, None] + column
        if Space(one.space) is Space.SCRATCHPAD:
            inside &= local.data.size - 1
        yield (outside[:, None] + column).ravel(), inside.ravel()


def conv(state: State, one: Instruction, half: int) -> None:
    """Array passes: scratchpad and weights to the sums of a half."""
    config = state.config
    columns = one.mode == Mode.COLUMNS.value
    if columns:
        _check_columns(config, one)
    chunks = 1 if columns else -(-one.run // config.rows)
    passes = one.ky_count * one.kx_count * chunks
    in_row = (one.ox_count - 1 - one.warmup) // one.interval + 1 if columns else one.ox_count
    pixels = one.oy_count * in_row
    entry = one.entry + np.arange(pixels)[:, None] * one.entry_step + np.arange(one.n_count)
    if entry[-1, -1] >= config.accumulators:
        raise Fault(f"entry {entry[-1, -1]} is beyond the {config.accumulators} accumulators")

    tiles, tiles_known = _weight_tiles(state, one.weights, one.n_count, passes)
    distinct = pixels == 1 or one.entry_step >= one.n_count or np.unique(entry).size == entry.size
    # The first pass is kept apart only when pixels share an entry, where it alone overwrites.
    make = _column_sums if columns else _dense_sums
    first, rest = make(state, one, tiles, passes if distinct else 1)
    _accumulate(state, one, half, entry, distinct, np.logical_and.reduce(tiles_known, axis=1), first, rest)


def _check_columns(config: Config, one: Instruction) -> None:
    if not config.depthwise:
        raise Fault("mode COLUMNS is not built into this configuration")
    if one.run > config.cols:
        raise Fault(f"run must be at most the {config.cols} columns in mode COLUMNS, not {one.run}")
    if one.interval < 1:
        raise Fault("interval must be at least 1 in mode COLUMNS")
    if one.warmup >= config.rows or one.ox_count <= one.warmup:
        raise Fault(f"warmup must be below the {config.rows} rows and below ox_count, not {one.warmup}")
    if (one.ox_count - 1 - one.warmup) % one.interval:
        raise Fault("the last position of a row must yield a sum in mode COLUMNS")


def _dense_sums(
    state: State, one: Instruction, tiles: NDArray[np.int8], first_passes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The sums of the first passes and of the rest, each (pixels, n, C)."""
    config = state.config
    chunks = -(-one.run // config.rows)
    pixels = one.oy_count * one.ox_count
    depth = one.ky_count * one.kx_count * chunks * config.rows
    exact: Any = np.float32 if depth <= EXACT_FLOAT32_DEPTH else np.float64
    flat = tiles.transpose(1, 0, 2).reshape(depth, one.n_count * config.cols).astype(exact)
    first = np.empty((pixels, one.n_count, config.cols), np.int64)
    rest = np.zeros_like(first)
    split = first_passes * config.rows
    parts = ((first, 0, split), (rest, split, depth))
    for rows in _blocks(one.oy_count, one.ox_count * depth):
        activations = _activations(state, one, rows, chunks, config.rows).reshape(-1, depth).astype(exact)
        block = slice(rows[0] * one.ox_count, (rows[-1] + 1) * one.ox_count)
        for sums, low, high in parts:
            product = activations[:, low:high] @ flat[low:high]
            sums[block] = product.astype(np.int64).reshape(-1, one.n_count, config.cols)
    return first, rest


def _column_sums(
    state: State, one: Instruction, tiles: NDArray[np.int8], first_passes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """As _dense_sums, in mode COLUMNS: each column convolves its own stream with its own taps."""
    config = state.config
    passes = one.ky_count * one.kx_count
    taps = tiles.reshape(one.n_count, passes, config.rows, config.cols).astype(np.int64)
    if taps[:, :, one.warmup + 1 :].any():
        raise Fault("rows above warmup must hold zero weights in mode COLUMNS")
    outputs = np.arange(one.warmup, one.ox_count, one.interval)
    streams = _activations(state, one, np.arange(one.oy_count), 1, config.cols)
    streams = streams.reshape(one.oy_count, one.ox_count, passes, config.cols).astype(np.int64)
    sums = np.zeros((passes, one.oy_count, outputs.size, one.n_count, config.cols), np.int64)
    for row in range(one.warmup + 1):
        delayed_stream = streams[:, outputs - row].transpose(2, 0, 1, 3)[:, :, :, None]
        sums += delayed_stream * taps[:, :, row].transpose(1, 0, 2)[:, None, None]
    sums = sums.reshape(passes, -1, one.n_count, config.cols)
    return sums[:first_passes].sum(axis=0), sums[first_passes:].sum(axis=0)


def _accumulate(
    state: State,
    one: Instruction,
    half: int,
    entry: Index,
    distinct: bool,
    columns_known: NDArray[np.bool_],
    first: NDArray[np.int64],
    rest: NDArray[np.int64],
) -> None:
    sums, known = state.sums[half], state.known[half]
    if one.accumulate:
        stale = (columns_known & ~known[entry]).any(axis=2)
        if stale.any():
            raise Fault(f"adds to entry {entry[stale][0]}, which was not overwritten since the acquire")
    for n in range(one.n_count):
        where = entry[:, n]
        if one.accumulate:
            first[:, n] += rest[:, n]
            if distinct:
                sums[where] = (sums[where] + first[:, n]).astype(np.int32)
            else:
                _add_at(sums, where, first[:, n])
            known[where] &= columns_known[n]
        else:
            sums[where] = first[:, n].astype(np.int32)
            known[where] = columns_known[n]
            if not distinct:
                _add_at(sums, where, rest[:, n])


def _add_at(sums: NDArray[np.int32], where: Index, values: NDArray[np.int64]) -> None:
    total = sums.astype(np.int64)
    np.add.at(total, where, values)
    sums[:] = total.astype(np.int32)


def _weight_tiles(state: State, line: int, count: int, passes: int) -> tuple[NDArray[np.int8], NDArray[np.bool_]]:
    """The tiles from `line` on, (count, passes * R, C), and which of their weights were loaded."""
    config = state.config
    steps = config.weight_steps
    end = line + count * passes * steps
    if end > config.weight_lines:
        raise Fault(f"reads weight lines up to {end - 1}, beyond the {config.weight_lines} there are")

    def tiles(space: NDArray[Any]) -> NDArray[Any]:
        lines = space.reshape(config.weight_lines, config.weight_line_bytes)
        banks = lines[line:end, : config.weight_rows * config.weight_pitch].reshape(
            count, passes, steps, config.weight_rows, config.weight_pitch
        )
        # Bank b loads row b * S + s in step s.
        rows = banks[..., : config.cols].transpose(0, 1, 3, 2, 4)
        return rows.reshape(count, passes * config.rows, config.cols)

    local = state.local[Space.WEIGHTS]
    return tiles(local.data), tiles(local.written)


def _activations(state: State, one: Instruction, oy: Index, chunks: int, lanes: int) -> NDArray[np.int8]:
    """What enters the array, (rows of pixels, ox, ky, kx, chunk, lane)."""
    local = state.local[Space.SCRATCHPAD]
    ky = np.arange(one.ky_count)
    y = one.y0 + oy[:, None] * one.y_step + ky * one.ky_step
    k = (np.arange(chunks)[:, None] * lanes + np.arange(lanes))[None, None]
    ox = np.arange(one.ox_count)[:, None, None, None]
    kx = np.arange(one.kx_count)[:, None, None]
    x = one.x0 + ox * one.x_step + kx * one.kx_step + k
    start = one.address + oy[:, None] * one.y_pitch + ky * one.ky_pitch
    index = (start[:, None, :, None, None, None] + x[None, :, None]) & (local.data.size - 1)
    inside_y = (y >= 0) & (y < one.height)
    inside_x = (x >= 0) & (x < one.row_bytes) & (k < one.run)
    inside = inside_y[:, None, :, None, None, None] & inside_x[None, :, None]
    _refuse_unwritten(local, index, inside)
    return np.where(inside, local.data[index], np.int8(one.zero_point))


def drain(state: State, one: Instruction, half: int) -> None:
    """Sums of a half to the scratchpad: pool, requantize, write."""
    config = state.config
    for name in ("pixel_column_step", "window_column_step"):
        if one.fields[name] % config.lanes or one.fields[name] >= config.cols:
            raise Fault(f"{name} must be a multiple of {config.lanes} below {config.cols}, not {one.fields[name]}")
    if one.minimum > one.maximum:
        raise Fault(f"minimum {one.minimum} is above maximum {one.maximum}")
    bias, multiplier, shift = _parameters(state, one.parameters, one.channels)
    px = np.arange(one.pixels)
    wy = np.arange(one.window_height)
    wx = np.arange(one.window_width)
    channel = np.arange(one.channels)
    # Positions count columns: entry * C + column.
    pixel_columns = one.pixel_step * config.cols + one.pixel_column_step
    window_columns = one.window_step * config.cols + one.window_column_step
    in_row = (px // one.group) * one.group_step * config.cols + (px % one.group) * pixel_columns
    in_window = (wy * one.window_row_step * config.cols)[:, None] + wx * window_columns
    x = one.x0 + px[:, None] * one.x_stride + wx
    inside_x = (x >= 0) & (x < one.width)
    local = state.local[Space.SCRATCHPAD]
    for py in _blocks(one.rows, one.pixels * in_window.size * one.channels):
        y = one.y0 + py[:, None] * one.y_stride + wy
        inside_y = (y >= 0) & (y < one.height)
        inside = (inside_y[:, None, :, None] & inside_x[:, None, :])[..., None]
        row = (one.entry + py * one.row_step) * config.cols
        position = row[:, None, None, None] + in_row[:, None, None] + in_window
        value = _combine(state, one, half, position[..., None] + channel, inside)
        if one.combine == Combine.MULTIPLY.value:
            bias = np.zeros_like(bias)
        out = requantize(
            value, bias, multiplier, shift, Rounding(one.rounding), one.zero_point, one.minimum, one.maximum
        )
        if one.look_up_results:
            out = _looked_up(state, RESULT_TABLE_OFFSET, RESULT_TABLE_BYTES)[out.view(np.uint8)]
        target = one.address + (py * one.row_pitch)[:, None, None] + (px * one.pixel_pitch)[:, None] + channel
        target &= local.data.size - 1
        local.data[target] = out
        local.written[target] = True


def _looked_up(state: State, offset: int, count: int) -> NDArray[np.int8]:
    local = state.local[Space.TABLES]
    if not local.written[offset : offset + count].all() or offset >= local.data.size:
        raise Fault("looks up in a table that was not loaded")
    return local.data[offset : offset + count]


def _combine(
    state: State, one: Instruction, half: int, position: Index, inside: NDArray[np.bool_]
) -> NDArray[np.int32]:
    """The windows' values; `position` is (rows, pixels, window height, window width, channels)."""
    config = state.config
    asked = np.where(inside, position % (config.cols << 16), 0)  # entries count modulo 2^16
    if asked.max() >= config.accumulators * config.cols:
        raise Fault(f"entry {asked.max() // config.cols} is beyond the {config.accumulators} accumulators")
    unknown = inside & ~state.known[half].reshape(-1)[asked]
    if unknown.any():
        entry, column = divmod(int(asked[unknown][0]), config.cols)
        raise Fault(f"reads entry {entry}, column {column}, which was not overwritten since the acquire")
    sums = state.sums[half].reshape(-1)[asked]
    multiplies = one.combine == Combine.MULTIPLY.value
    if multiplies and not config.tables:
        raise Fault("combine MULTIPLY is not built into this configuration")
    if multiplies and (one.window_height * one.window_width != 2 or not inside.all()):
        raise Fault("combine MULTIPLY takes windows of two positions, both inside")
    if one.look_up_sums:
        tables = _looked_up(state, 0, SUM_TABLES * SUM_TABLE_BYTES).view("<i4").reshape(SUM_TABLES, 256)
        operand = np.minimum(np.arange(one.window_width), SUM_TABLES - 1)[:, None]
        sums = tables[operand, sums & 0xFF]
    if one.combine == Combine.ADD.value:
        total: NDArray[np.int32] = np.where(inside, sums, 0).sum(axis=(2, 3), dtype=np.int64).astype(np.int32)
        return total
    if multiplies:
        span = 1 << FACTOR_BITS
        factors = (sums.astype(np.int64) + span // 2) % span - span // 2
        product: NDArray[np.int32] = factors.prod(axis=(2, 3)).astype(np.int32)
        return product
    pooled: NDArray[np.int32] = np.where(inside, sums, np.int32(INT32_MIN)).max(axis=(2, 3))
    return pooled


def _parameters(state: State, line: int, channels: int) -> tuple[NDArray[np.int32], Index, Index]:
    """Bias, multiplier and shift of `channels` channels from a line of the parameter memory on."""
    config = state.config
    end = line + -(-channels // config.lanes)
    if end > config.parameter_lines:
        raise Fault(f"reads parameter lines up to {end - 1}, beyond the {config.parameter_lines} there are")

    def records(space: NDArray[Any]) -> NDArray[Any]:
        lines = space.reshape(config.parameter_lines, config.parameter_line_bytes)
        block = lines[line:end, : config.lanes * PARAMETER_RECORD_BYTES]
        return block.reshape(-1, PARAMETER_RECORD_BYTES)[:channels]

    local = state.local[Space.PARAMETERS]
    if not records(local.written)[:, :9].all():
        raise Fault(f"reads parameter lines {line} to {end - 1}, which were not all written")
    record = np.ascontiguousarray(records(local.data))
    bias = record[:, 0:4].copy().view("<i4").reshape(-1)
    multiplier = record[:, 4:8].copy().view("<u4").reshape(-1).astype(np.int64)
    shift = record[:, 8].astype(np.int64)
    if multiplier.max() > INT32_MAX or np.abs(shift).max() > MAX_SHIFT:
        raise Fault(f"parameter lines {line} to {end - 1} hold a multiplier or shift that is not defined")
    return bias, multiplier, shift


def _refuse_unwritten(local: Local, index: Index, asked: Any) -> None:
    unwritten = asked & ~local.written[index]
    if unwritten.any():
        raise Fault(f"reads byte {index[unwritten][0]} of the {local.name}, which was never written")


def _blocks(count: int, elements: int) -> Iterator[Index]:
    """range(count) in pieces, so that a piece of `elements` per step has at most about BLOCK in all."""
    step = max(1, BLOCK // elements)
    for start in range(0, count, step):
        yield np.arange(start, min(start + step, count))
