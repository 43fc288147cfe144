"""From Verilog to a bitstream: synthesis, place and route, packing.

Each stage is kept under the digest of all that goes into it, the programs' versions included; the same design, built
twice anywhere, gives the same bytes.
"""

import hashlib
import os
import shlex
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from amaranth.lib.wiring import Component
from weft.gen.verilog import to_verilog
from weft.rtl.config import Config
from weft.sim.cache import cached

from .device import Device, Family
from .floorplan import draw, placement
from .report import Report, read_report
from .tools import Tool, find, run

VERILOG, CONSTRAINTS = "top.v", "top.constraints"
NETLIST, NETLIST_VERILOG = "netlist.json", "netlist.v"
RAW_REPORT, PLACED, REPORT, FLOORPLAN = "nextpnr.json", "placed.json", "build.json", "floorplan.svg"


@dataclass(frozen=True)
class Design:
    """What is built.

    Attributes
    ----------
    top : name of the top module.
    verilog : all its modules.
    constraints : pins, in the format of the device's family (lpf, pcf, cst); what it does not name goes to any pin.
    synthesis : further options of Yosys' command, such as -nodsp where multipliers are explicit.
    """

    top: str
    verilog: str
    constraints: str = ""
    synthesis: tuple[str, ...] = ()


def design(
    component: Component,
    top: str,
    *,
    config: Config | None = None,
    technology: object = None,
    constraints: str = "",
) -> Design:
    """The design of an Amaranth component, with a technology's primitives (see to_verilog), and with the options for
    synthesis that the technology asks for in an attribute `synthesis`."""
    verilog = to_verilog(component, top, config, technology)
    return Design(top, verilog, constraints, tuple(getattr(technology, "synthesis", ())))


@dataclass(frozen=True)
class Stages:
    """The programs of a family, and what they read and write."""

    place: str
    constraints: Callable[[bool], tuple[str, ...]]
    """nextpnr's arguments, for a design with constraints and without."""
    placed: tuple[str, str]
    """nextpnr's option for what the packer reads, and the file."""
    pack: str
    packed: str
    """The bitstream's file."""
    pack_files: Callable[[str, str], tuple[str, ...]]
    """The packer's arguments for what it reads and writes."""


def _ecp5_constraints(given: bool) -> tuple[str, ...]:
    return (*(("--lpf", CONSTRAINTS) if given else ()), "--lpf-allow-unconstrained")


def _ice40_constraints(given: bool) -> tuple[str, ...]:
    return (*(("--pcf", CONSTRAINTS) if given else ()), "--pcf-allow-unconstrained")


def _gowin_constraints(given: bool) -> tuple[str, ...]:
    return ("--vopt", f"cst={CONSTRAINTS}") if given else ()


STAGES: Mapping[Family, Stages] = {
    "ecp5": Stages(
        "nextpnr-ecp5",
        _ecp5_constraints,
        ("--textcfg", "placed.config"),
        "ecppack",
        "bitstream.bit",
        lambda source, target: ("--input", source, "--bit", target),
    ),
    "ice40": Stages(
        "nextpnr-ice40",
        _ice40_constraints,
        ("--asc", "placed.asc"),
        "icepack",
        "bitstream.bin",
        lambda source, target: (source, target),
    ),
    # Here the packer reads the placed netlist, which the others write for the floorplan alone.
    "gowin": Stages(
        "nextpnr-himbaechel",
        _gowin_constraints,
        ("--write", PLACED),
        "gowin_pack",
        "bitstream.fs",
        lambda source, target: ("-o", target, source),
    ),
}


@dataclass(frozen=True)
class Build:
    """A design that was placed and routed; its files are in the cache and are not to be changed.

    Attributes
    ----------
    netlist, netlist_verilog : what synthesis made, for nextpnr and for simulation.
    placed : the netlist with the place of each cell, nextpnr's JSON.
    bitstream : None if it was not packed.
    report, floorplan : what it achieved, and its picture as SVG.
    logs : of all programs.
    """

    design: Design
    device: Device
    netlist: Path
    netlist_verilog: Path
    placed: Path
    bitstream: Path | None
    report: Report
    floorplan: str
    logs: tuple[Path, ...]

    def export(self, folder: Path, name: str) -> list[Path]:
        """Copy what users want into a folder, which is made: NAME with the suffix of the bitstream, NAME.v, .json,
        .svg, NAME_netlist.v and the logs. Returns the files."""
        folder.mkdir(parents=True, exist_ok=True)
        texts = {f"{name}.v": self.design.verilog, f"{name}.json": self.report.to_json(), f"{name}.svg": self.floorplan}
        made = []
        for file, text in texts.items():
            made.append(folder / file)
            made[-1].write_text(text, encoding="utf-8", newline="\n")
        copies = {self.netlist_verilog: f"{name}_netlist.v", **{log: log.name for log in self.logs}}
        if self.bitstream is not None:
            copies[self.bitstream] = f"{name}{self.bitstream.suffix}"
        for source, file in copies.items():
            made.append(folder / file)
            partial = folder / f".{file}.partial"
            shutil.copyfile(source, partial)
            os.replace(partial, made[-1])
        return made


def _key(stage: str, tool: Tool, *inputs: str) -> str:
    return f"{stage}-{hashlib.sha256(chr(0).join((tool.identity, *inputs)).encode()).hexdigest()[:32]}"


def synthesize(design: Design, device: Device) -> Path:
    """The folder with NETLIST and NETLIST_VERILOG.

    Raises
    ------
    UserError
        If Yosys is not there or fails.
    """
    yosys = find("yosys")
    options = shlex.join(design.synthesis)
    script = (
        f"read_verilog -sv {VERILOG}; {device.synthesis} {options} -top {design.top} -json {NETLIST}; "
        f"write_verilog -noattr {NETLIST_VERILOG}"
    )

    def build(folder: Path) -> None:
        (folder / VERILOG).write_text(design.verilog, encoding="utf-8")
        run(yosys, ("-q", "-l", "synthesis.log", "-p", script), folder, f"{design.top} could not be synthesized")

    return cached(_key("synthesis", yosys, script, design.verilog), build)


def place(design: Design, device: Device, frequency: float, seed: int = 1) -> tuple[Path, Path]:
    """The folder of `synthesize`, and one with RAW_REPORT, PLACED and what the packer reads.

    A clock that misses its frequency is no failure; the report says it.

    Raises
    ------
    UserError
        If a program is not there or fails: most often since the design does not fit.
    """
    stages = STAGES[device.family]
    synthesis = synthesize(design, device)
    netlist = (synthesis / NETLIST).read_text(encoding="utf-8")
    nextpnr = find(stages.place)
    arguments = [*device.place, "--json", NETLIST, *stages.placed, "--report", RAW_REPORT]
    if stages.placed[0] != "--write":
        arguments += ["--write", PLACED]
    arguments += ["--freq", f"{frequency:g}", "--seed", str(seed), "--timing-allow-fail"]
    arguments += stages.constraints(bool(design.constraints))

    def build(folder: Path) -> None:
        (folder / NETLIST).write_text(netlist, encoding="utf-8")
        (folder / CONSTRAINTS).write_text(design.constraints, encoding="utf-8")
        run(nextpnr, arguments, folder, f"{design.top} could not be placed on {device.name}")
        (folder / NETLIST).unlink()

    return synthesis, cached(_key("placed", nextpnr, *arguments, design.constraints, netlist), build)


def build(design: Design, device: Device, *, frequency: float, seed: int = 1, pack: bool = True) -> Build:
    """Build a design for a device.

    Parameters
    ----------
    frequency
        MHz that every clock is to reach; place and route tries no harder than that.
    seed
        Of the placement: each gives another result, the same one every time.
    pack
        Make the bitstream, too.

    Raises
    ------
    UserError
        If a program is missing or fails, in one sentence that names its log.
    """
    stages = STAGES[device.family]
    synthesis, placed = place(design, device, frequency, seed)
    logs = [synthesis / "yosys.log", placed / f"{stages.place}.log"]
    bitstream = None
    if pack:
        packer = find(stages.pack)
        source = placed / stages.placed[1]
        arguments = (*device.pack, *stages.pack_files(source.name, stages.packed))

        def make(folder: Path) -> None:
            shutil.copyfile(source, folder / source.name)
            run(packer, arguments, folder, f"the bitstream of {design.top} could not be packed")
            (folder / source.name).unlink()

        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        packed = cached(_key("bitstream", packer, digest, *arguments), make)
        bitstream = packed / stages.packed
        logs.append(packed / f"{stages.pack}.log")
    return Build(
        design=design,
        device=device,
        netlist=synthesis / NETLIST,
        netlist_verilog=synthesis / NETLIST_VERILOG,
        placed=placed / PLACED,
        bitstream=bitstream,
        report=read_report((placed / RAW_REPORT).read_text(encoding="utf-8"), device.family, device.name, seed),
        floorplan=draw(placement((placed / PLACED).read_text(encoding="utf-8"), design.top), device.name),
        logs=tuple(logs),
    )


def best(design: Design, device: Device, *, frequency: float, seeds: Iterable[int]) -> tuple[Build, list[Report]]:
    """Place with several seeds and build the one with the most margin.

    Returns
    -------
    The build, and what each seed achieved.
    """
    reports = [build(design, device, frequency=frequency, seed=seed, pack=False).report for seed in seeds]
    chosen = max(reports, key=lambda report: report.margin)
    return build(design, device, frequency=frequency, seed=chosen.seed), reports
