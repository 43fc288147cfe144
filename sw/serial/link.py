"""Reads and writes over the serial link: one request at a time, sent again until a good answer comes."""

import secrets
import time
from typing import Protocol

from weft.rtl.link_protocol import MAX_WORDS, WORD_BYTES, Status

from ..transport import DeviceError
from .frames import Answer, AnswerReader, read_request, stuffed, write_request


class LinkError(DeviceError):
    """The board does not answer, or not in a way that can be trusted."""


class Line(Protocol):
    """What a serial port does; pyserial's Serial is one."""

    timeout: float | None
    """Seconds after which `read` gives up."""

    def read(self, size: int) -> bytes:
        """`size` bytes, or what came within the time-out."""

    def write(self, data: bytes) -> int | None:
        """Send bytes."""


class SerialLink:
    """The host's end of the link.

    Parameters
    ----------
    line : Line
    name : str
        What errors call the line.
    seconds : float
        How long an answer may take at least; each further try waits twice as long as the one before, LONGEST at most.
        It doubles for good when an answer turns out to have come late.
    tries : int
        How often the shortest request is sent before it is given up.
    silences : int
        Tries in a row without a single byte from the board after which it is taken for dead.

    Raises
    ------
    LinkError
        From `read` and `write`: when a request is given up, or the line fails.
    """

    LONGEST = 8.0
    SLOWEST = 60.0
    """Seconds that an answer may take if the pace so far lets expect it: the netlist of a large board is slow."""
    LONG_TRIES = 3
    """Tries of a request after which half of it is tried: on a bad line short ones get through."""
    SHORTEST = 8
    """Words that are not halved."""
    PATIENCE = 4
    """How many times as long as the last answer an answer may take, per byte: a board in simulation can be slow."""

    def __init__(
        self, line: Line, name: str = "the board", seconds: float = 0.25, tries: int = 20, silences: int = 5
    ) -> None:
        self.line = line
        self.name = name
        self.seconds = seconds
        self.tries = tries
        self.silences = silences
        self.resent = 0
        """Requests that had to be sent again."""
        self._sequence = secrets.randbelow(256)
        self._silent = 0
        self._pace = 0.0  # seconds per byte of the last exchange
        self._block = MAX_WORDS
        self._reader = AnswerReader()
        self._timeout: float | None = None

    def read(self, address: int, count: int) -> bytes:
        """`count` bytes from `address` on, both multiples of 4."""
        got = bytearray()
        while len(got) < count:
            words = min(self._block, (count - len(got)) // WORD_BYTES)
            sequence = self._next()
            answer = self._exchange(read_request(sequence, address + len(got), words), sequence, words)
            if answer is not None and len(answer.payload) != words * WORD_BYTES:
                raise LinkError(f"{self.name} answered a request for {words} words with {len(answer.payload)} bytes")
            got += b"" if answer is None else answer.payload
        return bytes(got)

    def write(self, address: int, content: bytes) -> None:
        """Write bytes; `address` and their number are multiples of 4."""
        start = 0
        while start < len(content):
            part = content[start : start + self._block * WORD_BYTES]
            sequence = self._next()
            answer = self._exchange(write_request(sequence, address + start, part), sequence, len(part) // WORD_BYTES)
            start += 0 if answer is None else len(part)

    def _next(self) -> int:
        self._sequence = (self._sequence + 1) % 256
        return self._sequence

    def _exchange(self, frame: bytes, sequence: int, words: int) -> Answer | None:
        """The answer to a request; None if shorter ones should be tried."""
        line = stuffed(frame)
        size = len(line) + words * WORD_BYTES
        seconds = max(self.seconds, min(self.PATIENCE * self._pace * size, self.SLOWEST))
        tries = self.LONG_TRIES if words > self.SHORTEST else self.tries
        for number in range(tries):
            self.resent += number > 0
            sent = time.monotonic()
            answer = self._once(line, sequence, seconds)
            if answer is None:
                seconds = max(seconds, min(2 * seconds, self.LONGEST))
            elif answer.status == Status.REFUSED:
                raise LinkError(f"{self.name} refused a request: it has another version of the link")
            elif answer.status == Status.DONE:
                self._pace = (time.monotonic() - sent) / size
                return answer
            if self._silent >= self.silences:
                raise LinkError(f"{self.name} does not answer: {self._silent} requests in a row went unheard")
        if words <= self.SHORTEST:
            raise LinkError(f"{self.name} gave no good answer to a request that was sent {tries} times")
        self._block = max(words // 2, self.SHORTEST)
        return None

    def _once(self, line: bytes, sequence: int, seconds: float) -> Answer | None:
        """Send a request and wait for its answer; None when there was none in time."""
        try:
            if self._timeout != seconds:
                self.line.timeout = self._timeout = seconds
            self.line.write(line)
            heard = False
            while True:
                wanted = self._reader.missing
                got = self.line.read(wanted)
                heard |= bool(got)
                self._silent = 0 if heard else self._silent
                for answer in self._reader.feed(got):
                    if answer.sequence == sequence:
                        return answer
                    # Of an earlier request, which was sent again too early.
                    self.seconds = min(2 * self.seconds, self.LONGEST)
                if len(got) < wanted:
                    self._silent += not heard
                    return None
        except OSError as error:
            raise LinkError(f"{self.name} is gone: {error}") from None
