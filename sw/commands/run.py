"""`weft run`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import ConfigFile, Preset, Settings
from .shared import build_simulation, check_place, configuration, connected, network_for, network_of, simulate

if TYPE_CHECKING:
    from ..driver import Result
    from ..graph import Graph
    from ..network import Network
    from ..report import Row
    from ..serial.transport import SerialTransport
    from ..transport import RunReport
    from .progress import Steps

Arrays = list[Any]
"""Arrays in the model's order of inputs or outputs."""

Outcome = tuple[Arrays, "RunReport", "list[Row]"]


TARGETS = ("rtl", "machine", "golden")
"""What executes the model, besides boards, which go by their serial ports."""


def run(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A .tflite or .onnx model, or a compiled .weft program.")
    ],
    input: Annotated[
        Path, typer.Option("--input", metavar="IN.npz", help="in_0, in_1, ...: samples stacked on axis 0; or an .npy.")
    ],
    output: Annotated[Path, typer.Option("--output", metavar="OUT.npz", help="Gets out_0, out_1, ...; or an .npy.")],
    on: Annotated[
        str,
        typer.Option(
            "--on",
            metavar="rtl|machine|golden|PORT",
            help="The simulated RTL, the functional machine, the golden operators, or the board at a serial port.",
        ),
    ] = "rtl",
    report: Annotated[
        Path | None, typer.Option("--report", metavar="R.json", help="Gets cycles, utilization and stalls per layer.")
    ] = None,
    preset: Preset = None,
    config: ConfigFile = None,
    settings: Settings = None,
    baud: Annotated[int, typer.Option("--baud", help="Bits per second of a board's serial line.")] = 1_000_000,
) -> None:
    """Run a quantized model on an NPU (without a configuration: small, or what the board was built for)."""
    from ..arrays import check_output, read_inputs, slots_of, write_outputs
    from ..files import check_target
    from ..loading import load_model
    from ..network import Network
    from ..report import table, to_json, write_report
    from .progress import Steps, standard_output

    check_place(on)
    if report is not None:
        check_target(report)
    steps = Steps()
    with steps.step("Reading the model"):
        loaded = load_model(model)
    # What is wrong with the files comes up before compiling, which may take a while.
    slots = slots_of(loaded)
    check_output(output, slots[1])
    samples = read_inputs(input, slots[0])
    if on == "golden":
        graph, chosen = _graph(loaded, model), configuration(preset, config, settings)
        execute = partial(_golden, graph)
    else:
        board = None
        if on not in TARGETS:
            asked = None
            if preset is not None or config is not None or settings:
                asked = configuration(preset, config, settings).replace(axi=False)
            board = connected(on, baud, loaded.config if isinstance(loaded, Network) else asked)
        with steps.step("Compiling the model"):
            if board is None:
                network = network_of(loaded, preset, config, settings)
            else:
                assert board.config is not None
                network = network_for(loaded, board.config)
        chosen = network.config
        if board is not None:
            execute = partial(_on_board, network, board)
        else:
            execute = partial(_simulated if on == "rtl" else _machine, network)
    outputs, took, rows = execute(samples.arrays, steps)
    write_outputs(output, outputs, samples.leading)
    if report is not None:
        about = {"model": model.name, "on": on, "samples": len(samples)}
        write_report(report, to_json(rows, took, chosen, about))
    if took.cycles is not None:
        standard_output().print(table(rows, took, chosen))


def _graph(loaded: "Graph | Network", model: Path) -> "Graph":
    from ..errors import UserError
    from ..graph import Graph

    if not isinstance(loaded, Graph):
        raise UserError(f"{model}: the golden operators run a model, and this is a program compiled from one")
    return loaded


def _golden(graph: "Graph", inputs: Arrays, steps: "Steps") -> Outcome:
    from weft.sim.golden_graph import run_graph

    from ..report import graph_rows
    from ..transport import RunReport

    with steps.step("Running the golden operators") as advance:
        return run_graph(graph, inputs, advance), RunReport(), graph_rows(graph)


def _machine(network: "Network", inputs: Arrays, steps: "Steps") -> Outcome:
    from weft.sim.transports import MachineTransport

    from ..driver import Device

    with steps.step("Running on the functional machine") as advance:
        return _outcome(network, Device(MachineTransport(network.config), chunk=16).run(network, inputs, advance))


def _on_board(network: "Network", transport: "SerialTransport", inputs: Arrays, steps: "Steps") -> Outcome:
    from ..driver import Device

    with steps.step(f"Running on {transport.link.name}") as advance:
        return _outcome(network, Device(transport, chunk=16).run(network, inputs, advance))


def _simulated(network: "Network", inputs: Arrays, steps: "Steps") -> Outcome:
    from ..driver import prepare

    prepare(network, inputs)  # what is wrong with the inputs comes up before building
    library = build_simulation(network.config, steps)
    with steps.step("Running on the RTL") as advance:
        return _outcome(network, simulate(network, inputs, library, advance))


def _outcome(network: "Network", result: "Result") -> Outcome:
    from ..report import network_rows

    outputs = [result.outputs[name] for name in network.outputs]
    return outputs, result.report, network_rows(network, result.report)
