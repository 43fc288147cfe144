"""A stored bit of a protected memory changes at a random moment: this is reported, or the answer is right."""

from collections import Counter
from collections.abc import Iterator
from time import process_time

import numpy as np
from weft.gen.presets import SMALL
from weft.rtl.registers import FLAWS, ErrorCause
from weft.sim.verification import Row
from weft.sw.transport import DeviceError

from .faults import Bench

CONFIG = SMALL.replace(protection=True)

LONGEST = {"lenet": 16_000, "residual": 40_000}
"""Networks, the second one with look-up tables, and the cycles until a bit is flipped, at most: about as many as an
inference and the load of its program take."""

UNSEEN = "without effect, the answer right"


def counts(bench: Bench) -> dict[str, int]:
    """The flaws that the hardware has counted, by what gave them."""
    return {text: bench.npu.read_register(f"{name}_FLAWS") for name, text, _ in FLAWS}


def attempt(bench: Bench, seed: int) -> tuple[str, str]:
    """Flip one bit while a program is loaded or runs: which memory was reported, or UNSEEN, and what is wrong, or
    nothing. Each kind of memory is as likely as another, and the first words, which are used most, are likelier than
    the last."""
    npu = bench.npu
    random = np.random.default_rng(seed)
    memories = npu.memories()
    kinds = sorted(set(memories))
    words, bits = kinds[int(random.integers(len(kinds)))]
    memory = int(random.choice([index for index, kind in enumerate(memories) if kind == (words, bits)]))
    problem = bench.recover()
    if problem:
        return UNSEEN, problem
    if random.integers(2):
        bench.device.program = None
    before = counts(bench)
    delay = int(random.integers(LONGEST[bench.workload.name]))
    word = int(random.integers(max(1, words >> int(random.integers(7)))))
    npu.flip(memory, word, int(random.integers(bits)), delay)
    try:
        # Twice: what is flipped in the first inference may be read in the second.
        for _ in range(2):
            if not bench.right():
                return UNSEEN, "the answer is wrong, and nothing reported"
    except DeviceError:
        cause = npu.read_register("ERROR") & 0xFF
        if cause != ErrorCause.CONTENTS:
            return UNSEEN, f"cause {cause} is reported"
        grown = [name for name, count in counts(bench).items() if count != before[name]]
        if len(grown) != 1:
            return UNSEEN, f"flaws of {len(grown)} memories were counted"
        return grown[0], bench.recover()
    # A bit that nobody has read must not wait for the next seed.
    bench.device.program, bench.device.scrub = None, True
    return UNSEEN, npu.misuse


def campaign(first: int = 0, count: int = 1000) -> Iterator[Row]:
    """So many flips."""
    start, failures = process_time(), []
    benches = [Bench(name, CONFIG) for name in LONGEST]
    outcomes: Counter[str] = Counter()
    for seed in range(first, first + count):
        outcome, problem = attempt(benches[seed % len(benches)], seed)
        outcomes[outcome] += 1
        if problem:
            failures.append(f"seed {seed}: {problem}")
    seconds, seeds = process_time() - start, f"{first} to {first + count - 1}"
    yield Row("flipped bits in the on-chip memories", count, failures, count, seconds, seeds)
    for _, text, _ in FLAWS:
        yield Row(f"of them: reported of {text}", outcomes[text], [], 0, 0, seeds)
    yield Row(f"of them: {UNSEEN}", outcomes[UNSEEN], [], 0, 0, seeds)
