"""Verilator as a linter."""

import subprocess
from pathlib import Path

from weft.sim.library import verilator_environment


def lint(folder: Path, *options: str) -> str:
    """What Verilator says of npu.v in a folder; its last word is the exit status."""
    command, environment = verilator_environment()
    done = subprocess.run(
        [command, "--lint-only", "--quiet", "--error-limit", "0", *options, "npu.v"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return f"{done.stdout}{done.stderr}status {done.returncode}"
