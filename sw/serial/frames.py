"""Frames of the serial link (weft.rtl.link_protocol): requests to bytes of the line, and these to answers."""

import zlib
from typing import NamedTuple

from weft.rtl.link_protocol import (
    ANSWER,
    CRC_BYTES,
    ESCAPE,
    FLAG,
    FLIP,
    MAX_WORDS,
    REQUEST,
    WORD_BYTES,
    Operation,
    Status,
)

_ESCAPES = [
    bytes([ESCAPE, byte ^ FLIP]) if byte in (FLAG, ESCAPE) else bytes([byte]) for byte in range(256)
]  # what each byte of a frame becomes on the line

ANSWER_BYTES: int = ANSWER.size // 8
LEAST: int = ANSWER_BYTES + CRC_BYTES
"""Bytes of an answer without a payload."""


def with_crc(raw: bytes) -> bytes:
    """Bytes and their CRC."""
    return raw + zlib.crc32(raw).to_bytes(CRC_BYTES, "little")


def stuffed(frame: bytes) -> bytes:
    """A frame as it goes over the line."""
    return bytes([FLAG]) + b"".join(_ESCAPES[byte] for byte in frame)


def request(operation: int, sequence: int, words: int, address: int) -> bytes:
    """The header of a request and its CRC."""
    bits = REQUEST.const({"operation": operation, "sequence": sequence, "words": words, "address": address})
    return with_crc(bits.as_bits().to_bytes(REQUEST.size // 8, "little"))


def read_request(sequence: int, address: int, words: int) -> bytes:
    """The frame of a READ."""
    return request(Operation.READ, sequence, words, address)


def write_request(sequence: int, address: int, payload: bytes) -> bytes:
    """The frame of a WRITE of whole words."""
    return request(Operation.WRITE, sequence, len(payload) // WORD_BYTES, address) + with_crc(payload)


class Answer(NamedTuple):
    """A frame from the device whose CRC is right."""

    status: Status
    sequence: int
    payload: bytes


class AnswerReader:
    """Takes the line's bytes and finds the answers among them."""

    def __init__(self) -> None:
        self._frame: bytearray | None = None  # since the last FLAG; None when no frame has begun
        self._escaped = False

    @property
    def missing(self) -> int:
        """Bytes that must come before an answer can be complete."""
        return 1 + LEAST if self._frame is None else self._length() - len(self._frame)

    def _length(self) -> int:
        """Bytes of the frame, as far as one can tell."""
        if self._frame is None or len(self._frame) < ANSWER_BYTES:
            return LEAST
        return LEAST + int(WORD_BYTES) * int.from_bytes(self._frame[2:4], "little")

    def feed(self, line: bytes) -> list[Answer]:
        """The answers that these bytes complete."""
        found = []
        for byte in line:
            if byte == FLAG:
                self._frame, self._escaped = bytearray(), False
            elif byte == ESCAPE:
                self._escaped = True
            elif self._frame is not None:
                self._frame.append(byte ^ FLIP if self._escaped else byte)
                self._escaped = False
                answer = self._complete()
                if answer is not None:
                    found.append(answer)
        return found

    def _complete(self) -> Answer | None:
        frame = self._frame
        if frame is None or len(frame) < ANSWER_BYTES:
            return None
        length = self._length()
        if length > LEAST + WORD_BYTES * MAX_WORDS:
            self._frame = None  # no answer is that long
            return None
        if len(frame) < length:
            return None
        self._frame = None
        header = ANSWER.from_bits(int.from_bytes(frame[:ANSWER_BYTES], "little"))
        raw, crc = frame[:-CRC_BYTES], int.from_bytes(frame[-CRC_BYTES:], "little")
        if zlib.crc32(raw) != crc or header.status not in list(Status):
            return None
        return Answer(Status(header.status), header.sequence, bytes(raw[ANSWER_BYTES:]))
