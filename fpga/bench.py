"""What FPGAs make of designs: `python -m weft.fpga.bench` prints clocks, resources and LeNet's time as tables."""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from amaranth.lib.wiring import Component
from rich.console import Console
from rich.table import Table
from weft.gen.presets import PRESETS
from weft.rtl.array import Array
from weft.rtl.config import Config
from weft.rtl.npu import Npu
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.errors import UserError
from weft.sw.onnx.reader import read_onnx

from .device import Device, ecp5
from .ecp5 import REGISTERED, Ecp5, array_sites
from .few_pins import FewPins
from .flow import Build, Design, best, design
from .report import Report

LENET = Path(__file__).resolve().parent.parent / "sw" / "models" / "lenet5.onnx"

ULX3S = ecp5("85k", "CABGA381", 6)
"""The FPGA of a ULX3S with the largest chip, in the slowest speed grade."""

MEDIUM = PRESETS["medium"].replace(axi=False, **REGISTERED)


@dataclass(frozen=True)
class Row:
    """One design to build, and what is asked of it: MHz."""

    name: str
    config: Config
    array_only: bool
    frequency: float

    def design(self) -> Design:
        """Its Verilog, with few pins."""
        inner: Component = Array(self.config) if self.array_only else Npu(self.config)
        technology = Ecp5(array_sites(self.config, "85k"))
        return design(FewPins(inner), "top", config=self.config, technology=technology)


ROWS = (
    Row("NPU 16x8", MEDIUM, False, 100),
    Row("array 16x8", MEDIUM, True, 180),
    Row("array 16x8, no depthwise", MEDIUM.replace(depthwise=False), True, 180),
)


def lenet_cycles(config: Config) -> int:
    """Cycles of LeNet-5 from start to done, as predicted; tests hold the prediction to the hardware."""
    network = compile_model(read_onnx(LENET), config)
    return sum(layer.predicted_cycles for layer in network.layers)


def resources(report: Report) -> list[str]:
    """How many of how many, of the four kinds that designs run out of."""
    kinds = (report.used(kind) for kind in ("LUT", "FF", "DSP", "block RAM"))
    return [f"{one.used:,} of {one.available:,}" for one in kinds]


def path(report: Report) -> str:
    """What limits the clock, in one line."""
    if not report.paths:
        return ""
    longest = report.paths[0]
    return (
        f"{longest.start} to {longest.end}: {longest.delay:.2f} ns, {longest.routing:.2f} of them routing, "
        f"{longest.hops} cells between"
    )


def measure(row: Row, device: Device, seeds: int, console: Console) -> tuple[Build, list[Report]]:
    """Build a row with some seeds; a line per seed on the console."""
    with console.status(f"{row.name}: synthesis"):
        made = row.design()
    with console.status(f"{row.name}: place and route, {seeds} seeds"):
        return best(made, device, frequency=row.frequency, seeds=range(1, seeds + 1))


def table(results: list[tuple[Row, Build, list[Report]]], device: Device) -> Table:
    """One line per design."""
    view = Table(title=device.name)
    view.add_column("design")
    for name in ("Fmax, best", "of seeds", "bar", "LUT", "FF", "DSP", "block RAM", "LeNet-5"):
        view.add_column(name, justify="right")
    for row, build, reports in results:
        fmax = build.report.fmax
        time = "" if row.array_only else f"{lenet_cycles(row.config) / fmax:.1f} us"
        spread = ", ".join(f"{report.fmax:.0f}" for report in reports)
        colour = "green" if fmax >= row.frequency else "red"
        view.add_row(
            row.name,
            f"[{colour}]{fmax:.1f} MHz[/]",
            spread,
            f"{row.frequency:.0f} MHz",
            *resources(build.report),
            time,
        )
    return view


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m weft.fpga.bench", description=__doc__)
    parser.add_argument("--seeds", type=int, default=8, help="placements to try of each design")
    parser.add_argument("--only", default="", help="designs whose name holds this text")
    options = parser.parse_args(arguments)
    console = Console()
    results = []
    try:
        for row in ROWS:
            if options.only in row.name:
                results.append((row, *measure(row, ULX3S, options.seeds, console)))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    console.print(table(results, ULX3S))
    for row, build, _ in results:
        console.print(f"{row.name} is limited by {path(build.report)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
