"""What becomes of a model: a row per operator with what it takes on the device."""

from dataclasses import dataclass

from rich.table import Table

from ..network import NPU, Network, Row
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


def table(network: Network) -> Table:
    """The entries and their total, for a terminal."""
    found = entries(network)
    several = len(network.programs) > 1
    shown = Table(box=None, pad_edge=False, show_footer=True)
    shown.add_column("name", footer="total", overflow="fold")
    shown.add_column("operator", overflow="fold")
    shown.add_column("where")
    for head, total in (
        ("tiles", sum(layer.tiles for layer in network.layers)),
        ("cycles", sum(layer.predicted_cycles for layer in network.layers)),
        ("bytes moved", sum(layer.moved_bytes for layer in network.layers)),
    ):
        shown.add_column(head, footer=f"{total:,}", justify="right")
    shown.add_column("weights")
    shown.add_column("why", overflow="fold", ratio=1)
    for one in found:
        numbers = (one.tiles, one.predicted, one.moved_bytes)
        cells = (f"{number:,}" if one.weights else "" for number in numbers)
        where = f"{one.row.where} {one.row.program + 1}" if several and one.row.program >= 0 else one.row.where
        shown.add_row(one.row.name, one.row.op, where, *cells, one.weights, one.row.note)
    return shown
