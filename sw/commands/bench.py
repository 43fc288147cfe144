"""`weft bench`."""

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .shared import DEFAULT_PRESET, LENET, build_simulation, processors, simulate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..graph import Graph
    from ..network import Network
    from .figures import LeNet, Mnist, Runtime
    from .progress import Steps

ALL_PRESETS = (DEFAULT_PRESET, "medium", "large")

MISSED = 1


def bench(
    mnist: Annotated[
        Path | None, typer.Option("--mnist", metavar="DIR", help="Run all test images of MNIST, from its files in DIR.")
    ] = None,
    networks: Annotated[
        Path | None,
        typer.Option(
            "--networks",
            metavar="DIR",
            help="Measure ResNet-8, DS-CNN and the autoencoder, from their .tflite files in DIR, and MobileNetV1.",
        ),
    ] = None,
    resnet50: Annotated[
        bool, typer.Option("--resnet50", help="Measure ResNet-50 at 224x224 on large, weights and images streamed.")
    ] = False,
    compiler: Annotated[
        bool, typer.Option("--compiler", help="Time the compiler on MobileNetV2, ResNet-50 and others.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help=f"All of {', '.join(ALL_PRESETS)}.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Gets all figures.")] = None,
    readme: Annotated[
        Path | None, typer.Option("--readme", metavar="FILE.md", help="Gets the tables between its two bench marks.")
    ] = None,
) -> None:
    """Measure LeNet-5, and other networks, on the RTL against their bounds; exit status 1 if one is not kept."""
    import json

    from ..files import check_target, replace_file
    from ..onnx.reader import read_onnx
    from .bench_networks import measure, measure_compiler, measure_resnet50
    from .figures import insert, mnist_sheet, network_sheet
    from .figures_compile import compile_sheet
    from .figures_networks import networks_sheet, slow_sheet, streamed_sheet
    from .progress import Steps, standard_output

    if json_file is not None:
        check_target(json_file)
    text = "" if readme is None else _text(readme)
    steps = Steps()
    graph = read_onnx(LENET)
    lenets, sheets, images = [], [], None
    for preset in ALL_PRESETS if every else ALL_PRESETS[:1]:
        compiled, library = _build(preset, graph, steps)
        lenets.append(_network(preset, compiled, library, steps))
        sheets.append(network_sheet(lenets[-1]))
        if mnist is not None and images is None:
            images = _mnist(preset, graph, compiled, library, mnist, steps)
            sheets.append(mnist_sheet(images))
    others = [] if networks is None else measure(networks, steps)
    if others:
        sheets += [networks_sheet(others), *([slow_sheet(others)] if any(one.slow() for one in others) else [])]
    streamed = measure_resnet50(steps) if resnet50 else None
    if streamed is not None:
        sheets.append(streamed_sheet(streamed))
    timed = measure_compiler(steps) if compiler else []
    if timed:
        sheets.append(compile_sheet(timed))
    console = standard_output()
    for sheet in sheets:
        console.print(sheet.terminal())
        console.print()
    missed = [sentence for network in lenets for sentence in network.missed()]
    missed += [sentence for network in others for sentence in network.missed()]
    missed += [] if images is None else images.missed()
    missed += [] if streamed is None else streamed.missed()
    missed += [sentence for one in timed for sentence in one.missed()]
    if json_file is not None:
        content = {
            "version": version("weft"),
            "lenet": [network.as_json() for network in lenets],
            "mnist": None if images is None else images.as_json(),
            "networks": [network.as_json() for network in others],
            "resnet50": None if streamed is None else streamed.as_json(),
            "compiler": [one.as_json() for one in timed],
            "missed": missed,
        }
        replace_file(json_file, (json.dumps(content, indent=1) + "\n").encode())
    if readme is not None:
        replace_file(readme, insert(text, sheets, str(readme)).encode())
    for sentence in missed:
        typer.echo(f"weft: {sentence}", err=True)
    if missed:
        raise typer.Exit(MISSED)


def _text(readme: Path) -> str:
    """The text that the tables are for; one without marks is told before the work."""
    from ..errors import UserError
    from .figures import insert

    try:
        text = readme.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{readme}: this is not a text in UTF-8") from None
    insert(text, (), str(readme))
    return text


def _build(preset: str, graph: "Graph", steps: "Steps") -> "tuple[Network, Path]":
    from weft.gen.presets import load_config

    from ..compiler.model_compiler import compile_model

    config = load_config(preset)
    with steps.step(f"Compiling LeNet-5 for {preset}"):
        compiled = compile_model(graph, config)
    return compiled, build_simulation(config, steps)


def _network(preset: str, compiled: "Network", library: Path, steps: "Steps") -> "LeNet":
    """Cycles per layer; they do not depend on the image, so a few do."""
    import numpy as np

    from ..errors import UserError
    from ..report import network_rows, total_cycles
    from .figures import LeNet

    images = np.random.default_rng(0).random((4, *compiled.tensors[compiled.inputs[0]].shape[1:]), np.float32)
    with steps.step(f"Counting cycles on {preset}") as advance:
        report = simulate(compiled, [images], library, advance).report
    cycles = total_cycles(report)
    if report.cycles is None or cycles is None:
        raise RuntimeError("the simulated RTL counted no cycles")
    if len(np.unique(report.cycles)) > 1:
        raise UserError(
            f"{preset}: the cycles of an inference vary, from {report.cycles.min()} to {report.cycles.max()}"
        )
    return LeNet(preset, compiled.config, tuple(network_rows(compiled, report)), cycles)


def _mnist(preset: str, graph: "Graph", compiled: "Network", library: Path, folder: Path, steps: "Steps") -> "Mnist":
    from weft.sim.golden_graph import run_graph

    from ..arrays import differences
    from ..datasets import read_mnist, to_input
    from .figures import Mnist

    digits = read_mnist(folder)
    inputs = to_input(digits.images)
    running = f"Running {len(inputs):,} images on the RTL"
    with steps.step(running) as advance:
        outputs = simulate(compiled, [inputs], library, advance).outputs
    with steps.step("Running the golden operators") as advance:
        expected = run_graph(graph, [inputs], advance)
    logits = outputs[compiled.outputs[0]]
    different, total = differences([logits], expected)
    right = int((logits.argmax(axis=1) == digits.labels).sum())
    return Mnist(
        preset,
        len(inputs),
        right,
        steps.seconds[running],
        processors(),
        total,
        different,
        _runtime(compiled.programs[-1].outputs[0].scale, inputs, logits, steps),
    )


def _runtime(scale: float, inputs: "NDArray[Any]", logits: "NDArray[Any]", steps: "Steps") -> "Runtime | None":
    """The same images through ONNX Runtime, logits in steps of `scale`; None where it is not installed."""
    import numpy as np

    from .figures import Runtime

    try:
        import onnxruntime
    except ModuleNotFoundError:
        return None
    with steps.step("Running ONNX Runtime") as advance:
        session = onnxruntime.InferenceSession(str(LENET), providers=["CPUExecutionProvider"])
        parts = []
        for start in range(0, len(inputs), 500):
            part = inputs[start : start + 500]
            parts += session.run(None, {session.get_inputs()[0].name: part})
            advance(start + len(part), len(inputs))
    theirs = np.concatenate(parts)
    apart = np.abs(np.rint(theirs / scale).astype(int) - np.rint(logits / scale).astype(int))
    return Runtime(
        onnxruntime.__version__,
        apart.size,
        int((apart == 0).sum()),
        int(apart.max()),
        int((theirs.argmax(axis=1) == logits.argmax(axis=1)).sum()),
    )
