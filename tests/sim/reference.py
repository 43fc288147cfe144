"""CONV and DRAIN as loops over the definitions in weft.rtl.isa, one byte at a time."""

from math import ceil

import numpy as np
from weft.rtl.config import Config
from weft.rtl.isa import Instruction, Rounding
from weft.sim.golden import requantize

INT32_MIN = -(1 << 31)


def wrap(value: int) -> int:
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def conv(config: Config, scratchpad: np.ndarray, weights: np.ndarray, sums: np.ndarray, i: Instruction) -> None:
    """Execute on `sums` (entry, column), in place; `weights` are bytes of the weight space."""
    size = config.scratchpad_bytes
    step = config.weight_steps

    def tile(line: int, j: int, c: int) -> int:
        bank, step_of_row = divmod(j, step)
        address = (line + step_of_row) * config.weight_line_bytes + bank * config.weight_pitch + c
        return int(weights[address])

    number = 0
    for n in range(i.n_count):
        first = True
        for ky in range(i.ky_count):
            for kx in range(i.kx_count):
                for k in range(0, i.run, config.rows):
                    line = i.weights + number * step
                    number += 1
                    for oy in range(i.oy_count):
                        for ox in range(i.ox_count):
                            y = i.y0 + oy * i.y_step + ky * i.ky_step
                            x = i.x0 + ox * i.x_step + kx * i.kx_step + k
                            start = i.address + oy * i.y_pitch + ky * i.ky_pitch + x
                            a = [
                                int(scratchpad[(start + j) % size])
                                if 0 <= y < i.height and 0 <= x + j < i.row_bytes and k + j < i.run
                                else i.zero_point
                                for j in range(config.rows)
                            ]
                            entry = i.entry + n + (oy * i.ox_count + ox) * i.entry_step
                            for c in range(config.cols):
                                total = sum(a[j] * tile(line, j, c) for j in range(config.rows))
                                old = 0 if first and not i.accumulate else int(sums[entry, c])
                                sums[entry, c] = wrap(old + total)
                    first = False


def drain(config: Config, sums: np.ndarray, parameters: np.ndarray, scratchpad: np.ndarray, i: Instruction) -> None:
    """Execute on `scratchpad`, in place; `parameters` are bytes of the parameter space."""
    lanes, cols = config.lanes, config.cols

    def record(line: int, lane: int) -> tuple[int, int, int]:
        start = line * config.parameter_line_bytes + lane * 16
        raw = parameters[start : start + 9].tobytes()
        return (
            int.from_bytes(raw[:4], "little", signed=True),
            int.from_bytes(raw[4:8], "little"),
            int.from_bytes(raw[8:9], "little", signed=True),
        )

    for py in range(i.rows):
        for px in range(i.pixels):
            for g in range(ceil(i.channels / lanes)):
                value = [INT32_MIN] * lanes
                for wy in range(i.window_height):
                    for wx in range(i.window_width):
                        y = i.y0 + py * i.y_stride + wy
                        x = i.x0 + px * i.x_stride + wx
                        entry = i.entry + py * i.row_step + (px // i.group) * i.group_step
                        entry += (px % i.group) * i.pixel_step + wy * i.window_row_step + wx * i.window_step
                        column = (px % i.group) * i.pixel_column_step + wx * i.window_column_step + g * lanes
                        entry, column = entry + column // cols, column % cols
                        if 0 <= y < i.height and 0 <= x < i.width:
                            value = [max(value[lane], int(sums[entry, column + lane])) for lane in range(lanes)]
                for lane in range(min(lanes, i.channels - g * lanes)):
                    out = requantize(
                        value[lane],
                        *record(i.parameters + g, lane),
                        Rounding(i.rounding),
                        i.zero_point,
                        i.minimum,
                        i.maximum,
                    )
                    address = i.address + py * i.row_pitch + px * i.pixel_pitch + g * lanes + lane
                    scratchpad[address % config.scratchpad_bytes] = out
