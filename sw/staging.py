"""Programs on devices whose memory is smaller than their image: what stays on the chip goes there in batches.

A batch is a little program: some of the setup program's loads, and the bytes that they load. When all batches have
run, memory needs to hold the instructions of an inference and nothing else of the image: there is no second copy of the
weights beside the one on the chip.
"""

from collections.abc import Iterator
from typing import NamedTuple

from weft.rtl.isa import INSTRUCTION_BYTES, Instruction, Opcode, assemble, disassemble, instruction

from .program import Program

IMAGE = 0
"""The base register of the image."""

WIDEST_WORD = 128
"""Bytes of the widest memory word. Bytes keep their place in it: where they go on the chip may depend on that."""


class Piece(NamedTuple):
    """A load of one row: `bytes` bytes from `offset` in the image to `local` in `space`."""

    offset: int
    bytes: int
    local: int
    space: int

    @property
    def room(self) -> int:
        """Bytes that the piece takes in a batch, its instruction and its place in a word included."""
        return int(INSTRUCTION_BYTES) + WIDEST_WORD + self.bytes + -(self.offset + self.bytes) % WIDEST_WORD


def run_code(program: Program) -> bytes | None:
    """The instructions of an inference, or None if they read more of the image than themselves (or are none)."""
    try:
        code = disassemble(program.image[program.run :])
    except ValueError:
        return None
    if any(one.opcode is Opcode.LOAD and one.base == IMAGE for one in code):
        return None
    return program.image[program.run : program.run + len(code) * INSTRUCTION_BYTES]


def batches(program: Program, room: int) -> Iterator[bytes]:
    """The setup program in parts, each to be written to address 0 and run from there with all bases 0.

    Parameters
    ----------
    room
        Bytes that a batch may have; two instructions and two words at least.

    Raises
    ------
    ValueError
        For a setup program that does anything but load from the image.
    """
    if program.setup < 0:
        return
    batch: list[Piece] = []
    size = INSTRUCTION_BYTES
    for load in disassemble(program.image[program.setup :])[:-1]:
        for piece in _pieces(load, room // 4 // WIDEST_WORD * WIDEST_WORD or WIDEST_WORD):
            if size + piece.room > room:
                yield _assembled(program, batch)
                batch, size = [], INSTRUCTION_BYTES
            batch.append(piece)
            size += piece.room
    yield _assembled(program, batch)


def _pieces(load: Instruction, longest: int) -> Iterator[Piece]:
    """A load in pieces of at most `longest` bytes, which begin and end at whole words where the load does not."""
    if load.opcode is not Opcode.LOAD or load.base != IMAGE or load.wait or load.signal:
        raise ValueError(f"a setup program consists of loads from the image, not of {load.opcode.name}")
    for row in range(load.rows):
        offset, local, left = load.offset + row * load.step, load.local + row * load.local_step, load.bytes
        while left:
            count = min(left, longest - offset % WIDEST_WORD)
            yield Piece(offset, count, local, load.space)
            offset, local, left = offset + count, local + count, left - count


def _assembled(program: Program, pieces: list[Piece]) -> bytes:
    code_bytes = (len(pieces) + 1) * INSTRUCTION_BYTES
    content = bytearray(-code_bytes % WIDEST_WORD)
    code = []
    for piece in pieces:
        content += bytes(piece.offset % WIDEST_WORD)
        offset = code_bytes + len(content)
        fields = {"space": piece.space, "local": piece.local, "bytes": piece.bytes, "rows": 1}
        code.append(instruction(Opcode.LOAD, offset=offset, **fields))
        content += program.image[piece.offset : piece.offset + piece.bytes]
        content += bytes(-(code_bytes + len(content)) % WIDEST_WORD)
    return bytes(assemble([*code, instruction(Opcode.END)])) + bytes(content)
