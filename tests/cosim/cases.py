"""What the pytest halves share: which simulations are run, and how."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import pytest
from weft.rtl.config import Config
from weft.sim.cosim import SIMULATORS, missing_tool, run_tests

STALLS = ("never", "periodic", "bursty", "coin")


def runs(names: Iterable[str], thorough: str) -> list[tuple[str, int, str, str]]:
    """Configuration, seed, stalls and simulator of each run: all stalls for each configuration on the simulator
    `thorough`, and two for each on the other one, together all of them."""
    found = []
    for place, name in enumerate(names):
        for index, stalls in enumerate(STALLS):
            seed = place * len(STALLS) + index
            found += [
                (name, seed, stalls, simulator)
                for simulator in SIMULATORS
                if simulator == thorough or index % 2 == place % 2
            ]
    return found


def simulate(
    verilog: str,
    top: str,
    bench: str,
    config: Config,
    run: tuple[int, str, str],
    folder: Path,
    environment: dict[str, str] | None = None,
) -> set[str]:
    """Run all tests of a bench, which imports common.py; `run` is seed, stalls and simulator. Returns their names."""
    seed, stalls, simulator = run
    if tool := missing_tool(simulator):
        pytest.skip(f"needs {tool}")
    ran = run_tests(
        verilog,
        top,
        f"tests.cosim.{bench}",
        simulator,
        folder,
        seed=seed,
        environment={
            "WEFT_CONFIG": json.dumps(asdict(config)),
            "WEFT_STALL": stalls,
            "WEFT_SEED": str(seed),
            **(environment or {}),
        },
    )
    return {name.rsplit(".")[-1] for name in ran}
