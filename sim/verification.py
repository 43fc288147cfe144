"""Rows of figures that verification yields, and the run of all campaigns side by side.

A campaign is a function without arguments that yields a `Row` for each thing that it has counted:

    def resets(first: int, count: int) -> Iterator[Row]:
        start, failures = process_time(), []
        for seed in range(first, first + count):
            if not recovered(seed):
                failures.append(f"seed {seed}: the inference after the reset is wrong")
        seeds = f"{first} to {first + count - 1}"
        yield Row("resets at random cycles", count, failures, count, process_time() - start, seeds)

It becomes a part of `make verify` by a line in CAMPAIGNS of tests/verify.py, where functools.partial gives it its
arguments. Campaigns run in processes of their own, as many at once as there are processors, so a long one is better
named several times with a part of its seeds each: rows of the same `what` are added up, bars and failures, too. A
campaign starts no processes itself. It must not stop at the first failure, and says for each how to have it again.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context

from weft.sw.commands.figures import Sheet


@dataclass(frozen=True)
class Row:
    """One thing that was counted.

    Raises
    ------
    ValueError
        Without a name.
    """

    what: str
    count: float
    """How many were tried, proven, killed ...; with `unit` "%" a share."""
    failures: Sequence[str]
    """One sentence for each that went wrong, with the seed that repeats it."""
    bar: float
    """The least that `count` must be. None of them may fail, whatever the count."""
    seconds: float
    """Of one processor."""
    seed: str
    """The seeds that were used, `none` where there is no chance in it."""
    unit: str = ""

    def __post_init__(self) -> None:
        if not self.what:
            raise ValueError("a row of figures needs a name")

    @property
    def reached(self) -> bool:
        """Enough were counted, and none failed."""
        return not self.failures and self.count >= self.bar

    def plus(self, other: "Row") -> "Row":
        """Both in one: the counts of two parts of a campaign."""
        return replace(
            self,
            count=self.count + other.count,
            failures=[*self.failures, *other.failures],
            bar=self.bar + other.bar,
            seconds=self.seconds + other.seconds,
            seed=", ".join(dict.fromkeys((self.seed, other.seed))),
        )

    def missed(self) -> Iterator[str]:
        """A sentence for each failure, and one for a bar that was not reached."""
        yield from (f"{self.what}: {sentence}" for sentence in self.failures)
        if self.count < self.bar:
            yield f"{self.what}: {self.count:,}{self.unit} are less than {self.bar:,}{self.unit}"


Campaign = Callable[[], Iterable[Row]]


def added(rows: Iterable[Row]) -> list[Row]:
    """Rows of the same name added up, in the order in which the names came first."""
    found: dict[str, Row] = {}
    for row in rows:
        found[row.what] = found[row.what].plus(row) if row.what in found else row
    return list(found.values())


def _rows(campaign: Campaign) -> list[Row]:
    return list(campaign())


def run_campaigns(
    campaigns: Mapping[str, Campaign], processes: int, progress: Callable[[str, Sequence[Row]], None]
) -> list[Row]:
    """Run campaigns, so many at once, begun in their order; `progress` is told the name and the rows of each that is
    done. A campaign that ends with an exception is a failure of its name.

    Returns
    -------
    list of Row
        In the order of the campaigns, those of the same name added up.
    """
    results: dict[str, list[Row]] = {}
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(_rows, campaign): name for name, campaign in campaigns.items()}
        for future in as_completed(running):
            name = running[future]
            try:
                results[name] = future.result()
            except Exception as error:
                results[name] = [Row(name, 0, [f"it ended with {type(error).__name__}: {error}"], 1, 0.0, "none")]
            progress(name, results[name])
    return added(row for name in campaigns for row in results[name])


def sheet(rows: Iterable[Row]) -> Sheet:
    """The table of all figures."""
    cells = [
        (
            row.what,
            f"{row.count:,}{row.unit}",
            f"{len(row.failures):,}",
            f"{row.bar:,}{row.unit}",
            f"{row.seconds:,.0f}",
            row.seed,
        )
        for row in rows
    ]
    return Sheet("Measured by `make verify`", ("what", "count", "failures", "bar", "seconds", "seeds"), cells)
