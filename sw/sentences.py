"""What functions say when they refuse something, read from their sources: so limits are written once."""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import FunctionType, ModuleType
from typing import Any

from .graph import Operator

GAP = "…"
"""What stands in a sentence for a value that is known only when it is said."""

NOT_HERE = {"need": 1, "error": 0, "HostError": 0}
"""Calls with a sentence, and which argument it is: on ONNX nodes they say that the NPU does not run them."""
REFUSED = {"demand": 1, "refuse": 0, "UserError": 0}
"""Calls that end the reading or the lowering."""


@dataclass
class Said:
    """What was found in a function and in those that it uses; in the order of the sources, each once."""

    operators: dict[type[Operator], None] = field(default_factory=dict)
    """Kinds that are named."""
    not_here: dict[str, None] = field(default_factory=dict)
    refused: dict[str, None] = field(default_factory=dict)


def said_by(
    function: Any, modules: str | tuple[str, ...], code: str = "", objects: Mapping[str, type] | None = None
) -> Said:
    """What a function says, and those functions and classes of ours that it names and that are in modules whose names
    begin with `modules`.

    Parameters
    ----------
    code
        Of tables that have this key, only its entry counts.
    objects
        Names of variables and attributes, and the class whose methods are called on them; calls on all others that a
        function gets are left out.
    """
    beginnings = (modules,) if isinstance(modules, str) else modules
    search = _Search(beginnings, code, objects or {})
    search.visit(function)
    return search.found


def always_raises(function: Any) -> str:
    """The call whose error is all that a function has, or ""."""
    body = getattr(_tree(function).body[0], "body", []) if isinstance(function, FunctionType) else []
    statements = [one for one in body if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))]
    if len(statements) == 1 and isinstance(statements[0], ast.Raise) and isinstance(statements[0].exc, ast.Call):
        return _called(statements[0].exc)
    return ""


class _Search:
    def __init__(self, modules: tuple[str, ...], code: str, objects: Mapping[str, type]) -> None:
        self.modules = tuple(f"{__package__}.{one}" for one in modules)
        self.code = code
        self.objects = objects
        self.found = Said()
        self.seen: set[int] = set()

    def visit(self, thing: Any) -> None:
        """Go through whatever a name may stand for."""
        if id(thing) in self.seen:
            return
        self.seen.add(id(thing))
        if isinstance(thing, type) and issubclass(thing, Operator):
            self.found.operators[thing] = None
        elif isinstance(thing, Mapping):
            for one in [thing[self.code]] if self.code in thing else thing.values():
                if isinstance(one, type | FunctionType):
                    self.visit(one)
        elif isinstance(thing, type) and thing.__module__.startswith(self.modules):
            for name, member in vars(thing).items():
                if not name.startswith("__"):
                    self.visit(getattr(member, "__func__", getattr(member, "fget", member)))
        elif isinstance(thing, FunctionType) and thing.__module__.startswith(self.modules):
            tree, scope = _tree(thing), _scope(thing)
            _collect(tree, scope, self.found)
            for node in ast.walk(tree):
                if isinstance(node, ast.Attribute) and _last(node.value) in self.objects:
                    self.visit(getattr(self.objects[_last(node.value)], node.attr, None))
                elif isinstance(node, ast.Name | ast.Attribute):
                    self.visit(_resolved(node, scope))


def _last(node: ast.AST) -> str:
    """The name of a variable, or of an attribute of whatever."""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _called(node: ast.Call) -> str:
    return _last(node.func)


@cache
def _tree(function: FunctionType) -> ast.Module:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(tree):
        # Annotations name what is not used.
        for name in ("annotation", "returns"):
            if hasattr(node, name):
                setattr(node, name, None)
    return tree


def _scope(function: FunctionType) -> dict[str, Any]:
    """What the names in a function mean that are not its own."""
    nonlocals = inspect.getclosurevars(function).nonlocals
    return {**function.__globals__, **nonlocals}


def _resolved(node: ast.AST, scope: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return scope.get(node.id)
    if isinstance(node, ast.Attribute):
        owner = _resolved(node.value, scope) if isinstance(node.value, ast.Name) else None
        return getattr(owner, node.attr, None) if isinstance(owner, ModuleType | type) else None
    return None


def _collect(tree: ast.AST, scope: Mapping[str, Any], found: Said) -> None:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = _called(node)
        for calls, sentences in ((NOT_HERE, found.not_here), (REFUSED, found.refused)):
            if name in calls and len(node.args) > calls[name]:
                for text in _texts(node.args[calls[name]], scope):
                    if any(one.isalpha() for one in text):
                        sentences[text] = None


def _texts(node: ast.AST, scope: Mapping[str, Any]) -> Iterator[str]:
    """The sentences that an expression may be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(_part(one, scope) for one in node.values)
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body, scope)
        yield from _texts(node.orelse, scope)
    elif isinstance(node, ast.Call) and isinstance(function := _resolved(node.func, scope), FunctionType):
        inner = _scope(function)
        for one in ast.walk(_tree(function)):
            if isinstance(one, ast.Return) and one.value is not None:
                yield from _texts(one.value, inner)


def _part(node: ast.AST, scope: Mapping[str, Any]) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if not isinstance(node, ast.FormattedValue) or node.format_spec is not None:
        return GAP
    try:
        value = eval(compile(ast.Expression(node.value), "sentence", "eval"), dict(scope))
    except (NameError, AttributeError, TypeError, IndexError, KeyError):
        return GAP
    text = repr(value) if node.conversion == ord("r") else str(value)
    return text if isinstance(value, str | int | float | tuple) else GAP
