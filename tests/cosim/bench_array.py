"""The simulator half of test_array_cosim: products and convolutions on the array, with its weights from the store."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge
from weft.rtl import array, bus, isa
from weft.rtl.weights import weight_read_layout, write_latency
from weft.sim import golden

from tests.cosim.common import CONFIG, SEED, known, limited, pauses, start
from tests.rtl.common import pack, unpack

ROWS, COLS, STEPS = CONFIG.rows, CONFIG.cols, CONFIG.weight_steps
HALF = CONFIG.weight_tiles // 2
"""Tiles of one half of the store: written while passes use the other half."""
LINE = weight_read_layout(CONFIG)
WRITE = bus.local_write_layout(CONFIG, isa.LOCAL_BITS)


class Pass(NamedTuple):
    """One tile and the operands that meet it."""

    tile: np.ndarray
    """(R, C)."""
    operands: np.ndarray
    """(M, R) for the rows; in a pass down the columns (M, C), in streams of `stream` that must not be interrupted."""
    stream: int = 0


class Bench:
    """Everything around the array and its weight store."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.random = np.random.default_rng(SEED)
        self.pause = pauses(SEED)
        self.inputs = [dut.array__activations, dut.array__first, dut.array__line, dut.array__write__valid]
        self.inputs += [dut.array__write__payload]
        if CONFIG.depthwise:
            self.inputs += [dut.array__north, dut.array__columns]
        others = ("scratchpad__array_read", "scratchpad__store_read__payload", "scratchpad__store_read__valid")
        others += ("scratchpad__drain_write", "scratchpad__load_write__payload", "scratchpad__load_write__valid")
        others += ("accumulator__control", "accumulator__sums", "accumulator__read")
        self.inputs += [getattr(dut, name) for name in others]

    async def write(self, first: int, passes: list[Pass]) -> None:
        """Put the passes' tiles into the store from tile `first` on, in memory words in any order, with pauses."""
        tiles = np.stack([one.tile for one in passes])
        # Row b * S + step lies in bank b of the tile's line `step`.
        lines = tiles.reshape(-1, CONFIG.weight_rows, STEPS, COLS).transpose(0, 2, 1, 3)
        image = self.random.integers(0, 256, (len(tiles), STEPS, CONFIG.weight_line_bytes), np.uint8)
        for bank in range(CONFIG.weight_rows):
            place = bank * CONFIG.weight_pitch
            image[:, :, place : place + COLS] = lines[:, :, bank].astype(np.uint8)
        words = image.reshape(-1, CONFIG.memory_bytes)
        pause = pauses(SEED + 1)
        port = self.dut
        for index in self.random.permutation(len(words)).tolist():
            while True:
                paused = next(pause)
                address = first * STEPS * CONFIG.weight_line_bytes + index * CONFIG.memory_bytes
                strobe = (1 << CONFIG.memory_bytes) - 1
                payload = WRITE.const({"address": address, "data": pack(words[index], 8), "strobe": strobe})
                port.array__write__payload.value = payload.as_bits()
                port.array__write__valid.value = not paused
                await RisingEdge(port.clk)
                assert known(port.array__write__ready)
                if not paused:
                    break
        port.array__write__valid.value = 0
        await ClockCycles(port.clk, write_latency(CONFIG))

    async def run(self, first: int, passes: list[Pass]) -> list[np.ndarray]:
        """Run passes as close to each other as pauses allow; returns their sums, (M, C) each."""
        reads, entering, leaving = {}, {}, {}
        results = [np.zeros((len(one.operands), COLS), np.int64) for one in passes]
        begin = 0
        for number, one in enumerate(passes):
            reads |= {begin + step: (first + number) * STEPS + step for step in range(STEPS)}
            slot = begin + CONFIG.memory_latency
            for index in range(len(one.operands)):
                # The weights' arrival fixes the first one's time.
                if index and not (one.stream and index % one.stream):
                    slot += self._gap()
                entering[slot] = number, index
                for col in range(COLS):
                    leaving.setdefault(slot + array.latency(CONFIG) + col, []).append((number, index, col))
                slot += 1
            begin = max(slot - CONFIG.memory_latency, begin + STEPS) + self._gap()
        dut = self.dut
        for now in range(max(leaving) + 1):
            self._drive(passes, reads.get(now), entering.get(now))
            await RisingEdge(dut.clk)
            if now in leaving:
                sums = dut.array__sums.value
                for number, index, col in leaving[now]:
                    # The simulator's bits count from the left.
                    bits = sums[32 * col + 31 : 32 * col]
                    assert bits.is_resolvable, f"column {col} of a valid sum is {bits}"
                    results[number][index, col] = unpack(int(bits), 32, 1)[0]
        return results

    def _gap(self) -> int:
        cycles = 0
        while next(self.pause):
            cycles += 1
        return cycles

    def _drive(self, passes: list[Pass], line: int | None, operands: tuple[int, int] | None) -> None:
        """Inputs of one cycle: noise where nothing is given."""
        dut = self.dut
        other = int(self.random.integers(CONFIG.weight_lines))
        enable = line is not None
        dut.array__line.value = LINE.const({"enable": enable, "line": line if enable else other}).as_bits()
        noise = self.random.integers(-128, 128, ROWS + COLS)
        west, north, first, columns = noise[:ROWS], noise[ROWS:], False, bool(self.random.integers(2))
        if operands is not None:
            number, index = operands
            given = passes[number].operands[index]
            first, columns = index == 0, passes[number].stream > 0
            west, north = (west, given) if columns else (given, north)
        dut.array__activations.value = pack(west, 8)
        dut.array__first.value = first
        if CONFIG.depthwise:
            dut.array__north.value = pack(north, 8)
            dut.array__columns.value = columns

    async def all(self, batches: list[list[Pass]]) -> Iterator[list[np.ndarray]]:
        """The sums of each batch; the tiles of the next batch are written meanwhile."""
        await self.write(0, batches[0])
        results = []
        for number, batch in enumerate(batches):
            following = batches[number + 1 : number + 2]
            writing = cocotb.start_soon(self.write((number + 1) % 2 * HALF, following[0])) if following else None
            results.append(await self.run(number % 2 * HALF, batch))
            if writing is not None:
                await writing
        return iter(results)


async def started(dut: Any) -> Bench:
    bench = Bench(dut)
    await start(dut, bench.inputs)
    return bench


def padded(matrix: np.ndarray, rows: int, cols: int) -> np.ndarray:
    """Zeros behind a matrix."""
    return np.pad(matrix, ((0, rows - matrix.shape[0]), (0, cols - matrix.shape[1])))


def product_passes(a: np.ndarray, b: np.ndarray, random: np.random.Generator) -> list[Pass]:
    """The passes of a @ b, (M, K) @ (K, N): column tiles, and in each the chunks of the reduction."""
    passes = []
    for col in range(0, b.shape[1], COLS):
        for row in range(0, b.shape[0], ROWS):
            # What meets a zero weight does not matter.
            operands = random.integers(-128, 128, (len(a), ROWS))
            chunk = a[:, row : row + ROWS]
            operands[:, : chunk.shape[1]] = chunk
            passes.append(Pass(padded(b[row : row + ROWS, col : col + COLS], ROWS, COLS), operands))
    return passes


def product(sums: list[np.ndarray], outputs: int, inputs: int) -> np.ndarray:
    """The sums of product_passes put together, (M, N)."""
    chunks = -(-inputs // ROWS)
    tiles = [sum(sums[start : start + chunks]) for start in range(0, len(sums), chunks)]
    return np.concatenate(tiles, axis=1)[:, :outputs]


@limited
async def matrix_products(dut: Any) -> None:
    """Products of any sizes, among them vectors, whose passes are as short as the weights allow."""
    bench = await started(dut)
    random = bench.random
    pairs = []
    for rows in (1, 2 * ROWS + 1, 1, 7, STEPS):
        inputs, outputs = int(random.integers(1, 3 * ROWS + 2)), int(random.integers(1, 2 * COLS + 2))
        pairs.append((random.integers(-128, 128, (rows, inputs)), random.integers(-128, 128, (inputs, outputs))))
    # The largest sum that there is.
    pairs.append((np.full((2, ROWS), -128), np.full((ROWS, COLS), -128)))
    batches = [product_passes(a, b, random) for a, b in pairs]
    assert max(map(len, batches)) <= HALF
    for (a, b), sums in zip(pairs, await bench.all(batches), strict=True):
        np.testing.assert_array_equal(product(sums, b.shape[1], b.shape[0]), golden.matmul(a, b))


@limited
async def convolutions(dut: Any) -> None:
    """A kernel row of an image in NHWC is one run of its bytes; the zero point leaves the sums through the weights."""
    bench = await started(dut)
    random = bench.random
    cases = []
    for stride, pad, channels in ((1, 1, 2), (2, 0, 3), (1, 2, 1)):
        height, width, outputs = (int(size) for size in random.integers((4, 4, 1), (7, 8, COLS + 2)))
        x = random.integers(-128, 128, (1, height, width, channels), np.int8)
        weights = random.integers(-128, 128, (outputs, 3, 3, channels), np.int8)
        cases.append((x, weights, int(random.integers(-128, 128)), stride, pad))
    batches = []
    for x, weights, zero_point, stride, pad in cases:
        image = np.pad(x[0], ((pad, pad), (pad, pad), (0, 0)), constant_values=zero_point)
        kernel, channels = weights.shape[1], weights.shape[3]
        places = [
            (y, x0)
            for y in range(0, image.shape[0] - kernel + 1, stride)
            for x0 in range(0, image.shape[1] - kernel + 1, stride)
        ]
        batch = []
        for ky in range(kernel):
            runs = np.stack([image[y + ky, x0 : x0 + kernel].reshape(-1) for y, x0 in places])
            batch += product_passes(runs, weights[:, ky].reshape(len(weights), -1).T, random)
        assert len(batch) <= HALF
        batches.append(batch)
    for (x, weights, zero_point, stride, pad), sums in zip(cases, await bench.all(batches), strict=True):
        expected = golden.conv2d(x, weights, zero_point, (stride, stride), (pad,) * 4)
        each = len(sums) // 3
        parts = [sums[ky * each : (ky + 1) * each] for ky in range(3)]
        found = sum(product(part, len(weights), weights[0, 0].size) for part in parts)
        found = found - zero_point * weights.astype(int).sum(axis=(1, 2, 3))
        np.testing.assert_array_equal(found.reshape(expected.shape), expected)


async def depthwise_convolutions(dut: Any) -> None:
    """Filters down the columns, with dense passes between them."""
    bench = await started(dut)
    random = bench.random
    for stride, height in ((1, 4), (2, 6)):
        taps = int(random.integers(1, ROWS + 1))
        width = taps + int(random.integers(6))
        x = random.integers(-128, 128, (1, height, width, COLS), np.int8)
        filters = random.integers(-128, 128, (1, 2, taps, COLS), np.int8)
        outputs = range(0, height - 1, stride)
        dense = random.integers(-128, 128, (5, ROWS)), random.integers(-128, 128, (ROWS, COLS))
        passes = []
        for ky in range(2):
            # The last tap is in the first row.
            tile = padded(filters[0, ky, ::-1], ROWS, COLS)
            passes.append(Pass(tile, np.concatenate([x[0, y + ky] for y in outputs]), stream=width))
            passes += product_passes(*dense, random)
        [sums] = await bench.all([passes])
        expected = golden.depthwise_conv2d(x, filters, 0, (stride, stride))
        streams = [part.reshape(len(outputs), width, COLS) for part in sums[::2]]
        found = sum(stream[:, taps - 1 :: stride] for stream in streams)
        np.testing.assert_array_equal(found[None], expected)
        for part in sums[1::2]:
            np.testing.assert_array_equal(part, golden.matmul(*dense))


if CONFIG.depthwise:
    depthwise_convolutions = limited(depthwise_convolutions)
