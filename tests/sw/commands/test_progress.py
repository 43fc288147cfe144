import re
from io import StringIO

import pytest
from rich.console import Console
from weft.sw.commands.progress import Steps


def test_a_step_done_is_a_line_with_its_time():
    text = StringIO()
    steps = Steps(Console(file=text, width=80), lines=True)
    with steps.step("Reading [all] of it") as advance:
        advance(1, 2)
    assert re.fullmatch(r"Reading \[all\] of it \d+\.\d s\n", text.getvalue())
    assert list(steps.seconds) == ["Reading [all] of it"]
    assert 0 <= steps.seconds["Reading [all] of it"] < 10


def test_without_a_terminal_nothing_is_shown_unless_asked_for():
    text = StringIO()
    with Steps(Console(file=text)).step("Reading") as advance:
        advance(1, 2)
    assert text.getvalue() == ""


def test_a_terminal_sees_a_spinner_then_a_bar():
    text = StringIO()
    steps = Steps(Console(file=text, force_terminal=True, width=80))
    with steps.step("Waiting"):
        pass
    assert "Waiting" in text.getvalue()
    assert "/" not in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text.getvalue())
    with steps.step("Counting") as advance:
        advance(250, 898)
    assert "250/898" in text.getvalue()


def test_a_step_that_fails_leaves_no_line():
    text = StringIO()
    steps = Steps(Console(file=text), lines=True)
    with pytest.raises(KeyboardInterrupt), steps.step("Reading"):
        raise KeyboardInterrupt
    assert text.getvalue() == ""
    assert steps.seconds == {}
