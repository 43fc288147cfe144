"""The driver, on a toy device that adds one to every byte of the input buffer."""

from dataclasses import replace

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.rtl.registers import IDENTITY, INTERFACE_VERSION, ErrorCause, Feature
from weft.sw.driver import PAGE, Device, in_order
from weft.sw.errors import UserError
from weft.sw.graph import Clamp, Dequantize, Quantize, Reshape, Tensor, Transpose
from weft.sw.network import Network, Stage
from weft.sw.program import LayerInfo, Port, Program
from weft.sw.transport import DeviceError, Job, RunReport

CONFIG = Config()


class Toy:
    """A transport whose run writes input + 1, zero from the input's end, over the whole output buffer."""

    def __init__(self, program: Program, memory_bytes: int = 1 << 16, **registers: int):
        self.memory = np.full(memory_bytes, 0xAA, np.uint8)
        self.program = program
        self.registers = {"IDENTITY": IDENTITY, "VERSION": INTERFACE_VERSION, "DIGEST": CONFIG.digest32}
        self.registers |= {"FEATURES": 0, "ERROR": 0, **registers}
        self.jobs: list[Job] = []
        self.written: list[int] = []
        self.resets = 0
        self.fail_at: int | None = None

    @property
    def memory_bytes(self) -> int:
        return len(self.memory)

    def write(self, address, data):
        assert address + len(data) <= len(self.memory)
        self.written.append(address)
        self.memory[address : address + len(data)] = data

    def read(self, address, count):
        assert address + count <= len(self.memory)
        return self.memory[address : address + count].copy()

    def write_register(self, name, value):
        self.registers[name] = value

    def read_register(self, name):
        return self.registers[name]

    def reset(self):
        self.resets += 1

    def run(self, job):
        self.jobs.append(job)
        if len(self.jobs) == self.fail_at:
            raise DeviceError("it broke")
        for run in range(job.runs):
            _, source, target, _ = (base + run * step for base, step in zip(job.bases, job.steps, strict=True))
            if job.program == self.program.run:
                row = np.zeros(self.program.output_bytes, np.uint8)
                count = min(len(row), self.program.input_bytes)
                row[:count] = self.memory[source : source + count] + 1
                self.memory[target : target + len(row)] = row
        return RunReport(np.full(job.runs, len(self.jobs)), None, {"CYCLES": len(self.jobs)})


def port(name: str, offset: int = 0, shape: tuple[int, ...] = (1, 6), dtype: str = "int8", **changes) -> Port:
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return Port(name, shape, dtype, 1.0, 0, offset, size, **changes)


PROGRAM = Program(
    config=CONFIG,
    image=bytes(range(128)),
    setup=64,
    run=0,
    workspace_bytes=5000,
    inputs=(port("x"),),
    outputs=(port("y"),),
    layers=(LayerInfo("a", "Conv2D", 0, 1, 1, 1000),),
)


def samples(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 127, (count, 6), dtype=np.int8)


@pytest.mark.parametrize("count", [1, 3, 7, 9])
def test_samples_go_in_chunks_and_come_back_in_order(count):
    toy = Toy(PROGRAM)
    calls = []
    result = Device(toy, chunk=3).run(PROGRAM, samples(count), lambda *call: calls.append(call))
    assert list(result.outputs) == ["y"]
    assert result.outputs["y"].dtype == np.int8
    assert (result.outputs["y"] == samples(count) + 1).all()
    chunks = [min(3, count - start) for start in range(0, count, 3)]
    assert [job.runs for job in toy.jobs] == [1, *chunks]
    assert calls == [(end, count) for end in np.cumsum(chunks).tolist()]
    assert result.report.cycles.tolist() == [2 + index // 3 for index in range(count)]
    assert result.report.counters == {"CYCLES": 1 + len(chunks)}


def test_memory_is_laid_out_in_pages():
    toy = Toy(PROGRAM)
    Device(toy, chunk=4).run(PROGRAM, samples(4))
    setup, run = toy.jobs
    assert run.bases == setup.bases == (0, PAGE, 4 * PAGE, 2 * PAGE)
    assert run.steps == (0, 128, 128, 0)
    assert (setup.program, run.program) == (64, 0)
    assert run.cycle_limit == 1_100_000
    assert toy.memory[:128].tobytes() == PROGRAM.image


def test_fences_and_watchdog_are_set_where_they_are_built():
    """What may be written is what the program works in; both windows end before what lies behind."""
    toy = Toy(PROGRAM, FEATURES=1 << Feature.FENCES | 1 << Feature.AUTOPSY)
    device = Device(toy, chunk=40, watchdog=77)
    device.run(PROGRAM, samples(4))
    _, inputs, outputs, workspace = toy.jobs[1].bases
    windows = {name: toy.registers[name] for name in ("READ_FIRST", "READ_LAST", "WRITE_FIRST", "WRITE_LAST")}
    assert inputs + 40 * 128 <= workspace
    assert windows == {
        "READ_FIRST": 0,
        "READ_LAST": outputs - 1,
        "WRITE_FIRST": workspace,
        "WRITE_LAST": outputs + 2 * PAGE - 1,
    }
    assert toy.registers["WATCHDOG"] == 77
    bare = Toy(PROGRAM)
    Device(bare).run(PROGRAM, samples(1))
    assert not {"READ_FIRST", "WRITE_LAST", "WATCHDOG"} & set(bare.registers)


def test_buffers_above_a_page_take_whole_pages():
    program = replace(PROGRAM, inputs=(port("x", shape=(1, 4097)),), outputs=(port("y", shape=(1, 600)),))
    toy = Toy(program)
    x = np.random.default_rng(0).integers(-128, 127, (3, 4097), dtype=np.int8)
    assert (Device(toy, chunk=2).run(program, x).outputs["y"] == x[:, :600] + 1).all()
    assert toy.jobs[1].steps == (0, 2 * PAGE, 1024, 0)
    assert toy.jobs[1].bases == (0, PAGE, 7 * PAGE, 5 * PAGE)


def test_a_chunk_shrinks_to_the_memory():
    toy = Toy(PROGRAM, memory_bytes=5 * PAGE)
    result = Device(toy, chunk=1000).run(PROGRAM, samples(40))
    assert (result.outputs["y"] == samples(40) + 1).all()
    assert [job.runs for job in toy.jobs[1:]] == [16, 16, 8]


def test_a_memory_too_small_is_refused():
    toy = Toy(PROGRAM, memory_bytes=4 * PAGE + 100)
    with pytest.raises(DeviceError, match="the program needs 16512 bytes of memory, the device has 16484"):
        Device(toy).run(PROGRAM, samples(1))
    Device(Toy(PROGRAM, memory_bytes=4 * PAGE + 128), chunk=1).run(PROGRAM, samples(1))


def test_addresses_stay_in_the_address_width():
    config = CONFIG.replace(address_width=16)
    program = replace(PROGRAM, config=config, workspace_bytes=1 << 16)
    with pytest.raises(DeviceError, match="bytes of memory, the device has 65536"):
        Device(Toy(program, 1 << 20, DIGEST=config.digest32)).load(program)


def test_a_program_is_loaded_once_and_again_when_it_changes():
    toy = Toy(PROGRAM)
    device = Device(toy)
    equal, other = replace(PROGRAM, name=""), replace(PROGRAM, image=bytes(range(1, 129)))
    for program in (PROGRAM, PROGRAM, equal):
        device.run(program, samples(2))
    assert toy.written.count(0) == 1
    device.run(other, samples(2))
    assert toy.written.count(0) == 2
    assert toy.memory[:128].tobytes() == other.image
    assert [job.program for job in toy.jobs] == [64, 0, 0, 0, 64, 0]


def test_without_a_setup_program_none_is_run():
    program = replace(PROGRAM, setup=-1)
    toy = Toy(program)
    Device(toy).load(program)
    assert toy.jobs == []
    assert toy.written == [0]


@pytest.mark.parametrize("fail_at", [1, 3])
def test_after_a_failure_the_device_is_reset_and_loaded_again(fail_at):
    toy = Toy(PROGRAM)
    toy.fail_at = fail_at
    device = Device(toy, chunk=2)
    with pytest.raises(DeviceError, match="^it broke$" if fail_at == 1 else r"^it broke \(samples 2 to 3\)$"):
        device.run(PROGRAM, samples(6))
    assert toy.resets == 1
    assert (device.run(PROGRAM, samples(6)).outputs["y"] == samples(6) + 1).all()
    assert toy.written.count(0) == 2


def test_after_a_flipped_bit_all_memories_are_written_before_the_program():
    toy = Toy(PROGRAM)
    toy.fail_at = 2
    device = Device(toy)
    toy.registers["ERROR"] = ErrorCause.CONTENTS
    with pytest.raises(DeviceError):
        device.run(PROGRAM, samples(6))
    toy.registers["ERROR"] = 0
    for _ in range(2):
        assert (device.run(PROGRAM, samples(6)).outputs["y"] == samples(6) + 1).all()
    assert toy.written.count(0) == 3
    scrub, setup = toy.jobs[2:4]
    assert (scrub.program, scrub.bases, setup.program) == (0, (0, 0, 0, 0), PROGRAM.setup)


NHWC, Q, Y = (
    Tensor("t", (1, 2, 3, 1), "float32"),
    Tensor("q", (1, 6), "int8", 0.5, 3),
    Tensor("y", (1, 6), "int8", 0.25),
)
TENSORS = [
    Tensor("x", (1, 1, 2, 3), "float32"),
    NHWC,
    replace(NHWC, name="r", shape=(1, 6)),
    Q,
    Y,
    replace(Y, name="d", dtype="float32"),
]
"""float32 to int8 on the host, one on the device, and back."""


def network(*stages: Stage, outputs: tuple[str, ...] = ("d",), tensors: tuple[Tensor, ...] = ()) -> Network:
    """The stages, and before them what quantizes the input."""
    before = (
        Transpose("nhwc", ("x",), "t", permutation=(0, 2, 3, 1)),
        Reshape("flat", ("t",), "r"),
        Quantize("to int8", ("r",), "q"),
    )
    all_tensors = {tensor.name: tensor for tensor in (*TENSORS, *tensors)}
    return Network("toy", CONFIG, all_tensors, (*before, *stages), ("x",), outputs)


ONCE = replace(PROGRAM, inputs=(port("q"),), outputs=(port("y"),))
BACK = Dequantize("real", ("y",), "d")


def real(count: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(-20, 20, (count, 1, 2, 3)).astype(np.float32)


def test_host_operators_frame_the_device():
    x = real(5)
    expected = (np.rint(x / np.float32(0.5)) + 4).reshape(5, 6) * 0.25
    got, report = Device(Toy(ONCE)).run(network(ONCE, BACK), x)
    assert list(got) == ["d"]
    assert got["d"].dtype == np.float32
    assert (got["d"] == expected).all()
    assert report.cycles.tolist() == [2] * 5
    assert report.parts == ()


def test_programs_follow_each_other_each_for_all_samples():
    """What one makes is what the next one reads, with a host operator between."""
    twice = replace(ONCE, inputs=(port("c"),), outputs=(port("z"),), image=bytes(range(1, 129)))
    between, last = replace(Y, name="c"), replace(Y, name="z")
    model = network(
        ONCE, Clamp("cut", ("y",), "c", minimum=0, maximum=20), twice, outputs=("y", "z"), tensors=(between, last)
    )
    toy, calls, x = Toy(ONCE), [], real(5)
    got, report = Device(toy, chunk=3).run(model, x, lambda *call: calls.append(call))
    y = np.rint(x / np.float32(0.5)).reshape(5, 6) + 4
    assert (got["y"] == y).all()
    assert (got["z"] == np.clip(y, 0, 20) + 1).all()
    assert [job.runs for job in toy.jobs] == [1, 3, 2, 1, 3, 2]
    assert calls == [(3, 10), (5, 10), (8, 10), (10, 10)]
    assert [part.cycles.tolist() for part in report.parts] == [[2, 2, 2, 3, 3], [5, 5, 5, 6, 6]]
    assert report.cycles.tolist() == [7, 7, 7, 9, 9]
    assert report.counters == {"CYCLES": 9}


def test_a_network_without_a_program_needs_no_cycles():
    got, report = Device(Toy(ONCE)).run(network(outputs=("q",)), real(70))
    assert (got["q"] == np.rint(real(70) / np.float32(0.5)).reshape(70, 6) + 3).all()
    assert report.cycles is None


TWO = replace(
    PROGRAM,
    inputs=(port("b", 8, (1, 2), "int32"), port("a", 0, (1, 5))),
    outputs=(port("all", 0, (1, 2, 4)), port("word", 8, (1, 1), "int32")),
)


@pytest.mark.parametrize("form", ["names", "list", "tuple"])
def test_ports_lie_where_the_program_says(form):
    a = np.random.default_rng(2).integers(-100, 100, (4, 5), dtype=np.int8)
    b = np.random.default_rng(3).integers(-(1 << 31), 1 << 31, (4, 2), dtype=np.int32)
    inputs = {"names": {"a": a, "b": b}, "list": [b, a], "tuple": (b, a)}[form]
    outputs = Device(Toy(TWO)).run(TWO, inputs).outputs
    assert list(outputs) == ["all", "word"]
    expected = np.ones((4, 8), np.int8)
    expected[:, :5] += a
    assert (outputs["all"] == expected.reshape(4, 2, 4)).all()
    word = (b[:, :1].copy().view(np.uint8) + 1).view(np.int32)
    assert (outputs["word"] == word).all()


ONE, OTHER = np.zeros((3, 2), np.int32), np.zeros((3, 5), np.int8)


@pytest.mark.parametrize(
    "inputs, sentence",
    [
        ({"a": OTHER}, "the program has the inputs b, a, not a"),
        ({"a": OTHER, "b": ONE, "c": ONE}, "the program has the inputs b, a, not a, b, c"),
        ([ONE], "the program has 2 inputs (b, a), not 1"),
        (ONE, "the program has 2 inputs (b, a), not 1"),
        ([ONE, OTHER[:2]], "all inputs must have the same number of samples, at least 1, not 2 and 3"),
        ([ONE[:0], OTHER[:0]], "all inputs must have the same number of samples, at least 1, not 0"),
        ([np.int32(1), OTHER], "all inputs must have the same number of samples, at least 1, not 0 and 3"),
        ([ONE.astype(np.int64), OTHER], "input 'b' must be int32, not int64"),
        ([ONE, OTHER[:, :4]], "input 'a' must have the shape (samples, 5), not (3, 4)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_inputs_that_do_not_suit_are_named(inputs, sentence):
    with pytest.raises(UserError) as error:
        Device(Toy(TWO)).run(TWO, inputs)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    "x, sentence",
    [
        (np.zeros((2, 2, 3, 1), np.float32), "must have the shape (samples, 1, 2, 3), not (2, 2, 3, 1)"),
        (np.zeros((2, 1, 2, 3)), "must be float32, not float64"),
        (np.full((2, 1, 2, 3), np.nan, np.float32), "must be numbers, and it has NaN"),
    ],
    ids=str,
)
def test_inputs_of_a_network_are_checked(x, sentence):
    with pytest.raises(UserError) as error:
        Device(Toy(ONCE)).run(network(ONCE, BACK), x)
    assert str(error.value) == f"input 'x' {sentence}"


def test_in_order_leaves_arrays_as_they_are():
    first, second = in_order(TWO, {"a": OTHER, "b": ONE})
    assert first is ONE
    assert second is OTHER


@pytest.mark.parametrize(
    "registers, sentence",
    [
        ({"IDENTITY": 0}, "the device's IDENTITY register must read 0x54464557, not 0x0"),
        ({"VERSION": INTERFACE_VERSION + 1}, "the device's interface version must be 2, not 3"),
    ],
)
def test_another_device_is_refused(registers, sentence):
    with pytest.raises(DeviceError) as error:
        Device(Toy(PROGRAM, **registers))
    assert str(error.value) == sentence


def test_another_configuration_is_refused():
    toy = Toy(PROGRAM, DIGEST=0x1234)
    with pytest.raises(DeviceError) as error:
        Device(toy).run(PROGRAM, samples(1))
    assert str(error.value) == (
        f"the program was compiled for configuration {CONFIG.digest32:08x}, the device has 00001234"
    )
    assert toy.written == []
