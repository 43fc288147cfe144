# amaranth: UnusedElaboratable=no

"""The drain between stand-ins for the accumulator, the parameter memory and the scratchpad."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from weft.rtl import isa
from weft.rtl.accumulator import read_latency
from weft.rtl.config import Config
from weft.rtl.drain import Drain, Lane, latency
from weft.rtl.isa import Combine, Rounding
from weft.rtl.registers import Activity
from weft.rtl.requantize import requantize_latency
from weft.rtl.scratchpad import drain_write_latency
from weft.rtl.tables import Tables

from tests.rtl.common import simulate, wrap32
from tests.rtl.test_requantize import reference as requantize

INT_MIN = -(1 << 31)

# columns, lanes, tables
SHAPES = [
    (5, 1, False),
    (5, 5, True),
    (4, 2, False),
    (4, 1, True),
    (4, 4, False),
    (1, 1, False),
    (6, 3, True),
    (9, 3, False),
    (8, 2, False),
    (8, 2, True),
]

REGISTERED = {"memory_latency": 2, "pipelined": True}
"""All registers that a drain may have."""


def make(cols, lanes, accumulators=64, tables=False, **changes):
    config = Config(
        rows=4,
        cols=cols,
        lanes=lanes,
        accumulators=accumulators,
        scratchpad_bytes=256,
        parameter_channels=24 * lanes,
        tables=tables,
        **changes,
    )
    return config, Drain(config)


@dataclass
class World:
    """What the drain sees: both halves [half, entry, column], the records by channel, and the table space."""

    sums: np.ndarray
    records: list[tuple[int, int, int]]
    tables: bytes

    def look_up_sums(self, operand, sums):
        table = np.frombuffer(self.tables[: isa.RESULT_TABLE_OFFSET], "<i4").reshape(isa.SUM_TABLES, 256)[operand]
        return [int(table[value & 0xFF]) for value in sums]

    def look_up_results(self, results):
        return [self.tables[isa.RESULT_TABLE_OFFSET + value] for value in results]


def make_world(random, config):
    """Sums that mostly requantize into the range of int8, among them the extremes."""
    shape = (2, config.accumulators, config.cols)
    sums = random.integers(-200, 200, shape) << 16
    sums += random.integers(0, 1 << 16, shape)
    extremes = random.integers(0, 16, shape)
    sums[extremes == 0], sums[extremes == 1] = INT_MIN, (1 << 31) - 1
    records = [
        (
            int(random.integers(-(1 << 20), 1 << 20)),
            int(random.integers(1 << 29, 1 << 31)),
            int(random.integers(-18, -13)),
        )
        for _ in range(config.parameter_channels)
    ]
    tables = random.integers(-(1 << 23), 1 << 23, isa.SUM_TABLES * 256, dtype="<i4").tobytes() + random.bytes(256)
    return World(wrap32(sums), records, tables)


@dataclass
class Expected:
    """In order: the reads of one instruction as (entry, group), and after how many of them which bytes are written."""

    reads: list[tuple[int, int]] = field(default_factory=list)
    writes: list[tuple[int, int, list[int]]] = field(default_factory=list)


def signed9(value):
    """The low nine bits."""
    return (value + 256) % 512 - 256


def execute(one, config, world, half):
    """isa.DRAIN's loop nest, word for word. A position is a number: entry * columns + column."""
    lanes, cols = config.lanes, config.cols
    expected = Expected()
    adds = Combine(one.combine) is Combine.ADD
    multiplies = Combine(one.combine) is Combine.MULTIPLY
    for py in range(one.rows):
        for px in range(one.pixels):
            for g in range(-(-one.channels // lanes)):
                value = [1 if multiplies else 0 if adds else INT_MIN] * lanes
                for wy in range(one.window_height):
                    for wx in range(one.window_width):
                        y = one.y0 + py * one.y_stride + wy
                        x = one.x0 + px * one.x_stride + wx
                        position = cols * (one.entry + py * one.row_step + px // one.group * one.group_step)
                        position += px % one.group * (cols * one.pixel_step + one.pixel_column_step)
                        position += wy * cols * one.window_row_step
                        position += wx * (cols * one.window_step + one.window_column_step) + g * lanes
                        entry, column = divmod(position, cols)
                        entry %= 1 << 16
                        expected.reads.append((entry, column // lanes))
                        if 0 <= y < one.height and 0 <= x < one.width:
                            sums = world.sums[half, entry, column : column + lanes].tolist()
                            if one.look_up_sums:
                                sums = world.look_up_sums(min(wx, 1), sums)
                            if multiplies:
                                value = [one * signed9(other) for one, other in zip(value, sums, strict=True)]
                                continue
                            pairs = list(zip(value, sums, strict=True))
                            value = [int(wrap32(sum(pair))) if adds else max(pair) for pair in pairs]
                count = min(lanes, one.channels - g * lanes)
                first = (one.parameters + g) * lanes
                settings = (Rounding(one.rounding), one.zero_point, one.minimum, one.maximum)
                records = [
                    (0, *record[1:]) if multiplies else record for record in world.records[first : first + count]
                ]
                out = [
                    requantize(one, *record, *settings) & 0xFF
                    for one, record in zip(value[:count], records, strict=True)
                ]
                if one.look_up_results:
                    out = world.look_up_results(out)
                address = one.address + py * one.row_pitch + px * one.pixel_pitch + g * lanes
                expected.writes.append((len(expected.reads), address % config.scratchpad_bytes, out))
    return expected


def factors(random):
    """A window of two positions, both inside, whose values are multiplied."""
    height, width = [(1, 2), (2, 1)][random.integers(2)]
    window = {"combine": Combine.MULTIPLY, "window_height": height, "window_width": width, "y0": 0, "x0": 0}
    return window | {"height": (1 << 16) - 1, "width": (1 << 16) - 1}


def random_drain(random, config, **changes):
    """A DRAIN with sums packed in columns, windows that reach over the image's edges, any pitches, and, where there are
    tables, look-ups."""
    lanes, cols = config.lanes, config.cols
    while True:
        # Packed pixels lie `spread` columns apart, and so do the columns of a window.
        spread = lanes * int(random.integers(1, 2 * cols // lanes + 1))
        step = dict(zip(("pixel_step", "pixel_column_step"), divmod(spread, cols), strict=True))
        window_spread = lanes * int(random.integers(1, 2 * cols // lanes + 1))
        step |= dict(zip(("window_step", "window_column_step"), divmod(window_spread, cols), strict=True))
        low, high = sorted(random.integers(-128, 128, 2).tolist())
        fields = {
            "rounding": int(random.integers(3)),
            "combine": int(random.integers(2)),
            "look_up_sums": int(random.integers(1 + config.tables)),
            "look_up_results": int(random.integers(1 + config.tables)),
            "release": int(random.integers(2)),
            "zero_point": int(random.integers(-128, 128)),
            "minimum": low,
            "maximum": high,
            "entry": int(random.integers(config.accumulators)),
            "row_step": int(random.integers(0, 8)),
            "group_step": int(random.integers(0, 5)),
            "window_row_step": int(random.integers(0, 8)),
            **step,
            "rows": int(random.integers(1, 4)),
            "pixels": int(random.integers(1, 6)),
            "group": int(random.integers(1, 4)),
            "window_height": int(random.integers(1, 4)),
            "window_width": int(random.integers(1, 4)),
            "y0": int(random.integers(-2, 1)),
            "y_stride": int(random.integers(1, 4)),
            "height": int(random.integers(1, 8)),
            "x0": int(random.integers(-2, 1)),
            "x_stride": int(random.integers(1, 4)),
            "width": int(random.integers(1, 10)),
            "channels": int(random.integers(1, 3 * cols)),
            "parameters": int(random.integers(0, 6)),
            "address": int(random.integers(config.scratchpad_bytes)),
            "row_pitch": int(random.integers(64)),
            "pixel_pitch": int(random.integers(64)),
            "tag": int(random.integers(1 << 16)),
        }
        if config.tables and random.integers(3) == 0:
            fields |= factors(random)
        fields |= changes
        one = isa.instruction(isa.Opcode.DRAIN, **fields)
        last = one.entry + (one.rows - 1) * one.row_step + (one.pixels - 1) // one.group * one.group_step
        last += (one.group - 1) * (one.pixel_step + 1) + (one.window_height - 1) * one.window_row_step
        last += (one.window_width - 1) * (one.window_step + 1) + 3
        if last < config.accumulators:
            return one


@dataclass
class Trace:
    """What the drain did, by cycle."""

    accepted: list[int] = field(default_factory=list)
    reads: list[tuple[int, int, int, int]] = field(default_factory=list)
    writes: list[tuple[int, int, list[int]]] = field(default_factory=list)
    releases: list[int] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    activity: list[tuple[Activity, int]] = field(default_factory=list)


async def fill(ctx, port, raw, word):
    """Write the table space, a word per cycle."""
    ctx.set(port.valid, 1)
    for offset in range(0, len(raw), word):
        ctx.set(port.payload.address, offset)
        ctx.set(port.payload.data, int.from_bytes(raw[offset : offset + word], "little"))
        assert ctx.get(port.ready)
        await ctx.tick()
    ctx.set(port.valid, 0)


def run(config, dut, world, program, commits, pauses):
    """Fill the tables; then offer each instruction `pauses` cycles after the one before was accepted, and commit one
    half in each cycle of `commits`. Ends some cycles after the last `done`."""
    trace = Trace()

    async def testbench(ctx):
        sums, records = {}, {}
        committed = cycle = 0
        due = pauses[0]
        if config.tables:
            await fill(ctx, dut.tables, world.tables, config.memory_bytes)
        while len(trace.done) < len(program) or cycle < trace.done[-1] + 5:
            offered = len(trace.accepted) < len(program) and cycle >= due
            if offered:
                word = int.from_bytes(isa.encode(program[len(trace.accepted)]), "little")
                ctx.set(dut.instruction.payload.as_value(), word)
            ctx.set(dut.instruction.valid, offered)
            committed += commits.count(cycle)
            ctx.set(dut.half_full, committed > len(trace.releases))
            # Nothing but what was read is ever visible, so that a result at a wrong time is a wrong result.
            for lane in range(config.lanes):
                ctx.set(dut.accumulator_data[lane], sums.get(cycle, [-1] * config.lanes)[lane])
                bias, multiplier, shift = records.get(cycle, [(0, 0, 0)] * config.lanes)[lane]
                ctx.set(dut.parameter_data[lane], {"bias": bias, "multiplier": multiplier, "shift": shift})

            if offered and ctx.get(dut.instruction.ready):
                trace.accepted.append(cycle)
                due = cycle + 1 + (pauses[len(trace.accepted)] if len(trace.accepted) < len(program) else 0)
            read = ctx.get(dut.accumulator_read)
            if read.enable:
                trace.reads.append((cycle, read.half, read.entry, read.group))
                start = read.group * config.lanes
                if read.entry < config.accumulators:
                    columns = world.sums[read.half, read.entry, start : start + config.lanes]
                    sums[cycle + read_latency(config)] = columns.tolist()
            if ctx.get(dut.parameter_read.enable):
                first = ctx.get(dut.parameter_read.line) * config.lanes
                records[cycle + config.memory_latency] = world.records[first : first + config.lanes]
            if ctx.get(dut.half_release):
                trace.releases.append(cycle)
            write = ctx.get(dut.write)
            if write.enable:
                lanes = write.strobe.bit_length()
                assert write.strobe == (1 << lanes) - 1
                trace.writes.append((cycle, write.address, [write.data[lane] for lane in range(lanes)]))
            if ctx.get(dut.done):
                trace.done.append(cycle)
            trace.activity.append((ctx.get(dut.activity), ctx.get(dut.tag)))
            await ctx.tick()
            cycle += 1

    simulate(dut, testbench, cycles=20_000)
    return trace


def check(config, dut, world, program, trace):
    """Reads, writes, releases and completions of a run, each in its cycle."""
    entry_mask = (1 << (config.accumulators - 1).bit_length()) - 1
    reads, writes = iter(trace.reads), iter(trace.writes)
    half, releases, done = 0, [], []
    for one in program:
        expected = execute(one, config, world, half)
        issued = [next(reads) for _ in expected.reads]
        assert [read[1:] for read in issued] == [(half, entry & entry_mask, group) for entry, group in expected.reads]
        cycles = [read[0] for read in issued]
        assert cycles == list(range(cycles[0], cycles[0] + len(cycles)))
        for count, address, values in expected.writes:
            assert next(writes) == (cycles[count - 1] + dut.latency, address, values)
        done.append(cycles[-1] + dut.done_latency)
        if one.release:
            releases.append(cycles[-1])
            half ^= 1
    assert (next(reads, None), next(writes, None)) == (None, None)
    assert trace.releases == releases
    assert trace.done == done


@pytest.mark.parametrize("tables, memory, cycles", [(False, 1, 9), (True, 1, 11), (False, 2, 10), (True, 2, 14)])
def test_latencies_add_up(tables, memory, cycles):
    config = Config(tables=tables, memory_latency=memory)
    parts = read_latency(config) + Lane.COMBINE + requantize_latency(False) + 2 * tables * Tables(config).latency
    assert parts == latency(config) == cycles
    # A register at either end of the lane, and five inside the requantizer.
    assert latency(config.replace(pipelined=True)) == cycles + 7


@pytest.mark.parametrize(
    "cols, lanes, tables, seed",
    [
        *((*shape, seed) for shape in SHAPES for seed in range(2)),
        *((*shape, 2) for shape in SHAPES[:2]),  # registered
    ],
)
def test_random_programs(cols, lanes, tables, seed):
    """Instructions at any distance, halves that are committed late: everything but the waiting is the same."""
    config, dut = make(cols, lanes, 64 if seed % 2 else 50, tables, **(REGISTERED if seed == 2 else {}))
    random = np.random.default_rng([cols, lanes, seed])
    world = make_world(random, config)
    program = [random_drain(random, config) for _ in range(6)]
    halves = 1 + sum(one.release for one in program)
    commits = np.cumsum(random.choice([1, 10, 300], halves)).tolist()
    pauses = random.choice([0, 1, 30], len(program)).tolist()
    check(config, dut, world, program, run(config, dut, world, program, commits, pauses))


def plain(**changes):
    """Two pixels of one column, straight through."""
    fields = {
        "maximum": 127,
        "minimum": -128,
        "rows": 1,
        "pixels": 2,
        "group": 1,
        "group_step": 1,
        "window_height": 1,
        "window_width": 1,
        "y_stride": 1,
        "x_stride": 1,
        "height": 1,
        "width": 2,
        "channels": 1,
        "pixel_pitch": 1,
    }
    return isa.instruction(isa.Opcode.DRAIN, **fields | changes)


@pytest.mark.parametrize("tables", [False, True])
def test_waiting_instructions_follow_without_a_bubble(tables):
    """Single positions, released halves and windows: one read in every cycle, whatever the boundaries are."""
    config, dut = make(4, 2, tables=tables)
    random = np.random.default_rng(1)
    world = make_world(random, config)
    program = [plain(pixels=1, release=1)] * 3
    program += [random_drain(random, config, release=release) for release in (0, 1, 0, 1)]
    trace = run(config, dut, world, program, [0] * 6, [0] * len(program))
    check(config, dut, world, program, trace)
    cycles = [read[0] for read in trace.reads]
    assert cycles == list(range(1, 1 + len(cycles)))
    assert trace.accepted[0] == 0


def test_a_window_outside_of_the_image_gives_the_most_negative_sum():
    """The bias takes it to zero, and the scale is one: not even the lowest bit may differ."""
    config, dut = make(4, 4)
    world = make_world(np.random.default_rng(2), config)
    world.records[:4] = [(INT_MIN, 1 << 30, 1)] * 4
    program = [plain(y0=-1, zero_point=5, channels=4)]
    trace = run(config, dut, world, program, [0], [0])
    check(config, dut, world, program, trace)
    assert [write[2] for write in trace.writes] == [[5] * 4] * 2


@pytest.mark.parametrize("accumulators", [64, 50])
def test_padded_windows_begin_before_the_first_entry(accumulators):
    """Pooling 3 x 3 with stride 2 and one pixel of padding: the first window's first entry is a negative number."""
    config, dut = make(4, 4, accumulators)
    world = make_world(np.random.default_rng(5), config)
    height, width = 5, 7
    program = [
        plain(
            entry=(-width - 1) % (1 << 16),
            rows=3,
            pixels=4,
            row_step=2 * width,
            group_step=2,
            window_height=3,
            window_width=3,
            window_row_step=width,
            window_step=1,
            y0=-1,
            x0=-1,
            y_stride=2,
            x_stride=2,
            height=height,
            width=width,
            channels=4,
            row_pitch=16,
            pixel_pitch=4,
        )
    ]
    trace = run(config, dut, world, program, [0], [0])
    check(config, dut, world, program, trace)
    image = np.full((height + 2, width + 2, 4), INT_MIN, np.int64)
    image[1:-1, 1:-1] = world.sums[0, : height * width].reshape(height, width, 4)
    settings = (Rounding.DOUBLE, 0, -128, 127)
    for (_, address, values), (y, x) in zip(trace.writes, np.ndindex(3, 4), strict=True):
        pooled = image[2 * y : 2 * y + 3, 2 * x : 2 * x + 3].max(axis=(0, 1)).tolist()
        assert address == 16 * y + 4 * x
        assert values == [requantize(pooled[c], *world.records[c], *settings) & 0xFF for c in range(4)]


def test_strides_and_counts_of_full_width():
    """Coordinates far outside of the image stay outside."""
    config, dut = make(4, 4)
    world = make_world(np.random.default_rng(3), config)
    one = plain(rows=300, pixels=1, y0=-128, y_stride=255, height=65535, x0=127, width=65535, pixel_pitch=0)
    program = [one]
    check(config, dut, world, program, run(config, dut, world, program, [0], [0]))


def test_activity_and_tag():
    """Idle, waiting for the half, busy until the last byte is written; the tag is the instruction's."""
    config, dut = make(4, 1)
    world = make_world(np.random.default_rng(4), config)
    program = [plain(tag=7, release=1), plain(tag=9)]
    trace = run(config, dut, world, program, [8, 30], [3, 0])
    check(config, dut, world, program, trace)
    assert trace.accepted == [3, 9]
    states = [state for state, _ in trace.activity]
    assert states[:4] == [Activity.IDLE] * 4
    assert states[4:8] == [Activity.WAIT_ARRAY] * 4
    assert states[8:10] == [Activity.BUSY] * 2
    assert states[10:30] == [Activity.WAIT_ARRAY] * 20
    assert dut.done_latency == dut.latency + drain_write_latency(config) - 1 == 10
    assert states[30 : trace.done[1] + 1] == [Activity.BUSY] * (2 + dut.done_latency)
    assert set(states[trace.done[1] + 1 :]) == {Activity.IDLE}
    assert {tag for _, tag in trace.activity[4:10]} == {7}
    assert {tag for _, tag in trace.activity[10 : trace.done[1] + 1]} == {9}
