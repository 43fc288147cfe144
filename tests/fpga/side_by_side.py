"""The portable form of a component and a technology's form of it, in one Icarus simulation on the same inputs."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from amaranth.hdl import Shape
from amaranth.lib.wiring import Component, In
from weft.gen.verilog import to_verilog


def run_icarus(folder: Path, *sources: str, macros: tuple[str, ...] = ()) -> list[str]:
    """What a bench prints; it is the last source's only module."""
    if shutil.which("iverilog") is None:
        pytest.skip("iverilog is not installed")
    files = [f"source_{number}.v" for number in range(len(sources))]
    for name, text in zip(files, sources, strict=True):
        (folder / name).write_text(text)
    options = [f"-D{macro}" for macro in macros]
    subprocess.run(["iverilog", "-g2012", *options, "-o", "sim", *files], cwd=folder, check=True, timeout=120)
    done = subprocess.run(["vvp", "-n", "sim"], cwd=folder, check=True, timeout=300, capture_output=True, text=True)
    return done.stdout.splitlines()


def compare(
    folder: Path,
    component: Component,
    technology: object,
    models: str,
    *,
    cycles: int = 2000,
    inputs: Mapping[str, str] | None = None,
    macros: tuple[str, ...] = (),
    settle: int = 0,
) -> None:
    """Assert that both give the same in every cycle in which the portable form defines an output, and that many are.

    Parameters
    ----------
    inputs
        Verilog expressions for some inputs, in place of random bits; they may use the other inputs, and RANDOM.
    settle
        Cycles until registers hold what came in, where the models say nothing of what they hold before.
    """
    ports = []
    for path, member, _ in component.signature.flatten(component):
        ports.append(("__".join(str(part) for part in path), member.flow, Shape.cast(member.shape).width))
    driven = [(name, width) for name, flow, width in ports if flow is In]
    seen = [(name, width) for name, flow, width in ports if flow is not In]
    words = {name: "{" + ", ".join(["$urandom"] * (-(-width // 32))) + "}" for name, width in driven}
    words |= inputs or {}
    lines = ["module bench;", "  reg clk = 0, rst = 0; integer t, wrong = 0, defined = 0;"]
    lines += [f"  reg [{width - 1}:0] {name} = 0;" for name, width in driven]
    for top in ("portable", "primitives"):
        lines += [f"  wire [{width - 1}:0] {top}_{name};" for name, width in seen]
        wires = [f".{name}({name})" for name, _ in [("clk", 1), ("rst", 1), *driven]]
        wires += [f".{name}({top}_{name})" for name, _ in seen]
        lines.append(f"  {top} {top}_dut({', '.join(wires)});")
    lines += ["  initial begin", f"    for (t = 0; t < {cycles}; t = t + 1) begin"]
    lines += [f"      {name} = {words[name]};" for name, _ in driven]
    lines.append("      #1;")
    for name, width in seen:
        lines += [
            f"      if (^portable_{name} !== 1'bx) defined = defined + 1;",
            f"      if (((portable_{name} ^ primitives_{name}) | {width}'b0) !== {width}'b0"
            f" && ^portable_{name} !== 1'bx && t >= {settle}) wrong = wrong + 1;",
        ]
    lines += ["      clk = 1; #1 clk = 0;", "    end", '    $display("%0d %0d", wrong, defined);', "  end", "endmodule"]
    sources = [to_verilog(component, "portable"), to_verilog(component, "primitives", technology=technology)]
    (result,) = run_icarus(folder, *sources, models, "\n".join(lines), macros=macros)
    wrong, defined = (int(number) for number in result.split())
    assert wrong == 0
    assert defined > cycles / 4
