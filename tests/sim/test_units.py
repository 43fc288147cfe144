"""Each instruction of the functional machine against loops over its definition, on random instructions."""

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.rtl.isa import Combine, Opcode, Rounding, Space, instruction
from weft.sim import units

from tests.sim import reference

CONFIGS = {
    "1x1": Config(rows=1, cols=1, scratchpad_bytes=64, weight_tiles=64, accumulators=64, parameter_channels=16),
    "4x4": Config(rows=4, cols=4, scratchpad_bytes=256, weight_tiles=64, accumulators=64, parameter_channels=64),
    "6x3": Config(
        rows=6, cols=3, weight_rows=2, lanes=3, scratchpad_bytes=128, weight_tiles=40, accumulators=50,
        parameter_channels=48,
    ),
    "8x8": Config(
        rows=8, cols=8, weight_rows=8, lanes=2, scratchpad_bytes=1024, weight_tiles=32, accumulators=80,
        memory_width=128, axi_width=128, parameter_channels=64,
    ),
    "3x10": Config(
        rows=3, cols=10, weight_rows=3, lanes=5, scratchpad_bytes=512, weight_tiles=24, accumulators=36,
        memory_width=64, axi_width=64, parameter_channels=40,
    ),
}  # fmt: skip

SEEDS = range(12)


def random_state(config, random):
    """A machine whose memories are all written and whose sums are all known."""
    state = units.State(config, random.integers(0, 256, 4096, dtype=np.uint8))
    for local in state.local.values():
        local.data[:] = random.integers(-128, 128, local.data.size)
        local.written[:] = True
    records = state.local[Space.PARAMETERS].data.reshape(config.parameter_lines, -1)
    for lane in range(config.lanes):
        start = lane * 16
        multiplier = random.integers(1 << 30, 1 << 31, config.parameter_lines).astype("<u4")
        records[:, start + 4 : start + 8] = multiplier.view(np.int8).reshape(-1, 4)
        records[:, start + 8] = random.integers(-31, 8, config.parameter_lines)
    state.sums[:] = random.integers(-(1 << 31), 1 << 31, state.sums.shape)
    state.known[:] = True
    return state


def random_conv(config, random):
    """Any CONV that stays within weights and accumulators; addresses wrap, images lie askew."""

    def pick(low, high):
        return int(random.integers(low, high + 1))

    n_count, ky_count, kx_count = pick(1, 2), pick(1, 3), pick(1, 2)
    most = config.weight_tiles // (n_count * ky_count * kx_count)
    run = pick(1, min(most, 3) * config.rows)
    passes = n_count * ky_count * kx_count * -(-run // config.rows)
    oy_count, ox_count = pick(1, 3), pick(1, 4)
    pixels = oy_count * ox_count
    entry_step = pick(0, 3)  # 0, and 1 beside two column tiles, let sums share entries
    used = (pixels - 1) * entry_step + n_count
    size = config.scratchpad_bytes
    return instruction(
        Opcode.CONV,
        accumulate=pick(0, 1),
        zero_point=pick(-128, 127),
        address=pick(0, size - 1),
        y_pitch=pick(0, 2 * size),
        ky_pitch=pick(0, 2 * size),
        row_bytes=pick(0, 80),
        x0=pick(-9, 5),
        x_step=pick(0, 9),
        kx_step=pick(0, 9),
        run=run,
        height=pick(0, 12),
        y0=pick(-3, 1),
        y_step=pick(0, 3),
        ky_step=pick(0, 3),
        ky_count=ky_count,
        kx_count=kx_count,
        ox_count=ox_count,
        oy_count=oy_count,
        n_count=n_count,
        weights=pick(0, config.weight_lines - passes * config.weight_steps),
        entry=pick(0, config.accumulators - used),
        entry_step=entry_step,
    )


def random_drain(config, random):
    """Any DRAIN whose positions stay within the accumulators; windows may lie askew, outputs may overlap."""

    def pick(low, high):
        return int(random.integers(low, high + 1))

    def column_step():
        return config.lanes * pick(0, config.cols // config.lanes - 1)

    while True:
        rows, pixels = pick(1, 3), pick(1, 5)
        low, high = sorted((pick(-128, 127), pick(-128, 127)))
        fields = {
            "rounding": Rounding(pick(0, 2)),
            "combine": Combine.MAX,
            "zero_point": pick(-128, 127),
            "minimum": low,
            "maximum": high,
            "entry": pick(0, 9),
            "row_step": pick(0, 9),
            "group_step": pick(0, 5),
            "pixel_step": pick(0, 3),
            "pixel_column_step": column_step(),
            "window_row_step": pick(0, 9),
            "window_step": pick(0, 3),
            "window_column_step": column_step(),
            "rows": rows,
            "pixels": pixels,
            "group": pick(1, 4),
            "window_height": pick(1, 3),
            "window_width": pick(1, 3),
            "y0": pick(-2, 1),
            "y_stride": pick(1, 3),
            "height": pick(0, 7),
            "x0": pick(-2, 1),
            "x_stride": pick(1, 3),
            "width": pick(0, 7),
            "channels": pick(1, min(2 * config.cols, config.parameter_channels)),
            "parameters": pick(0, config.parameter_lines - 1),
            "address": pick(0, config.scratchpad_bytes - 1),
            "row_pitch": pick(0, 40),
            "pixel_pitch": pick(0, 20),
        }
        one = instruction(Opcode.DRAIN, **fields)
        columns = (min(one.group, pixels) - 1) * one.pixel_column_step + one.channels - 1
        columns += (one.window_width - 1) * one.window_column_step
        last = one.entry + (rows - 1) * one.row_step + (pixels - 1) // one.group * one.group_step
        last += (min(one.group, pixels) - 1) * one.pixel_step + columns // config.cols
        last += (one.window_height - 1) * one.window_row_step + (one.window_width - 1) * one.window_step
        lines = -(-one.channels // config.lanes)
        if last < config.accumulators and one.parameters + lines <= config.parameter_lines:
            return one


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", CONFIGS)
def test_conv(name, seed):
    config = CONFIGS[name]
    random = np.random.default_rng(seed)
    state = random_state(config, random)
    for half in (0, 1):
        one = random_conv(config, random)
        expected = state.sums.copy()
        scratchpad, weights = state.local[Space.SCRATCHPAD].data, state.local[Space.WEIGHTS].data
        reference.conv(config, scratchpad, weights, expected[half], one)
        units.conv(state, one, half)
        assert (state.sums == expected).all(), one


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", CONFIGS)
def test_drain(name, seed):
    config = CONFIGS[name]
    random = np.random.default_rng(seed)
    state = random_state(config, random)
    for half in (0, 1):
        one = random_drain(config, random)
        scratchpad = state.local[Space.SCRATCHPAD].data
        expected = scratchpad.copy()
        parameters = state.local[Space.PARAMETERS].data
        reference.drain(config, state.sums[half], parameters, expected, one)
        units.drain(state, one, half)
        assert (scratchpad == expected).all(), one


def test_a_large_tile_is_gathered_in_blocks(monkeypatch):
    config = CONFIGS["4x4"]
    random = np.random.default_rng(0)
    state = random_state(config, random)
    one = random_conv(config, random)
    wide = {**one.fields, "oy_count": 3, "ox_count": 4, "entry": 0, "entry_step": 2, "n_count": 1}
    one = instruction(Opcode.CONV, **wide)
    expected = state.sums.copy()
    scratchpad, weights = state.local[Space.SCRATCHPAD].data, state.local[Space.WEIGHTS].data
    reference.conv(config, scratchpad, weights, expected[0], one)
    monkeypatch.setattr(units, "BLOCK", 1)
    units.conv(state, one, 0)
    assert (state.sums == expected).all()


@pytest.mark.parametrize("depth", [1 << 10, (1 << 10) + 4])
def test_sums_are_exact_where_float32_ends(depth):
    """All products the largest there is, plus one that is odd."""
    config = Config(rows=4, cols=4, weight_tiles=512, scratchpad_bytes=4096)
    state = units.State(config, np.zeros(64, np.uint8))
    for local in state.local.values():
        local.data[:] = -128
        local.written[:] = True
    state.local[Space.SCRATCHPAD].data[0] = -1
    state.local[Space.WEIGHTS].data[0] = -127
    one = instruction(
        Opcode.CONV, row_bytes=depth, height=1, run=depth, ky_count=1, kx_count=1, ox_count=1, oy_count=1, n_count=1
    )
    units.conv(state, one, 0)
    assert state.sums[0, 0].tolist() == [(depth - 1) * (1 << 14) + 127] + 3 * [(depth - 1) * (1 << 14) + 128]


@pytest.mark.parametrize("seed", range(20))
def test_transfers_to_and_from_the_scratchpad(seed):
    """Rows at any byte address on both sides, wrapping in the scratchpad; a later row overwrites an earlier one."""
    config = CONFIGS["4x4"]
    random = np.random.default_rng(seed)
    state = random_state(config, random)
    scratchpad, memory = state.local[Space.SCRATCHPAD], state.memory

    def fields():
        return {
            "base": int(random.integers(4)),
            "offset": int(random.integers(200)),
            "step": int(random.integers(-40, 60)) % (1 << 32),
            "local": int(random.integers(256)),
            "local_step": int(random.integers(1 << 24)),
            "bytes": int(random.integers(1, 257)),
            "rows": int(random.integers(1, 9)),
        }

    bases = [512, 1024, 2048, 3000]
    for opcode in (Opcode.LOAD, Opcode.STORE):
        one = instruction(opcode, space=Space.SCRATCHPAD, **fields())
        expected = scratchpad.data.copy(), memory.copy()
        for row in range(one.rows):
            for byte in range(one.bytes):
                outside = (bases[one.base] + one.offset + row * one.step) % (1 << 32) + byte
                inside = (one.local + row * one.local_step + byte) % 256
                if opcode is Opcode.LOAD:
                    expected[0][inside] = memory[outside].view(np.int8)
                else:
                    expected[1][outside] = scratchpad.data[inside].view(np.uint8)
        (units.load if opcode is Opcode.LOAD else units.store)(state, one, bases)
        assert (scratchpad.data == expected[0]).all()
        assert (memory == expected[1]).all()


def test_load_marks_what_it_wrote():
    state = units.State(CONFIGS["4x4"], np.arange(256).astype(np.uint8))
    one = instruction(Opcode.LOAD, space=Space.PARAMETERS, offset=8, local=16, bytes=4, rows=2, step=12, local_step=8)
    units.load(state, one, [0, 0, 0, 0])
    local = state.local[Space.PARAMETERS]
    assert np.flatnonzero(local.written).tolist() == [16, 17, 18, 19, 24, 25, 26, 27]
    assert local.data[16:28].tolist() == [8, 9, 10, 11, 0, 0, 0, 0, 20, 21, 22, 23]


def test_addresses_wrap_at_the_address_width():
    config = CONFIGS["4x4"].replace(address_width=16)
    state = units.State(config, np.arange(256).astype(np.uint8))
    one = instruction(Opcode.LOAD, space=Space.SCRATCHPAD, offset=30, bytes=2, rows=1)
    units.load(state, one, [(1 << 16) - 10, 0, 0, 0])
    assert state.local[Space.SCRATCHPAD].data[:2].tolist() == [20, 21]


def product(**changes):
    """One product of two sums."""
    fields = {
        **{"rows": 1, "pixels": 1, "group": 1, "channels": 1, "height": 1, "width": 2, "x_stride": 1, "y_stride": 1},
        **{"window_height": 1, "window_width": 2, "window_step": 1, "minimum": -128, "maximum": 127},
    }
    return instruction(Opcode.DRAIN, **fields | {"combine": Combine.MULTIPLY} | changes)


@pytest.mark.parametrize("a, b, wanted", [(-7, 9, -63), (255, -1, -128), (256, 1, -128), (-257, -1, -128), (512, 3, 0)])
def test_factors_of_products_have_nine_bits_and_no_bias(a, b, wanted):
    config = CONFIGS["4x4"].replace(tables=True)
    state = random_state(config, np.random.default_rng(0))
    state.sums[0, :2, 0] = a, b
    record = np.frombuffer(np.array([1000, 1 << 30], "<i4").tobytes() + b"\1", np.int8)
    state.local[Space.PARAMETERS].data[:9] = record
    units.drain(state, product(), 0)
    assert state.local[Space.SCRATCHPAD].data[0] == wanted


@pytest.mark.parametrize(
    "changes, tables, sentence",
    [
        ({}, False, "combine MULTIPLY is not built into this configuration"),
        ({"window_width": 3, "width": 3}, True, "combine MULTIPLY takes windows of two positions, both inside"),
        ({"window_width": 1}, True, "combine MULTIPLY takes windows of two positions, both inside"),
        ({"x0": 1}, True, "combine MULTIPLY takes windows of two positions, both inside"),
    ],
)
def test_products_of_anything_but_two_sums_are_faults(changes, tables, sentence):
    state = random_state(CONFIGS["4x4"].replace(tables=tables), np.random.default_rng(0))
    with pytest.raises(units.Fault, match=sentence):
        units.drain(state, product(**changes), 0)
