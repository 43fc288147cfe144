# amaranth: UnusedElaboratable=no

"""The whole of a board but its pins. That programs run on it is in tests/sim/test_serial_board.py."""

import re

import pytest
from weft.rtl.config import Config
from weft.rtl.link_protocol import LINK_IDENTITY, LinkRegister
from weft.rtl.registers import BY_NAME, IDENTITY, INTERFACE_VERSION, Control, ErrorCause, Status
from weft.rtl.serial_top import SerialTop, divisor_of
from weft.sw.serial.link import SerialLink

from tests.boards import BOARD, REGISTERED_BOARD, board, registered_board
from tests.rtl.link_host import register


def read(link, offset, count=1):
    raw = link.read(register(offset), 4 * count)
    return [int.from_bytes(raw[start : start + 4], "little") for start in range(0, len(raw), 4)]


KINDS = [(BOARD, board), (REGISTERED_BOARD, registered_board)]


@pytest.mark.parametrize("known, made", KINDS, ids=["plain", "registered"])
def test_registers_of_the_link_and_of_the_npu(known, made):
    link = SerialLink(made())
    # The divisor is the one that the simulation has set.
    assert read(link, LinkRegister.IDENTITY, 4) == [LINK_IDENTITY, known.memory_bytes, known.clock_hz, 4]
    assert read(link, 0, 3) == [IDENTITY, INTERFACE_VERSION, known.config.digest32]
    link.write(register(BY_NAME["PROGRAM"].offset), bytes(range(20)))
    assert link.read(register(BY_NAME["PROGRAM"].offset), 20) == bytes(range(20))


@pytest.mark.parametrize("known, made", KINDS, ids=["plain", "registered"])
def test_memory_is_all_there(known, made):
    link = SerialLink(made())
    places = (0, 4, 1020, known.memory_bytes - 4)
    parts = {address: bytes([address >> 8 & 255, address & 255, 7, 9]) for address in places}
    for address, part in parts.items():
        link.write(address, part)
    assert {address: link.read(address, 4) for address in parts} == parts


@pytest.mark.parametrize("made", [board, registered_board])
def test_a_program_that_is_none_fails_and_a_reset_clears(made):
    link = SerialLink(made())
    link.write(0, bytes(64))
    link.write(register(BY_NAME["PROGRAM"].offset), bytes(4))
    link.write(register(BY_NAME["CONTROL"].offset), bytes([1 << Control.START, 0, 0, 0]))
    status, error = read(link, BY_NAME["STATUS"].offset, 2)
    assert (status, error & 255) == (1 << Status.ERROR, ErrorCause.ILLEGAL_INSTRUCTION)
    link.write(register(BY_NAME["CONTROL"].offset), bytes([1 << Control.RESET, 0, 0, 0]))
    assert read(link, BY_NAME["STATUS"].offset) == [0]


@pytest.mark.parametrize("clock, baud, divisor", [(12_000_000, 1_000_000, 12), (25_000_000, 115200, 217)])
def test_divisor(clock, baud, divisor):
    assert divisor_of(clock, baud) == divisor


@pytest.mark.parametrize(
    "clock, baud, sentence",
    [
        (12_000_000, 4_000_000, "a clock of 12000000 Hz makes baud rates from 11731 to 3000000, not 4000000"),
        (12_000_000, 9600, "a clock of 12000000 Hz makes baud rates from 11731 to 3000000, not 9600"),
        (12_000_000, 2_200_000, "a clock of 12000000 Hz misses 2200000 baud by more than 2 %"),
    ],
)
def test_baud_rates_that_cannot_be(clock, baud, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        divisor_of(clock, baud)


def test_axi_is_no_serial_link():
    with pytest.raises(ValueError, match=r"^a board with a serial link takes a configuration with axi = false$"):
        SerialTop(Config(), BOARD.memory_bytes, BOARD.clock_hz)
