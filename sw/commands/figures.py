"""What `weft bench` measured, the bars it is held to, and the tables made of both."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table
from weft.rtl.config import Config

from ..errors import UserError
from ..report import Row, utilization

LAYER_PERCENT = 115
LAYER_CYCLES = 24
"""A layer may take 1.15 times its array passes, and R + C + 24 cycles."""

TOTAL_CYCLES = {"small": 10_500}
"""Most cycles of LeNet-5 from start to done, per preset."""

PREDICTION_SHARE, PREDICTION_CYCLES = 0.05, 8
"""A prediction may be off by 5 % of the cycles measured, or by 8 cycles if that is more."""

SIMULATION_SECONDS = 300.0
EQUAL_SHARE = 0.999
LARGEST_DIFFERENCE = 1

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
"""What stands before and behind the tables in a text."""


def layer_bar(row: Row, config: Config) -> int:
    """Most cycles of a layer."""
    return LAYER_PERCENT * (row.passes or 0) // 100 + int(config.rows + config.cols) + LAYER_CYCLES


def layers_json(rows: Sequence[Row], config: Config) -> list[dict[str, Any]]:
    """Layers as JSON has them."""
    return [
        {
            "name": row.name,
            "op": row.op,
            "macs": row.macs,
            "passes": row.passes,
            "cycles": row.cycles,
            "bar": None if row.passes is None else layer_bar(row, config),
            "predicted_cycles": row.predicted,
        }
        for row in rows
    ]


@dataclass(frozen=True)
class LeNet:
    """LeNet-5 on one preset; `rows` as in weft.sw.report."""

    preset: str
    config: Config
    rows: tuple[Row, ...]
    cycles: int

    @property
    def passes(self) -> int:
        """Cycles of all array passes, the bound."""
        return sum(row.passes or 0 for row in self.rows)

    def bar(self, row: Row) -> int:
        """Most cycles of a layer."""
        return layer_bar(row, self.config)

    def missed(self) -> Iterator[str]:
        """A sentence for each bar that was not reached."""
        limit = TOTAL_CYCLES.get(self.preset)
        if limit is not None and self.cycles > limit:
            yield f"{self.preset}: {self.cycles:,} cycles from start to done are more than {limit:,}"
        for row in self.rows:
            if row.cycles is None or row.predicted is None:
                continue
            if row.cycles > self.bar(row):
                yield f"{self.preset}: the {row.cycles:,} cycles of {row.name} are more than {self.bar(row):,}"
            if abs(row.predicted - row.cycles) > max(PREDICTION_SHARE * row.cycles, PREDICTION_CYCLES):
                yield (
                    f"{self.preset}: {row.name} was predicted to take {row.predicted:,} cycles and took {row.cycles:,}"
                )

    def as_json(self) -> dict[str, Any]:
        """All figures, as JSON has them."""
        macs = sum(row.macs for row in self.rows)
        return {
            "preset": self.preset,
            "rows": self.config.rows,
            "cols": self.config.cols,
            "macs": macs,
            "passes": self.passes,
            "cycles": self.cycles,
            "utilization": utilization(macs, self.cycles, self.config),
            "layers": layers_json(self.rows, self.config),
        }


@dataclass(frozen=True)
class Runtime:
    """The logits of the RTL against those of ONNX Runtime on the same file, as int8."""

    version: str
    logits: int
    equal: int
    largest_difference: int
    same_answers: int
    """Images that both put into the same class."""

    def missed(self, images: int) -> Iterator[str]:
        """A sentence for each bar that was not reached."""
        if self.equal < EQUAL_SHARE * self.logits:
            yield f"only {self.equal:,} of {self.logits:,} logits equal those of ONNX Runtime"
        if self.largest_difference > LARGEST_DIFFERENCE:
            yield f"a logit is {self.largest_difference} steps away from that of ONNX Runtime"
        if self.same_answers < images:
            yield f"ONNX Runtime reads {images - self.same_answers} of {images:,} images differently"


@dataclass(frozen=True)
class Mnist:
    """All test images on the simulated RTL of one preset."""

    preset: str
    images: int
    right: int
    seconds: float
    processes: int
    logits: int
    different: int
    """Logits that differ from those of the golden operators."""
    runtime: Runtime | None
    """None where ONNX Runtime is not installed."""

    def missed(self) -> Iterator[str]:
        """A sentence for each bar that was not reached."""
        if self.different:
            yield f"{self.different:,} of {self.logits:,} logits of the RTL differ from those of the golden operators"
        if self.seconds > SIMULATION_SECONDS:
            yield f"{self.images:,} images took {self.seconds:.0f} s on the RTL, more than {SIMULATION_SECONDS:.0f} s"
        if self.runtime is not None:
            yield from self.runtime.missed(self.images)

    def as_json(self) -> dict[str, Any]:
        """All figures, as JSON has them."""
        return asdict(self)


@dataclass(frozen=True)
class Sheet:
    """One table: heads and rows of cells; the first column is text, the others are numbers."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """As Markdown."""
        ruler = ["---"] + ["---:"] * (len(self.heads) - 1)
        lines = [f"| {' | '.join(cells)} |" for cells in (self.heads, ruler, *self.rows)]
        return "\n".join([f"{self.title}:", "", *lines])

    def terminal(self) -> Table:
        """For a terminal."""
        shown = Table(title=self.title, title_justify="left", title_style="bold", box=None, pad_edge=False)
        for index, head in enumerate(self.heads):
            shown.add_column(head, justify="right" if index else "left")
        for cells in self.rows:
            shown.add_row(*cells)
        return shown


def network_sheet(network: LeNet) -> Sheet:
    """Cycles, bound, ratio and bar per layer, and of the whole."""
    rows = []
    for row in network.rows:
        bound = ("", "", "") if not row.passes else _bound(row.cycles, row.passes, network.bar(row))
        predicted = "" if row.predicted is None else f"{row.predicted:,}"
        rows.append(
            (row.name, f"{row.macs:,}" if row.macs else "", *bound[:1], _count(row.cycles), *bound[1:], predicted)
        )
    macs = sum(row.macs for row in network.rows)
    limit = TOTAL_CYCLES.get(network.preset)
    whole = (f"{network.passes:,}", f"{network.cycles:,}", f"{network.cycles / network.passes:.2f}")
    predicted = f"{sum(row.predicted or 0 for row in network.rows):,}"
    rows.append(("start to done", f"{macs:,}", *whole, f"{limit:,}" if limit else "", predicted))
    share = utilization(macs, network.cycles, network.config)
    size = f"{network.config.rows}x{network.config.cols}"
    return Sheet(
        f"LeNet-5 on `{network.preset}` ({size}), {share or 0:.1%} of all multipliers' cycles used",
        ("layer", "MACs", "array passes", "cycles", "ratio", "bar", "predicted"),
        rows,
    )


def _bound(cycles: int | None, passes: int, bar: int) -> tuple[str, str, str]:
    return f"{passes:,}", f"{cycles / passes:.2f}" if cycles else "", f"{bar:,}"


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def mnist_sheet(mnist: Mnist) -> Sheet:
    """What all test images gave."""
    images = f"{mnist.images:,}"
    rows = [
        ("read right", f"{mnist.right / mnist.images:.2%}", ""),
        ("logits that equal the golden operators'", f"{mnist.logits - mnist.different:,} of {mnist.logits:,}", "all"),
    ]
    if mnist.runtime is not None:
        runtime = mnist.runtime
        name = f"ONNX Runtime {runtime.version}"
        rows += [
            (f"logits that equal {name}'s", f"{runtime.equal / runtime.logits:.3%}", f"{EQUAL_SHARE:.1%}"),
            ("largest difference, in steps of int8", str(runtime.largest_difference), str(LARGEST_DIFFERENCE)),
            (f"images read as {name} does", f"{runtime.same_answers:,} of {images}", "all"),
        ]
    count = f"{mnist.processes} process{'es' if mnist.processes > 1 else ''}"
    rows.append((f"seconds to simulate, {count}", f"{mnist.seconds:.0f}", f"{SIMULATION_SECONDS:.0f}"))
    title = f"All {images} test images of MNIST on the RTL of `{mnist.preset}`"
    return Sheet(title, ("what", "measured", "bar"), rows)


def insert(text: str, sheets: Iterable[Sheet], where: str, marks: tuple[str, str] = (BEGIN, END)) -> str:
    """The text with what stands between two marks replaced by the tables; `where` names it in errors.

    Raises
    ------
    UserError
        If the two do not stand there, each once and in order.
    """
    begin, end = marks
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise UserError(f"{where}: the text must have one line {begin} and behind it one line {end}")
    before, _, rest = text.partition(begin)
    _, _, behind = rest.partition(end)
    return "\n\n".join([before + begin, *(sheet.markdown() for sheet in sheets), end + behind])
