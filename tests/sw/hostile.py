"""Files made to harm, and the command line that is given them in this process: one sentence, or what was asked for."""

import contextlib
import json
import resource
import signal
import sys
from collections.abc import Iterator
from io import StringIO
from typing import Any, NamedTuple
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from weft.sw import cli

LONGEST_SENTENCE = 1500
"""Characters."""

MEMORY = 1 << 30
"""Bytes that a command may take beside what the process has."""

SECONDS = 60
"""After which a command hangs; none should take one."""

DIGITS = 5000
"""Of a number with more of them than Python reads."""


def examples(count: int) -> settings:
    """So many examples, the same in every run: the seed is the test's own source."""
    return settings(max_examples=count, derandomize=True, deadline=None, database=None)


class Ran(NamedTuple):
    """What a command did."""

    status: int
    out: str
    err: str


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Fail instead of hanging, and instead of filling the memory."""

    def hangs(number: int, frame: Any) -> None:
        raise AssertionError(f"the command takes more than {SECONDS} seconds")

    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as statm:
        size = int(statm.read().split()[0]) * resource.getpagesize()
    handler = signal.signal(signal.SIGALRM, hangs)
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, before[1]))
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)


def weft(*arguments: object) -> Ran:
    """Run `weft` with these arguments, through its own `main`; a traceback comes through as the exception."""
    out, err = StringIO(), StringIO()
    status: object = 0
    with (
        patch.object(sys, "argv", ["weft", *map(str, arguments)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        _limited(),
    ):
        try:
            cli.main()
        except SystemExit as end:
            status = end.code or 0
    assert isinstance(status, int)
    return Ran(status, out.getvalue(), err.getvalue())


def well_answered(ran: Ran) -> bool:
    """Whether the command did what was asked for; else it must have said why not in one sentence."""
    if ran.status == 0:
        assert ran.err == ""
        return True
    assert ran.status == cli.USER_ERROR
    assert ran.out == ""
    sentence = ran.err.removeprefix("weft: ").removesuffix("\n")
    assert len(ran.err) - len(sentence) == len("weft: \n"), ran.err
    assert sentence
    assert len(sentence) <= LONGEST_SENTENCE, f"{len(sentence)} characters: {sentence[:200]}"
    assert sentence.isprintable(), sentence
    return False


class Literal(str):
    """Text that stands in a file as it is."""


HUGE = Literal("1" + "0" * DIGITS)

TEXTS = st.text(max_size=8) | st.sampled_from(
    ["", "a\nb", "\x1b[31m", "x" * 3000, "int8", "float32", "NPU", "\u2028", "[/b]", "[red]", ":+1:", "0"]
)

INTEGERS = st.one_of(
    st.sampled_from([0, 1, -1, 2, 3, 127, 128, 255, -128, *(sign * (1 << bits) for bits in (16, 31, 32, 63, 64, 200)
                                                             for sign in (1, -1))]),
    st.integers(-10, 300),
)  # fmt: skip

NUMBERS = st.one_of(
    INTEGERS,
    st.just(HUGE),
    st.sampled_from([0.0, -0.0, 0.5, 1e-300, 1e-45, 1e38, 1e300, float("inf"), float("-inf"), float("nan")]),
)

VALUES = st.one_of(NUMBERS, TEXTS, st.booleans())


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the parts of a JSON value are."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield (*path, key)
        yield from places(part, (*path, key))


def to_json(value: Any) -> str:
    """JSON with the Literals in it as they are."""
    found: list[Literal] = []

    def marked(part: Any) -> Any:
        if isinstance(part, Literal):
            found.append(part)
            return f"@literal {len(found) - 1}@"
        if isinstance(part, dict):
            return {key: marked(one) for key, one in part.items()}
        return [marked(one) for one in part] if isinstance(part, list) else part

    text = json.dumps(marked(value))
    for index, literal in enumerate(found):
        text = text.replace(f'"@literal {index}@"', literal)
    return text


@st.composite
def bytes_like(draw: Any, content: bytes) -> bytes:
    """The bytes cut, with a few of them changed, or with a piece of them moved, doubled or taken out."""
    data = bytearray(content)
    place = st.integers(0, len(data) - 1)
    kind = draw(st.sampled_from(["cut", "bytes", "words", "move", "drop", "double"]))
    if kind == "cut":
        return bytes(data[: draw(place)])
    if kind in ("bytes", "words"):
        words = [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, len(data)]
        for start, byte, word in draw(
            st.lists(st.tuples(place, st.integers(0, 255), st.sampled_from(words)), min_size=1, max_size=4)
        ):
            if kind == "bytes":
                data[start] = byte
            else:
                data[start & ~3 : (start & ~3) + 4] = word.to_bytes(4, "little")
        return bytes(data)
    start, size, target = draw(place), draw(st.integers(1, max(1, len(data) // 8))), draw(place)
    piece = data[start : start + size]
    if kind != "double":
        del data[start : start + size]
    if kind != "drop":
        data[target:target] = piece
    return bytes(data)
