"""What a program's instructions say of each layer: tiles, weights, and whether those stay on the chip."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table
from weft.rtl.isa import Instruction, Opcode, Space, disassemble

from .program import LayerInfo, Program


@dataclass(frozen=True)
class Entry:
    """One layer, or one step of the host."""

    name: str
    op: str
    where: str
    """NPU or host."""
    tiles: int = 0
    """Times that sums are drained."""
    weight_bytes: int = 0
    """Bytes of weights on the chip, or that a run streams; the zeros that fill up tiles included."""
    weights: str = ""
    """Resident on the chip, or streamed in each run; empty where there are none."""
    passes: int = 0
    predicted: int = 0


def entries(program: Program) -> list[Entry]:
    """The host's steps before, the layers, the host's steps behind.

    Raises
    ------
    ValueError
        If the image of the program is no program.
    """
    instructions = disassemble(program.image[program.run :])
    before = [
        Entry(port.name, step[0], "host")
        for index, port in enumerate(program.inputs)
        for step in program.steps_before(index)
    ]
    behind = [
        Entry(port.name, step[0], "host")
        for index, port in enumerate(program.outputs)
        for step in program.steps_after(index)
    ]
    return [*before, *(_layer(program, layer, instructions) for layer in program.layers), *behind]


def _layer(program: Program, layer: LayerInfo, instructions: Sequence[Instruction]) -> Entry:
    config = program.config
    own = [one for one in instructions if one.opcode is not Opcode.END and one.tag == layer.tag]
    streamed = [one.bytes for one in own if one.opcode is Opcode.LOAD and one.space == Space.WEIGHTS.value]
    resident = {
        one.weights: one.n_count * one.ky_count * one.kx_count * -(-one.run // config.rows)
        for one in own
        if one.opcode is Opcode.CONV
    }
    return Entry(
        layer.name,
        layer.op,
        "NPU",
        sum(one.opcode is Opcode.DRAIN for one in own),
        sum(streamed) or sum(resident.values()) * config.macs_per_cycle,
        ("streamed" if streamed else "resident") if resident else "",
        layer.passes,
        layer.predicted_cycles,
    )


def table(program: Program) -> Table:
    """The entries and their total, for a terminal."""
    found = entries(program)
    shown = Table(box=None, pad_edge=False, show_footer=True)
    shown.add_column("layer", footer="total")
    shown.add_column("operator")
    shown.add_column("where")
    for head, total in (
        ("tiles", sum(one.tiles for one in found)),
        ("array passes", sum(one.passes for one in found)),
        ("predicted cycles", sum(one.predicted for one in found)),
        ("weight bytes", sum(one.weight_bytes for one in found)),
    ):
        shown.add_column(head, footer=f"{total:,}", justify="right")
    shown.add_column("weights")
    for one in found:
        numbers = (one.tiles, one.passes, one.predicted, one.weight_bytes)
        cells = (f"{number:,}" if one.where == "NPU" else "" for number in numbers)
        shown.add_row(one.name, one.op.replace("_", " "), one.where, *cells, one.weights)
    return shown
