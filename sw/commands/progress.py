"""Steps of work on the terminal: what is being done, how far it is, and the time it took."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

Advance = Callable[[int, int], None]
"""Called with the number of items done and that of all."""


PIPE_WIDTH = 100
"""Columns where standard output is no terminal."""


def standard_output() -> Console:
    """Where results are printed."""
    console = Console()
    return console if console.is_terminal else Console(width=PIPE_WIDTH)


class Steps:
    """Shows the step that is being done, if there is a terminal; `seconds` keeps the time of each.

    With `lines` each step that is done leaves a line, even without a terminal. The console is standard error if none is
    given.
    """

    def __init__(self, console: Console | None = None, lines: bool = False) -> None:
        self.console = console or Console(stderr=True)
        self.lines = lines
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, text: str) -> Iterator[Advance]:
        """A spinner with the time elapsed; a bar as soon as what is yielded is called."""
        columns = (
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
        )
        counting = (*columns[:2], BarColumn(), MofNCompleteColumn(), columns[2])
        start = time.perf_counter()
        with Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal) as progress:
            task = progress.add_task(text, total=None)

            def advance(done: int, total: int) -> None:
                progress.columns = counting
                progress.update(task, completed=done, total=total)

            yield advance
        self.seconds[text] = time.perf_counter() - start
        if self.lines:
            self.console.print(f"{escape(text)} [dim]{self.seconds[text]:.1f} s[/]", highlight=False)
