"""The functional machine and the RTL behind the same driver, and several simulations at once."""

from dataclasses import replace

import numpy as np
import pytest
from weft.rtl.isa import Opcode, Space, assemble, instruction
from weft.rtl.registers import IDENTITY, Activity, Unit
from weft.sim.fuzz import random_program
from weft.sim.transports import MachineTransport, run_many
from weft.sw.driver import Device
from weft.sw.errors import UserError
from weft.sw.graph import Clamp, Tensor
from weft.sw.network import Network
from weft.sw.program import Port, Program
from weft.sw.transport import DeviceError, Job

from tests.configurations import CONFIGURATIONS, device

CONFIG = CONFIGURATIONS["4x4"]
BYTES = 200

START_AND_END = 2
"""Cycles that the harness counts beside the CYCLES register: the write that starts, and the interrupt."""


def token(*units: Unit) -> int:
    return sum(1 << unit for unit in units)


RUN = [
    instruction(Opcode.LOAD, base=1, local=50, bytes=BYTES, rows=1, tag=1, signal=token(Unit.STORE)),
    instruction(Opcode.STORE, base=2, local=40, bytes=BYTES, rows=1, tag=2, wait=token(Unit.LOAD)),
    instruction(Opcode.END),
]
SETUP = [
    instruction(Opcode.LOAD, base=0, local=0, bytes=50, rows=1, tag=3, space=Space.SCRATCHPAD),
    instruction(Opcode.END),
]
PROGRAM = Program(
    config=CONFIG,
    image=assemble(RUN + SETUP),
    setup=len(assemble(RUN)),
    run=0,
    workspace_bytes=0,
    inputs=(Port("x", (1, BYTES), "int8", 1.0, 0, 0, BYTES),),
    outputs=(Port("y", (1, BYTES), "int8", 1.0, 0, 0, BYTES),),
)
"""The output is bytes 40 to 49 of the image, put there by the setup program, then the input."""


def samples(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(-128, 128, (count, BYTES), dtype=np.int8)


def expected(x: np.ndarray) -> np.ndarray:
    image = np.frombuffer(PROGRAM.image, np.int8)
    return np.concatenate([np.tile(image[40:50], (len(x), 1)), x[:, : BYTES - 10]], axis=1)


@pytest.fixture
def npu():
    shared = device("4x4")
    shared.reset()
    return shared


@pytest.mark.parametrize("seed", range(3))
def test_both_leave_the_same_memory(npu, seed):
    random = random_program(CONFIG, seed)
    machine = MachineTransport(CONFIG, len(random.memory))
    for transport in (machine, npu):
        transport.write(0, random.memory)
        transport.run(Job(0, random.bases, cycle_limit=200_000))
    assert (machine.read(0, len(random.memory)) == npu.read(0, len(random.memory))).all()


def test_both_give_the_driver_the_same_outputs(npu):
    x = samples(11)
    on_machine = Device(MachineTransport(CONFIG), chunk=4).run(PROGRAM, x)
    on_rtl = Device(npu, chunk=4).run(PROGRAM, x)
    assert (on_machine.outputs["y"] == expected(x)).all()
    assert (on_rtl.outputs["y"] == expected(x)).all()
    assert on_machine.report.cycles is None
    assert on_machine.report.trace is None
    assert on_rtl.report.cycles.shape == (11,)
    assert on_rtl.report.trace.tags == (1, 2)
    assert len(set(on_rtl.report.cycles.tolist())) == 1


def test_the_counters_agree_with_the_trace(npu):
    report = Device(npu).run(PROGRAM, samples(2)).report
    assert report.counters["INSTRUCTIONS"] == len(RUN)
    assert report.cycles[-1] - report.counters["CYCLES"] == START_AND_END
    for unit in Unit:
        for activity in Activity:
            if activity is not Activity.IDLE:
                counted = report.counters[f"{unit.name}_{activity.name}"]
                assert report.trace.activity[:, unit, activity].sum() == counted, (unit, activity)


def test_a_fault_on_the_machine_is_a_device_error():
    lonely = [instruction(Opcode.STORE, base=2, local=0, bytes=4, rows=1, wait=1), instruction(Opcode.END)]
    program = replace(PROGRAM, image=assemble(lonely) + PROGRAM.image, setup=-1)
    device = Device(MachineTransport(CONFIG))
    with pytest.raises(DeviceError, match=r"run 1 of 2 of the program at 0x0 stopped: deadlock.*\(samples 0 to 1\)$"):
        device.run(program, samples(2))
    assert (device.run(PROGRAM, samples(2)).outputs["y"] == expected(samples(2))).all()


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_the_machine_takes_turns_by_seed(seed):
    x = samples(5)
    assert (Device(MachineTransport(CONFIG, seed=seed)).run(PROGRAM, x).outputs["y"] == expected(x)).all()


def test_the_machine_has_the_registers_that_identify_it():
    machine = MachineTransport(CONFIG, 4096)
    assert machine.read_register("IDENTITY") == IDENTITY
    assert machine.read_register("DIGEST") == CONFIG.digest32
    assert machine.read_register("STATUS") == 0
    machine.write_register("BASE_2", 77)
    assert machine.read_register("BASE_2") == 77
    with pytest.raises(DeviceError, match="the functional machine has no register CONTROL to write"):
        machine.write_register("CONTROL", 1)
    with pytest.raises(UserError, match="8 bytes at 0xffc are outside the memory of 4096 bytes"):
        machine.read(4092, 8)


@pytest.mark.parametrize("processes", [1, 2])
def test_shares_come_back_in_order(npu, processes):
    x = samples(11)
    calls = []
    result = run_many(PROGRAM, x, processes, lambda *call: calls.append(call), share=4, memory_bytes=1 << 20)
    alone = Device(npu).run(PROGRAM, x)
    assert (result.outputs["y"] == alone.outputs["y"]).all()
    assert (result.report.cycles == alone.report.cycles).all()
    assert result.report.trace.tags == (1, 2)
    assert sorted(total for _, total in calls) == [11] * 3
    assert [done for done, _ in calls][-1] == 11


def test_the_programs_of_a_network_are_shared_out_together():
    """Cycles of all samples add up over the programs, and each program has its trace."""
    between, last = (replace(PROGRAM.outputs[0], name=name) for name in "cz")
    second = replace(PROGRAM, inputs=(between,), outputs=(last,))
    tensors = {name: Tensor(name, (1, BYTES), "int8") for name in "xycz"}
    clamp = Clamp("clamp", ("y",), "c", minimum=-50, maximum=50)
    network = Network("two", CONFIG, tensors, (PROGRAM, clamp, second), ("x",), ("z",))
    x = samples(7)
    calls = []
    outputs, report = run_many(network, x, 2, lambda *call: calls.append(call), share=3, memory_bytes=1 << 20)
    assert (outputs["z"] == expected(np.clip(expected(x), -50, 50))).all()
    assert len(report.parts) == 2
    assert all({1, 2} <= set(part.trace.tags) for part in report.parts)
    assert (report.cycles == report.parts[0].cycles + report.parts[1].cycles).all()
    assert report.cycles.shape == (7,)
    assert calls[-1] == (7, 7)


def test_an_error_in_a_process_is_an_error_of_the_call():
    program = replace(PROGRAM, image=bytes(64) + PROGRAM.image, setup=-1)
    with pytest.raises(DeviceError, match=r"illegal instruction at address 0x0 \(0 is not an opcode\)"):
        run_many(program, samples(4), 2, share=2, memory_bytes=1 << 20)


def test_inputs_are_checked_before_anything_is_compiled():
    program = replace(PROGRAM, config=CONFIG.replace(axi=False))
    with pytest.raises(UserError, match=r"input 'x' must have the shape \(samples, 200\), not \(3, 5\)"):
        run_many(program, np.zeros((3, 5), np.int8))
    with pytest.raises(UserError, match="processes and share must be at least 1, not 0 and 500"):
        run_many(program, samples(1), 0)
