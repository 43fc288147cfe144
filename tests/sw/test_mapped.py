"""The transport of a PYNQ board, on the RTL behind its AXI buses: registers mapped, memory somewhere in the bus's."""

import sys

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.rtl.isa import Opcode, assemble, instruction
from weft.rtl.registers import REGISTERS
from weft.sim.verilated import VerilatedNpu
from weft.sw.driver import Device
from weft.sw.errors import UserError
from weft.sw.mapped import MappedTransport, open_overlay
from weft.sw.transport import DeviceError, Job

from tests.sw.programs import CONFIG, program

START = 0x30000
NAMES = {register.offset: register.name for register in REGISTERS}


class Mapped:
    """The registers as MMIO has them."""

    def __init__(self, npu):
        self.npu = npu

    def read(self, offset):
        return self.npu.read_register(NAMES[offset])

    def write(self, offset, value):
        self.npu.write_register(NAMES[offset], value)


class Contiguous(np.ndarray):
    """A part of the bus's memory, as pynq.allocate gives it; what is not flushed or invalidated is counted."""

    device_address = START

    def flush(self):
        pass

    def invalidate(self):
        pass


@pytest.fixture(scope="module")
def transport():
    npu = VerilatedNpu(CONFIG, 1 << 18)
    return MappedTransport(Mapped(npu), npu.memory[START:].view(Contiguous), CONFIG)


def test_a_program_runs_at_the_buffers_place(transport):
    x = np.random.default_rng(0).integers(-128, 128, (5, 2, 2, 1), np.int8)
    result = Device(transport, chunk=2).run(program(), x)
    assert (result.outputs["y"].reshape(5, 4) == x.reshape(5, 4)).all()
    assert result.report.counters["INSTRUCTIONS"] == 3
    assert result.report.counters["CYCLES"] == result.report.cycles[-1]


def test_errors_count_from_the_buffer_on(transport):
    transport.write(128, np.zeros(64, np.uint8))
    with pytest.raises(DeviceError, match=r"stopped: illegal instruction at address 0x80 "):
        transport.run(Job(128, (0, 0, 0, 0)))
    transport.reset()


def test_a_hang_is_told(transport):
    stuck = [instruction(Opcode.LOAD, bytes=4, rows=1, wait=8), instruction(Opcode.END)]
    transport.write(0, np.frombuffer(assemble(stuck), np.uint8))
    with pytest.raises(DeviceError, match=r"did not finish within 1000 cycles"):
        transport.run(Job(0, (0, 0, 0, 0), cycle_limit=1000))
    transport.reset()


def test_addresses_outside_are_refused(transport):
    with pytest.raises(UserError, match=r"^4 bytes at 0xffff are outside the memory of 65536 bytes$"):
        transport.read(0xFFFF, 4)


def test_a_buffer_must_begin_at_a_page():
    buffer = np.zeros(64, np.uint8).view(Contiguous)
    buffer.device_address = 64
    with pytest.raises(UserError, match=r"^the buffer must begin at a multiple of 4096, not at 0x40$"):
        MappedTransport(None, buffer, Config())


def test_without_pynq(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynq", None)
    with pytest.raises(UserError) as caught:
        open_overlay("weft.bit", 1 << 20)
    assert str(caught.value) == "a Zynq is driven from its own processor, with the Python package pynq"
