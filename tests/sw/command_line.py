"""The command `weft`, run as a user does: in a process of its own."""

import subprocess
import sys
from pathlib import Path

PROGRAM = "from weft.sw.cli import main; main()"


def weft(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `weft` with these arguments in a folder."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def refusal(*arguments: str | Path, folder: Path) -> str:
    """What `weft` says about something that the user can mend: one sentence, exit status 2, nothing else."""
    done = weft(*arguments, folder=folder)
    assert done.returncode == 2, done
    assert done.stdout == ""
    start, sentence = done.stderr[:6], done.stderr[6:]
    assert start == "weft: "
    assert sentence.count("\n") == 1
    return sentence.rstrip("\n")
