"""The host's end of the serial link, bit for bit, for tests: frames from link_protocol and zlib alone."""

import zlib

from weft.rtl.link_protocol import ANSWER, ESCAPE, FLAG, FLIP, REGISTERS_BIT, REQUEST, Operation


def with_crc(raw: bytes) -> bytes:
    return raw + zlib.crc32(raw).to_bytes(4, "little")


def stuffed(frame: bytes) -> bytes:
    line = bytearray([FLAG])
    for byte in frame:
        line += bytes([ESCAPE, byte ^ FLIP]) if byte in (FLAG, ESCAPE) else bytes([byte])
    return bytes(line)


def unstuffed(line: bytes) -> bytes:
    """The frame that begins with the last FLAG."""
    frame = bytearray()
    escaped = False
    for byte in line[line.rindex(FLAG) + 1 :]:
        if byte == ESCAPE:
            escaped = True
        else:
            frame.append(byte ^ (FLIP if escaped else 0))
            escaped = False
    return bytes(frame)


def request(operation: int, sequence: int, words: int, address: int) -> bytes:
    bits = REQUEST.const({"operation": operation, "sequence": sequence, "words": words, "address": address})
    return with_crc(bits.as_bits().to_bytes(REQUEST.size // 8, "little"))


def write(sequence: int, address: int, payload: bytes) -> bytes:
    """The frame of a WRITE."""
    return request(Operation.WRITE, sequence, len(payload) // 4, address) + with_crc(payload)


def read(sequence: int, address: int, words: int) -> bytes:
    """The frame of a READ."""
    return request(Operation.READ, sequence, words, address)


def register(offset: int) -> int:
    """The address of a register."""
    return 1 << REGISTERS_BIT | offset


def answer(status: int, sequence: int, payload: bytes = b"") -> bytes:
    """The frame of an answer."""
    bits = ANSWER.const({"status": status, "sequence": sequence, "words": len(payload) // 4})
    return with_crc(bits.as_bits().to_bytes(ANSWER.size // 8, "little") + payload)
