"""What the options against faults cost: `python -m weft.fpga.options` synthesizes `small` with each, for an ECP5."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from weft.gen.presets import SMALL
from weft.rtl.config import Config
from weft.rtl.npu import Npu
from weft.sw.commands.figures import Sheet, insert
from weft.sw.errors import UserError
from weft.sw.files import replace_file

from .bench import ULX3S
from .ecp5 import Ecp5
from .few_pins import FewPins
from .flow import NETLIST, design, synthesize

OPTIONS = ("fences", "checks", "autopsy", "protection")

MARKS = ("<!-- options:begin -->", "<!-- options:end -->")

LUTS = {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4}
"""Look-up tables of four inputs that a cell takes; two of a memory's six hold its ports together."""

CELLS = {"LUT": LUTS, "FF": {"TRELLIS_FF": 1}, "block RAM": {"DP16KD": 1}, "DSP": {"MULT18X18D": 1}}


def variants() -> dict[str, Config]:
    """By name: without the options, with one each, and with all."""
    none = dict.fromkeys(OPTIONS, False)
    chosen = {"none": none, **{name: none | {name: True} for name in OPTIONS}, "all": dict.fromkeys(OPTIONS, True)}
    return {name: SMALL.replace(**options) for name, options in chosen.items()}


def cells(netlist: str) -> Counter[str]:
    """How many cells of each kind the top of a flattened netlist has, as CELLS names and weighs them."""
    found: Counter[str] = Counter()
    for module in json.loads(netlist)["modules"].values():
        if "top" not in module.get("attributes", {}):
            continue
        for cell in module["cells"].values():
            for kind, weights in CELLS.items():
                found[kind] += weights.get(cell["type"], 0)
    return found


def count(config: Config) -> Counter[str]:
    """The cells of an NPU."""
    made = design(FewPins(Npu(config)), "top", config=config, technology=Ecp5({}))
    return cells((synthesize(made, ULX3S) / NETLIST).read_text(encoding="utf-8"))


def sheet(counts: Mapping[str, Counter[str]]) -> Sheet:
    """A line per variant, with what it has more than the first."""
    base = next(iter(counts.values()))

    def words(found: Counter[str], kind: str) -> str:
        more = found[kind] - base[kind]
        return f"{found[kind]:,} ({more:+,})" if more else f"{found[kind]:,}"

    rows = [(name, *(words(found, kind) for kind in CELLS)) for name, found in counts.items()]
    return Sheet("`small` on an ECP5", ("options", *CELLS), rows)


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m weft.fpga.options", description=__doc__)
    parser.add_argument("--docs", metavar="FILE.md", help="gets the table between its marks")
    docs = parser.parse_args(arguments).docs
    console = Console()
    counts = {}
    try:
        text = None if docs is None else Path(docs).read_text(encoding="utf-8")
        for name, config in variants().items():
            with console.status(f"Synthesizing {name}"):
                counts[name] = count(config)
        table = sheet(counts)
        console.print(table.terminal())
        if text is not None:
            replace_file(docs, insert(text, [table], docs, MARKS).encode())
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
