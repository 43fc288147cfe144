"""The harness, on a top that copies one burst per run."""

from functools import cache

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.rtl.registers import IDENTITY, Activity, Unit
from weft.sim.library import compile_library, simulation_verilog
from weft.sim.verilated import MemoryModel, VerilatedNpu
from weft.sw.errors import UserError
from weft.sw.transport import DeviceError, Job

from tests.sim.copier import FIXED, LOAD_TAG, NEVER_DONE, NO_LAST, STORE_TAG, Copier

SOURCE, TARGET = 0x1000, 0x8000
ALL = 0xFFFF_FFFF
OVERHEAD = 3
"""Cycles of a run of the Copier before the read address is accepted, the first included."""


@cache
def library(width: int):
    config = Config(axi_width=width)
    return compile_library(simulation_verilog(Copier(config), config))


def copier(width: int = 32, seed: int = 0, **model) -> VerilatedNpu:
    """A simulation whose memory is random."""
    npu = VerilatedNpu(Config(axi_width=width), 1 << 16, MemoryModel(**model), library(width))
    npu.memory[:] = np.random.default_rng(seed).integers(0, 256, len(npu.memory))
    return npu


def copy(beats: int, flags: int = 0, source: int = SOURCE, target: int = TARGET, strobes: int = ALL, **job) -> Job:
    return Job(flags | beats - 1, (0, source, target, strobes), **{"cycle_limit": 50_000, **job})


def copied(memory: np.ndarray, width: int, beats: int, strobes: int = ALL) -> np.ndarray:
    """The memory after `copy`."""
    expected = memory.copy()
    where = np.arange(beats * width // 8)
    where = where[(strobes >> (where % (width // 8)) % 32 & 1).astype(bool)]
    expected[TARGET + where] = memory[SOURCE + where]
    return expected


@pytest.mark.parametrize("strobes", [ALL, 0x8000_0001, 0x1234_5678])
@pytest.mark.parametrize("width", [32, 64, 1024])
def test_a_burst_is_read_and_written_with_its_strobes(width, strobes):
    npu = copier(width)
    expected = copied(npu.memory, width, 32, strobes)
    npu.run(copy(32, strobes=strobes))
    assert (npu.memory == expected).all()


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("stalls", [0.1, 0.5, 0.9])
def test_stalls_change_cycles_and_no_byte(stalls, seed):
    npu, steady = copier(stalls=stalls, stall_seed=seed), copier()
    expected = copied(npu.memory, 32, 256)
    slow, again = npu.run(copy(256)), copier(stalls=stalls, stall_seed=seed).run(copy(256))
    assert (npu.memory == expected).all()
    assert slow.cycles[0] > steady.run(copy(256)).cycles[0]
    assert slow.cycles[0] == again.cycles[0]


@pytest.mark.parametrize("read, write", [(1, 1), (10, 10), (2, 37), (40, 3)])
def test_latencies_are_those_of_the_model(read, write):
    beats = 16
    report = copier(read_latency=read, write_latency=write).run(copy(beats))
    assert report.trace.tags == (LOAD_TAG, STORE_TAG)
    load, store = report.trace.activity[0, Unit.LOAD], report.trace.activity[1, Unit.STORE]
    assert load[Activity.BUSY] == store[Activity.BUSY] == beats
    assert load[Activity.WAIT_MEMORY] == read
    assert store[Activity.WAIT_MEMORY] == read + write
    first = OVERHEAD - 1
    last = first + read + beats - 1
    assert report.trace.first.tolist() == [[first, -1, -1, -1], [-1, -1, -1, first]]
    assert report.trace.completed.tolist() == [[last, -1, -1, -1], [-1, -1, -1, last + write]]
    assert report.cycles.tolist() == [last + write + 2]


def test_idle_cycles_and_other_units_are_not_counted():
    activity = copier().run(copy(4)).trace.activity
    assert activity.shape == (2, len(Unit), len(Activity))
    assert (activity[:, :, Activity.IDLE] == 0).all()
    assert (activity[:, [Unit.ARRAY, Unit.DRAIN]] == 0).all()


@pytest.mark.parametrize("bandwidth", [0.5, 2.0, 6.0])
def test_bandwidth_is_shared_by_reads_and_writes(bandwidth):
    beats = 256
    npu = copier(bandwidth=bandwidth)
    expected = copied(npu.memory, 32, beats)
    (cycles,) = npu.run(copy(beats)).cycles
    least = 2 * 4 * beats / bandwidth
    assert (npu.memory == expected).all()
    assert least - 32 / bandwidth <= cycles <= least + 64 / bandwidth + 64


def test_a_job_of_several_runs_steps_the_bases():
    npu = copier()
    expected = npu.memory.copy()
    for run in range(8):
        expected[TARGET + 256 * run :][:64] = expected[SOURCE + 128 * run :][:64]
    report = npu.run(copy(16, runs=8, steps=(0, 128, 256, 0)))
    assert (npu.memory == expected).all()
    assert report.cycles.tolist() == copier().run(copy(16)).cycles.tolist() * 8
    assert report.counters["CYCLES"] == report.cycles[0] - OVERHEAD


def test_a_write_reaches_memory_with_its_response():
    early, late = copier(write_latency=60), copier(write_latency=60)
    before = early.memory.copy()
    with pytest.raises(DeviceError):
        early.run(copy(4, cycle_limit=50))
    assert (early.memory == before).all()
    late.run(copy(4, cycle_limit=100))
    assert (late.memory == copied(before, 32, 4)).all()


@pytest.mark.parametrize("source, target", [(1 << 16, TARGET), (SOURCE, 1 << 16), (0xFFFF_F000, TARGET)])
def test_memory_answers_with_an_error_outside_its_size(source, target):
    npu = copier()
    before = npu.memory.copy()
    with pytest.raises(DeviceError, match="run 1 of 1 of the program at 0x3 stopped"):
        npu.run(copy(4, source=source, target=target))
    if target != TARGET:
        assert (npu.memory == before).all()


@pytest.mark.parametrize(
    "job, sentence",
    [
        (copy(4, FIXED), "a burst that is not INCR or not of full width at address 0x1000"),
        (copy(4, NO_LAST), "WLAST is not at the last beat of the burst at address 0x8000"),
        (copy(4, source=0x1FF4), "a burst crosses a 4 KB boundary at address 0x1ff4"),
        (copy(4, target=0x8FF4), "a burst crosses a 4 KB boundary at address 0x8ff4"),
    ],
)
def test_misuse_of_the_bus_is_named(job, sentence):
    npu = copier()
    with pytest.raises(DeviceError, match=sentence):
        npu.run(job)
    npu.reset()
    expected = copied(npu.memory, 32, 4)
    npu.run(copy(4))
    assert (npu.memory == expected).all()


@pytest.mark.parametrize("stalls", [0.0, 0.5])
def test_a_hang_ends_at_the_cycle_limit_and_reset_recovers(stalls):
    npu = copier(stalls=stalls, stall_seed=3)
    start = npu.cycle
    with pytest.raises(DeviceError, match="run 2 of 3 of the program at 0x40f did not finish within 700 cycles"):
        npu.run(copy(16, NEVER_DONE, runs=3, cycle_limit=700, strobes=ALL - 1, steps=(0, 0, 0, 1)))
    assert npu.cycle - start < 3000
    npu.reset()
    expected = copied(npu.memory, 32, 8)
    npu.run(copy(8))
    assert (npu.memory == expected).all()


def test_registers_are_read_and_written():
    npu = copier(stalls=0.7, stall_seed=1)
    assert npu.read_register("IDENTITY") == IDENTITY
    assert npu.read_register("DIGEST") == npu.config.digest32
    for name, value in (("BASE_0", 0x1234_5678), ("BASE_3", ALL), ("PROGRAM", 64)):
        npu.write_register(name, value)
        assert npu.read_register(name) == value


def test_memory_is_shared_and_fenced():
    npu = copier()
    npu.write(16, np.arange(4, dtype=np.uint8))
    assert npu.memory[16:20].tolist() == npu.read(16, 4).tolist() == [0, 1, 2, 3]
    for address, count in ((npu.memory_bytes - 3, 4), (-1, 4)):
        with pytest.raises(UserError, match=r"4 bytes at .* are outside the memory of 65536 bytes"):
            npu.read(address, count)
        with pytest.raises(UserError, match="outside the memory"):
            npu.write(address, np.zeros(count, np.uint8))


@pytest.mark.parametrize(
    "values, sentence",
    [
        ({"read_latency": 0}, "read_latency must be an integer from 1 to 1048576 cycles, not 0"),
        ({"write_latency": 1.5}, "write_latency must be an integer from 1 to 1048576 cycles, not 1.5"),
        ({"bandwidth": 0.0}, "bandwidth must be from 1/256 to 1048576 bytes per cycle, not 0.0"),
        ({"stalls": 1.0}, "stalls must be a chance from 0 to 0.95, not 1.0"),
        ({"stall_seed": -1}, "stall_seed must be an integer from 0 to 2^32 - 1, not -1"),
    ],
)
def test_a_memory_model_is_checked(values, sentence):
    with pytest.raises(UserError) as error:
        MemoryModel(**values)
    assert str(error.value) == sentence
