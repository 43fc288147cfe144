"""What a run took: a row per layer, as a table and as JSON.

A layer lasts from the completion of the layer before it to its own, the first from the start of the run, so that the
rows add up to the whole. What is left behind the last layer is a row of its own.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table
from weft.rtl.config import Config
from weft.rtl.registers import Activity, Unit

from .files import replace_file
from .graph import Conv2D, FullyConnected, Graph
from .network import Network
from .program import LayerInfo, Program
from .transport import RunReport, Trace

REST = "(result)"
"""The row of what follows the last layer: the result's way to memory and the interrupt."""

Stalls = Mapping[str, int]
"""Cycles by unit and cause, named like the counter registers in lower case; causes that did not occur are left out."""


@dataclass(frozen=True)
class Row:
    """One layer; None is what cannot be known."""

    name: str
    op: str
    macs: int
    cycles: int | None = None
    predicted: int | None = None
    passes: int | None = None
    """Cycles that the array needs at least."""
    stalls: Stalls = field(default_factory=dict)


def network_rows(network: Network, report: RunReport) -> list[Row]:
    """The rows of all programs of a network, one behind the other."""
    reports = report.parts or (report,)
    return [row for program, one in zip(network.programs, reports, strict=False) for row in program_rows(program, one)]


def program_rows(program: Program, report: RunReport) -> list[Row]:
    """A row per layer of the program, and one for the rest; of the last run."""
    cycles, stalls = _cycles(program.layers, report)
    rows = [
        Row(layer.name, layer.op, layer.macs, count, layer.predicted_cycles, layer.passes, stall)
        for layer, count, stall in zip(program.layers, cycles, stalls, strict=False)
    ]
    rest = cycles[len(rows)]
    return [*rows, Row(REST, "store", 0, rest, stalls=stalls[len(rows)])] if rest else rows


def _cycles(layers: Sequence[LayerInfo], report: RunReport) -> tuple[list[int | None], list[Stalls]]:
    """Cycles and stalls per layer, and of the rest."""
    trace = report.trace
    if report.cycles is None or trace is None:
        return [None] * (len(layers) + 1), [{} for _ in range(len(layers) + 1)]
    completed = dict(zip(trace.tags, trace.completed.max(axis=1).tolist(), strict=True))
    ends, end = [], 0
    for layer in layers:
        end = max(end, completed.get(layer.tag, 0))
        ends.append(end)
    ends.append(max(end, int(report.cycles[-1])))
    tags: list[list[int]] = [[] for _ in ends]
    own = {layer.tag: index for index, layer in enumerate(layers)}
    for tag, done in completed.items():
        # Transfers belong to the layer in whose time they end.
        later = next((index for index, last in enumerate(ends) if last >= done), len(layers))
        tags[own.get(tag, later)].append(tag)
    cycles = [end - before for end, before in zip(ends, [0, *ends[:-1]], strict=True)]
    return list(cycles), [_stalls(trace, some) for some in tags]


def _stalls(trace: Trace, tags: Sequence[int]) -> Stalls:
    rows = [trace.tags.index(tag) for tag in tags]
    total = trace.activity[rows].sum(axis=0)
    return {
        f"{unit.name}_{activity.name}".lower(): int(total[unit, activity])
        for unit in Unit
        for activity in Activity
        if activity not in (Activity.IDLE, Activity.BUSY) and total[unit, activity]
    }


def graph_rows(graph: Graph) -> list[Row]:
    """A row per operator of a graph that no device has run."""
    rows = []
    for operator in graph.operators:
        macs = 0
        if isinstance(operator, Conv2D | FullyConnected):
            output = graph.tensors[operator.output]
            macs = output.size // len(operator.weights) * operator.weights.size
        rows.append(Row(operator.name, type(operator).__name__, macs))
    return rows


def utilization(macs: int, cycles: int | None, config: Config | None) -> float | None:
    """The share of all multiplications the array could have done in that time."""
    return macs / (cycles * config.macs_per_cycle) if cycles and config else None


def total_cycles(report: RunReport) -> int | None:
    """Cycles of an inference, from start to interrupt: of the last run, which is the one that rows are of."""
    return None if report.cycles is None else int(report.cycles[-1])


def to_json(
    rows: Sequence[Row], report: RunReport, config: Config | None, about: Mapping[str, Any] | None = None
) -> str:
    """The text of a report: `about`, cycles per inference, MACs, utilization, and the layers."""
    cycles, macs = total_cycles(report), sum(row.macs for row in rows)
    content: dict[str, Any] = dict(about or {})
    if config is not None:
        content |= {"configuration": f"{config.digest32:08x}", "rows": config.rows, "cols": config.cols}
    content |= {"cycles": cycles, "macs": macs, "utilization": utilization(macs, cycles, config)}
    if report.cycles is not None and len(np.unique(report.cycles)) > 1:
        content |= {"cycles_least": int(report.cycles.min()), "cycles_most": int(report.cycles.max())}
    content["layers"] = [
        {
            "name": row.name,
            "op": row.op,
            "cycles": row.cycles,
            "predicted_cycles": row.predicted,
            "macs": row.macs,
            "utilization": utilization(row.macs, row.cycles, config),
            "stalls": dict(row.stalls),
        }
        for row in rows
    ]
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def write_report(path: Path, text: str) -> None:
    """Write a report as a whole.

    Raises
    ------
    UserError
        If it cannot be written.
    """
    replace_file(path, text.encode())


def table(rows: Sequence[Row], report: RunReport, config: Config) -> Table:
    """The rows and their total, for a terminal; layers overlap, so that one can seem to use more than the peak."""
    cycles, macs = total_cycles(report), sum(row.macs for row in rows)
    shown = Table(box=None, pad_edge=False, show_footer=cycles is not None)
    shown.add_column("layer", footer="total")
    shown.add_column("operator")
    predicted = sum(row.predicted or 0 for row in rows)
    share = _percent(utilization(macs, cycles, config))
    for head, foot in (
        ("MACs", f"{macs:,}"),
        ("cycles", _number(cycles)),
        ("predicted", f"{predicted:,}"),
        ("of peak", share),
    ):
        shown.add_column(head, footer=foot, justify="right")
    shown.add_column("array waits")
    for row in rows:
        part = _percent(utilization(row.macs, row.cycles, config)) if row.macs else ""
        numbers = (_number(row.macs or None), _number(row.cycles), _number(row.predicted), part)
        shown.add_row(row.name, row.op, *numbers, _waits(row.stalls))
    return shown


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _waits(stalls: Stalls) -> str:
    start = "array_wait_"
    return ", ".join(f"{count} {key[len(start) :]}" for key, count in stalls.items() if key.startswith(start))
