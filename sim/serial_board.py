"""A board in simulation, down to its serial pins: the compiled top with a host's line, or a pseudo-terminal, at them.

serial_harness.cpp is its other half.
"""

import ctypes
import os
import pty
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from weft.rtl.config import Config
from weft.rtl.link_protocol import MIN_DIVISOR, REGISTERS_BIT, WORD_BYTES, LinkRegister, Operation
from weft.rtl.serial_top import SerialTop
from weft.sw.serial.frames import request, stuffed, with_crc

from .library import compile_library, simulation_verilog

HARNESS = Path(__file__).with_name("serial_harness.cpp")
QUIET_BITS = 400
"""A board that has been silent for so many bits will not answer any more."""


@cache
def board_library(config: Config, memory_bytes: int, clock_hz: int, baud: int) -> Path:
    """The compiled top of a board.

    Raises
    ------
    UserError
        As compile_library does.
    """
    top = SerialTop(config, memory_bytes, clock_hz, baud)
    return compile_library(simulation_verilog(top, config), HARNESS)


def _open(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    pointer, word = ctypes.c_void_p, ctypes.c_uint64
    for name, result, arguments in (
        ("new", pointer, (word,)),
        ("delete", None, (pointer,)),
        ("divisor", None, (pointer, word)),
        ("cycle", word, (pointer,)),
        ("send", None, (pointer, ctypes.c_char_p, word)),
        ("run", None, (pointer, word, word)),
        ("take", word, (pointer, pointer, word)),
        ("serve", ctypes.c_int, (pointer, ctypes.c_int, pointer)),
    ):
        function = getattr(library, f"board_{name}")
        function.restype, function.argtypes = result, arguments
    return library


class SerialBoard:
    """A board whose bits last `divisor` cycles after its reset; from then on they last MIN_DIVISOR: it was told so over
    its line. A Line (weft.sw.serial.link): what is read is what the board sends meanwhile."""

    def __init__(self, library: Path, divisor: int) -> None:
        self._library = _open(library)
        self._board: int | None = self._library.board_new(divisor)
        self.divisor = divisor
        self.timeout: float | None = None
        self._hurry()

    def _hurry(self) -> None:
        address = 1 << REGISTERS_BIT | LinkRegister.DIVISOR
        # A sequence number that no device starts from: it would take the request for done.
        header = request(Operation.WRITE, 0xFF, 1, address)
        self.write(stuffed(header + with_crc(MIN_DIVISOR.to_bytes(WORD_BYTES, "little"))))
        # The answer has the new rate already; it is thrown away.
        self._library.board_run(self._board, 1 << 16, QUIET_BITS * self.divisor)
        self.divisor = MIN_DIVISOR
        self._library.board_divisor(self._board, MIN_DIVISOR)
        self.reset_input_buffer()

    def close(self) -> None:
        """Free the simulation."""
        if self._board is not None:
            self._library.board_delete(self._board)
            self._board = None

    def __del__(self) -> None:
        if hasattr(self, "_board"):
            self.close()

    @property
    def cycle(self) -> int:
        """Cycles simulated."""
        return int(self._library.board_cycle(self._board))

    def write(self, line: bytes) -> int:
        """Bytes to the board."""
        self._library.board_send(self._board, line, len(line))
        return len(line)

    def read(self, count: int) -> bytes:
        """Up to `count` bytes from the board; fewer when it falls silent."""
        self._library.board_run(self._board, count, QUIET_BITS * self.divisor)
        buffer = ctypes.create_string_buffer(count)
        taken = self._library.board_take(self._board, buffer, count)
        return buffer.raw[:taken]

    def reset_input_buffer(self) -> None:
        """Forget what the board has sent."""
        while self.read(1 << 16):
            pass

    @contextmanager
    def terminal(self) -> Iterator[str]:
        """The name of a pseudo-terminal behind which the board is, until the context ends."""
        master, slave = pty.openpty()
        tty.setraw(slave)
        stop = ctypes.c_int(0)
        server = threading.Thread(
            target=self._library.board_serve, args=(self._board, master, ctypes.byref(stop)), daemon=True
        )
        server.start()
        try:
            yield os.ttyname(slave)
        finally:
            stop.value = 1
            server.join()
            os.close(master)
            os.close(slave)
