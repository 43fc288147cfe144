"""What becomes of a model: a row per operator with what it takes on the device."""

from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from ..network import HOST, NPU, Network, Row
from ..program import LayerInfo


@dataclass(frozen=True)
class Entry:
    """One operator; numbers are zero where it has no layer of its own."""

    row: Row
    tiles: int = 0
    """Times that sums are drained."""
    predicted: int = 0
    """Cycles."""
    moved_bytes: int = 0
    """Bytes from and to memory."""
    weights: str = ""
    """Resident on the chip, or streamed in each run; empty where there are none."""


def entries(network: Network) -> list[Entry]:
    """An entry per row of the network."""
    return [_entry(row, network) for row in network.rows]


def _entry(row: Row, network: Network) -> Entry:
    programs = network.programs
    own: list[LayerInfo] = []
    if row.where == NPU and 0 <= row.program < len(programs):
        own = [layer for layer in programs[row.program].layers if layer.name in row.layers]
    if not own:
        return Entry(row)
    return Entry(
        row,
        sum(layer.tiles for layer in own),
        sum(layer.predicted_cycles for layer in own),
        sum(layer.moved_bytes for layer in own),
        "streamed" if any(layer.streamed for layer in own) else "resident",
    )


COLUMNS = ("name", "operator", "where", "tiles", "cycles", "bytes moved", "weights", "why")
NUMBERS = ("tiles", "cycles", "bytes moved")

FITTED = {"operator": 14, "why": 16, "name": 48}
"""Columns that give way in a narrow terminal, the last one first, and how wide they may stay then."""

NARROWEST = 10
"""Of those columns."""

BESIDE = "in the layer of "
"""How the note of an operator begins that has no layer of its own."""


def table(network: Network) -> Table:
    """The entries and their total, a line each; it may be of any width."""
    return _table(network, {})


def report(network: Network, width: int) -> Group:
    """The entries and their total for a terminal of so many columns, and the network in a sentence.

    Where a terminal is narrower than the table, long names end in an ellipsis, and reasons are numbered and told below.
    """
    whole = table(network)
    parts: list[RenderableType] = [whole]
    if _measured(whole) > width:
        reasons = [one.row.note for one in entries(network) if one.row.where == HOST and one.row.note]
        numbers = {reason: number for number, reason in enumerate(dict.fromkeys(reasons), 1)}
        shown = _table(network, numbers)
        spare = _measured(shown) - width
        for name, most in reversed(FITTED.items()):
            column = shown.columns[COLUMNS.index(name)]
            own = _widest(column)
            kept = min(own, max(min(most, own - spare), NARROWEST))
            column.no_wrap, column.overflow, column.min_width, column.max_width = True, "ellipsis", kept, kept
            spare -= own - kept
        for column in shown.columns:
            if column.header not in FITTED:
                column.no_wrap = True
                column.min_width = _widest(column)
        parts = [shown, *_told(numbers)]
    return Group(*parts, "", Text(summary(network), overflow="fold"))


def _widest(column: Column) -> int:
    """Columns of the terminal that the cells of a table's column take."""
    return max(Text.from_markup(str(cell)).cell_len for cell in (*column.cells, column.header, column.footer))


def _measured(shown: Table) -> int:
    """Columns of the terminal that a table takes, if it may have them."""
    return Console(width=1 << 14).measure(shown).maximum


def summary(network: Network) -> str:
    """How much of the network is on the device, in how many cycles."""
    rows = [row for row in network.rows if row.where in (NPU, HOST)]
    there = sum(row.where == NPU for row in rows)
    cycles = sum(layer.predicted_cycles for layer in network.layers)
    text = f"{there} of {len(rows)} operators on the NPU"
    if not network.programs:
        return f"{text}."
    programs = "a program" if len(network.programs) == 1 else f"{len(network.programs)} programs"
    busy = sum(layer.macs for layer in network.layers) / max(cycles, 1) / network.config.macs_per_cycle
    return f"{text}, in {programs} of {cycles:,} cycles, {busy:.1%} of all multipliers' cycles used."


def _told(numbers: dict[str, int]) -> list[RenderableType]:
    """A line, or a few, per reason."""
    if not numbers:
        return []
    told = Table(box=None, pad_edge=False, show_header=False)
    told.add_column(justify="right", no_wrap=True)
    told.add_column(overflow="fold")
    for reason, number in numbers.items():
        told.add_row(f"({number})", reason)
    return ["", told]


def _table(network: Network, numbers: dict[str, int]) -> Table:
    """With reasons by their numbers, if they have some."""
    several = len(network.programs) > 1
    shown = Table(box=None, pad_edge=False, show_footer=True)
    totals = {
        "tiles": sum(layer.tiles for layer in network.layers),
        "cycles": sum(layer.predicted_cycles for layer in network.layers),
        "bytes moved": sum(layer.moved_bytes for layer in network.layers),
    }
    for head in COLUMNS:
        footer = f"{totals[head]:,}" if head in totals else "total" if head == "name" else ""
        right = head in NUMBERS
        shown.add_column(head, footer=footer, justify="right" if right else "left", no_wrap=right, overflow="fold")
    for one in entries(network):
        figures = (one.tiles, one.predicted, one.moved_bytes)
        cells = (f"{figure:,}" if one.weights else "" for figure in figures)
        where = f"{one.row.where} {one.row.program + 1}" if several and one.row.program >= 0 else one.row.where
        note = f"({numbers[one.row.note]})" if one.row.note in numbers else one.row.note
        note = note.replace(BESIDE, "in ", 1) if numbers and note.startswith(BESIDE) else note
        where = f"[yellow]{where}[/]" if one.row.where == HOST else where
        shown.add_row(escape(one.row.name), one.row.op, where, *cells, one.weights, escape(note))
    return shown
