"""The simulator half of test_npu_cosim: a whole NPU between a memory and a host from cocotbext-axi."""

import logging
import os
from collections import Counter
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import RisingEdge
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam, AxiResp
from weft.rtl import isa
from weft.rtl.isa import Opcode
from weft.rtl.registers import BY_NAME, IDENTITY, INTERFACE_VERSION, Activity, Control, ErrorCause, Status, Unit

from tests.cosim.common import CONFIG, SEED, cycle, known, limited, pauses, start

CASE = np.load(os.environ["WEFT_CASE"])
"""Programs with the memory before and after them; test_npu_cosim.py has made them."""
MEMORY = 1 << CONFIG.address_width
MASTER = {
    "ar": ("araddr", "arlen", "arsize", "arburst"),
    "aw": ("awaddr", "awlen", "awsize", "awburst"),
    "w": ("wdata", "wstrb", "wlast"),
}
"""The channels on which the NPU offers, with what it offers."""
LEVELS = ("m_axi_rready", "m_axi_bready", "s_axil_awready", "s_axil_wready", "s_axil_bvalid", "s_axil_arready")
LEVELS += ("s_axil_rvalid", "interrupt")
"""Further outputs that must never be unknown."""
ENABLE = 1 << Control.INTERRUPT_ENABLE


class Bench:
    """The NPU's memory and host, which pause at random on each of their channels."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.random = np.random.default_rng(SEED)
        self.activity: Counter[tuple[Unit, Activity]] = Counter()
        """Cycles since the last start, from the trace."""
        self.answered = self.raised = 0
        """The first cycle of the last response to a write of a register, and of the last interrupt."""

    async def start(self) -> None:
        dut = self.dut
        logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.ERROR)
        self.ram = AxiRam(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, size=MEMORY)
        self.host = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axil"), dut.clk, dut.rst)
        for index, channel in enumerate(
            (
                *(self.ram.write_if.aw_channel, self.ram.write_if.w_channel, self.ram.write_if.b_channel),
                *(self.ram.read_if.ar_channel, self.ram.read_if.r_channel),
                *(self.host.write_if.aw_channel, self.host.write_if.w_channel, self.host.write_if.b_channel),
                *(self.host.read_if.ar_channel, self.host.read_if.r_channel),
            )
        ):
            channel.set_pause_generator(pauses(10 * SEED + index))
        await start(dut, ())
        cocotb.start_soon(self.watch())

    async def watch(self) -> None:
        """No output is unknown, no offer changes before it is taken, and units do what the counters will say."""
        dut = self.dut
        channels = {
            name: (
                getattr(dut, f"m_axi_{name}valid"),
                getattr(dut, f"m_axi_{name}ready"),
                [getattr(dut, f"m_axi_{part}") for part in parts],
            )
            for name, parts in MASTER.items()
        }
        levels = [getattr(dut, name) for name in LEVELS]
        units = [(unit, getattr(dut, f"trace_{unit.name.lower()}_activity")) for unit in Unit]
        offered: dict[str, list[int]] = {}
        responding = False
        while True:
            await RisingEdge(dut.clk)
            for name, (valid, ready, parts) in channels.items():
                item = [known(part) for part in parts] if known(valid) else None
                if name in offered:
                    assert item == offered.pop(name), f"{name} changed before it was taken"
                if item is not None and not ready.value:
                    offered[name] = item
            for level in levels:
                known(level)
            for unit, activity in units:
                self.activity[unit, Activity(known(activity))] += 1
            if dut.s_axil_bvalid.value and not responding:
                self.answered = cycle()
            responding = bool(dut.s_axil_bvalid.value)

    async def write(self, name: str, value: int) -> None:
        answer = await self.host.write(BY_NAME[name].offset, int(value).to_bytes(4, "little"))
        assert answer.resp == AxiResp.OKAY

    async def read(self, name: str) -> int:
        answer = await self.host.read(BY_NAME[name].offset, 4)
        assert answer.resp == AxiResp.OKAY
        return int.from_bytes(answer.data, "little")

    async def status(self) -> int:
        """The STATUS register, but for the bit that tells what is outstanding on the bus."""
        return await self.read("STATUS") & ~(1 << Status.MEMORY)

    async def begin(self, program: int, bases: np.ndarray) -> None:
        """Start a program, as a driver does."""
        for index, base in enumerate(bases.tolist()):
            await self.write(f"BASE_{index}", base)
        await self.write("PROGRAM", program)
        assert known(self.dut.interrupt) == 0
        self.activity.clear()
        await self.write("CONTROL", ENABLE | 1 << Control.START)

    async def end(self, status: Status) -> None:
        """Wait for the interrupt."""
        while not known(self.dut.interrupt):
            await RisingEdge(self.dut.clk)
        self.raised = cycle()
        assert await self.status() == 1 << status

    async def run(self, program: int, bases: np.ndarray, instructions: int) -> None:
        """A program from its start to its end without an error."""
        await self.begin(program, bases)
        started = self.answered
        await self.end(Status.DONE)
        assert await self.read("CYCLES") == self.raised - started
        assert await self.read("ERROR") & 0xFF == ErrorCause.NONE
        assert await self.read("INSTRUCTIONS") == instructions
        assert await self.read("UNITS") == 0
        await self.write("STATUS", 1 << Status.DONE)
        assert await self.read("STATUS") == 0
        assert known(self.dut.interrupt) == 0

    async def counters(self) -> None:
        """The counters agree with the trace."""
        cycles = await self.read("CYCLES")
        for unit in Unit:
            counted = {
                activity: await self.read(f"{unit.name}_{activity.name}")
                for activity in Activity
                if activity is not Activity.IDLE
            }
            assert counted == {activity: self.activity[unit, activity] for activity in counted}
            assert counted[Activity.BUSY] > 0
            assert sum(counted.values()) <= cycles

    def fill(self, memory: np.ndarray) -> None:
        self.ram.write(0, memory.tobytes())

    def compare(self, memory: np.ndarray) -> None:
        """Every byte of memory, so that none is written where it should not be."""
        np.testing.assert_array_equal(np.frombuffer(self.ram.read(0, MEMORY), np.uint8), memory)


async def started(dut: Any) -> Bench:
    bench = Bench(dut)
    await bench.start()
    return bench


async def set_up(dut: Any) -> Bench:
    """A bench whose NPU has the network's weights."""
    bench = await started(dut)
    bench.fill(CASE["network_before"])
    setup, count = CASE["setup"].tolist()
    await bench.run(setup, CASE["network_bases"][0], count)
    return bench


async def infer(bench: Bench, sample: int) -> None:
    run, count = CASE["run"].tolist()
    await bench.run(run, CASE["network_bases"][sample], count)


@limited
async def inferences(dut: Any) -> None:
    """A convolution with pooling and a matrix product: setup, and inferences with nothing between them."""
    bench = await set_up(dut)
    assert await bench.read("IDENTITY") == IDENTITY
    assert await bench.read("VERSION") == INTERFACE_VERSION
    assert await bench.read("DIGEST") == CONFIG.digest32
    for sample, after in enumerate(CASE["network_after"]):
        await infer(bench, sample)
        bench.compare(after)
    await bench.counters()
    assert await bench.read("ARRAY_BUSY") + await bench.read("ARRAY_WAIT_WEIGHTS") == CASE["passes"]


@limited
async def random_program(dut: Any) -> None:
    """Tiles over the whole instruction set."""
    bench = await started(dut)
    bench.fill(CASE["program_before"])
    await bench.run(0, CASE["program_bases"], CASE["program_instructions"])
    await bench.counters()
    bench.compare(CASE["program_after"])


def rows(opcode: Opcode, bases: np.ndarray) -> list[range]:
    """The addresses of each row that the network's LOADs or STOREs move, in order."""
    program = isa.disassemble(CASE["network_before"][CASE["run"][0] :].tobytes())
    return [
        range(first, first + one.bytes)
        for one in program
        if one.opcode is opcode
        for row in range(one.rows)
        for first in [int(bases[one.base]) + one.offset + row * one.step]
    ]


@limited
async def errors(dut: Any) -> None:
    """SLVERR for one beat of an input, then for one of a result, ends an inference and is reported with its place;
    after a reset the next inference is right, though what was under way is not waited for."""
    bench = await set_up(dut)
    await failing(bench, 0, Opcode.LOAD, bench.ram.read_if, "_read", ErrorCause.READ_ERROR | Unit.LOAD << 8)
    await failing(bench, 1, Opcode.STORE, bench.ram.write_if, "_write", ErrorCause.WRITE_ERROR | Unit.STORE << 8)


async def failing(bench: Bench, sample: int, opcode: Opcode, port: Any, name: str, error: int) -> None:
    """An inference with a fault at one of the beats that its LOADs or STOREs move, and one without."""
    bases = CASE["network_bases"][sample]
    moved = rows(opcode, bases)
    size = CONFIG.axi_width // 8
    fault = int(bench.random.choice(np.concatenate(moved))) // size * size
    access = getattr(port, name)

    async def fail(address: int, content: Any) -> Any:
        # What cocotbext-axi answers with SLVERR.
        if address // size * size == fault:
            raise ValueError("a fault of the memory")
        return await access(address, content)

    setattr(port, name, fail)
    run, _ = CASE["run"].tolist()
    await bench.begin(run, bases)
    await bench.end(Status.ERROR)
    hit = [row for row in moved if row.start // size * size <= fault < row.stop]
    # A start is ignored until the error is dealt with.
    for start_bit in (0, 1 << Control.START):
        await bench.write("CONTROL", ENABLE | start_bit)
        assert await bench.status() == 1 << Status.ERROR
        assert await bench.read("ERROR") == error
        assert await bench.read("ERROR_ADDRESS") == hit[0].start

    setattr(port, name, access)
    await bench.write("CONTROL", ENABLE | 1 << Control.RESET)
    assert await bench.status() == 0
    await infer(bench, sample)
    await bench.counters()
    bench.compare(CASE["network_after"][sample])
