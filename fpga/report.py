"""What place and route says of a design: how fast it is, how much of the device it takes, and what limits it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .device import Family

KINDS: Mapping[Family, Mapping[str, str]] = {
    "ecp5": {
        "TRELLIS_COMB": "LUT",
        "TRELLIS_FF": "FF",
        "MULT18X18D": "DSP",
        "DP16KD": "block RAM",
        "TRELLIS_IO": "pin",
    },
    "ice40": {
        "ICESTORM_LC": "LUT with FF",
        "ICESTORM_DSP": "DSP",
        "ICESTORM_RAM": "block RAM",
        "ICESTORM_SPRAM": "SPRAM",
        "SB_IO": "pin",
    },
    "gowin": {
        "LUT4": "LUT",
        "DFF": "FF",
        "ALU": "carry",
        "MULT9X9": "9x9 multiplier",
        "MULT18X18": "18x18 multiplier",
        "BSRAM": "block RAM",
        "RAM16SDP4": "LUT RAM",
        "IOB": "pin",
    },
}
"""What people call the tools' resources; the others are not reported."""

UNTIMED: Mapping[Family, str] = {
    "ecp5": "",
    "ice40": "what is inside the multipliers",
    "gowin": "the multipliers",
}
"""What nextpnr has no delays of: it takes an iCE40's multiplier for registers at all its pins, and a path through a
Gowin's for none at all. No clock that it tells is to be believed beyond that."""


@dataclass(frozen=True)
class Clock:
    """A clock of the design, in MHz."""

    name: str
    achieved: float
    target: float

    @property
    def met(self) -> bool:
        """Whether it is as fast as it was asked to be."""
        return self.achieved >= self.target


@dataclass(frozen=True)
class Used:
    """How many of a kind of resource are taken, and how many there are."""

    kind: str
    used: int
    available: int


@dataclass(frozen=True)
class Path:
    """A longest path, times in ns: from a clock's edge to the next one's."""

    clock: str
    start: str
    end: str
    delay: float
    logic: float
    routing: float
    hops: int
    """Cells between the first and the last."""
    nets: tuple[str, ...]
    """What the path runs through, first to last; a net's delay is not in its name."""


@dataclass(frozen=True)
class Report:
    """What place and route achieved with one seed; `untimed` says what its clocks leave out, if anything."""

    device: str
    seed: int
    clocks: tuple[Clock, ...]
    utilization: tuple[Used, ...]
    paths: tuple[Path, ...]
    untimed: str = ""

    @property
    def margin(self) -> float:
        """The least of achieved / target over all clocks; 1 for a design without a clock."""
        return min((clock.achieved / clock.target for clock in self.clocks), default=1.0)

    @property
    def met(self) -> bool:
        """Whether every clock is as fast as it was asked to be."""
        return all(clock.met for clock in self.clocks)

    @property
    def fmax(self) -> float:
        """MHz of the slowest clock."""
        return min((clock.achieved for clock in self.clocks), default=0.0)

    def used(self, kind: str) -> Used:
        """The resource of a kind as `KINDS` names them; none used of none if the device has none."""
        return next((one for one in self.utilization if one.kind == kind), Used(kind, 0, 0))

    def to_json(self) -> str:
        """All of it, the same bytes for the same report."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Report":
        """What `to_json` wrote."""
        raw = json.loads(text)
        return cls(
            raw["device"],
            raw["seed"],
            tuple(Clock(**one) for one in raw["clocks"]),
            tuple(Used(**one) for one in raw["utilization"]),
            tuple(Path(**one | {"nets": tuple(one["nets"])}) for one in raw["paths"]),
            raw["untimed"],
        )


def read_report(text: str, family: Family, device: str, seed: int) -> Report:
    """The report that nextpnr writes with `--report`.

    Parameters
    ----------
    text
        Its JSON.
    family, device, seed
        What it was made for.
    """
    raw: Mapping[str, Any] = json.loads(text)
    clocks = tuple(
        Clock(_plain(name), round(one["achieved"], 2), round(one["constraint"], 2))
        for name, one in sorted(raw["fmax"].items())
    )
    names = KINDS[family]
    utilization = tuple(
        Used(names[kind], raw["utilization"][kind]["used"], raw["utilization"][kind]["available"])
        for kind in names
        if kind in raw["utilization"]
    )
    inside = [one for one in raw["critical_paths"] if _plain(one["from"]) == _plain(one["to"])]
    return Report(device, seed, clocks, utilization, tuple(_path(one) for one in inside), UNTIMED[family])


def _plain(clock: str) -> str:
    """A clock's net without what the tools put around it: "posedge $glbnet$clk" is clk."""
    name = clock.split(" ")[-1].removeprefix("$glbnet$").removeprefix("$PACKER_GBUF_")
    return name.removesuffix("$TRELLIS_IO_IN").removesuffix("$SB_IO_IN_$glb_clk").removesuffix("_$glb_clk")


def _path(raw: Mapping[str, Any]) -> Path:
    segments = raw["path"]
    routing = sum(one["delay"] for one in segments if one["type"] == "routing")
    total = sum(one["delay"] for one in segments)
    return Path(
        clock=_plain(raw["from"]),
        start=segments[0]["from"]["cell"],
        end=segments[-1]["to"]["cell"],
        delay=round(total, 3),
        logic=round(total - routing, 3),
        routing=round(routing, 3),
        hops=sum(one["type"] == "logic" for one in segments),
        nets=tuple(one["net"] for one in segments if one["type"] == "routing"),
    )
