"""The simulator half of test_stalls_cosim: one inference after the other, each under other pauses on the five channels
of AXI4 and another latency of the memory. Neither may change a byte of the result."""

import os
import random
from collections.abc import Iterator
from itertools import product
from typing import Any

import cocotb

from tests.cosim.bench_npu import CASE, infer, set_up
from tests.cosim.common import PERIOD, SEED, pauses

PATTERNS = ("never", "periodic", "bursty", "coin")
CHANNELS = ("ar", "r", "aw", "w", "b")
COMBINATIONS = tuple(product(PATTERNS, repeat=len(CHANNELS)))

FIRST, STEP = (int(os.environ[f"WEFT_{name}"]) for name in ("FIRST", "STEP"))
CYCLES = 40_000
"""Most cycles of one inference."""

CHOSEN = range(FIRST, len(COMBINATIONS), STEP)


def late(seed: int, most: int) -> Iterator[bool]:
    """A memory of random latency: after some beats none for up to `most` cycles."""
    rng = random.Random(seed)
    while True:
        yield from (True for _ in range(rng.randint(0, most)))
        yield from (False for _ in range(rng.randint(1, 20)))


@cocotb.test(timeout_time=(20_000 + CYCLES * len(CHOSEN)) * PERIOD, timeout_unit="ns")
async def combinations(dut: Any) -> None:
    bench = await set_up(dut)
    memory, samples = bench.ram, len(CASE["network_after"])
    channels = {
        "ar": memory.read_if.ar_channel,
        "r": memory.read_if.r_channel,
        "aw": memory.write_if.aw_channel,
        "w": memory.write_if.w_channel,
        "b": memory.write_if.b_channel,
    }
    for number in CHOSEN:
        seed = 1000 * SEED + number
        for index, (name, pattern) in enumerate(zip(CHANNELS, COMBINATIONS[number], strict=True)):
            generators = [pauses(8 * seed + index, pattern)]
            if name in ("r", "b"):
                generators.append(late(8 * seed + index, (0, 5, 40)[number % 3]))
            channels[name].set_pause_generator(any(step) for step in zip(*generators, strict=False))
        sample = number % samples
        bench.fill(CASE["network_after"][sample - 1] if sample else CASE["network_before"])
        await infer(bench, sample)
        bench.compare(CASE["network_after"][sample])
