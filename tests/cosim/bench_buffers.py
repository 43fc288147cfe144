"""The simulator half of test_buffers_cosim: layers go through the scratchpad and the accumulator; the array and the
drain, which stand between the two in the NPU, are NumPy here."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, NamedTuple

import cocotb
import numpy as np
from cocotb.queue import Queue
from cocotb.triggers import ClockCycles, RisingEdge
from weft.rtl import accumulator, bus
from weft.rtl.accumulator import control_layout, drain_read_layout
from weft.rtl.isa import Rounding
from weft.rtl.scratchpad import Scratchpad, address_bits, array_read_layout, drain_write_layout, read_latency
from weft.sim import golden

from tests.cosim.common import CONFIG, SEED, cycle, known, limited, pauses, start
from tests.rtl.common import pack, unpack

ROWS, COLS, LANES, SIZE, WORD = CONFIG.rows, CONFIG.cols, CONFIG.lanes, CONFIG.scratchpad_bytes, CONFIG.memory_bytes
LAYOUTS = {
    "scratchpad__array_read": array_read_layout(CONFIG),
    "scratchpad__drain_write": drain_write_layout(CONFIG),
    "accumulator__control": control_layout(CONFIG),
    "accumulator__read": drain_read_layout(CONFIG),
}
LOAD_WRITE = bus.local_write_layout(CONFIG, address_bits(CONFIG))
READ_TO_SUMS = read_latency(CONFIG) + 1
"""Cycles from a read of the scratchpad to the sums that are made from it: they come in the cycle after the data."""
AHEAD = 2
"""What a task decides at one clock edge can be driven so many cycles later."""


class Layer(NamedTuple):
    """A convolution with stride 1, and where its bytes are in the scratchpad."""

    x: np.ndarray
    """(1, H, W, Cin), int8, from byte `source` on."""
    weights: np.ndarray
    """(Cout, KH, KW, Cin), int8."""
    zero_point: int
    pad: int
    bias: np.ndarray
    scaling: dict[str, Any]
    """The further arguments of golden.requantize."""
    source: int
    target: int

    @property
    def sums(self) -> np.ndarray:
        """The sums of (x - zero_point) * weights, (OH, OW, Cout)."""
        _, height, width, inputs = self.x.shape
        outputs, kernel, _, _ = self.weights.shape
        if kernel == 1:
            pixels, matrix = self.x.reshape(-1, inputs), self.weights.reshape(outputs, inputs).T
            return golden.matmul(pixels, matrix, self.zero_point).reshape(height, width, outputs)
        return golden.conv2d(self.x, self.weights, self.zero_point, padding=(self.pad,) * 4)[0]

    @property
    def result(self) -> np.ndarray:
        """The bytes from `target` on, (1, OH, OW, Cout)."""
        return golden.requantize(self.sums, self.bias, **self.scaling)[None]

    @property
    def tiles(self) -> list[range]:
        """The rows of the result, as many at once as fit into a half of the accumulator."""
        height, width, outputs = self.sums.shape
        step = CONFIG.accumulators // (width * -(-outputs // COLS))
        return [range(row, min(row + step, height)) for row in range(0, height, step)]


class Bench:
    """Everything around the two buffers. The ports without a handshake are driven by a timetable."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.random = np.random.default_rng(SEED)
        self.model = np.zeros(SIZE, np.uint8)
        """What the scratchpad is to hold."""
        self.due: dict[int, list[Callable[[], None]]] = defaultdict(list)
        """What is done with the values of a cycle."""
        self.driven: dict[str, dict[int, dict[str, Any]]] = {name: {} for name in LAYOUTS}
        """What is driven on a port in a cycle."""
        self.sums: dict[int, dict[int, int]] = defaultdict(dict)
        """The columns' sums of a cycle."""
        self.free, self.full = Queue(), Queue()
        self.filled = self.drained = 0

    async def start(self) -> None:
        dut = self.dut
        names = ["array__activations", "array__first", "array__line", "array__write__valid", "array__write__payload"]
        names += ["scratchpad__store_read__valid", "scratchpad__store_read__payload", "accumulator__sums", *LAYOUTS]
        names += ["scratchpad__load_write__valid", "scratchpad__load_write__payload"]
        names += ["array__north", "array__columns"] if CONFIG.depthwise else []
        await start(dut, [getattr(dut, name) for name in names])
        self.free.put_nowait(None)
        self.free.put_nowait(None)
        cocotb.start_soon(self.clockwork())
        # All is written once: what the array reads beside its operands is known then.
        await self.load(0, self.random.bytes(SIZE))

    async def clockwork(self) -> None:
        """Take what is due in each cycle, and drive the timetable of the next."""
        dut, random = self.dut, self.random
        while True:
            await RisingEdge(dut.clk)
            now = cycle()
            if known(dut.accumulator__committed):
                self.full.put_nowait(None)
            for action in self.due.pop(now, ()):
                action()
            for name, layout in LAYOUTS.items():
                noise = int.from_bytes(random.bytes(64), "little") & (1 << layout.size) - 1
                values = self.driven[name].pop(now + 1, None)
                # The lowest bit is `valid` or `enable`.
                word = noise & ~1 if values is None else layout.const(values).as_bits()
                getattr(dut, name).value = word
            given = self.sums.pop(now + 1, {})
            noise = random.integers(-(1 << 31), 1 << 31, COLS).tolist()
            dut.accumulator__sums.value = pack([given.get(column, noise[column]) for column in range(COLS)], 32)

    async def load(self, address: int, raw: bytes) -> None:
        """Write bytes in words, masked at both ends, as they come from memory."""
        dut, pause = self.dut, pauses(SEED + 1)
        skew = int(self.random.integers(WORD))
        image = self.random.bytes(skew) + raw + self.random.bytes(WORD)
        for place in range(0, skew + len(raw), WORD):
            strobe = sum(1 << byte for byte in range(WORD) if skew <= place + byte < skew + len(raw))
            word = int.from_bytes(image[place : place + WORD], "little")
            payload = LOAD_WRITE.const({"address": (address - skew + place) % SIZE, "data": word, "strobe": strobe})
            await self.hand_over("scratchpad__load_write", payload.as_bits(), pause)
        self.model[(address + np.arange(len(raw))) % SIZE] = np.frombuffer(raw, np.uint8)
        await ClockCycles(dut.clk, Scratchpad.WRITE_LATENCY - 1)

    async def store(self, address: int, count: int) -> bytes:
        """Read bytes in words, as they go to memory."""
        pause = pauses(SEED + 2)
        places = range(address, address + count, WORD)
        collecting = cocotb.start_soon(self.collect(len(places)))
        for place in places:
            await self.hand_over("scratchpad__store_read", place % SIZE, pause)
        return (await collecting)[:count]

    async def hand_over(self, port: str, payload: int, pause: Any) -> None:
        """One transfer on a stream."""
        dut = self.dut
        valid, ready = getattr(dut, f"{port}__valid"), getattr(dut, f"{port}__ready")
        while next(pause):
            await RisingEdge(dut.clk)
        getattr(dut, f"{port}__payload").value = payload
        valid.value = 1
        await RisingEdge(dut.clk)
        while not known(ready):
            await RisingEdge(dut.clk)
        valid.value = 0

    async def collect(self, words: int) -> bytes:
        dut, raw = self.dut, b""
        while len(raw) < words * WORD:
            await RisingEdge(dut.clk)
            if known(dut.scratchpad__store_valid):
                raw += known(dut.scratchpad__store_data).to_bytes(WORD, "little")
        return raw

    async def until(self, when: int) -> None:
        """Wait for the end of a cycle."""
        if when > cycle():
            await ClockCycles(self.dut.clk, when - cycle())

    async def fill(self, layer: Layer) -> None:
        """The array's part: read the operands, pass after pass, and add up their products."""
        pause = pauses(SEED + 3)
        outputs, kernel, _, channels = layer.weights.shape
        run, columns, width = kernel * channels, range(0, outputs, COLS), layer.sums.shape[1]
        passes = [(n, ky, k) for n in range(len(columns)) for ky in range(kernel) for k in range(0, run, ROWS)]
        for lines in layer.tiles:
            await self.free.get()
            slot = cycle() + AHEAD
            pixels = [(line, pixel) for line in range(len(lines)) for pixel in range(width)]
            for n, ky, k in passes:
                tile = layer.weights[columns[n] : columns[n] + COLS, ky].reshape(-1, run)[:, k : k + ROWS].astype(int)
                for line, pixel in pixels:
                    while next(pause):
                        slot += 1
                    self.add_product(layer, tile, slot, lines[line] + ky - layer.pad, pixel - layer.pad, k)
                    self.driven["accumulator__control"][slot + READ_TO_SUMS - accumulator.control_lead(CONFIG)] = {
                        "valid": 1,
                        "entry": (line * width + pixel) * len(columns) + n,
                        "overwrite": ky == k == 0,
                        "half": self.filled % 2,
                        "commit": (n, ky, k) == passes[-1] and (line, pixel) == pixels[-1],
                    }
                    slot += 1
            self.filled += 1
            await self.until(slot)

    def add_product(self, layer: Layer, tile: np.ndarray, slot: int, y: int, x: int, k: int) -> None:
        """Read a chunk of the run from pixel (y, x) on in cycle `slot`; its product with a tile is added to the sums.
        Outside of the image there is the zero point."""
        _, height, width, channels = layer.x.shape
        first = x * channels + k
        address = (layer.source + y * width * channels + first) % SIZE
        inside = [0 <= y < height and 0 <= first + lane < width * channels for lane in range(tile.shape[1])]
        self.driven["scratchpad__array_read"][slot] = {"enable": 1, "address": address}

        def multiply() -> None:
            read = lanes(self.dut.scratchpad__array_data, 8, inside)
            operands = np.where(inside, unpack(read, 8, len(inside)), layer.zero_point)
            for column, total in enumerate((tile @ operands).tolist()):
                self.sums[slot + READ_TO_SUMS + column][column] = total

        self.due[slot + read_latency(CONFIG)].append(multiply)

    async def drain(self, layer: Layer) -> None:
        """The drain's part: read the sums of each half that is full, compare them, and write what they become."""
        pause = pauses(SEED + 4)
        _, width, outputs = layer.sums.shape
        weights = layer.weights
        held = layer.sums + layer.zero_point * weights.astype(int).sum(axis=(1, 2, 3))
        bias = golden.fold_zero_point(layer.bias, weights, layer.zero_point)
        for lines in layer.tiles:
            await self.full.get()
            slot = cycle() + AHEAD
            for line, pixel, channel in np.ndindex(len(lines), width, -(-outputs // LANES)):
                while next(pause):
                    slot += 1
                n, group = divmod(channel * LANES, COLS)
                entry = (line * width + pixel) * -(-outputs // COLS) + n
                part = slice(channel * LANES, min((channel + 1) * LANES, outputs))
                address = layer.target + (lines[line] * width + pixel) * outputs + part.start
                read = {"enable": 1, "half": self.drained % 2, "entry": entry, "group": group // LANES}
                self.driven["accumulator__read"][slot] = read
                self.write_result(slot, held[lines[line], pixel, part], bias[part], layer.scaling, part, address)
                slot += 1
            self.drained += 1
            await self.until(slot)
            self.free.put_nowait(None)
        await self.until(slot + accumulator.read_latency(CONFIG) + Scratchpad.WRITE_LATENCY)

    def write_result(
        self, slot: int, held: np.ndarray, bias: np.ndarray, scaling: dict[str, Any], part: slice, address: int
    ) -> None:
        """The sums that are read in cycle `slot` must be those expected; write what they become."""
        count = len(held)
        scaling = scaling | {name: scaling[name][part] for name in ("multiplier", "shift")}

        def requantize() -> None:
            read = unpack(lanes(self.dut.accumulator__read_data, 32, [True] * count), 32, count)
            np.testing.assert_array_equal(read, held)
            raw = golden.requantize(read, bias, **scaling).astype(np.uint8)
            data = [*raw.tolist(), *self.random.integers(0, 256, LANES - count).tolist()]
            write = {"enable": 1, "address": address % SIZE, "data": data, "strobe": (1 << count) - 1}
            self.driven["scratchpad__drain_write"][slot + accumulator.read_latency(CONFIG) + 1] = write
            self.model[(address + np.arange(count)) % SIZE] = raw

        self.due[slot + accumulator.read_latency(CONFIG)].append(requantize)

    async def compare(self) -> None:
        """Store the whole scratchpad; nothing may be under way, and every byte must be what the model holds."""
        assert await self.store(0, SIZE) == self.model.tobytes()
        assert self.filled == self.drained
        assert self.full.empty()


def lanes(port: Any, bits: int, wanted: list[bool]) -> int:
    """The value of a port whose wanted lanes must be known; the others count as 0."""
    value = port.value
    word = 0
    for lane, want in enumerate(wanted):
        if want:
            # The simulator's bits count from the left.
            part = value[bits * lane + bits - 1 : bits * lane]
            assert part.is_resolvable, f"lane {lane} of {port._name} is {part}"
            word |= int(part) << bits * lane
    return word


def random_layer(random: np.random.Generator, shape: tuple[int, ...], source: int, target: int) -> Layer:
    """A layer whose weights have the given shape, without an input."""
    pad = int(random.integers(2)) if shape[1] > 1 else 0
    channels = shape[0]
    scaling = {
        "multiplier": random.integers(1 << 30, 1 << 31, channels),
        "shift": random.integers(-8, -5, channels),
        "rounding": list(Rounding)[random.integers(3)],
        "zero_point": int(random.integers(-128, 128)),
        "minimum": -120,
        "maximum": 125,
    }
    bias = random.integers(-3000, 3000, channels)
    weights = random.integers(-128, 128, shape, np.int8)
    return Layer(np.zeros(0, np.int8), weights, int(random.integers(-128, 128)), pad, bias, scaling, source, target)


async def run(dut: Any, shapes: list[tuple[tuple[int, ...], ...]], inputs: list[np.ndarray]) -> None:
    """Chains of two layers, one after the other: the next input is loaded and the last result stored meanwhile."""
    bench = Bench(dut)
    await bench.start()
    random = bench.random
    # Inputs, results between the layers, and results: six places, the last of which goes around the end.
    places = ((np.arange(6) * SIZE) // 6 + random.integers(SIZE)).tolist()
    storing = None
    loading = cocotb.start_soon(bench.load(places[0], inputs[0].tobytes()))
    for index, (x, (first, second)) in enumerate(zip(inputs, shapes, strict=True)):
        source, middle, target = places[index % 2], places[2 + index % 2], places[4 + index % 2]
        layer = random_layer(random, first, source, middle)._replace(x=x)
        following = random_layer(random, second, middle, target)._replace(x=layer.result)
        for one in (layer, following):
            assert max(one.x.size, one.result.size) <= SIZE // 6
        await loading
        if index + 1 < len(inputs):
            loading = cocotb.start_soon(bench.load(places[(index + 1) % 2], inputs[index + 1].tobytes()))
        for one in (layer, following):
            filling = cocotb.start_soon(bench.fill(one))
            await bench.drain(one)
            await filling
        if storing is not None:
            await storing
        storing = cocotb.start_soon(stored(bench, following))
    await storing
    await bench.compare()


async def stored(bench: Bench, layer: Layer) -> None:
    """A layer's result, byte for byte."""
    assert await bench.store(layer.target, layer.result.size) == layer.result.tobytes()


@limited
async def convolutions(dut: Any) -> None:
    """Convolutions of 3 x 3, with and without padding, and of 1 x 1 behind them."""
    random = np.random.default_rng(SEED + 100)
    inputs, shapes = [], []
    for _ in range(3):
        channels, middle = (int(count) for count in random.integers((1, 2), (4, COLS + 2)))
        size = random.integers(4, 6, 2)
        inputs.append(random.integers(-128, 128, (1, *size, channels), np.int8))
        shapes.append(((middle, 3, 3, channels), (int(random.integers(1, 5)), 1, 1, middle)))
    await run(dut, shapes, inputs)


@limited
async def matrix_products(dut: Any) -> None:
    """Products with one row: the accumulator adds to the same few entries in every cycle; and some with more."""
    random = np.random.default_rng(SEED + 200)
    inputs, shapes = [], []
    for rows in (1, 2, 3):
        width, middle, outputs = (int(count) for count in random.integers(1, (50, 2 * COLS + 2, 2 * COLS + 2)))
        inputs.append(random.integers(-128, 128, (1, 1, rows, width), np.int8))
        shapes.append(((middle, 1, 1, width), (outputs, 1, 1, middle)))
    await run(dut, shapes, inputs)
