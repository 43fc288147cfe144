"""Runs bench_stalls.py: which combinations of stall patterns, on which simulator."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from weft.sim.cosim import CosimError
from weft.sim.verification import Row

from .cases import simulate
from .test_npu_cosim import CONFIGS, TOP, case, verilog

COMBINATIONS = 4**5
"""Four patterns on five channels; bench_stalls.py numbers them."""

SEED = 7


def run_stalls(simulator: str, first: int, step: int, folder: Path) -> None:
    """Every `step`-th combination from `first` on.

    Raises
    ------
    CosimError
        When one changes a result.
    """
    config = CONFIGS["4x4"]
    file = folder / "case.npz"
    np.savez(file, **case(config, SEED))
    environment = {"WEFT_CASE": str(file), "WEFT_FIRST": str(first), "WEFT_STEP": str(step)}
    ran = simulate(verilog(config), TOP, "bench_stalls", config, (SEED, "never", simulator), folder, environment)
    if ran != {"combinations"}:
        raise CosimError(f"the tests that ran are {ran}")


def campaign(simulator: str, step: int) -> Iterator[Row]:
    """Every `step`-th combination on a simulator, in eight parts."""
    parts = 8
    failures, start, count = [], perf_counter(), 0
    for part in range(parts):
        with TemporaryDirectory() as folder:
            try:
                run_stalls(simulator, part * step, parts * step, Path(folder))
            except CosimError as error:
                failures.append(f"{simulator}, combinations {part * step}, {(part + parts) * step} ...: {error}")
        count += len(range(part * step, COMBINATIONS, parts * step))
    what = f"combinations of stalls on the five AXI channels, {simulator}"
    yield Row(what, count, failures, COMBINATIONS // step, perf_counter() - start, f"{SEED}")
