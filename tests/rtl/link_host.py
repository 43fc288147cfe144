"""Frames of the serial link as the tests of hardware need them, answers too."""

from weft.rtl.link_protocol import ANSWER, ESCAPE, FLAG, FLIP, REGISTERS_BIT
from weft.sw.serial.frames import with_crc


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


def register(offset: int) -> int:
    """The address of a register."""
    return 1 << REGISTERS_BIT | offset


def answer(status: int, sequence: int, payload: bytes = b"") -> bytes:
    """The frame of an answer."""
    bits = ANSWER.const({"status": status, "sequence": sequence, "words": len(payload) // 4})
    return with_crc(bits.as_bits().to_bytes(ANSWER.size // 8, "little") + payload)
