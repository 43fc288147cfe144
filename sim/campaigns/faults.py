"""Every beat of a network's inference fails once in each way: all must be reported, and the next inference right."""

from collections.abc import Iterator
from dataclasses import dataclass
from time import process_time

import numpy as np
from weft.gen.presets import SMALL
from weft.rtl.config import Config
from weft.rtl.isa import INSTRUCTION_BYTES, disassemble
from weft.rtl.registers import SEQUENCER, ErrorCause, Unit
from weft.sim.faulty import Channel, FaultyNpu, Response
from weft.sim.verification import Row
from weft.sw.driver import Device
from weft.sw.network import Network
from weft.sw.transport import DeviceError

from .workloads import Workload, differs, workload

WATCHDOG = 2000
CAUSES = {
    (Channel.R, Response.SLVERR): ErrorCause.READ_ERROR,
    (Channel.R, Response.DECERR): ErrorCause.READ_DECODE_ERROR,
    (Channel.W, Response.SLVERR): ErrorCause.WRITE_ERROR,
    (Channel.W, Response.DECERR): ErrorCause.WRITE_DECODE_ERROR,
}


@dataclass(frozen=True)
class Fault:
    """Transfer `number` of a channel fails; counted from the load of the program, or from the run alone."""

    load: bool
    channel: Channel
    number: int
    response: Response

    def __str__(self) -> str:
        phase = "load" if self.load else "run"
        return f"{self.response.name} at {self.channel.name} transfer {self.number} of the {phase}"


def behind_the_end(network: Network, address: int) -> bool:
    """Whether what was fetched from an address lies behind the END of a program, and so is without effect."""
    for program in network.programs:
        for start in (program.setup, program.run):
            if start >= 0:
                end = start + INSTRUCTION_BYTES * len(disassemble(program.image[start:]))
                if end <= address < end + program.config.fetch_depth * INSTRUCTION_BYTES:
                    return True
    return False


class Bench:
    """An NPU with a memory that can be made to fail, and one sample with its answer."""

    def __init__(self, name: str = "lenet", config: Config = SMALL, kind: type[FaultyNpu] = FaultyNpu) -> None:
        self.workload: Workload = workload(name, config)
        self.npu = kind(config, 1 << 20)
        self.device = Device(self.npu, chunk=1, watchdog=WATCHDOG)
        self.inputs = self.workload.inputs(np.random.default_rng(0), 1)
        self.expected = self.workload.golden(self.inputs)

    def right(self) -> bool:
        """Infer; whether the answer is right."""
        return not differs(self.device.run(self.workload.network, self.inputs).outputs, self.expected)

    def transfers(self, load: bool) -> dict[Channel, int]:
        """Transfers of an inference without a fault, with the load of the program or without."""
        self.right()
        if load:
            self.device.program = None
        self.npu.behave()
        self.right()
        return {channel: self.npu.transfers(channel) for channel in Channel}

    def faults(self) -> list[Fault]:
        """Each beat that is read and written in a run, and each that is read in a load, with either response."""
        run, load = self.transfers(load=False), self.transfers(load=True)
        kinds = (Response.SLVERR, Response.DECERR)
        found = [
            Fault(False, channel, number, kind)
            for channel in (Channel.R, Channel.W)
            for number in range(run[channel])
            for kind in kinds
        ]
        beats = load[Channel.R] - run[Channel.R]
        return found + [Fault(True, Channel.R, number, kind) for number in range(beats) for kind in kinds]

    def silences(self) -> list[Fault]:
        """Each channel stops at each of its transfers in a run (R at each eighth)."""
        return [
            Fault(False, channel, number, Response.NONE)
            for channel, count in self.transfers(load=False).items()
            for number in range(0, count, 8 if channel is Channel.R else 1)
        ]

    def provoke(self, fault: Fault) -> str:
        """Let an inference fail; what is wrong with its report, or nothing."""
        npu = self.npu
        if fault.load:
            self.device.program = None
        npu.inject(fault.channel, fault.number, fault.response)
        try:
            right = self.right()
        except DeviceError:
            return self._misreport(fault)
        where = npu.injected_at
        if not right:
            return "the answer is wrong, and no error reported"
        if where is None or not behind_the_end(self.workload.network, where):
            return "no error is reported"
        return ""

    def _misreport(self, fault: Fault) -> str:
        """What is wrong with the registers after an error; they outlive the reset."""
        if not self.npu.interrupted:
            return "no interrupt is raised"
        error, address = self.npu.read_register("ERROR"), self.npu.read_register("ERROR_ADDRESS")
        cause, unit = error & 0xFF, error >> 8
        wanted = CAUSES.get((fault.channel, fault.response), ErrorCause.NO_PROGRESS)
        if cause != wanted:
            return f"cause {cause} is reported, not {wanted}"
        where = self.npu.injected_at
        if fault.response is Response.NONE or where is None:
            return ""
        if unit == SEQUENCER:
            good = address == where // INSTRUCTION_BYTES * INSTRUCTION_BYTES
        else:
            # The address is that of the row that the beat belongs to; a burst of it may begin later.
            good = unit == (Unit.LOAD if fault.channel is Channel.R else Unit.STORE) and address <= where + 128
        return "" if good else f"unit {unit} and address {address:#x} are reported for one at {where:#x}"

    def recover(self) -> str:
        """Infer without a fault; what is wrong with it, or nothing."""
        self.npu.behave()
        try:
            if not self.right():
                return "the next inference is wrong"
        except DeviceError as error:
            return f"the next inference failed: {error}"
        return self.npu.misuse


def try_all(bench: Bench, what: str, faults: list[Fault], bar: int) -> Row:
    """Provoke each fault and recover from it."""
    start, failures = process_time(), []
    for fault in faults:
        for problem in (bench.provoke(fault), bench.recover()):
            if problem:
                failures.append(f"{fault}: {problem}")
                bench.npu.power_cycle()
                bench.device.program = None
    return Row(what, len(faults), failures, bar, process_time() - start, "none")


def campaign(part: int = 0, parts: int = 1, stride: int = 1) -> Iterator[Row]:
    """A part of all faults; with a `stride` only each so many-th of them."""
    bench = Bench()
    faults = bench.faults()[part * stride :: parts * stride]
    yield try_all(bench, "bus faults: every beat of LeNet's load and run, SLVERR and DECERR", faults, len(faults))
    silences = bench.silences()[part * stride :: parts * stride]
    yield try_all(bench, "a memory that stops answering in LeNet's run, on each channel", silences, len(silences))
