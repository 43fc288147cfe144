"""Which lines of the RTL run and which of its bits move: Verilator's counts, read and named.

Lines are those of the Verilog that Amaranth makes, whose branches are those of the sources: a line that never ran is
named by its module and by the register or signal that it would have set. Lines that no run can reach are in UNREACHED,
with the reason.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from weft.rtl.config import Config
from weft.sim.killing import CONFIG as BASE
from weft.sim.library import compile_library, npu_verilog
from weft.sw.commands.figures import Sheet

CONFIG = BASE.replace(fences=True, checks=True, autopsy=True)
"""All that can be built."""

OWN = "a unit that waits for itself is illegal: the run has ended before its wait is counted"
NO_SUCH_WAIT = "the unit has no such state"

UNREACHED: Mapping[str, str] = {
    **dict.fromkeys((f"npu.core.control: {unit}_wait_{unit}" for unit in ("load", "array", "drain", "store")), OWN),
    **dict.fromkeys((f"npu.core.control: {unit}_wait_weights" for unit in ("load", "drain", "store")), NO_SUCH_WAIT),
    "npu.core.control: array_wait_memory": NO_SUCH_WAIT,
    "npu.core.control: drain_wait_memory": NO_SUCH_WAIT,
    "npu.core.control: drain_wait_scratchpad": NO_SUCH_WAIT,
    "npu.core.store_unit.rows: beyond": "the sequencer refuses a STORE from any space but the scratchpad",
}
"""Why some lines never run: a pattern of their names (see Line), and the reason. A
pattern whose lines all run is a mistake."""


LONG = "upper bits of a count: no run here takes so many cycles or instructions"
SMALL = "upper bits of a field, or of a count of what it says: legal instructions here have smaller ones"

OWN_TOKENS = "no unit gives itself tokens"
MULTIPLES = "programs lie at multiples of 64, registers at multiples of 4"
BURSTS = "constants of the bus, and lengths beyond `axi_burst`"

UNMOVED: tuple[tuple[str, int, str], ...] = (
    ("npu.core.control: *_wait_*", 0, "a wait that the unit has not, or the " + LONG),
    ("npu.core.control: *_busy", 8, LONG),
    *((f"npu.core.control: {name}", 8, LONG) for name in ("cycles", "instructions", "still")),
    ("*: *begun*", 7, LONG),
    ("npu.core.faults: *_number", 0, LONG),
    ("*: inside*", 0, "registers of the autopsy: as what they show, and bits that read as zero"),
    *((f"npu.core*: {name}*", 0, OWN_TOKENS) for name in ("counts", "given", "taken", "available")),
    ("*: *request__payload*", 0, "fetches are all of one size, from multiples of it; other transfers are short"),
    *((f"*: *{name}*", 0, MULTIPLES) for name in ("address", "program", "_araddr", "_awaddr")),
    *(
        (f"npu*.master*: {name}*", 0, BURSTS)
        for name in ("burst__payload", "arriving", "current", "r_*data", "w_*data")
    ),
    *((f"*: m_axi_*{name}*", 0, BURSTS) for name in ("len", "qos", "cache", "prot", "burst", "size", "id", "lock")),
    *((f"npu.core.array_unit: {name}*", 0, SMALL) for name in ("ox", "kx", "ky", "entry_total")),
    ("*: *following*", 0, SMALL),
    ("npu.master.*_splitter: end", 0, SMALL),
    ("*: *held*", 0, SMALL),
    ("*_unit*: *left", 0, SMALL),
    ("*_unit*: *words", 0, SMALL),
    ("*.rows: *", 0, SMALL),
    ("*: storage*", 0, "the places of a queue: each takes but a few of all words"),
    ("*: $*", 0, "a name of Verilog's own: as the signals that it is made of"),
    ("*: port$*", 0, "a name of Verilog's own: as the signals that it is made of"),
)
"""Why some bits never rise or fall: a pattern of module and signal, the first bit of which it is said, and the
reason."""


@cache
def coverage_library(config: Config) -> Path:
    """The compiled NPU of a configuration that counts what it uses.

    Raises
    ------
    UserError
        As compile_library does.
    """
    return compile_library(npu_verilog(config), coverage=True)


_POINT = re.compile(r"^C '(.*)' (\d+)$")


@dataclass
class Coverage:
    """Counts from any number of runs of one build."""

    lines: dict[int, int] = field(default_factory=dict)
    """How often each line of the Verilog ran that can run."""
    toggles: dict[tuple[str, str], int] = field(default_factory=dict)
    """How often each bit rose, and fell, by module and bit."""

    def read(self, path: Path) -> None:
        """Add the counts of a file that Verilator wrote.

        Raises
        ------
        ValueError
            For a line that is none of such a file.
        """
        for line in path.read_text().splitlines():
            if line.startswith("#"):
                continue
            found = _POINT.match(line)
            if found is None:
                raise ValueError(f"{path}: this is not a count: {line!r}")
            values = dict(part.split("\x02", 1) for part in found[1].split("\x01") if part)
            self._add(values, int(found[2]))

    def _add(self, values: Mapping[str, str], count: int) -> None:
        kind, _, module = values["page"].partition("/")
        if kind == "v_toggle":
            key = module, values["o"]
            self.toggles[key] = self.toggles.get(key, 0) + count
        else:
            # An `else` that is not written has no lines.
            for number in numbers(values.get("S", "")):
                self.lines[number] = self.lines.get(number, 0) + count

    def share(self) -> float:
        """Per cent of the lines that ran."""
        return 100 * sum(count > 0 for count in self.lines.values()) / len(self.lines)

    def toggled(self) -> float:
        """Per cent of all rises and falls of bits that took place."""
        return 100 * sum(count > 0 for count in self.toggles.values()) / len(self.toggles)


def numbers(text: str) -> Iterator[int]:
    """The numbers of "3-5,9"."""
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


@dataclass(frozen=True)
class Line:
    """A line of the Verilog: its module, and what it sets and when, in words that do not change from build to build."""

    number: int
    name: str
    """module: what it sets"""
    text: str


_MODULE = re.compile(r"^module \\?([^\s(]+)")


_NUMBER = re.compile(r"\$\d+")
"""What Yosys appends to names that there are twice."""


def named(verilog: str, wanted: set[int]) -> list[Line]:
    """The lines of these numbers."""
    lines = verilog.splitlines()
    found = []
    module, start = "", 0
    for number, text in enumerate(lines, 1):
        if match := _MODULE.match(text):
            module, start = match[1], number
        if number in wanted:
            name = _NUMBER.sub("", f"{module}: {_target(lines, start, number)}")
            found.append(Line(number, name, text.strip()))
    return found


def _target(lines: list[str], start: int, number: int) -> str:
    """What the block around a line sets: the register behind a temporary name, else the name itself."""
    for text in lines[number - 1 : number + 40]:
        match = re.match(r"^\s*(\\\S+|\w+)\s*(?:\[[^]]*\]\s*)?(<=|=) ", text)
        if match is None:
            continue
        name = match[1]
        if match[2] == "=" and name.startswith("\\$"):
            for later in lines[start:]:
                if later.startswith("endmodule"):
                    break
                register = re.match(r"^\s*(?:always_ff @\(posedge clk\)\s*)?(\\\S+|\w+)\s*<= (\\\S+) ?;", later)
                if register and register[2] == name:
                    return register[1].lstrip("\\")
        return name.lstrip("\\")
    return "(nothing)"


def unexplained(lines: list[Line]) -> list[Line]:
    """Those that UNREACHED does not explain."""
    return [line for line in lines if not any(fnmatchcase(line.name, pattern) for pattern in UNREACHED)]


_BIT = re.compile(r"^(.*?)(?:\[(\d+)\])?:\d->\d$")
_CODED = re.compile(r"__0([0-9A-Fa-f]{2})")
"""Verilator's way to write what is no letter."""


def unmoved(coverage: Coverage) -> Counter[str]:
    """How many rises and falls did not take place for each reason of UNMOVED, and for none."""
    found: Counter[str] = Counter()
    for (module, bit), count in coverage.toggles.items():
        match = _BIT.match(bit)
        if count or match is None:
            continue
        signal = _CODED.sub(lambda code: chr(int(code[1], 16)), match[1])
        name = f"{_NUMBER.sub('', module)}: {signal}"
        reasons = (why for pattern, first, why in UNMOVED if int(match[2] or 0) >= first and fnmatchcase(name, pattern))
        found[next(reasons, "")] += 1
    return found


def bits_sheet() -> Sheet:
    """The table of bits that never move, and why."""
    rows = [(f"`{pattern}`" + (f" from bit {first}" if first else ""), why) for pattern, first, why in UNMOVED]
    return Sheet("Bits that no run moves", ("bits", "reason"), rows)


def unused(lines: list[Line]) -> list[str]:
    """The patterns of UNREACHED that explain none of the lines that never ran."""
    return [pattern for pattern in UNREACHED if not any(fnmatchcase(line.name, pattern) for line in lines)]


def sheet() -> Sheet:
    """The table of what is never reached, and why."""
    return Sheet(
        "Lines that no run reaches", ("lines", "reason"), [(f"`{name}`", why) for name, why in UNREACHED.items()]
    )
