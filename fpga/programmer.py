"""Loading bitstreams into boards."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path

from weft.sw.errors import UserError

from .boards import Board

LOADER, VARIABLE = "openFPGALoader", "OPENFPGALOADER"


def load(board: Board, bitstream: Path, flash: bool = False) -> None:
    """Load a bitstream into a board; with `flash` into what it starts from.

    Raises
    ------
    UserError
        If openFPGALoader or the file is missing, or it fails; the sentence has its last words.
    """
    command = shlex.split(os.environ.get(VARIABLE, "")) or [LOADER]
    program = shutil.which(command[0])
    if program is None:
        raise UserError(f"loading a bitstream needs {command[0]}, which is not on the PATH: see docs/boards.md")
    if not bitstream.is_file():
        raise UserError(f"{bitstream}: there is no such file")
    arguments = ["-b", board.programmer, *(["--write-flash"] if flash else []), str(bitstream)]
    done = subprocess.run([program, *command[1:], *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise UserError(f"{LOADER} could not load {bitstream.name} into {board.title}: {words}")
