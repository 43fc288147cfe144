"""The order of the source tree: who imports whom, and a test file for every module."""

import ast
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

ALLOWED = {
    "rtl": {"rtl"},
    "gen": {"gen", "rtl"},
    "sw": {"sw", "rtl"},
    "sim": {"sim", "gen", "sw", "rtl"},
    "fpga": {"fpga", "sim", "gen", "sw", "rtl"},
}
"""What each folder imports from."""

CONTRACT = {"config", "fields", "isa", "link_protocol", "registers"}
"""All that sw takes from rtl."""

MODULES = sorted(path.relative_to(ROOT) for folder in ALLOWED for path in (ROOT / folder).glob("**/*.py"))


def is_command_line(module: Path) -> bool:
    """The command line is the top of the tree; inside its functions it imports from anywhere."""
    return module.parts[:2] in (("sw", "cli.py"), ("sw", "commands"))


def imports(source: str, package: Sequence[str]) -> Iterator[tuple[str, str, bool]]:
    """Folder, module and whether inside a function, of each import of our own by a module in the folders `package`."""

    def visit(node: ast.AST, inside: bool) -> Iterator[tuple[str, str, bool]]:
        for child in ast.iter_child_nodes(node):
            inner = inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            names: list[str] = []
            if isinstance(child, ast.Import):
                names = [alias.name for alias in child.names]
            elif isinstance(child, ast.ImportFrom):
                stem = child.module or ""
                if child.level:
                    above = ["weft", *package][: len(package) + 2 - child.level]
                    stem = ".".join([*above, stem] if stem else above)
                names = [f"{stem}.{alias.name}" for alias in child.names]
            for name in names:
                parts = name.split(".")
                if parts[0] == "weft":
                    folder, module = [*parts[1:], "", ""][:2]
                    yield folder, module, inner
                elif parts[0] in ALLOWED:
                    yield parts[0], "(not as weft.)", inner
            yield from visit(child, inner)

    return visit(ast.parse(source), False)


def violations(module: Path, source: str) -> list[str]:
    folder = module.parts[0]
    found = []
    for target, name, inside in imports(source, module.parts[:-1]):
        if inside and is_command_line(module):
            continue
        if (
            target not in ALLOWED[folder]
            or name.startswith("(")
            or (folder == "sw" and target == "rtl" and name not in CONTRACT)
        ):
            found.append(f"{module} imports {target}.{name}")
    return found


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_import_direction(module: Path) -> None:
    assert violations(module, (ROOT / module).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "module, line, allowed",
    [
        ("rtl/npu.py", "from .core import Core", True),
        ("rtl/npu.py", "from weft.gen.presets import PRESETS", False),
        ("rtl/npu.py", "from ..gen import presets", False),
        ("rtl/npu.py", "import weft.sw.errors", False),
        ("gen/verilog.py", "from weft.rtl.memory import Memory1R1W", True),
        ("gen/verilog.py", "from weft.sw.errors import UserError", False),
        ("gen/verilog.py", "from rtl.memory import Memory1R1W", False),
        ("sw/compiler/codegen.py", "from weft.rtl import isa", True),
        ("sw/compiler/codegen.py", "from weft.rtl import isa, npu", False),
        ("sw/compiler/codegen.py", "def f():\n    from weft.sim.golden import conv", False),
        ("sw/cli.py", "def f():\n    from weft.sim.golden import conv", True),
        ("sw/commands/run.py", "def f():\n    from weft.sim.golden import conv", True),
        ("sw/commands/run.py", "from weft.sim.golden import conv", False),
        ("sw/onnx/reader.py", "from ..graph import Graph", True),
        ("sw/onnx/reader.py", "from ...rtl import isa", True),
        ("sw/onnx/reader.py", "from ...gen import presets", False),
        ("sim/machine.py", "from weft.sw.program import Program", True),
        ("sim/machine.py", "from weft.fpga.board import Board", False),
        ("fpga/board.py", "from weft.sim.machine import Machine", True),
    ],
)
def test_rule(module: str, line: str, allowed: bool) -> None:
    assert (violations(Path(module), textwrap.dedent(line)) == []) is allowed


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_module_has_a_test_file_of_its_name(module: Path) -> None:
    names = [path.stem for path in (ROOT / "tests" / module.parent).glob("test_*.py")]
    wanted = f"test_{module.stem}"
    assert any(name == wanted or name.startswith(f"{wanted}_") for name in names)


@pytest.mark.parametrize("folder", ALLOWED)
def test_folder_is_there(folder: str) -> None:
    """Else an installation from a fresh clone fails: version control keeps no empty folder."""
    assert any(module.parts[0] == folder for module in MODULES)
