# amaranth: UnusedElaboratable=no

import numpy as np
import pytest
from weft.rtl import isa
from weft.rtl.accumulator import control_lead
from weft.rtl.config import Config
from weft.rtl.feeder import Feeder, issue_latency
from weft.rtl.registers import Activity
from weft.rtl.scratchpad import read_latency

from tests.rtl.common import simulate, unpack

SHAPES = [(1, 1, 1), (4, 4, 1), (4, 4, 4), (8, 2, 2), (3, 5, 3), (6, 4, 2)]


REGISTERED = {"memory_latency": 2, "multiply_latency": 2, "pipelined": True}
"""All registers that the units around the feeder may have."""


def make(rows, cols, weight_rows, **changes):
    config = Config(rows=rows, cols=cols, weight_rows=weight_rows, weight_tiles=256, scratchpad_bytes=512, **changes)
    return config, Feeder(config)


def byte_at(address, size):
    """What the stand-in for the scratchpad holds."""
    return (address % size * 37 + 11) % 251


def random_conv(random, config):
    """A CONV whose reads wander over the image's edges."""
    width, channels, height = (int(random.integers(1, high)) for high in (6, 6, 6))
    runs = bool(random.integers(2))
    kernel_x = int(random.integers(1, 4))
    stride = int(random.integers(1, 3))
    run = kernel_x * channels if runs else channels
    return isa.instruction(
        isa.Opcode.CONV,
        acquire=int(random.integers(2)),
        commit=int(random.integers(2)),
        accumulate=int(random.integers(2)),
        zero_point=int(random.integers(-128, 128)),
        address=int(random.integers(512)),
        y_pitch=stride * width * channels,
        ky_pitch=width * channels,
        row_bytes=width * channels,
        x0=-int(random.integers(0, 3)) * channels,
        x_step=stride * channels,
        kx_step=channels,
        run=run,
        height=height,
        y0=-int(random.integers(0, 3)),
        y_step=stride,
        ky_step=int(random.integers(1, 3)),
        ky_count=int(random.integers(1, 4)),
        kx_count=1 if runs else kernel_x,
        ox_count=int(random.integers(1, 5)),
        oy_count=int(random.integers(1, 4)),
        n_count=int(random.integers(1, 4)),
        weights=int(random.integers(16)),
        entry=int(random.integers(4)),
        entry_step=int(random.integers(1, 4)),
        tag=int(random.integers(1 << 16)),
    )


def expected(conv, config):
    """The loop nest of isa.CONV, written out: per pass the weight lines and per pixel (activations, entry, overwrite,
    commit)."""
    rows, size = config.rows, config.scratchpad_bytes
    passes = []
    chunks = range(0, conv.run, rows)
    for n in range(conv.n_count):
        for ky in range(conv.ky_count):
            for kx in range(conv.kx_count):
                for k in chunks:
                    number = len(passes)
                    lines = [conv.weights + number * config.weight_steps + step for step in range(config.weight_steps)]
                    pixels = []
                    for oy in range(conv.oy_count):
                        for ox in range(conv.ox_count):
                            y = conv.y0 + oy * conv.y_step + ky * conv.ky_step
                            x = conv.x0 + ox * conv.x_step + kx * conv.kx_step + k
                            start = conv.address + oy * conv.y_pitch + ky * conv.ky_pitch + x
                            lanes = [
                                byte_at(start + j, size) - (256 if byte_at(start + j, size) > 127 else 0)
                                if 0 <= y < conv.height and 0 <= x + j < conv.row_bytes and k + j < conv.run
                                else conv.zero_point
                                for j in range(rows)
                            ]
                            entry = conv.entry + n + (oy * conv.ox_count + ox) * conv.entry_step
                            fresh = (ky, kx, k) == (0, 0, 0) and not conv.accumulate
                            pixels.append([lanes, entry % config.accumulators, int(fresh), 0])
                    passes.append((lines, pixels))
    passes[-1][1][-1][3] = conv.commit
    return passes


@pytest.mark.parametrize("pauses", [0, 0.3])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rows, cols, weight_rows", SHAPES)
def test_issues_the_loop_nest_without_bubbles(rows, cols, weight_rows, seed, pauses):
    """Activations, weight lines and accumulator control of several instructions equal the written-out loops; every
    pass lasts max(pixels, S) cycles and the next instruction follows at once. A pause is a bubble and
    nothing else, and so are the two cycles in which a pipelined feeder takes and begins an instruction."""
    config, dut = make(rows, cols, weight_rows, **(REGISTERED if seed == 3 else {}))
    random = np.random.default_rng(seed)
    program = [random_conv(random, config) for _ in range(4)]
    cycles = sum(max(len(pixels), config.weight_steps) for conv in program for _, pixels in expected(conv, config))
    seen = {"lines": [], "pixels": [], "first": [], "done": 0, "busy": 0}

    async def host(ctx):
        for conv in program:
            ctx.set(dut.instruction.payload, isa_constant(conv))
            ctx.set(dut.instruction.valid, 1)
            await ctx.tick().until(dut.instruction.ready)
        ctx.set(dut.instruction.valid, 0)

    async def watch(ctx):
        # A committed half is given back at once, as by a drain without work.
        start = None
        pipeline = []
        seen["arrivals"] = arrivals = []
        for cycle in range(2 * cycles + 100 if pauses else cycles + 100):
            ctx.set(dut.pause, int(random.random() < pauses))
            read = (ctx.get(dut.read.enable), ctx.get(dut.read.address))
            pipeline.append(read[1])
            if len(pipeline) > read_latency(config):
                at = pipeline.pop(0)
                data = [byte_at(at + j, config.scratchpad_bytes) for j in range(config.word_bytes)]
                ctx.set(dut.read_data, data)
            if ctx.get(dut.line.enable):
                seen["lines"].append(ctx.get(dut.line.line))
                arrivals.append(cycle)
            control = ctx.get(dut.control)
            if read[0]:
                start = cycle if start is None else start
                seen["busy"] = cycle - start + 1
            seen["pixels"].append(unpack(ctx.get(dut.activations.as_value()), 8, rows).tolist())
            seen["first"].append(ctx.get(dut.first))
            seen.setdefault("control", []).append(
                (int(control.valid), int(control.entry), int(control.overwrite), int(control.commit), int(control.half))
            )
            seen["done"] += ctx.get(dut.done)
            ctx.set(dut.release, conv_acquires(cycle))
            await ctx.tick()

    acquires = sum(conv.acquire for conv in program)
    released = [0]

    def conv_acquires(cycle):
        # Two halves are free at first; those beyond are released early enough not to disturb the passes.
        give = cycle < max(0, acquires - 2)
        released[0] += give
        return int(give)

    simulate(dut, host, watch, cycles=2 * cycles + 200)

    passes = [one for conv in program for one in expected(conv, config)]
    assert seen["lines"] == [line for lines, _ in passes for line in lines]
    latency = dut.sums_latency - control_lead(dut.config)
    issued = [index for index, control in enumerate(seen["control"]) if control[0]]
    wanted = [(pixel, position == 0) for _, pixels in passes for position, pixel in enumerate(pixels)]
    assert len(issued) == len(wanted)
    for cycle, ((lanes, entry, fresh, commit), first) in zip(issued, wanted, strict=True):
        entered = cycle - latency + dut.issue_latency
        assert seen["control"][cycle][1:4] == (entry, fresh, commit)
        assert seen["pixels"][entered] == lanes
        assert seen["first"][entered] == first
    assert seen["done"] == len(program)
    # The weights of a pass arrive together with its first pixel.
    firsts = [cycle for cycle, value in enumerate(seen["first"]) if value]
    lines = seen["arrivals"][:: config.weight_steps]
    assert len({first - line for first, line in zip(firsts, lines, strict=True)}) == 1
    if pauses:
        assert issued[-1] - issued[0] + 1 > len(issued)
        return
    # No bubble: the last pixel leaves exactly as many cycles behind the first as the passes take.
    tail = max(len(passes[-1][1]), config.weight_steps) - len(passes[-1][1])
    assert issued[-1] - issued[0] + 1 + tail == cycles + 2 * config.pipelined * (len(program) - 1)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("pauses", [0, 0.5])
@pytest.mark.parametrize("rows, cols, weight_rows", [(1, 1, 1), (4, 4, 2), (3, 5, 1), (8, 2, 8)])
def test_columns_mode_streams_positions(rows, cols, weight_rows, pauses, seed):
    """Every position goes north, in order; those behind the warm-up, one per interval, have a place for their sum. A
    pause comes between streams alone."""
    config, dut = make(rows, cols, weight_rows, depthwise=True, **(REGISTERED if seed == 3 else {}))
    random = np.random.default_rng(seed)
    outputs, interval, taps = int(random.integers(1, 5)), int(random.integers(1, 4)), int(random.integers(1, rows + 1))
    channels, width = int(random.integers(1, cols + 1)), int(random.integers(1, 8))
    conv = isa.instruction(
        isa.Opcode.CONV, mode=isa.Mode.COLUMNS, acquire=1, commit=1, zero_point=-7, address=300,
        y_pitch=width * channels, ky_pitch=width * channels, row_bytes=width * channels,
        x0=-channels, x_step=channels, kx_step=taps * channels,
        run=channels, height=2, y0=-1, y_step=1, ky_step=1, ky_count=2, kx_count=2,
        ox_count=(outputs - 1) * interval + taps, oy_count=2, n_count=1, weights=3, entry=1, entry_step=2,
        warmup=taps - 1, interval=interval,
    )  # fmt: skip
    positions, places = [], []
    for ky in range(2):
        for kx in range(2):
            place = 1
            for oy in range(2):
                for ox in range(conv.ox_count):
                    y, x = conv.y0 + oy + ky, conv.x0 + ox * channels + kx * conv.kx_step
                    at = 300 + (oy + ky) * conv.y_pitch + x
                    lanes = [byte_at(at + lane, 512) for lane in range(cols)]
                    lanes = [byte - 256 if byte > 127 else byte for byte in lanes]
                    inside = 0 <= y < 2 and 0 <= x < conv.row_bytes
                    positions.append([b if inside and lane < channels else -7 for lane, b in enumerate(lanes)])
                    if ox >= taps - 1 and (ox - taps + 1) % interval == 0:
                        places.append((len(positions) - 1, place, int((ky, kx) == (0, 0))))
                        place += 2
    seen, controls, reads = [], [], []

    async def testbench(ctx):
        ctx.set(dut.instruction.payload, isa_constant(conv))
        ctx.set(dut.instruction.valid, 1)
        await ctx.tick()
        ctx.set(dut.instruction.valid, 0)
        addresses = [0] * read_latency(config)
        for _ in range(8 * len(positions) + 8 * config.weight_steps + 60):
            ctx.set(dut.pause, int(random.random() < pauses))
            reads.append(ctx.get(dut.read.enable))
            addresses.append(ctx.get(dut.read.address))
            ctx.set(
                dut.read_data,
                [byte_at(addresses[-1 - read_latency(config)] + lane, 512) for lane in range(config.word_bytes)],
            )
            seen.append(unpack(ctx.get(dut.north.as_value()), 8, cols).tolist())
            control = ctx.get(dut.control)
            controls.append((int(control.valid), int(control.entry), int(control.overwrite)))
            await ctx.tick()

    simulate(dut, testbench, cycles=8 * len(positions) + 8 * config.weight_steps + 80)
    issued = [cycle for cycle, enabled in enumerate(reads) if enabled]
    assert [seen[cycle + read_latency(config)] for cycle in issued] == positions
    for start in range(0, len(issued), conv.ox_count):
        stream = issued[start : start + conv.ox_count]
        assert stream[-1] - stream[0] == len(stream) - 1
    delay = dut.sums_latency - control_lead(dut.config) - 1
    valid = [(cycle, *control[1:]) for cycle, control in enumerate(controls) if control[0]]
    assert valid == [(issued[position] + delay, entry, fresh) for position, entry, fresh in places]


def isa_constant(one):
    return isa.LAYOUTS[one.opcode].from_bits(
        int.from_bytes(isa.encode(one), "little") & ((1 << isa.LAYOUTS[one.opcode].size) - 1)
    )


def test_waits_for_a_free_half():
    """The third tile does not start before the drain has released a half, and says that it waits for the drain."""
    _, dut = make(4, 4, 4)
    conv = isa.instruction(
        isa.Opcode.CONV, acquire=1, commit=1, run=4, row_bytes=4, height=1,
        ky_count=1, kx_count=1, ox_count=1, oy_count=1, n_count=1, entry_step=1,
    )  # fmt: skip

    async def testbench(ctx):
        ctx.set(dut.instruction.payload, isa_constant(conv))
        ctx.set(dut.instruction.valid, 1)
        for _ in range(2):
            await ctx.tick().until(dut.instruction.ready)
        for _ in range(20):
            assert not ctx.get(dut.instruction.ready)
            await ctx.tick()
        assert ctx.get(dut.activity) == Activity.WAIT_DRAIN
        ctx.set(dut.release, 1)
        assert ctx.get(dut.instruction.ready)
        await ctx.tick()
        ctx.set(dut.release, 0)
        assert not ctx.get(dut.instruction.ready)

    simulate(dut, testbench, cycles=60)


def test_latencies_add_up():
    _, dut = make(6, 4, 2)
    assert dut.issue_latency == issue_latency(dut.config) == 3
    assert dut.sums_latency == dut.issue_latency + 6 + 1
    assert dut.done_latency == dut.sums_latency + 4
    assert issue_latency(dut.config.replace(memory_latency=2)) == 4
