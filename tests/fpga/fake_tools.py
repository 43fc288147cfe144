"""Programs that stand in for the real ones: quick, and as ill-behaved as a test wants."""

import json
import sys
from pathlib import Path

import pytest

PYTHON = sys.executable

SCRIPT = """#!{python}
import json, pathlib, sys
pathlib.Path({calls!r}).open("a").write(json.dumps([{name!r}, *sys.argv[1:]]) + "\\n")
{body}
"""

YOSYS = """
pathlib.Path("netlist.json").write_text("netlist of " + pathlib.Path("top.v").read_text())
pathlib.Path("netlist.v").write_text("module top; endmodule")
"""

PLACED = {
    "modules": {
        "top": {
            "netnames": {"core.array.sum": {"bits": [2]}, "clk": {"bits": [3]}},
            "cells": {
                "core.array.sum_FF": {"type": "FF", "attributes": {"NEXTPNR_BEL": "X2/Y1/FF0"}, "connections": {}},
                "core.drain.x": {"type": "FF", "attributes": {"NEXTPNR_BEL": "X3Y4/FF0"}, "connections": {}},
                "$carry": {
                    "type": "COMB",
                    "attributes": {"NEXTPNR_BEL": "X2/Y1/A"},
                    "connections": {"S": [2], "C": [3]},
                },
                "unplaced": {"type": "FF", "attributes": {}, "connections": {}},
            },
        }
    }
}
"""What nextpnr writes with --write, in small."""

REPORT = {
    "fmax": {"$glbnet$clk": {"achieved": 101.234, "constraint": 100}},
    "utilization": {
        "TRELLIS_COMB": {"used": 3, "available": 10},
        "TRELLIS_FF": {"used": 2, "available": 10},
        "MULT18X18D": {"used": 0, "available": 4},
        "PCSCLKDIV": {"used": 0, "available": 1},
    },
    "critical_paths": [
        {
            "from": "posedge $glbnet$clk",
            "to": "posedge $glbnet$clk",
            "path": [
                {"type": "clk-to-q", "delay": 0.5, "from": {"cell": "a"}, "to": {"cell": "a"}},
                {"type": "routing", "delay": 2.0, "net": "n", "from": {"cell": "a"}, "to": {"cell": "b"}},
                {"type": "logic", "delay": 0.25, "from": {"cell": "b"}, "to": {"cell": "b"}},
                {"type": "routing", "delay": 1.0, "net": "m", "from": {"cell": "b"}, "to": {"cell": "c"}},
                {"type": "setup", "delay": 0.125, "from": {"cell": "c"}, "to": {"cell": "c"}},
            ],
        },
        {"from": "<async>", "to": "posedge $glbnet$clk", "path": []},
    ],
}
"""What nextpnr writes with --report, in small."""

NEXTPNR = f"""
out = dict(zip(sys.argv, sys.argv[1:]))
pathlib.Path(out["--write"]).write_text({json.dumps(PLACED)!r})
report = json.loads({json.dumps(REPORT)!r})
report["fmax"]["$glbnet$clk"] = {{"achieved": 90 + 5 * (int(out["--seed"]) % 4), "constraint": float(out["--freq"])}}
pathlib.Path(out["--report"]).write_text(json.dumps(report))
pathlib.Path(out["--textcfg"]).write_text("placed with " + out["--seed"])
"""

ECPPACK = """
out = dict(zip(sys.argv, sys.argv[1:]))
pathlib.Path(out["--bit"]).write_text("bits of " + pathlib.Path(out["--input"]).read_text())
"""


def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, body: str) -> Path:
    """Make `name` a Python program, found through its environment variable. Returns the file that its calls go to, a
    JSON list of name and arguments a line."""
    calls = tmp_path / "calls"
    calls.touch()
    program = tmp_path / f"{name}.py"
    program.write_text(SCRIPT.format(python=PYTHON, calls=str(calls), name=name, body=body))
    program.chmod(0o755)
    monkeypatch.setenv(name.upper().replace("-", "_"), str(program))
    return calls
