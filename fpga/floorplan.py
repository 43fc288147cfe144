"""A picture of where place and route has put which part of a design."""

import json
import re
from collections import Counter
from collections.abc import Container
from dataclasses import dataclass
from xml.sax.saxutils import escape

_BEL = re.compile(r"X(\d+)/?Y(\d+)/")

COLOURS = (
    *("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#76b7b2", "#edc948"),
    *("#b07aa1", "#ff9da7", "#9c755f", "#8cd17d", "#499894", "#d37295"),
)
OTHER, OTHER_COLOUR = "other", "#bab0ac"
WRITTEN = "top"
"""The module's name in what nextpnr for ECP5 writes, whatever the design's top is called."""
TILE = 8
"""Pixels of a tile's side."""


@dataclass(frozen=True)
class Cell:
    """A placed cell: the modules it is in, outermost first, its type and the tile it is in."""

    path: tuple[str, ...]
    type: str
    x: int
    y: int


def placement(text: str, top: str) -> list[Cell]:
    """The cells of the JSON that nextpnr writes with `--write`, in the order of their names.

    Parameters
    ----------
    text
        The JSON.
    top
        Name of the top module.
    """
    modules = json.loads(text)["modules"]
    module = modules[top] if top in modules else modules[WRITTEN]
    nets = {bit: name for name, net in module["netnames"].items() for bit in net["bits"]}
    cells = []
    for name, cell in sorted(module["cells"].items()):
        place = _BEL.match(cell["attributes"].get("NEXTPNR_BEL", ""))
        if place is None:
            continue
        path = _path(name)
        if not path:
            # Cells that the tools made have names of their own; what they are connected to says where they belong.
            around = Counter(
                found for bits in cell["connections"].values() for bit in bits if (found := _path(nets.get(bit, "")))
            )
            path = min(around, key=lambda one: (-around[one], one), default=())
        cells.append(Cell(path, cell["type"], int(place[1]), int(place[2])))
    return cells


def _path(name: str) -> tuple[str, ...]:
    """The modules in a flattened name, "core.array.psum" gives (core, array)."""
    parts = name.split(".")
    return tuple(parts[:-1]) if not name.startswith("$") else ()


def units(cells: list[Cell], most: int = len(COLOURS)) -> list[tuple[str, ...]]:
    """The parts to tell apart, as paths of modules, largest first: at most `most`.

    A module that holds more than half of all cells is replaced by what is in it. What is too small for a colour of its
    own belongs to no part.
    """
    sizes: Counter[tuple[str, ...]] = Counter(
        cell.path[:length] for cell in cells for length in range(1, len(cell.path) + 1)
    )
    parts: set[tuple[str, ...]] = {path for path in sizes if len(path) == 1}
    while parts:
        largest = max(parts, key=lambda path: (sizes[path], path))
        inside = {path for path in sizes if path[:-1] == largest}
        if 2 * sizes[largest] <= len(cells) or not inside:
            break
        parts = parts - {largest} | inside
    return sorted(parts, key=lambda path: (-sizes[path], path))[:most]


def _part(path: tuple[str, ...], known: Container[tuple[str, ...]]) -> tuple[str, ...]:
    return next((path[:length] for length in range(len(path), 0, -1) if path[:length] in known), ())


def draw(cells: list[Cell], title: str) -> str:
    """SVG of the device: each tile in the colour of the part that has most cells in it, paler the fewer they are."""
    known = units(cells)
    colours = {path: COLOURS[index] for index, path in enumerate(known)}
    tiles: dict[tuple[int, int], Counter[tuple[str, ...]]] = {}
    for cell in cells:
        tiles.setdefault((cell.x, cell.y), Counter())[_part(cell.path, known)] += 1
    width = max((x for x, _ in tiles), default=0) + 1
    height = max((y for _, y in tiles), default=0) + 1
    legend = 230
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{TILE * width + legend}" '
        f'height="{max(TILE * height, 20 * (len(known) + 3))}" font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<rect width="{TILE * width}" height="{TILE * height}" fill="#f4f4f4"/>',
    ]
    for (x, y), counts in sorted(tiles.items()):
        unit = min(counts, key=lambda one: (-counts[one], one))
        opacity = 0.4 + 0.1 * min(counts.total(), 6)
        lines.append(
            f'<rect x="{TILE * x}" y="{TILE * y}" width="{TILE}" height="{TILE}" '
            f'fill="{colours.get(unit, OTHER_COLOUR)}" fill-opacity="{opacity:.1f}"/>'
        )
    sizes = Counter(_part(cell.path, known) for cell in cells)
    left = TILE * width + 12
    lines.append(f'<text x="{left}" y="18" font-weight="bold">{escape(title)}</text>')
    for row, path in enumerate([*known, ()]):
        top = 20 * row + 32
        lines += [
            f'<rect x="{left}" y="{top}" width="14" height="14" fill="{colours.get(path, OTHER_COLOUR)}"/>',
            f'<text x="{left + 20}" y="{top + 12}">{escape(path[-1] if path else OTHER)}: {sizes[path]} cells</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])
