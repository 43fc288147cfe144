"""docs/operators.md: every operator that the readers take, where it runs, and what is refused, from the sources.

`python -m weft.sw.operators_page` writes it, with `--check` it only tells whether it is current.
"""

import argparse
import ast
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .compiler.placement import BORDER
from .files import replace_file
from .graph import Constant, OnnxNode, Operator, Reshape
from .lowering import lower
from .lowering.limits import HOST_REASONS
from .network import HOST, NOWHERE, NPU
from .network_file import operator_kinds
from .onnx import operators as onnx_operators
from .onnx import qoperators as onnx_qoperators
from .onnx.node import Node as OnnxReading
from .onnx.reader import Reader as OnnxReader
from .sentences import Said, always_raises, said_by
from .tflite import operators as tflite_operators
from .tflite.node import Node as TfliteReading
from .tflite.reader import Reader as TfliteReader

PAGE = Path(__file__).resolve().parent.parent / "docs" / "operators.md"

NOTE = (
    "<!-- Written by `python -m weft.sw.operators_page` from sw/tflite/, sw/onnx/ and sw/lowering/: change "
    "those, not this page. -->"
)

EITHER, NEITHER = f"{NPU} or {HOST}", "refused"

LOWERING = ("lowering.", "host.elementwise", "host.fixed_point", "host.multiplier")
"""Beginnings of the names of modules that bring operators to the device."""

BASES = ("Clamped", "Pool2D", "Binary")
"""Kinds of operators that stand for several."""


def page() -> str:
    """The text of the page."""
    return "\n\n".join(_page()) + "\n"


def lowered() -> dict[type[Operator], Said]:
    """What lowering says of each kind of operator that it takes."""
    tree = ast.parse(inspect.getsource(lower.lower_operator))
    (match,) = (node for node in ast.walk(tree) if isinstance(node, ast.Match))
    found: dict[type[Operator], Said] = {}
    for case in match.cases:
        patterns = case.pattern.patterns if isinstance(case.pattern, ast.MatchOr) else [case.pattern]
        names = [one.cls.id for one in patterns if isinstance(one, ast.MatchClass) and isinstance(one.cls, ast.Name)]
        for kind in operator_kinds().values():
            if (
                kind.__name__ not in BASES
                and kind not in found
                and any(issubclass(kind, getattr(lower, name)) for name in names)
            ):
                found[kind] = _said(case.body)
    return found


def _said(body: Iterable[ast.stmt]) -> Said:
    """What the functions say that statements of lower_operator call."""
    total = Said()
    for node in (node for statement in body for node in ast.walk(statement)):
        function = getattr(lower, node.id, None) if isinstance(node, ast.Name) else None
        if inspect.isfunction(function):
            one = said_by(function, LOWERING)
            total.not_here |= one.not_here
            total.refused |= one.refused
    return total


def _where(kinds: Iterable[type[Operator]], known: Mapping[type[Operator], Said]) -> str:
    places = set()
    for kind in kinds:
        if kind in known:
            places.add(EITHER if known[kind].refused else NPU)
        elif kind is not Reshape:
            places.add(HOST)
    if not places:
        return NOWHERE
    return places.pop() if len(places) == 1 else EITHER


def _page() -> Iterator[str]:
    known = lowered()
    yield "# Operators"
    yield NOTE
    yield (
        "A model's operators become operators of Weft's graph, and those run on the NPU where they can. The rest runs "
        "on the host in the same arithmetic, between programs of the NPU if need be. `weft compile MODEL` tells for "
        "each operator where it runs, and why it is not on the NPU. `weft compile --strict` refuses a model of which "
        "more runs on the host than what may stand before the first and behind the last operator of the NPU: "
        f"{', '.join(kind.__name__ for kind in BORDER)}, and transposes that bring the channels last or back."
    )
    yield (
        "The sentences below are those that the readers and the compiler say; … is what they fill in. An operator that "
        "a configuration cannot hold even alone goes to the host, too, and the compiler says what it lacks."
    )
    yield "## TFLite"
    rows = _grouped(tflite_operators.OPERATORS, "tflite.", known, TfliteReader)
    yield _table(["Operator", "Graph", "Where", "Takes"], ([names, *cells] for names, cells, _ in rows))
    yield "int8 and uint8 activations; what is uint8 in the file is int8 inside. All of these are refused where"
    yield _list({"an operator": _methods(TfliteReading)} | {names: _all(said) for names, _, said in rows})
    yield "## ONNX"
    rows = _grouped(onnx_operators.OPERATORS, "onnx.", known, OnnxReader)
    yield _table(["Operator", "Graph", "Where", "Takes"], ([names, *cells] for names, cells, _ in rows))
    yield (
        f"{_names(onnx_qoperators.EXPANSIONS)} are read as DequantizeLinear, an operator of this table, and "
        "QuantizeLinear. Operators on constants are carried out when the model is read. Every other operator of ONNX "
        "runs on the host by ONNX's reference implementation, and so do these where"
    )
    common = said_by(OnnxReading, "onnx.")
    yield _list({"an operator": list(common.not_here)} | {names: list(said.not_here) for names, _, said in rows})
    yield "A model is refused where"
    refused = {
        "an operator of the others": [
            sentence
            for _, expand in onnx_qoperators.EXPANSIONS.values()
            for sentence in said_by(expand, "onnx.qoperators").refused
        ]
    }
    own = {names: [one for one in said.refused if one not in common.refused] for names, _, said in rows}
    yield _list({"an operator": list(common.refused)} | own | refused)
    yield "## On the NPU"
    kinds = [kind for name, kind in operator_kinds().items() if name not in BASES]
    yield _table(
        ["Graph", "Where", "What it does"],
        ([f"`{kind.__name__}`", _where([kind], known), _line(inspect.getdoc(kind) or "")] for kind in kinds),
    )
    general = list(said_by(lower.lower_operator, "lower_operator").refused)
    yield "An operator runs on the host where"
    reasons = {kind: [reason] for kind, reason in HOST_REASONS.items()}
    reasons |= {kind: list(said.refused) for kind, said in known.items()}
    yield _list({"any": general} | {f"`{kind.__name__}`": found for kind, found in reasons.items()})


def _grouped(
    operators: Mapping[str, Callable[..., Any]], modules: str, known: Mapping[type[Operator], Said], reader: type
) -> list[tuple[str, list[str], Said]]:
    """Operators that are read alike in one row: their names, the other cells, and what reading them says."""
    groups: dict[str, tuple[list[str], list[str], Said]] = {}
    for name, function in operators.items():
        said = said_by(function, modules, name, {"reader": reader})
        kinds = [kind for kind in said.operators if kind not in (Constant, OnnxNode)]
        takes = _line(inspect.getdoc(function) or "").removeprefix(f"{name}: ").removeprefix(f"{name}; ")
        where = {"error": HOST, "refuse": NEITHER}.get(always_raises(function)) or _where(kinds, known)
        cells = [", ".join(f"`{kind.__name__}`" for kind in kinds), where, takes]
        key = repr((cells, list(said.not_here), list(said.refused)))
        groups.setdefault(key, ([], cells, said))[0].append(name)
    return [(_names(names), cells, said) for names, cells, said in groups.values()]


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _methods(kind: type) -> list[str]:
    return _all(said_by(kind, "tflite.node"))


def _all(said: Said) -> list[str]:
    return [*said.not_here, *said.refused]


def _list(found: Mapping[str, Iterable[str]]) -> str:
    """A line for all that have the same sentences."""
    alike: dict[str, list[str]] = {}
    for names, sentences in found.items():
        alike.setdefault("; ".join(dict.fromkeys(sentences)), []).append(names)
    return "\n".join(f"- {', '.join(names)} {sentences}" for sentences, names in alike.items() if sentences)


def _line(text: str) -> str:
    """A text as one line of a table."""
    return " ".join(text.split()).replace("|", "\\|")


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or check it; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m weft.sw.operators_page", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the page is not current")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE", help="where the page is")
    options = parser.parse_args(arguments)
    text = page()
    if not options.check:
        replace_file(options.page, text.encode())
        return 0
    current = options.page.is_file() and options.page.read_text(encoding="utf-8") == text
    if not current:
        print(f"not current: {options.page.name}; run python -m weft.sw.operators_page", file=sys.stderr)
    return int(not current)


if __name__ == "__main__":
    sys.exit(main())
