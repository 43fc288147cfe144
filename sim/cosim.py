"""Runs cocotb tests on generated Verilog, on Verilator or Icarus.

A simulation is compiled once and kept under the digest of the Verilog, the flags and the tools' versions;
each run of its tests is a process of its own.
"""

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

from weft.sim.cache import cached
from weft.sim.library import verilator_environment
from weft.sw.errors import UserError

SIMULATORS = ("verilator", "icarus")

TIMESCALE = ("1ns", "1ps")

FLAGS = {
    # Yosys writes Verilog that trips the width lints by the thousand. The runner makes every signal public, which
    # takes four times the C++; tests touch only the ports of the top.
    "verilator": ("-Wno-lint", "-Wno-fatal", "--no-public-flat-rw", "--public-depth", "1"),
    "icarus": (),
}

MAKE_FLAGS = "OPT_GLOBAL=-O0 OPT_SLOW=-O0 OPT_FAST=-O1"
"""For Verilator's make: compiling takes longer than most tests run, and Python is what they wait for."""

_MODULE = re.compile(r"^module [^;]*;\n", re.MULTILINE)

PRODUCTS = {"verilator": "{top}", "icarus": "sim.vvp"}

LOG_LINES = 60


class CosimError(Exception):
    """A simulation could not be compiled or its tests did not pass; the text ends with the end of the log."""


def missing_tool(simulator: str) -> str | None:
    """What has to be installed before a simulator can be used; None if all is there.

    Raises
    ------
    ValueError
        For a simulator that is not one of SIMULATORS.
    """
    if simulator not in SIMULATORS:
        raise ValueError(f"the simulator must be one of {', '.join(SIMULATORS)}, not {simulator!r}")
    if find_spec("cocotb_tools") is None:
        return "the Python package cocotb"
    if simulator == "icarus":
        return None if shutil.which("iverilog") else "iverilog"
    try:
        verilator_environment()
    except UserError as error:
        return str(error)
    return None


def compiled(verilog: str, top: str, simulator: str) -> Path:
    """The folder with the compiled simulation of a module, made if it is not in the cache.

    Raises
    ------
    CosimError
        When the simulator cannot compile it.
    """
    from cocotb_tools import config

    if simulator == "icarus":
        verilog = for_icarus(verilog)
    # The product finds cocotb's libraries by their path.
    made_from = (
        verilog,
        top,
        simulator,
        *FLAGS[simulator],
        MAKE_FLAGS,
        *TIMESCALE,
        _versions(simulator),
        str(config.libs_dir),
    )
    key = "cosim-" + hashlib.sha256("\0".join(made_from).encode()).hexdigest()

    def build(folder: Path) -> None:
        from cocotb_tools.runner import get_runner

        work = folder / "work"
        work.mkdir()
        source = work / "source.v"
        source.write_text(verilog)
        log = work / "build.log"
        with _environment(simulator):
            try:
                get_runner(simulator).build(
                    sources=[source],
                    hdl_toplevel=top,
                    build_dir=work,
                    build_args=FLAGS[simulator],
                    timescale=TIMESCALE,
                    always=True,
                    log_file=log,
                )
            except (RuntimeError, SystemExit) as error:
                raise CosimError(f"{simulator} could not compile {top}:\n{_end_of(log)}") from error
        product = PRODUCTS[simulator].format(top=top)
        os.replace(work / product, folder / product)
        shutil.rmtree(work)

    return cached(key, build)


def for_icarus(verilog: str) -> str:
    """`always_comb` as `always @*` and a register that makes it run at time 0.

    In Icarus 11 all blocks `always_comb` share one event at time 0, and the list of what it runs gets mixed up with the
    lists of the blocks' inputs: a change of any input runs hundreds of blocks, and two of them that write defaults
    first keep each other running for ever.
    """
    verilog = verilog.replace("always_comb begin\n", "always @* begin\n    if (icarus_started) begin end\n")
    return _MODULE.sub(r"\g<0>  reg icarus_started = 1'b0;\n  initial #0 icarus_started = 1'b1;\n", verilog)


def run_tests(
    verilog: str,
    top: str,
    module: str,
    simulator: str,
    folder: Path,
    *,
    seed: int = 0,
    tests: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> list[str]:
    """Run cocotb tests on a module.

    Parameters
    ----------
    verilog, top
        The text of the design and the name of its top module.
    module
        The importable name of the Python module with the tests.
    simulator
        One of SIMULATORS.
    folder
        Where logs and results go.
    seed
        Of cocotb's random numbers.
    tests
        A regular expression; tests whose full name it matches are run. All by default.
    environment
        Variables that the tests find in their environment.

    Returns
    -------
    list of str
        The names of the tests that ran.

    Raises
    ------
    CosimError
        When one fails, or none ran.
    """
    from cocotb_tools.runner import get_runner

    build = compiled(verilog, top, simulator)
    results = folder / "results.xml"
    log = folder / "test.log"
    # Under pytest the runner ends the process when a test has failed.
    with _environment(simulator), contextlib.suppress(SystemExit, RuntimeError):
        get_runner(simulator).test(
            test_module=module,
            hdl_toplevel=top,
            hdl_toplevel_lang="verilog",
            build_dir=build,
            test_dir=folder,
            results_xml=str(results.resolve()),
            seed=seed,
            test_filter=tests,
            extra_env=dict(environment or {}),
            timescale=TIMESCALE,
            log_file=log,
        )
    ran, failed = _read(results)
    if failed or not ran:
        what = f"{', '.join(failed)} failed" if failed else "no test came to its end"
        raise CosimError(f"{what} on {simulator}:\n{_end_of(log)}")
    return ran


def _read(results: Path) -> tuple[list[str], list[str]]:
    """The names of the tests in a result file that ran, and of those that failed."""
    if not results.is_file():
        return [], []
    cases = [case for case in ElementTree.parse(results).iter("testcase") if case.find("skipped") is None]
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    return [case.get("name", "") for case in cases], [case.get("name", "") for case in failed]


def _versions(simulator: str) -> str:
    if simulator == "verilator":
        return f"{version('cocotb')} {version('verilator')}"
    told = subprocess.run(["iverilog", "-V"], capture_output=True, text=True, check=False).stdout
    return f"{version('cocotb')} {told.splitlines()[0] if told else ''}"


@contextlib.contextmanager
def _environment(simulator: str) -> Iterator[None]:
    """The runner takes the simulator from this process' environment."""
    if simulator != "verilator":
        yield
        return
    before = dict(os.environ)
    os.environ.update(verilator_environment()[1])
    os.environ["MAKEFLAGS"] += " " + MAKE_FLAGS
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:]) if log.is_file() else "(no log)"
