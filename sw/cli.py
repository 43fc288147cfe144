"""The command `weft`: a frame around one function per command.

A command `name` is the function `name` of `weft.sw.commands.name`; its entry in COMMANDS is all it takes. The
command line is the top of the whole tree: its functions, and only they, import from any folder, when called.
"""

import errno
import sys
import traceback
from importlib import import_module
from importlib.metadata import version
from typing import Annotated

import typer

from .errors import UserError, printable

COMMANDS = (
    "generate",
    "presets",
    "compile",
    "run",
    "demo",
    "bench",
    "boards",
    "build",
    "program",
    "emulate",
    "package",
)

USER_ERROR = 2
INTERRUPTED = 130

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Errors of the system that come without a file's name and are the user's all the same."""

app = typer.Typer(
    help="Systolic neural processing units from one configuration: Verilog, simulation, FPGA.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        print(f"weft {version('weft')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Tell the version.")
    ] = False,
) -> None:
    """Options that stand before the command."""


for _name in COMMANDS:
    app.command(_name)(getattr(import_module(f"weft.sw.commands.{_name}"), _name))


def main() -> None:
    """Run the command line; ends the process.

    Exit status 0 for success, 2 with one sentence on standard error for what the user can mend, 130 when
    interrupted. Anything else is a defect and shows its traceback.
    """
    try:
        app(prog_name="weft")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except (ValueError, OSError) as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        lines = sentence.split("\n") if getattr(error, "more_lines", False) else [sentence]
        print("weft:", "\n".join(printable(line) for line in lines), file=sys.stderr)
        sys.exit(USER_ERROR)


def _sentence(error: ValueError | OSError) -> str | None:
    """What to tell the user, or None for an error that they did not cause."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError):
        if error.filename is not None:
            return f"{error.strerror} ({error.filename})"
        return error.strerror if error.errno in FULL else None
    # Our own checks raise in our own code; a ValueError out of a library is a defect.
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return str(error) if frames[-1].f_globals.get("__name__", "").startswith("weft.") else None
