from collections import deque

import numpy as np
from weft.rtl import isa
from weft.rtl.compact_drain import CompactDrain
from weft.rtl.compact_requantize import CompactRequantize
from weft.rtl.config import Config
from weft.rtl.isa import Opcode, Rounding
from weft.sim.golden import requantize

from tests.rtl.common import simulate

CONFIG = Config(compact=True, accumulators=64, scratchpad_bytes=1024, parameter_channels=16)
WAY = 8
"""Cycles from a request to its answer."""


def drive(one, sums, records, random, stall):
    """Execute an instruction; the bytes written, and the cycles of the writes, the release and `done`."""
    dut = CompactDrain(CONFIG)
    writes, times = {}, {"writes": []}

    async def testbench(ctx):
        way = deque([None] * WAY)
        line, offered = 0, True
        for cycle in range(100_000):
            fields = {name: value for name, value in one.fields.items() if name not in ("wait", "signal", "tag")}
            ctx.set(dut.instruction.payload, fields)
            ctx.set(dut.instruction.valid, offered)
            ctx.set(dut.half_full, cycle >= 5)
            ctx.set(dut.slot, int(random.random() >= stall))
            answer = way.popleft()
            ctx.set(dut.read, {"valid": 0} if answer is None else {"valid": 1} | answer[1])
            ctx.set(dut.sum, 0 if answer is None else answer[0])
            bias, multiplier, shift = records[line]
            ctx.set(dut.parameter_data, {"bias": bias, "multiplier": multiplier, "shift": shift})
            request = dut.request
            granted = ctx.get(request.valid) and ctx.get(dut.slot)
            place = {name: ctx.get(getattr(request, name)) for name in ("first", "last", "inside")}
            entry, column = ctx.get(request.entry), ctx.get(request.column)
            way.append((int(sums[entry, column]), place) if granted else None)
            if ctx.get(dut.half_release):
                times["release"] = cycle
            if ctx.get(dut.write.enable):
                writes[ctx.get(dut.write.address)] = ctx.get(dut.write.data[0].as_signed())
                times["writes"].append(cycle)
            if offered and ctx.get(dut.instruction.ready):
                offered = False
            reads = ctx.get(dut.parameter_read.enable), ctx.get(dut.parameter_read.line)
            if ctx.get(dut.done):
                times["done"] = cycle
                return
            await ctx.tick()
            if reads[0]:
                line = reads[1]

    simulate(dut, testbench, cycles=100_000)
    return writes, times


def pooled(window, channels, **changes):
    """A DRAIN of 3 x 2 windows of `window` x `window` pixels."""
    fields = {
        **{"rounding": Rounding.NEAREST_EVEN.value, "zero_point": 3, "minimum": -100, "maximum": 100, "release": 1},
        **{"row_step": 12 * window // 2, "group_step": window, "window_row_step": 2 * window, "window_step": 1},
        **{"rows": 3, "pixels": 2, "group": 1, "window_height": window, "window_width": window},
        **{"y_stride": window, "x_stride": window, "height": 3 * window, "width": 2 * window},
        **{"channels": channels, "parameters": 2, "address": 100, "row_pitch": 20, "pixel_pitch": 7},
    }
    return isa.instruction(Opcode.DRAIN, **(fields | changes))


def expected(one, sums, records):
    """By isa.DRAIN's text, for one column tile."""
    result = {}
    for py in range(one.rows):
        for px in range(one.pixels):
            for channel in range(one.channels):
                values = []
                for wy in range(one.window_height):
                    for wx in range(one.window_width):
                        y, x = one.y0 + py * one.y_stride + wy, one.x0 + px * one.x_stride + wx
                        entry = one.entry + py * one.row_step + px * one.group_step
                        entry += wy * one.window_row_step + wx * one.window_step
                        if 0 <= y < one.height and 0 <= x < one.width:
                            values.append(int(sums[entry % 64, channel]))
                value = sum(values) if one.combine else max(values, default=-(1 << 31))
                bias, multiplier, shift = records[one.parameters + channel]
                result[one.address + py * one.row_pitch + px * one.pixel_pitch + channel] = int(
                    requantize(
                        np.array([value]).astype(np.int32), np.array([bias], np.int32), np.array([multiplier]),
                        np.array([shift]), Rounding(one.rounding), one.zero_point, one.minimum, one.maximum,
                    )[0]
                )  # fmt: skip
    return result


def case(seed):
    random = np.random.default_rng(seed)
    sums = random.integers(-(1 << 20), 1 << 20, (64, CONFIG.cols))
    records = [(int(random.integers(-999, 999)), int(random.integers(1 << 30, 1 << 31)), -13) for _ in range(16)]
    return random, sums, records


def test_windows_while_slots_are_scarce():
    for seed, (window, stall, combine) in enumerate([(1, 0.0, 0), (2, 0.0, 0), (2, 0.6, 1), (2, 0.3, 0)]):
        random, sums, records = case(seed)
        one = pooled(window, 3, combine=combine, x0=-(window - 1))
        writes, times = drive(one, sums, records, random, stall)
        assert writes == expected(one, sums, records)
        assert times["release"] < times["done"]
        assert times["done"] == times["writes"][-1] + 1


def test_a_value_takes_as_long_as_requantizing_it_or_reading_it():
    random, sums, records = case(9)
    for window, step in ((1, CompactRequantize.CYCLES), (2, max(CompactRequantize.CYCLES, 4 + WAY + 1))):
        _, times = drive(pooled(window, 4), sums, records, random, 0.0)
        assert set(np.diff(times["writes"])) == {step}
