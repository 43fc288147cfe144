"""Random programs: the RTL against the functional machine, and the machine against itself in other orders."""

import numpy as np
import pytest
from weft.rtl.isa import Opcode
from weft.sim.fuzz import random_program
from weft.sim.machine import Machine
from weft.sim.verilated import MemoryModel, VerilatedNpu
from weft.sw.transport import Job

from tests.configurations import COMPACT, CONFIGURATIONS, device

CYCLE_LIMIT = 200_000

ALL = CONFIGURATIONS | COMPACT


def on_machine(config, program, seed=None):
    machine = Machine(config, program.memory.copy())
    machine.run(0, program.bases, seed)
    return machine.memory


def on_rtl(npu, program):
    npu.reset()
    npu.write(0, program.memory)
    npu.run(Job(0, program.bases, cycle_limit=CYCLE_LIMIT))
    return npu.read(0, len(program.memory))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", ALL)
def test_results_do_not_depend_on_the_order_that_tokens_leave_open(name, seed):
    config = ALL[name]
    program = random_program(config, seed)
    expected = on_machine(config, program)
    for order in range(3):
        assert (on_machine(config, program, order) == expected).all()


@pytest.mark.parametrize("first", range(0, 40, 10))
@pytest.mark.parametrize("name", ALL)
def test_the_rtl_equals_the_machine(name, first):
    """Ten programs, with the seeds from `first` on; every byte of memory is compared."""
    config = ALL[name]
    for seed in range(first, first + 10):
        program = random_program(config, seed)
        assert (on_rtl(device(name), program) == on_machine(config, program)).all(), f"seed {seed}"


@pytest.mark.parametrize("seed", range(100, 110))
def test_the_result_does_not_depend_on_stalls(seed):
    """Random pauses on all channels of the bus, and a slow memory."""
    config = CONFIGURATIONS["8x8"]
    program = random_program(config, seed)
    model = MemoryModel(read_latency=1 + 7 * (seed % 10), stall_seed=seed, stalls=0.1 * (seed % 9))
    npu = VerilatedNpu(config, model=model)
    assert (on_rtl(npu, program) == on_machine(config, program)).all()
    npu.close()


def test_programs_reach_every_instruction_and_combination():
    """What the generator is for: all opcodes, rounding modes, pooling, packing, accumulation and partial groups."""
    config = CONFIGURATIONS["8x8"]
    ones = [one for seed in range(40) for one in random_program(config, seed).program]
    drains = [one for one in ones if one.opcode is Opcode.DRAIN]
    convs = [one for one in ones if one.opcode is Opcode.CONV]
    assert {one.opcode for one in ones} == set(Opcode)
    assert {one.rounding for one in drains} == {one.combine for one in drains} == {0, 1, 2}
    assert any(one.group > 1 for one in drains)
    assert any(one.window_height > 1 and one.y0 < 0 for one in drains)
    assert any(one.channels % config.lanes for one in drains)
    assert any(one.accumulate for one in convs)
    assert any(one.kx_count > 1 for one in convs)
    assert any(one.run > config.rows for one in convs)
    assert len(np.unique([one.signal for one in ones])) > 4
