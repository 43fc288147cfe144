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
    from ..serial.transport import SerialTransport
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
    from ..network import Network

    chosen = preset is not None or file is not None or settings
    if isinstance(model, Network) and not chosen:
        return model
    return network_for(model, configuration(preset, file, settings))


def network_for(model: "Graph | Network", config: "Config") -> "Network":
    """The model compiled for a configuration; a compiled one as it is, if it is for that one.

    Raises
    ------
    UserError
        As network_of.
    """
    from ..errors import UserError
    from ..network import Network

    if not isinstance(model, Network):
        from ..compiler.model_compiler import compile_model

        return compile_model(model, config)
    own = model.config
    if config.digest != own.digest:
        raise UserError(
            f"the program was compiled for configuration {own.digest32:08x} ({own.rows}x{own.cols}), "
            f"not for the chosen {config.digest32:08x} ({config.rows}x{config.cols})"
        )
    return model


def check_place(on: str) -> None:
    """See that a model can run there: a name of run.TARGETS, or what may be a serial port.

    Raises
    ------
    UserError
        If it is neither.
    """
    from ..errors import UserError
    from .run import TARGETS

    if on not in TARGETS and not (os.sep in on or on.upper().startswith("COM")):
        raise UserError(f"--on must be {', '.join(TARGETS)} or a serial port such as /dev/ttyUSB0, not {on!r}")


def connected(port: str, baud: int, asked: "Config | None") -> "SerialTransport":
    """The board at a serial port, with its configuration.

    Parameters
    ----------
    asked
        The configuration that it must have, if that is settled.

    Raises
    ------
    UserError
        If there is no board, or it has another configuration.
    """
    from ..serial.link import SerialLink
    from ..serial.transport import SerialTransport, open_port

    transport = SerialTransport(SerialLink(open_port(port, baud), f"the board at {port}"))
    transport.config = board_configuration(transport.digest, port, asked)
    return transport


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


def adapted_board(
    name: str,
    preset: str | None,
    file: Path | None,
    settings: Sequence[str] | None,
    clock_mhz: float | None = None,
) -> Any:
    """A fpga.boards.Board with the chosen configuration, its own without one: settings alone change that.

    Raises
    ------
    UserError, ValueError
        For a name that is no board, and as load_config does.
    """
    from weft.fpga.board_build import adapted
    from weft.fpga.boards import board_named
    from weft.gen.presets import changed, load_config

    board = board_named(name)
    if preset is None and file is None:
        config = changed(board.config, settings or ())
    else:
        config = load_config(preset, file, settings or ())
    return adapted(board, config, None if clock_mhz is None else round(clock_mhz * 1e6))


def board_configuration(digest: int, where: str, asked: "Config | None") -> "Config":
    """The configuration of the board that answers with this digest.

    Raises
    ------
    UserError
        If it is not the one that was asked for, or none that is known.
    """
    from weft.fpga.boards import BOARDS
    from weft.gen.presets import PRESETS

    from ..errors import UserError

    if asked is not None:
        if asked.digest32 != digest:
            raise UserError(
                f"the board at {where} was built for configuration {digest:08x}, not for {asked.digest32:08x}"
            )
        return asked
    known = [board.config for board in BOARDS.values()]
    known += [config.replace(axi=False) for config in PRESETS.values()]
    for config in known:
        if config.digest32 == digest:
            return config
    raise UserError(
        f"the board at {where} was built for configuration {digest:08x}, which is none of the boards' own: "
        "say which by --preset, --config or --set"
    )
