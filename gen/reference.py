"""The reference pages of docs/, written from the definitions that the hardware is built from.

`python -m weft.gen.reference` writes them, with `--check` it only tells whether they are current.
"""

import argparse
import ast
import enum
import inspect
import sys
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path
from types import ModuleType

from weft.rtl import config, isa, registers
from weft.rtl.config import Config

from .describe import FIELD_ENUMERATIONS, FLAGS
from .files import replace_files
from .presets import PRESETS

DOCS = Path(__file__).resolve().parent.parent / "docs"

_NOTE = "<!-- Written by `python -m weft.gen.reference` from {source}: change that, not this page. -->"


def pages() -> dict[str, str]:
    """The text of each generated page, by its file name."""
    return {
        "configuration.md": _page("rtl/config.py and gen/presets.py", _configuration()),
        "instructions.md": _page("rtl/isa.py", _instructions()),
        "registers.md": _page("rtl/registers.py", _registers()),
    }


def texts(module: ModuleType) -> dict[str, str]:
    """The text under each assignment and definition of a module, by dotted name ("CONV", "Config.rows").

    Python drops the strings under assignments; they are read from the source.
    """
    return dict(_texts(ast.parse(inspect.getsource(module)), ""))


def _texts(node: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, str]]:
    for before, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(before, ast.ClassDef):
            yield prefix + before.name, ast.get_docstring(before) or ""
            yield from _texts(before, f"{prefix}{before.name}.")
        elif isinstance(before, ast.FunctionDef):
            yield prefix + before.name, ast.get_docstring(before) or ""
        elif (
            isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str)
        ):
            target = before.targets[0] if isinstance(before, ast.Assign) else getattr(before, "target", None)
            if isinstance(target, ast.Name):
                yield prefix + target.id, inspect.cleandoc(after.value.value)


def _page(source: str, parts: Iterable[str]) -> str:
    title, *rest = parts
    return "\n\n".join([title, _NOTE.format(source=source), *rest]) + "\n"


def _line(text: str) -> str:
    """A text as one line of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _values(one: type[enum.Enum], text: dict[str, str], title: str = "Value") -> str:
    names = [member.name for member in one]
    told = [_line(text.get(f"{one.__name__}.{name}", "")) for name in names]
    if not any(told):
        return _table([title, "Name"], ((one[name].value, f"`{name}`") for name in names))
    return _table(
        [title, "Name", "Meaning"],
        ((one[name].value, f"`{name}`", meaning) for name, meaning in zip(names, told, strict=True)),
    )


def _configuration() -> Iterator[str]:
    text = texts(config)
    yield "# Configuration"
    yield (
        "One configuration makes the hardware, the compiler's view of it, the simulation and the board. "
        "Choose a preset (`--preset small`), name a TOML file of `parameter = value` lines "
        "(`--config FILE.toml`; its key `preset` names the preset it starts from), change single parameters "
        "(`--set rows=16`), in this order."
    )
    yield "## Parameters"
    yield _table(
        ["Parameter", "Default", "Meaning"],
        ((f"`{one.name}`", _toml(one.default), _line(text[f"Config.{one.name}"])) for one in fields(Config)),
    )
    yield "## Presets"
    yield "A preset gives every parameter; those that differ between presets are:"
    names = [one.name for one in fields(Config)]
    differing = [name for name in names if len({getattr(one, name) for one in PRESETS.values()}) > 1]
    yield _table(
        ["Parameter", *(f"`{preset}`" for preset in PRESETS)],
        ([f"`{name}`", *(_toml(getattr(one, name)) for one in PRESETS.values())] for name in differing),
    )
    yield "## Derived sizes"
    sizes = [name for name, member in vars(Config).items() if isinstance(member, property)]
    sizes = [name for name in sizes if isinstance(getattr(Config(), name), int) and name != "digest32"]
    yield _table(
        ["Size", *(f"`{preset}`" for preset in PRESETS), "Meaning"],
        (
            [f"`{name}`", *(getattr(one, name) for one in PRESETS.values()), _line(text[f"Config.{name}"])]
            for name in sizes
        ),
    )


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _instructions() -> Iterator[str]:
    text = texts(isa)
    yield "# Instructions"
    yield inspect.cleandoc(isa.__doc__ or "")
    yield "## Header"
    yield text["HEADER"]
    yield _table(
        ["Bit", "Width", "Field"],
        ((part.offset, part.width, name) for name, part in isa.HEADER),
    )
    for one in FIELD_ENUMERATIONS:
        yield f"## {one.__name__}"
        yield text[one.__name__]
        yield _values(one, text)
    for opcode in isa.LAYOUTS:
        yield f"## {opcode.name}"
        yield text[opcode.name]
        found = isa.fields(opcode).items()
        own = [(name, bit, shape) for name, (bit, shape) in found if bit >= isa.HEADER.size]
        if own:
            yield _table(
                ["Bit", "Width", "Field"],
                ((bit, f"{shape.width}{', signed' if shape.signed else ''}", f"`{name}`") for name, bit, shape in own),
            )


def _registers() -> Iterator[str]:
    text = texts(registers)
    yield "# Registers"
    yield (
        "32-bit registers behind the AXI4-Lite port, or behind the register port of an NPU without AXI. "
        "`ro` reads only, `rw` reads and writes, `rw1c` clears the bits that are written as one."
    )
    yield _table(
        ["Offset", "Register", "Access", "Meaning"],
        (
            (f"`{one.offset:#05x}`", f"`{one.name}`", one.access, _line(one.text))
            for one in registers.REGISTERS
            if one.offset < registers.COUNTERS_OFFSET
        ),
    )
    yield "## Counters"
    yield (
        f"One register per unit and activity, at {registers.COUNTERS_OFFSET:#x} + 64 x unit + 4 x activity: "
        "the cycles of the last run that the unit spent so. There is none for `IDLE`, which is the rest."
    )
    for one in (registers.Unit, registers.Activity):
        yield f"## {one.__name__}"
        yield text[one.__name__]
        yield _values(one, text)
    for one in (registers.Status, registers.Control, registers.ErrorCause):
        yield f"## {one.__name__}"
        yield text[one.__name__]
        yield _values(one, text, "Bit" if one in FLAGS else "Value")


def stale(folder: Path) -> list[str]:
    """The names of the pages in `folder` that are missing or not what the definitions say."""
    return [
        name
        for name, text in pages().items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
    ]


def main(arguments: list[str] | None = None) -> int:
    """Write the pages, or check them; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m weft.gen.reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is not current")
    parser.add_argument("--docs", type=Path, default=DOCS, metavar="FOLDER", help="where the pages are")
    options = parser.parse_args(arguments)
    if options.check:
        old = stale(options.docs)
        if old:
            print(f"not current: {', '.join(old)}; run python -m weft.gen.reference", file=sys.stderr)
        return int(bool(old))
    replace_files(options.docs, pages())
    return 0


if __name__ == "__main__":
    sys.exit(main())
