"""The options that choose a configuration, the same for every command."""

from pathlib import Path
from typing import Annotated

import typer

Preset = Annotated[
    str | None, typer.Option("--preset", metavar="NAME", help="A named configuration; see `weft presets`.")
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE.toml", help="Parameters that differ from the preset.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PARAMETER=VALUE", help="One parameter; may be given several times."),
]
