"""What several commands do alike. Like all of the command line it imports from any folder, inside functions."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from weft.rtl.config import Config

    from ..driver import Model, Progress, Result
    from ..graph import Graph
    from ..network import Network
    from .progress import Steps

DEFAULT_PRESET = "small"

LENET = Path(__file__).parent.parent / "models" / "lenet5.onnx"
"""The LeNet-5 that comes with the project."""

SHARE = 50
"""Most samples that one simulation takes in one go: progress is shown, and an interrupt felt, that often."""


def configuration(preset: str | None, file: Path | None, settings: Sequence[str] | None) -> "Config":
    """The configuration chosen by the options; without a preset or file it starts from `small`."""
    from weft.gen.presets import load_config

    if preset is None and file is None:
        preset = DEFAULT_PRESET
    return load_config(preset, file, settings or ())


def network_of(
    model: "Graph | Network", preset: str | None, file: Path | None, settings: Sequence[str] | None
) -> "Network":
    """The model compiled for the chosen configuration; a compiled one as it is, if it is for that configuration.

    Raises
    ------
    UserError
        If it is for another, and as the compiler does.
    """
    from ..errors import UserError
    from ..network import Network

    if not isinstance(model, Network):
        from ..compiler.model_compiler import compile_model

        return compile_model(model, configuration(preset, file, settings))
    if preset is not None or file is not None or settings:
        wanted, own = configuration(preset, file, settings), model.config
        if wanted.digest != own.digest:
            raise UserError(
                f"the program was compiled for configuration {own.digest32:08x} ({own.rows}x{own.cols}), "
                f"not for the chosen {wanted.digest32:08x} ({wanted.rows}x{wanted.cols})"
            )
    return model


def build_simulation(config: "Config", steps: "Steps") -> Path:
    """Generate the NPU and compile its RTL; the library.

    Raises
    ------
    UserError
        If a tool is missing or fails.
    """
    from weft.sim.library import npu_library

    with steps.step(f"Generating the {config.rows}x{config.cols} NPU and compiling its RTL"):
        return npu_library(config)


def processors() -> int:
    """How many simulations can run at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def simulate(
    model: "Model", inputs: Sequence[Any], library: Path | None = None, progress: "Progress | None" = None
) -> "Result":
    """Run samples on the simulated RTL, spread over all processors."""
    from weft.sim.transports import run_many

    processes = processors()
    share = max(1, min(SHARE, -(-len(inputs[0]) // processes)))
    return run_many(model, list(inputs), processes, progress, library=library, share=share)
