"""`weft package`."""

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, Preset, Settings
from .shared import configuration

TARGETS = ("zynq",)


def package(
    target: Annotated[str, typer.Argument(metavar="zynq", help="Whose tools the package is for.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the files.")],
    preset: Preset = None,
    config: ConfigFile = None,
    settings: Settings = None,
) -> None:
    """Write an NPU as an IP core for Vivado, with a script for a PYNQ-Z2 (without a configuration: small)."""
    from ..errors import UserError
    from .progress import Steps

    if target not in TARGETS:
        raise UserError(f"packages are for {', '.join(TARGETS)}, not for {target!r}")
    chosen = configuration(preset, config, settings)
    from weft.gen.zynq import package as write

    with Steps().step(f"Generating {chosen.rows}x{chosen.cols}"):
        files = write(chosen, output)
    for file in files:
        print(file)
