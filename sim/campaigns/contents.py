"""A stored bit of a protected memory changes at a random moment: this is reported, or the answer is right."""

from collections import Counter
from collections.abc import Iterator
from time import process_time

import numpy as np
from weft.gen.presets import SMALL
from weft.rtl.protected import BYTE
from weft.rtl.registers import FLAWS, ErrorCause
from weft.sim.verification import Row
from weft.sw.transport import DeviceError

from .faults import Bench

CONFIG = SMALL.replace(protection=True)
LONGEST = 20_000
"""Cycles from the start of a load until a bit is flipped, at most; an inference with its load takes about as many."""


def attempt(bench: Bench, seed: int) -> tuple[bool, str]:
    """Flip one bit while a program is loaded or runs: whether it was reported, and what is wrong, or nothing."""
    npu = bench.npu
    random = np.random.default_rng(seed)
    # Words of nine bits a byte: the others are the tables and the accumulators, which are not protected.
    protected = [index for index, (_, bits) in enumerate(npu.memories()) if bits % (BYTE + 1) == 0]
    memory = int(random.choice(protected))
    words, bits = npu.memories()[memory]
    if random.integers(2):
        bench.device.program = None
    before = sum(npu.read_register(f"{name}_FLAWS") for name, _ in FLAWS)
    npu.flip(memory, int(random.integers(words)), int(random.integers(bits)), int(random.integers(LONGEST)))
    try:
        # Twice: what is flipped in the first inference may be read in the second.
        for _ in range(2):
            if not bench.right():
                return False, "the answer is wrong, and nothing reported"
    except DeviceError:
        cause = npu.read_register("ERROR") & 0xFF
        if cause != ErrorCause.CONTENTS:
            return True, f"cause {cause} is reported"
        if sum(npu.read_register(f"{name}_FLAWS") for name, _ in FLAWS) == before:
            return True, "the flaw was not counted"
        return True, bench.recover()
    # A bit that nobody has read waits for the next one: write all anew.
    npu.power_cycle()
    bench.device.program = None
    return False, npu.misuse


def campaign(first: int = 0, count: int = 1000) -> Iterator[Row]:
    """So many flips."""
    start, failures = process_time(), []
    bench = Bench(config=CONFIG)
    outcomes: Counter[bool] = Counter()
    for seed in range(first, first + count):
        reported, problem = attempt(bench, seed)
        outcomes[reported] += 1
        if problem:
            failures.append(f"seed {seed}: {problem}")
    seconds, seeds = process_time() - start, f"{first} to {first + count - 1}"
    yield Row("flipped bits in protected memories", count, failures, count, seconds, seeds)
    yield Row("of them: reported", outcomes[True], [], 0, 0, seeds)
    yield Row("of them: without effect, the answer right", outcomes[False], [], 0, 0, seeds)
