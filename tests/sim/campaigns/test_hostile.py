"""A sample of broken programs."""

import numpy as np
import pytest
from weft.fpga.ecp5 import REGISTERED
from weft.gen.presets import SMALL
from weft.rtl.registers import ErrorCause
from weft.sim.campaigns.hostile import Bench, broken, campaign
from weft.sim.fuzz import random_program
from weft.sim.machine import Machine


@pytest.mark.parametrize("changes, programs", [({}, 20), (REGISTERED, 8)], ids=["small", "registered"])
def test_broken_programs_do_not_hang_and_stay_inside_the_fence(changes, programs):
    row, *causes = campaign(first=100_000, programs=programs, config=SMALL.replace(**changes))
    assert row.reached, row.failures
    assert row.count == sum(cause.count for cause in causes) == 25 * programs


def test_programs_are_broken_in_many_ways():
    program = random_program(SMALL, 0, tiles=3)
    size = 64 * len(program.program)
    changed = [
        int(np.count_nonzero(broken(SMALL, program, np.random.default_rng(seed)) != program.memory[:size]))
        for seed in range(60)
    ]
    assert min(changed) <= 2
    assert any(20 < count <= 64 for count in changed)
    assert max(changed) > 0.9 * size


def test_what_is_wrong_is_found():
    """A store outside the fence of the harness, and a legal program that is expected otherwise."""
    bench = Bench()
    program = random_program(SMALL, 1, tiles=2)
    machine = Machine(SMALL, program.memory.copy())
    machine.run(0, program.bases)
    assert bench.legal(program, machine.memory) == ""
    assert bench.legal(program, program.memory) == "the legal program afterwards is wrong"
    bench.npu.fence((0, 1 << 30), (0, 0))
    cause, problem = bench.attack(program.memory[:64].copy(), program)
    assert cause == ErrorCause.NONE
    assert problem.startswith("it reached beyond the fence, at 0x2")
