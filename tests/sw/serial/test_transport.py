"""The transport against the RTL of a board, and what a user is told when there is none."""

import errno
import os
import pty
import tty

import numpy as np
import pytest
from weft.rtl.isa import Opcode, assemble, instruction
from weft.rtl.link_protocol import LinkRegister, Status
from weft.sw.driver import Device
from weft.sw.errors import UserError
from weft.sw.serial.frames import stuffed
from weft.sw.serial.link import LinkError, SerialLink
from weft.sw.serial.transport import SerialTransport, open_port
from weft.sw.transport import DeviceError, Job

from tests.boards import CONFIG, MEMORY_BYTES, board
from tests.rtl.link_host import answer, register
from tests.sw.programs import program
from tests.sw.serial.lines import Faulty, Script
from tests.sw.serial.test_link import header

IDENTITY = register(LinkRegister.IDENTITY)


@pytest.fixture(scope="module")
def transport():
    return SerialTransport(SerialLink(board()), CONFIG)


@pytest.mark.parametrize("address, count", [(0, 0), (100, 1), (101, 2), (103, 2), (97, 70), (MEMORY_BYTES - 3, 3)])
def test_any_bytes_can_be_written_and_read(transport, address, count):
    around = range(max(0, address - 8), min(MEMORY_BYTES, address + count + 8))
    before = np.random.default_rng(count).integers(0, 256, len(around), np.uint8)
    transport.write(around.start, before)
    data = np.random.default_rng(address).integers(0, 256, count, np.uint8)
    transport.write(address, data)
    before[address - around.start :][:count] = data
    assert (transport.read(around.start, len(around)) == before).all()
    assert (transport.read(address, count) == data).all()


def test_addresses_outside_are_refused(transport):
    sentence = f"4 bytes at {MEMORY_BYTES - 3:#x} are outside the memory of {MEMORY_BYTES} bytes"
    for access in (lambda at: transport.read(at, 4), lambda at: transport.write(at, np.zeros(4, np.uint8))):
        with pytest.raises(UserError) as caught:
            access(MEMORY_BYTES - 3)
        assert str(caught.value) == sentence


def test_registers(transport):
    transport.write_register("BASE_1", 0x1234)
    assert transport.read_register("BASE_1") == 0x1234
    assert transport.digest == CONFIG.digest32


def test_a_program_runs_as_often_as_asked(transport):
    x = np.array([[[[1], [2]], [[3], [4]]]] * 5, np.int8) + np.arange(5, dtype=np.int8)[:, None, None, None]
    result = Device(transport, chunk=2).run(program(config=CONFIG), x)
    assert (result.outputs["y"].reshape(5, 4) == x.reshape(5, 4)).all()
    assert len(set(result.report.cycles.tolist())) == 1
    assert result.report.counters["INSTRUCTIONS"] == 3
    assert result.report.counters["STORE_BUSY"] == 1


def test_a_program_runs_on_a_line_with_faults():
    line = Faulty(board(), 3e-3, 3)
    transport = SerialTransport(SerialLink(line), CONFIG)
    x = np.random.default_rng(0).integers(-128, 128, (5, 2, 2, 1), np.int8)
    result = Device(transport).run(program(config=CONFIG), x)
    assert (result.outputs["y"].reshape(5, 4) == x.reshape(5, 4)).all()
    assert transport.link.resent > 0


def test_an_illegal_instruction_is_told_and_the_board_runs_again(transport):
    transport.write(0, np.zeros(64, np.uint8))
    with pytest.raises(DeviceError) as caught:
        transport.run(Job(0, (0, 0, 0, 0)))
    assert str(caught.value) == (
        "run 1 of 1 of the program at 0x0 stopped: illegal instruction at address 0x0 (0 is not an opcode)"
    )
    transport.reset()
    transport.write(0, np.frombuffer(assemble([instruction(Opcode.END)]), np.uint8))
    assert len(transport.run(Job(0, (0, 0, 0, 0), runs=2)).cycles) == 2


def test_a_hang_is_told_with_what_each_unit_waits_for(transport):
    stuck = [instruction(Opcode.LOAD, bytes=4, rows=1, wait=8), instruction(Opcode.END)]
    transport.write(0, np.frombuffer(assemble(stuck), np.uint8))
    with pytest.raises(DeviceError) as caught:
        transport.run(Job(0, (0, 0, 0, 0), cycle_limit=1000))
    assert str(caught.value) == (
        "run 1 of 1 of the program at 0x0 did not finish within 1000 cycles; 2 instructions were dispatched, "
        "the load unit waits for a token of the store unit, the array unit is idle, the drain unit is idle, "
        "the store unit is idle"
    )
    transport.reset()


def test_a_program_for_another_configuration_is_refused(transport):
    other = CONFIG.replace(rows=8)
    with pytest.raises(DeviceError) as caught:
        Device(transport).run(program(config=other), np.zeros((1, 2, 2, 1), np.int8))
    assert str(caught.value) == (
        f"the program was compiled for configuration {other.digest32:08x}, the device has {CONFIG.digest32:08x}"
    )


def test_another_version_of_the_link():
    line = Script(lambda line: stuffed(answer(Status.DONE, header(line).sequence, b"WLK9")))
    with pytest.raises(LinkError) as caught:
        SerialTransport(SerialLink(line))
    assert str(caught.value) == "the board speaks another version of the link: 0x394b4c57, not 0x314b4c57"


def test_a_port_that_is_not_there(tmp_path):
    with pytest.raises(UserError) as caught:
        open_port("/dev/ttyNONE")
    assert str(caught.value) == f"the serial port /dev/ttyNONE cannot be opened: {os.strerror(errno.ENOENT)}"
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UserError, match=rf"^the serial port {file} cannot be opened: "):
        open_port(str(file))


def test_a_port_that_is_in_use():
    master, slave = pty.openpty()
    name = os.ttyname(slave)
    with open_port(name), pytest.raises(UserError) as caught:
        open_port(name)
    assert str(caught.value) == f"the serial port {name} is in use by another program"
    os.close(master)
    os.close(slave)


def test_a_port_with_nothing_behind_it():
    master, slave = pty.openpty()
    tty.setraw(slave)
    with open_port(os.ttyname(slave)) as port, pytest.raises(LinkError) as caught:
        SerialTransport(SerialLink(port, seconds=0.01))
    assert str(caught.value) == "the board does not answer: 5 requests in a row went unheard"
    os.close(master)
    os.close(slave)


def test_a_board_that_is_unplugged_in_the_middle():
    master, slave = pty.openpty()
    tty.setraw(slave)
    with open_port(os.ttyname(slave)) as port:
        link = SerialLink(port, "the board at ttyUSB0", seconds=0.01)
        os.close(slave)
        os.close(master)
        with pytest.raises(LinkError, match=r"^the board at ttyUSB0 is gone: "):
            link.read(IDENTITY, 4)
