"""`weft generate`."""

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, Preset, Settings
from .shared import configuration


def generate(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the files.")],
    preset: Preset = None,
    config: ConfigFile = None,
    settings: Settings = None,
) -> None:
    """Write npu.v, npu.json and npu.h for one configuration (without a configuration: small)."""
    from .progress import Steps

    chosen = configuration(preset, config, settings)
    # Only now: importing the hardware takes longer than telling a wrong parameter.
    from weft.gen.generate import generate as write

    with Steps().step(f"Generating {chosen.rows}x{chosen.cols}"):
        files = write(chosen, output)
    for file in files:
        print(file)
