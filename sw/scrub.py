"""A program that writes every byte of the memories on the chip that programs can load.

A bit that has changed by itself stays until its byte is written, and bytes that no network writes may share a word with
those that it reads. The accumulators need no program: what is there is overwritten before it counts.
"""

from weft.rtl.config import Config
from weft.rtl.isa import TABLE_SPACE_BYTES, Instruction, Opcode, Space, assemble, instruction

PIECE = 256
"""Bytes of a row; the same ones of external memory for all rows, as their values do not matter."""


def scrub_program(config: Config) -> bytes:
    """The program, to be run with base 0 at 0. It reads PIECE bytes from there at the most."""
    sizes = {
        Space.SCRATCHPAD: config.scratchpad_bytes,
        Space.WEIGHTS: config.weight_space_bytes,
        Space.PARAMETERS: config.parameter_lines * config.parameter_line_bytes,
        **({Space.TABLES: TABLE_SPACE_BYTES} if config.tables else {}),
    }
    loads = [load for space, size in sizes.items() for load in _loads(space, size)]
    return bytes(assemble([*loads, instruction(Opcode.END)]))


def _loads(space: Space, size: int) -> list[Instruction]:
    """Whole pieces row by row, and what is left."""
    found = []
    most = 1 << 15
    rows, rest = divmod(size, PIECE)
    for first in range(0, rows, most):
        count = min(most, rows - first)
        found.append(_load(space, first * PIECE, PIECE, count))
    if rest:
        found.append(_load(space, rows * PIECE, rest, 1))
    return found


def _load(space: Space, local: int, count: int, rows: int) -> Instruction:
    fields = {"space": space.value, "local": local, "local_step": PIECE, "bytes": count, "rows": rows}
    return instruction(Opcode.LOAD, **fields)
