"""`weft demo`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .shared import DEFAULT_PRESET, LENET, build_simulation, simulate

if TYPE_CHECKING:
    from rich.console import Console

    from ..datasets import Digits

PICTURE_WIDTH = 24
"""Columns of the terminal that one drawn digit takes."""

FAILED = 1


def demo(
    mnist: Annotated[
        Path | None, typer.Option("--mnist", metavar="DIR", help="All test images of MNIST, from its files in DIR.")
    ] = None,
    preset: Annotated[
        str, typer.Option("--preset", metavar="NAME", help="A named configuration; see `weft presets`.")
    ] = DEFAULT_PRESET,
    samples: Annotated[
        int | None, typer.Option("--samples", metavar="N", min=1, help="Only the first N digits.")
    ] = None,
) -> None:
    """Generate an NPU, run LeNet-5 on its RTL, and check every output byte against the golden operators."""
    from weft.gen.presets import load_config
    from weft.sim.golden_graph import run_graph

    from ..arrays import differences
    from ..compiler.model_compiler import compile_model
    from ..datasets import Digits, read_mnist, scikit_digits, to_input
    from ..onnx.reader import read_onnx
    from ..report import network_rows, table
    from .progress import Steps, standard_output

    config = load_config(preset)
    console = standard_output()
    steps = Steps(console, lines=True)
    with steps.step("Reading scikit-learn's digits" if mnist is None else "Reading MNIST's test images"):
        found = scikit_digits("held") if mnist is None else read_mnist(mnist)
        digits = Digits(found.images[:samples], found.labels[:samples])
        inputs = [to_input(digits.images)]
    with steps.step(f"Compiling LeNet-5 for an array of {config.rows}x{config.cols}"):
        graph = read_onnx(LENET)
        network = compile_model(graph, config)
    library = build_simulation(config, steps)
    with steps.step(f"Running {len(digits.images):,} digits on the RTL") as advance:
        outputs, report = simulate(network, inputs, library, advance)
    with steps.step("Running the golden operators") as advance:
        expected = run_graph(graph, inputs, advance)
    logits = [outputs[name] for name in network.outputs]
    different, total = differences(logits, expected)

    read = logits[0].argmax(axis=1)
    right = int((read == digits.labels).sum())
    console.print()
    _draw(console, digits, read.tolist())
    console.print(table(network_rows(network, report), report, config))
    console.print(
        f"\n[bold]{right:,} of {len(read):,} digits read right, {right / len(read):.2%}; "
        f"{sum(steps.seconds.values()):.0f} s in all[/]",
        highlight=False,
    )
    if different:
        typer.echo(
            f"weft: {different:,} of {total:,} outputs of the RTL differ from those of the golden operators", err=True
        )
        raise typer.Exit(FAILED)
    console.print(
        f"[bold green]all {total:,} outputs of the RTL equal the golden operators', bit for bit[/]", highlight=False
    )


def _draw(console: "Console", digits: "Digits", read: list[int]) -> None:
    """A row of digits, and a row of those that were misread if there are any."""
    from .drawing import gallery

    count = max(1, console.width // PICTURE_WIDTH)
    wrong = [index for index, answer in enumerate(read) if answer != digits.labels[index]]
    right = [index for index in range(len(read)) if index not in set(wrong)]
    for chosen in (right[:count], wrong[:count]):
        if chosen:
            shown = [(digits.images[index], int(digits.labels[index]), read[index]) for index in chosen]
            console.print(gallery(*zip(*shown, strict=True)))
            console.print()
