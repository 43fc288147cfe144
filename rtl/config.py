"""The one configuration that hardware, compiler, simulation and board builds are derived from."""

import hashlib
import json
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

PARAMETER_RECORD_BYTES = 16
"""Bytes of one channel's record in the parameter space: bias int32, multiplier uint32, shift int8, 7 unused."""

MAX_SIDE = 128

TOKEN_BITS = 6
COMPACT_TOKEN_BITS = 4
"""Bits of a token counter: the program may be ahead by that many instructions of a unit."""

LOCAL_BITS = 24
"""Bits of a local address or of a pitch between local addresses in an instruction."""


LONGEST_VALUE = 60
"""Characters of a value in a sentence."""


def shown(value: object) -> str:
    """Any value in a sentence about it: as Python writes it, cut where it gets long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        # An integer of thousands of digits, or lists in lists without end.
        return "a value that is too long to show"
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def power_of_two_at_least(value: int) -> int:
    """The smallest power of two that is not below `value` (at least 1)."""
    return 1 << max(value - 1, 0).bit_length()


@dataclass(frozen=True)
class Config:
    """Parameters of one NPU; checked once, here.

    Every other size in the project is a property of this object.

    Raises
    ------
    ValueError
        One sentence that names the parameter, its value and what is allowed.
    """

    rows: int = 4
    """R, rows of the array: elements of the reduction taken by one pass."""
    cols: int = 4
    """C, columns of the array: output channels of one pass."""
    weight_rows: int = 1
    """W, rows of weights that arrive per cycle; divides `rows`. A pass lasts at least rows / weight_rows cycles."""
    weight_tiles: int = 4096
    """Capacity of the weight store in tiles of rows x cols weights."""
    scratchpad_bytes: int = 8192
    """Capacity of the scratchpad in bytes, a power of two."""
    accumulators: int = 128
    """Entries (of cols sums each) in one of the two halves of the accumulator."""
    parameter_channels: int = 512
    """Channels whose bias, multiplier and shift fit in the parameter memory; a multiple of `lanes`."""
    lanes: int = 1
    """L, channels that the drain post-processes per cycle; divides `cols`."""
    depthwise: bool = False
    """Build the second way into the array, from the north, on which depthwise convolutions run down the columns."""
    tables: bool = False
    """Build the drain's look-up tables: elementwise sums and products, and any function of one int8."""
    memory_latency: int = 1
    """Cycles from the address of an on-chip memory to its word: 2 with the output registers of an FPGA's block RAMs."""
    multiply_latency: int = 1
    """Cycles from a multiplier's operands to its product, in the array: their registers, and 2 with the product's."""
    pipelined: bool = False
    """Build registers into the longest paths between tokens and units, of the scratchpad's alignment and of the drain:
    a faster clock, mostly on FPGAs, for a few cycles per instruction."""
    memory_width: int = 32
    """Bits of the memory port, a power of two from 8 to 512."""
    address_width: int = 32
    """Bits of an external byte address."""
    queue_depth: int = 2
    """Decoded instructions that wait in front of each unit, besides the one being executed."""
    fetch_depth: int = 4
    """Instructions that the sequencer fetches ahead."""
    axi: bool = True
    """Put an AXI4 master and an AXI4-Lite slave around the NPU; without it the memory and register ports are
    the top's."""
    axi_width: int = 32
    """Bits of the AXI4 data bus, a power of two from `memory_width` to 1024."""
    axi_burst: int = 64
    """Longest AXI4 burst in beats, 1 to 256."""
    axi_outstanding: int = 4
    """Read bursts and write bursts that may be outstanding at once, 1 to 64."""
    counters: bool = True
    """Build the performance counters."""
    fences: bool = False
    """Build the windows that bound what the NPU may read and write."""
    checks: bool = False
    """Build the checks of instructions; without them an instruction that is not legal has undefined results."""
    protection: bool = False
    """Build all on-chip memories with a parity bit per byte; a flaw that is read ends the run."""
    autopsy: bool = False
    """Build the watchdog, and the registers that show the inside of an NPU that has stopped."""
    compact: bool = False
    """Build the small forms of the units, for the smallest devices: each executes one instruction at a time, in the
    registers in which it was put together; all columns of the array work in step; both halves of the accumulator share
    a memory; the drain's requantizer has no multiplier and takes many cycles per value. `queue_depth` and `fetch_depth`
    mean nothing then."""
    counter_bits: int = 16
    """Bits kept of the counts and sizes in instructions with `compact`, 6 to 16; half as many of strides and of the
    sizes of kernels and windows."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is bool:
                if not isinstance(value, bool):
                    raise ValueError(f"{field.name} must be true or false, not {shown(value)}")
            elif not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{field.name} must be a positive integer, not {shown(value)}")
        for name in ("rows", "cols"):
            self._check(name, getattr(self, name) <= MAX_SIDE, f"at most {MAX_SIDE}")
        self._check("weight_rows", self.rows % self.weight_rows == 0, f"a divisor of rows ({self.rows})")
        self._check("lanes", self.cols % self.lanes == 0, f"a divisor of cols ({self.cols})")
        for name in ("memory_latency", "multiply_latency"):
            self._check(name, getattr(self, name) <= 2, "1 or 2")
        self._check_power_of_two("memory_width", 8, 512)
        self._check("address_width", 16 <= self.address_width <= 32, "from 16 to 32")
        self._check_power_of_two("axi_width", self.memory_width, 1024)
        self._check("axi_burst", self.axi_burst <= 256, "from 1 to 256")
        self._check("axi_outstanding", self.axi_outstanding <= 64, "from 1 to 64")
        self._check_power_of_two("scratchpad_bytes", 4 * self.word_bytes, 1 << 24)
        self._check(
            "weight_tiles", self.weight_space_bytes <= 1 << 24, "so few that the weight space is at most 16 MiB"
        )
        self._check("accumulators", 2 <= self.accumulators <= 1 << 15, f"from 2 to {1 << 15}")
        self._check(
            "parameter_channels",
            self.parameter_channels % self.lanes == 0 and self.parameter_channels <= 1 << 15,
            f"a multiple of lanes ({self.lanes}) and at most {1 << 15}",
        )
        self._check("queue_depth", self.queue_depth <= 64, "from 1 to 64")
        self._check("fetch_depth", self.fetch_depth <= 64, "from 1 to 64")
        self._check("counter_bits", 6 <= self.counter_bits <= 16, "from 6 to 16")
        if self.protection:
            self._check("memory_latency", self.memory_latency == 1, "1 with protection")
        if self.compact:
            self._check("lanes", self.lanes == 1, "1 with compact")
            for name in ("memory_latency", "multiply_latency"):
                self._check(name, getattr(self, name) == 1, "1 with compact")
            for name in ("depthwise", "tables", "pipelined", "fences", "checks", "protection", "autopsy"):
                self._check(name, not getattr(self, name), "false with compact")

    def _check(self, name: str, good: bool, allowed: str) -> None:
        if not good:
            raise ValueError(f"{name} must be {allowed}, not {shown(getattr(self, name))}")

    def _check_power_of_two(self, name: str, low: int, high: int) -> None:
        value = getattr(self, name)
        self._check(name, low <= value <= high and value & (value - 1) == 0, f"a power of two from {low} to {high}")

    @property
    def memory_bytes(self) -> int:
        """Bytes of one word of the memory port."""
        return self.memory_width // 8

    @property
    def weight_steps(self) -> int:
        """S, cycles in which a tile's weights arrive; the shortest pass. Row r is loaded by bank r // S in step
        r % S."""
        return self.rows // self.weight_rows

    @property
    def word_bytes(self) -> int:
        """B, bytes of one scratchpad word and of one scratchpad read."""
        return power_of_two_at_least(max(self.rows, self.cols, self.memory_bytes))

    @property
    def weight_pitch(self) -> int:
        """Bytes from one bank's row to the next bank's row in a line of the weight space."""
        return power_of_two_at_least(self.cols)

    @property
    def weight_line_bytes(self) -> int:
        """Bytes of one line of the weight space: one loading step of a tile, all banks side by side."""
        return power_of_two_at_least(max(self.weight_rows * self.weight_pitch, self.memory_bytes))

    @property
    def weight_lines(self) -> int:
        """Lines of the weight store; a tile takes `weight_steps` of them."""
        return self.weight_tiles * self.weight_steps

    @property
    def weight_space_bytes(self) -> int:
        """Bytes that the weight store spans in its address space, unused bytes of each line included."""
        return self.weight_lines * self.weight_line_bytes

    @property
    def parameter_line_bytes(self) -> int:
        """Bytes of one line of the parameter space: the records of `lanes` channels."""
        return power_of_two_at_least(max(self.lanes * PARAMETER_RECORD_BYTES, self.memory_bytes))

    @property
    def parameter_lines(self) -> int:
        """Lines of the parameter memory."""
        return self.parameter_channels // self.lanes

    @property
    def entry_bits(self) -> int:
        """Bits of the number of an accumulator entry."""
        return max(1, (self.accumulators - 1).bit_length())

    @property
    def local_bits(self) -> int:
        """Bits kept of local addresses and sizes in transfers; with `compact` no more than the largest space has."""
        spaces = (self.scratchpad_bytes, self.weight_space_bytes, self.parameter_lines * self.parameter_line_bytes)
        return (max(spaces) - 1).bit_length() if self.compact else LOCAL_BITS

    @property
    def token_bits(self) -> int:
        """Bits of a token counter."""
        return COMPACT_TOKEN_BITS if self.compact else TOKEN_BITS

    @property
    def small_counter_bits(self) -> int:
        """Bits kept of strides, kernels and windows."""
        return self.counter_bits // 2

    @property
    def macs_per_cycle(self) -> int:
        """Multiplications that the array can do per cycle."""
        return self.rows * self.cols

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 of the parameters: names build caches and ties programs to hardware."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def digest32(self) -> int:
        """The first 32 bits of `digest`, as the hardware's DIGEST register reads."""
        return int(self.digest[:8], 16)

    def replace(self, **changes: Any) -> "Config":
        """A copy with some parameters changed, checked again.

        Raises
        ------
        ValueError
            For a name that is not a parameter, or a value that is not allowed.
        """
        names = [field.name for field in fields(self)]
        for name in changes:
            if name not in names:
                raise ValueError(f"{name} is not a parameter; the parameters are {', '.join(names)}")
        return replace(self, **changes)
