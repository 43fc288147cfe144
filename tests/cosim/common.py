"""What the simulator halves share: the configuration, the clock, pauses, and values that must be known."""

import json
import os
import random
import warnings
from collections.abc import Iterable, Iterator
from itertools import count, repeat
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotb.utils import get_sim_time
from weft.rtl.config import Config

warnings.filterwarnings("ignore", category=DeprecationWarning, module="cocotbext")

CONFIG = Config(**json.loads(os.environ["WEFT_CONFIG"]))
PATTERN = os.environ["WEFT_STALL"]
SEED = int(os.environ["WEFT_SEED"])
PERIOD = 10
"""Nanoseconds of a clock cycle."""
CYCLES = 20_000
"""After so many a test has failed."""

limited = cocotb.test(timeout_time=CYCLES * PERIOD, timeout_unit="ns")


def cycle() -> int:
    """The number of the clock edge that has just been, or of the cycle that it ended: what is read now are the values
    of that cycle, what is written now is there in the next one."""
    return int(get_sim_time("ns")) // PERIOD


def pauses(seed: int, pattern: str = PATTERN) -> Iterator[bool]:
    """Whether to pause, cycle after cycle without end: never, periodic, bursty or coin."""
    rng = random.Random(seed)
    match pattern:
        case "never":
            return repeat(False)
        case "periodic":
            period = rng.randint(2, 5)
            flowing = rng.randint(1, period - 1)
            return (index % period >= flowing for index in count(rng.randrange(period)))
        case "bursty":
            return (paused for turn in count() for paused in repeat(turn % 2 == 0, rng.randint(1, 16)))
        case "coin":
            return (rng.random() < 0.5 for _ in repeat(None))
    raise ValueError(f"a stall pattern must be never, periodic, bursty or coin, not {pattern!r}")


def known(handle: Any) -> int:
    """The value of a port, every bit of which must be 0 or 1."""
    value = handle.value
    assert value.is_resolvable, f"{handle._name} is {value}"
    return int(value)


async def start(dut: Any, inputs: Iterable[Any]) -> None:
    """Start the clock with inputs that are all known, and reset."""
    for handle in inputs:
        handle.value = 0
    dut.rst.value = 1
    Clock(dut.clk, PERIOD, unit="ns").start()
    await ClockCycles(dut.clk, 3)
    dut.rst.value = 0
    await ClockCycles(dut.clk, 2)
