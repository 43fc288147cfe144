import zlib

from weft.rtl.link_protocol import (
    ANSWER,
    CRC_INIT,
    CRC_POLYNOMIAL,
    CRC_RESIDUE,
    ESCAPE,
    FLAG,
    FLIP,
    LINK_IDENTITY,
    OWN_REGISTERS,
    REQUEST,
    LinkRegister,
    Status,
)
from weft.rtl.registers import REGISTERS


def crc(raw: bytes) -> int:
    """The register after these bytes, bit by bit."""
    state = CRC_INIT
    for byte in raw:
        for place in range(8):
            state = (state >> 1) ^ (CRC_POLYNOMIAL if (state ^ byte >> place) & 1 else 0)
    return state


def test_crc_is_zlibs_and_leaves_the_residue():
    raw = b"123456789"
    assert crc(raw) ^ CRC_INIT == zlib.crc32(raw) == 0xCBF43926
    assert crc(raw + zlib.crc32(raw).to_bytes(4, "little")) == CRC_RESIDUE


def test_headers_are_whole_bytes():
    assert (REQUEST.size, ANSWER.size) == (64, 32)
    assert all(field.offset % 8 == 0 for layout in (REQUEST, ANSWER) for _, field in layout)


def test_what_is_escaped_cannot_be_a_flag():
    assert {FLAG ^ FLIP, ESCAPE ^ FLIP}.isdisjoint({FLAG, ESCAPE})


def test_statuses_differ_in_many_bits():
    statuses = [status.value for status in Status]
    assert all((a ^ b).bit_count() >= 4 for a in statuses for b in statuses if a != b)


def test_registers_of_the_link_are_behind_those_of_the_npu():
    assert max(register.offset for register in REGISTERS) < OWN_REGISTERS <= min(LinkRegister)


def test_identity_reads_as_text():
    assert LINK_IDENTITY.to_bytes(4, "little") == b"WLK1"
