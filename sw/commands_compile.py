"""`weft compile`."""

from pathlib import Path
from typing import Annotated

import typer

from .commands_shared import program_of
from .options import ConfigFile, Preset, Settings


def compile(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="An .onnx model or a compiled .weft program.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.weft", help="Gets the program.")
    ] = None,
    preset: Preset = None,
    config: ConfigFile = None,
    settings: Settings = None,
) -> None:
    """Compile a quantized model and tell what becomes of its layers (without a configuration: small)."""
    from .errors import UserError
    from .files import check_target
    from .listing import table
    from .loading import load_model
    from .progress import Steps, standard_output

    if output is not None:
        if output.suffix != ".weft":
            raise UserError(f"{output}: the output must be a .weft file")
        check_target(output)
    steps = Steps()
    with steps.step("Reading the model"):
        loaded = load_model(model)
    with steps.step("Compiling the model"):
        program = program_of(loaded, preset, config, settings)
    if output is not None:
        program.save(output)
    standard_output().print(table(program))
