"""Inferences back to back on one NPU: programs alternate, inputs and stalls are random, each answer is checked."""

from collections.abc import Iterator
from time import process_time

import numpy as np
from weft.gen.presets import SMALL
from weft.sim.faulty import FaultyNpu
from weft.sim.verification import Row
from weft.sw.driver import Device
from weft.sw.transport import DeviceError

from .workloads import differs, workload

CHANCES = {"lenet": 0.45, "mobile": 0.45, "residual": 0.1}
MOST_SAMPLES = 16
"""Of one program before the next one is chosen."""


def campaign(first: int = 0, seeds: int = 10, each: int = 1000) -> Iterator[Row]:
    """`each` inferences per seed on an NPU of its own, which is never reset."""
    start, failures, done = process_time(), [], 0
    for seed in range(first, first + seeds):
        random = np.random.default_rng(seed)
        npu = FaultyNpu(SMALL, 4 << 20)
        device = Device(npu, chunk=8)
        left = each
        while left:
            samples = min(left, int(random.integers(1, MOST_SAMPLES + 1)))
            one = workload(str(random.choice(list(CHANCES), p=list(CHANCES.values()))), SMALL)
            inputs = one.inputs(random, samples)
            npu.stall(float(random.choice([0, 0.1, 0.3, 0.6])))
            try:
                wrong = differs(device.run(one.network, inputs).outputs, one.golden(inputs))
                problem = f"{one.name} is wrong" if wrong else npu.misuse
            except DeviceError as error:
                problem = str(error)
            left -= samples
            done += samples
            if problem:
                failures.append(f"seed {seed}, inferences {each - left - samples} to {each - left - 1}: {problem}")
                npu.power_cycle()
                device.program = None
        npu.close()
    seconds, numbers = process_time() - start, f"{first} to {first + seeds - 1}"
    what = "inferences back to back, alternating programs, stalls"
    yield Row(what, done, failures, seeds * each, seconds, numbers)
