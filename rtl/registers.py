"""The register map, and the words in which units say what they do. Decoder, driver and docs use this one definition."""

from dataclasses import dataclass
from enum import IntEnum

IDENTITY = 0x54464557
"""The bytes "WEFT", little endian."""

INTERFACE_VERSION = 2
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
    MEMORY = 3
    """Bursts are outstanding on the memory bus; after an error or a reset they are finished without effect."""


class Feature(IntEnum):
    """Bits of the FEATURES register, called as the options of the configuration."""

    COUNTERS = 0
    FENCES = 1
    CHECKS = 2
    AUTOPSY = 3
    PROTECTION = 4


class Control(IntEnum):
    """Bits of the CONTROL register; all but INTERRUPT_ENABLE act when written as one and read as zero."""

    START = 0
    RESET = 1
    """Everything but registers and memories is as new; outstanding bursts are finished without effect."""
    INTERRUPT_ENABLE = 2
    DISCONNECT = 3
    """Forget outstanding bursts, too: only for a memory that will never answer, or that was reset itself."""


class ErrorCause(IntEnum):
    """The ERROR register's low byte; bits 8 to 10 hold the unit at fault, or SEQUENCER.

    ERROR_ADDRESS then holds: for an error of memory or a fence, the address of the transfer; for an illegal instruction
    the sequencer found, for what it could not read and for LEFT_OVER, the instruction's address; where a unit is at
    fault otherwise, the number of the instruction among those of the unit, from 0 (with `Config.checks`). For CONTENTS
    the unit is the one that has the memory: LOAD the scratchpad, ARRAY weight store and accumulator, DRAIN parameters
    and tables."""

    NONE = 0
    ILLEGAL_INSTRUCTION = 1
    TOKEN_OVERFLOW = 2
    READ_ERROR = 3
    """Memory answered a read with SLVERR."""
    WRITE_ERROR = 4
    """Memory answered a write with SLVERR."""
    READ_DECODE_ERROR = 5
    """Memory answered a read with DECERR: nothing is at the address."""
    WRITE_DECODE_ERROR = 6
    """Memory answered a write with DECERR."""
    FENCE = 7
    """A read or write outside its window, or a program that runs out of it; nothing of it reached the bus."""
    LEFT_OVER = 8
    """At END, a token was not taken or an accumulator half not released."""
    NO_PROGRESS = 9
    """Nothing happened for WATCHDOG cycles."""
    TIME_LIMIT = 10
    """The run took LIMIT cycles."""
    CONTENTS = 11
    """A byte that was read from a memory of the NPU is not as it was written."""


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

FLAWS = (
    ("SCRATCHPAD", "the scratchpad", Unit.LOAD),
    ("WEIGHT", "the weight store", Unit.ARRAY),
    ("PARAMETER", "the parameter memory", Unit.DRAIN),
    ("ACCUMULATOR", "the accumulator", Unit.ARRAY),
    ("TABLE", "the tables", Unit.DRAIN),
)
"""Memories with protection, and the units that errors name for them; a reset does not clear their counters."""

AUTOPSY_OFFSET = 0x200
"""With `Config.autopsy`, what is inside an NPU that has stopped."""

AUTOPSY = (
    ("INSTRUCTION", "bits 0 to 23 how many instructions it has begun in this run, 24 to 31 how many are not complete"),
    ("TAG", "bits 0 to 15 the tag at hand, 16 to 19 the units whose tokens the next one lacks, 24 to 31 queued words"),
    ("TOKENS", "byte u: tokens that unit u gave to it and that it has not taken"),
)
"""Registers of each unit, four bytes apart."""

REGISTERS = (
    Register("IDENTITY", 0x00, "ro", 'Reads 0x54464557, "WEFT".'),
    Register("VERSION", 0x04, "ro", "Interface version."),
    Register("DIGEST", 0x08, "ro", "First 32 bits of the configuration's digest."),
    Register("CONTROL", 0x0C, "rw", "Bit 0 start, bit 1 reset, bit 2 interrupt enable, bit 3 disconnect; see Control."),
    Register("STATUS", 0x10, "rw1c", "Bit 0 busy, bit 1 done, bit 2 error, bit 3 memory; one clears done and error."),
    Register("ERROR", 0x14, "ro", "Bits 0 to 7 cause of the first error, bits 8 to 10 unit (7: sequencer)."),
    Register(
        "ERROR_ADDRESS",
        0x18,
        "ro",
        "Address of the instruction or of the transfer at fault, low 32 bits; 0 with `compact`.",
    ),
    Register("PROGRAM", 0x1C, "rw", "Address of the first instruction, low 32 bits; a multiple of 64."),
    Register("BASE_0", 0x20, "rw", "Base address 0."),
    Register("BASE_1", 0x24, "rw", "Base address 1."),
    Register("BASE_2", 0x28, "rw", "Base address 2."),
    Register("BASE_3", 0x2C, "rw", "Base address 3."),
    Register("CYCLES", 0x30, "ro", "Cycles of the last run, from start to done."),
    Register("UNITS", 0x34, "ro", "What each unit does now: four bits per unit, load lowest, values of Activity."),
    Register("INSTRUCTIONS", 0x38, "ro", "Instructions dispatched in this run; 0 with `compact`."),
    Register("WATCHDOG", 0x3C, "rw", "Cycles without progress after which a run fails; 0 is never."),
    Register("LIMIT", 0x40, "rw", "Cycles after which a run fails; 0 is never."),
    Register("READ_FIRST", 0x44, "rw", "First byte that may be read, program included; a multiple of 4096."),
    Register("READ_LAST", 0x48, "rw", "Last byte that may be read; its low 12 bits read as one. Reset to no bound."),
    Register("WRITE_FIRST", 0x4C, "rw", "First byte that may be written; a multiple of 4096."),
    Register("WRITE_LAST", 0x50, "rw", "Last byte that may be written, as READ_LAST."),
    Register("FEATURES", 0x54, "ro", "What is built: values of Feature."),
    *(
        Register(f"{name}_FLAWS", 0x58 + 4 * index, "ro", f"Cycles in which {text} gave a byte that is not as written.")
        for index, (name, text, _) in enumerate(FLAWS)
    ),
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
    *(
        Register(
            f"{unit.name}_{name}",
            AUTOPSY_OFFSET + 16 * unit + 4 * index,
            "ro",
            f"Of the {unit.name.lower()} unit, {text}.",
        )
        for unit in Unit
        for index, (name, text) in enumerate(AUTOPSY)
    ),
    Register(
        "HALVES",
        AUTOPSY_OFFSET + 0x40,
        "ro",
        "Accumulator halves: bits 0 and 1 how many are free, 2 and 3 how many wait for the drain or are drained.",
    ),
    Register(
        "FETCH",
        AUTOPSY_OFFSET + 0x44,
        "ro",
        "Bit 0 instructions are fetched, 1 those behind the end are thrown away, 8 to 15 how many are on their way.",
    ),
    Register("NEXT", AUTOPSY_OFFSET + 0x48, "ro", "Address of the instruction to be dispatched next."),
)

BY_NAME = {register.name: register for register in REGISTERS}
