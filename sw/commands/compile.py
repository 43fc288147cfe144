"""`weft compile`."""

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, Preset, Settings
from .shared import network_of

LONGEST = 1 << 14
"""Columns of the longest row."""


def compile(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A .tflite or .onnx model, or a compiled .weft program.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.weft", help="Gets the program.")
    ] = None,
    preset: Preset = None,
    config: ConfigFile = None,
    settings: Settings = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a model if more than its first and last steps need the host.")
    ] = False,
) -> None:
    """Compile a quantized model and tell what becomes of its operators (without a configuration: small)."""
    from ..compiler.placement import refuse_host_operators
    from ..errors import UserError
    from ..files import check_target
    from ..loading import load_model
    from ..network_file import save
    from .listing import report
    from .progress import Steps, standard_output

    if output is not None:
        if output.suffix != ".weft":
            raise UserError(f"{output}: the output must be a .weft file")
        check_target(output)
    steps = Steps()
    with steps.step("Reading the model"):
        loaded = load_model(model)
    with steps.step("Compiling the model"):
        network = network_of(loaded, preset, config, settings)
    if strict:
        refuse_host_operators(network)
    if output is not None:
        save(network, output)
    console = standard_output()
    if not console.is_terminal:
        # A file has lines of any length: a row is one of them.
        console.width = LONGEST
    console.print(report(network, console.width), soft_wrap=not console.is_terminal)
