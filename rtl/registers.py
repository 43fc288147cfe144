"""The register map, and the words in which units say what they do. Decoder, driver and docs use this one definition."""

from dataclasses import dataclass
from enum import IntEnum

IDENTITY = 0x54464557
"""The bytes "WEFT", little endian."""

INTERFACE_VERSION = 1
"""Changes whenever programs or register use of an older driver would no longer be understood."""


class Unit(IntEnum):
    """The units that execute instructions; the numbers index token masks, counters and trace."""

    LOAD = 0
    ARRAY = 1
    DRAIN = 2
    STORE = 3


SEQUENCER = 7
"""Stands for the sequencer where the ERROR register names a unit."""


class Activity(IntEnum):
    """What a unit does in a cycle: exactly one of these, counted per unit."""

    IDLE = 0
    """No instruction."""
    BUSY = 1
    """Moves data in this cycle."""
    WAIT_LOAD = 2
    """Waits for a token of the load unit."""
    WAIT_ARRAY = 3
    """Waits for a token or sums of the array."""
    WAIT_DRAIN = 4
    """Waits for a token of the drain or for a free accumulator half."""
    WAIT_STORE = 5
    """Waits for a token of the store unit."""
    WAIT_MEMORY = 6
    """Waits for the memory port."""
    WAIT_SCRATCHPAD = 7
    """Lost the scratchpad port to a unit of higher priority."""
    WAIT_WEIGHTS = 8
    """The pass has fewer pixels than the weights' arrival takes cycles."""


class Status(IntEnum):
    """Bits of the STATUS register."""

    BUSY = 0
    DONE = 1
    ERROR = 2


class Control(IntEnum):
    """Bits of the CONTROL register; START and RESET act when written as one and read as zero."""

    START = 0
    RESET = 1
    INTERRUPT_ENABLE = 2


class ErrorCause(IntEnum):
    """The ERROR register's low byte; bits 8 to 10 hold the unit at fault, or SEQUENCER."""

    NONE = 0
    ILLEGAL_INSTRUCTION = 1
    TOKEN_OVERFLOW = 2
    READ_ERROR = 3
    WRITE_ERROR = 4


@dataclass(frozen=True)
class Register:
    """One 32-bit register at a byte offset; access is "ro", "rw" or "rw1c" (write one to clear)."""

    name: str
    offset: int
    access: str
    text: str


BASES = 4
"""Base address registers; each address in a program is a base plus an offset."""

COUNTERS_OFFSET = 0x100

REGISTERS = (
    Register("IDENTITY", 0x00, "ro", 'Reads 0x54464557, "WEFT".'),
    Register("VERSION", 0x04, "ro", "Interface version."),
    Register("DIGEST", 0x08, "ro", "First 32 bits of the configuration's digest."),
    Register("CONTROL", 0x0C, "rw", "Bit 0 start, bit 1 reset (both read as zero), bit 2 interrupt enable."),
    Register("STATUS", 0x10, "rw1c", "Bit 0 busy, bit 1 done, bit 2 error; done and error are cleared by writing one."),
    Register("ERROR", 0x14, "ro", "Bits 0 to 7 cause of the first error, bits 8 to 10 unit (7: sequencer)."),
    Register("ERROR_ADDRESS", 0x18, "ro", "Address of the instruction or of the transfer at fault, low 32 bits."),
    Register("PROGRAM", 0x1C, "rw", "Address of the first instruction, low 32 bits; a multiple of 64."),
    Register("BASE_0", 0x20, "rw", "Base address 0."),
    Register("BASE_1", 0x24, "rw", "Base address 1."),
    Register("BASE_2", 0x28, "rw", "Base address 2."),
    Register("BASE_3", 0x2C, "rw", "Base address 3."),
    Register("CYCLES", 0x30, "ro", "Cycles of the last run, from start to done."),
    Register("UNITS", 0x34, "ro", "What each unit does now: four bits per unit, load lowest, values of Activity."),
    Register("INSTRUCTIONS", 0x38, "ro", "Instructions dispatched in this run."),
    *(
        Register(
            f"{unit.name}_{activity.name}",
            COUNTERS_OFFSET + 64 * unit + 4 * activity,
            "ro",
            f"Cycles of the last run in which the {unit.name.lower()} unit was in state {activity.name.lower()}.",
        )
        for unit in Unit
        for activity in Activity
        if activity is not Activity.IDLE
    ),
)

BY_NAME = {register.name: register for register in REGISTERS}
