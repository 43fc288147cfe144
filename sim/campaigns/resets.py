"""A run is cut off at a random cycle, by a reset over the registers or at the pin; the next inference must be right."""

from collections.abc import Iterator
from time import process_time

import numpy as np
from weft.sim.faulty import FaultyNpu
from weft.sim.verification import Row
from weft.sw.transport import DeviceError, Job, RunReport

from .faults import Bench

BEYOND = 1000
"""Cycles that a reset may come too late, so that the last ones are hit as often as others."""


class Cut(FaultyNpu):
    """Cuts the job that comes `after` so many others off at cycle `moment`."""

    moment: int | None = None
    after = 0
    cut = False

    def run(self, job: Job) -> RunReport:
        """Do the job, or a part of it."""
        if self.moment is None or self.after:
            self.after -= self.moment is not None
            return super().run(job)
        moment, self.moment, self.cut = self.moment, None, True
        report = super().run(job._replace(cycle_limit=moment))
        self.cut = False
        return report


def attempt(bench: Bench, npu: Cut, seed: int) -> str:
    """Reset at a random cycle of a load or a run, with random stalls; what is wrong, or nothing."""
    random = np.random.default_rng(seed)
    load = bool(random.integers(4) == 0)
    if load:
        bench.device.program = None
    npu.stall(float(random.choice([0, 0.2, 0.5])))
    npu.moment, npu.after, npu.cut = int(random.integers(1, 10_000 + BEYOND)), 0, False
    try:
        if not bench.right():
            return "the inference that was over before is wrong"
    except DeviceError:
        if not npu.cut:
            return "the run failed without a reset"
    npu.moment = None
    if random.integers(3) == 0:
        npu.power_cycle()
        bench.device.program = None
    try:
        if not bench.right():
            return "the next inference is wrong"
    except DeviceError as error:
        return f"the next inference failed: {error}"
    return npu.misuse


def campaign(first: int = 0, count: int = 1000) -> Iterator[Row]:
    """So many resets."""
    start, failures = process_time(), []
    bench = Bench(kind=Cut)
    assert isinstance(bench.npu, Cut)
    bench.right()
    for seed in range(first, first + count):
        problem = attempt(bench, bench.npu, seed)
        if problem:
            failures.append(f"seed {seed}: {problem}")
            bench.npu.power_cycle()
            bench.device.program = None
    seeds = f"{first} to {first + count - 1}"
    yield Row("resets at a random cycle of LeNet", count, failures, count, process_time() - start, seeds)
