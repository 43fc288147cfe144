"""Lines for tests: one that plays a script, and one that damages what goes over another."""

import random
from collections.abc import Callable

Answers = Callable[[bytes], bytes]
"""From what was written to what can be read then."""


class Script:
    """Answers what is written by a function; `timeouts` are those that were set, in order."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.written: list[bytes] = []
        self.timeouts: list[float] = []
        self.waiting = b""

    @property
    def timeout(self) -> float:
        return self.timeouts[-1]

    @timeout.setter
    def timeout(self, seconds: float) -> None:
        self.timeouts.append(seconds)

    def write(self, line: bytes) -> int:
        self.written.append(line)
        self.waiting += self.answers(line)
        return len(line)

    def read(self, count: int) -> bytes:
        got, self.waiting = self.waiting[:count], self.waiting[count:]
        return got


class Faulty:
    """Drops, doubles, flips and delays bytes, each at `rate`, in both directions.

    What is delayed comes, with all that is behind it, when the reader has given up once or something new is written.
    """

    def __init__(self, line, rate: float, seed: int) -> None:
        self.line = line
        self.rate = rate
        self.random = random.Random(seed)
        self.faults = dict.fromkeys(("drop", "double", "flip", "delay"), 0)
        self.late_out = b""
        self.late_in = b""
        self.timeout: float | None = None

    def _damaged(self, line: bytes) -> tuple[bytes, bytes]:
        """What arrives now, and what arrives late."""
        now, late, target = bytearray(), bytearray(), 0
        for byte in line:
            kinds = [kind for kind in self.faults if self.random.random() < self.rate]
            for kind in kinds:
                self.faults[kind] += 1
            target |= "delay" in kinds
            if "flip" in kinds:
                byte ^= 1 << self.random.randrange(8)
            copies = 2 * ("double" in kinds) if "drop" in kinds else 1 + ("double" in kinds)
            (late if target else now).extend([byte] * copies)
        return bytes(now), bytes(late)

    def write(self, line: bytes) -> int:
        now, late = self._damaged(line)
        self.line.write(self.late_out + now)
        self.late_out = late
        return len(line)

    def read(self, count: int) -> bytes:
        got = self.late_in[:count]
        self.late_in = self.late_in[len(got) :]
        if len(got) == count:
            return got
        now, late = self._damaged(self.line.read(count - len(got)))
        if late:
            self.late_in += late
            return got + now
        if len(got + now) < count and self.late_out:
            self.line.write(self.late_out)  # the reader gives up; now it comes
            self.late_out = b""
        return got + now
