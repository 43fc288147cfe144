"""What functions say, read from their sources."""

from weft.sw import graph, sentences
from weft.sw.errors import UserError
from weft.sw.graph import Clamp, Pad, Slice
from weft.sw.sentences import GAP, always_raises, said_by

LARGEST = 7
KINDS = {"one": Pad, "two": Slice}


class Node:
    def need(self, good: bool, sentence: str) -> None:
        """Not a sentence of its own."""

    def refuse(self, sentence: str) -> UserError:
        return UserError(sentence)

    @property
    def size(self) -> int:
        self.need(True, "has a size")
        return 3


class Reader:
    def clamp(self) -> Clamp:
        return Clamp("c", (), "")


def _helper(node: Node) -> str:
    node.need(True, f"is above {LARGEST}, or {node!r}")
    return "has no reason" if node else f"has the reason {node}"


def reads(node: Node, kind: Slice) -> None:
    """Names Pad or Slice by a table, and Clamp by a method; its annotations do not count."""

    def inner(node: Node) -> None:
        raise UserError(_helper(node))

    _ = KINDS["one"], inner, graph.DTYPES
    node.reader.clamp()


def only(node: Node) -> None:
    """All that it does."""
    raise node.refuse("is only refused")


def found(code="", objects=None):
    return said_by(reads, "test_", code, objects)


def test_sentences_of_inner_functions_and_of_those_that_are_called(monkeypatch):
    monkeypatch.setattr(sentences, "__package__", __name__.removesuffix(".test_sentences"))
    said = found()
    assert list(said.refused) == ["has no reason", f"has the reason {GAP}"]
    assert list(said.not_here) == [f"is above 7, or {GAP}"]


def test_operators_by_name_by_table_and_by_method(monkeypatch):
    monkeypatch.setattr(sentences, "__package__", __name__.removesuffix(".test_sentences"))
    assert list(found().operators) == [Pad, Slice]
    assert list(found("two").operators) == [Slice]
    assert set(found("two", {"reader": Reader}).operators) == {Slice, Clamp}


def test_methods_and_properties_of_a_class(monkeypatch):
    monkeypatch.setattr(sentences, "__package__", __name__.removesuffix(".test_sentences"))
    assert list(said_by(Node, "test_").not_here) == ["has a size"]


def test_modules_of_others_are_left_out():
    assert said_by(reads, "test_") == sentences.Said()


def test_a_function_that_only_raises():
    assert always_raises(only) == "refuse"
    assert always_raises(reads) == ""
    assert always_raises(3) == ""
