"""Small images on a terminal: two pixels per character."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

MARGIN = 4
"""Pixels of MNIST's images that are empty on all sides."""

HALVES = {(False, False): " ", (True, False): "▀", (False, True): "▄", (True, True): "█"}

INK = 140
"""Level from which a pixel is drawn."""


def draw(image: NDArray[Any]) -> Text:
    """An image (rows, columns) of uint8, ink is 255, with its margin cut off."""
    inner = image[MARGIN:-MARGIN, MARGIN:-MARGIN]
    rows = inner.shape[0] // 2 * 2
    ink = inner[:rows] >= INK
    lines = [
        "".join(HALVES[bool(a), bool(b)] for a, b in zip(*ink[row : row + 2], strict=True)) for row in range(0, rows, 2)
    ]
    return Text("\n".join(lines))


def gallery(images: Sequence[NDArray[Any]], labels: Sequence[int], read: Sequence[int]) -> RenderableType:
    """Images side by side, each with what it was read as; what was misread says so."""
    shown = Table.grid(padding=(0, 2))
    pictures, captions = [], []
    for image, label, answer in zip(images, labels, read, strict=True):
        pictures.append(draw(np.asarray(image)))
        good = int(label) == int(answer)
        captions.append(
            Text(f"read as {answer}" if good else f"a {label} read as {answer}", "green" if good else "red")
        )
    for _ in pictures:
        shown.add_column()
    shown.add_row(*pictures)
    shown.add_row(*captions)
    return shown
