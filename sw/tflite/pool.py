"""Pooling and reductions, from TFLite."""

from dataclasses import dataclass
from math import prod

from ..graph import TFLITE, AveragePool2D, MaxPool2D, MeanPool2D
from ..host.fixed_point import factor
from .node import Activation, Node, Shape, geometry

OFFSET = 128
"""How much higher uint8 is than the int8 that stands for it."""


def _window(node: Node) -> tuple[int, int]:
    return int(node.option("FilterHeight")), int(node.option("FilterWidth"))


def max_pool(node: Node) -> None:
    """MAX_POOL_2D: any window, stride and padding; the scale stays."""
    source = node.image()
    places = geometry(node, source, _window(node))
    result = node.result((1, *places.count, source.shape[3]), source)
    node.add(
        MaxPool2D,
        [node.unchanged(source, result)],
        result,
        window=_window(node),
        stride=places.stride,
        padding=places.padding,
        **node.limits(result.tensor),
    )
    node.finish(result)


def average_pool(node: Node) -> None:
    """AVERAGE_POOL_2D: any window, stride and padding, which does not count; the scale stays."""
    source = node.image()
    places = geometry(node, source, _window(node))
    result = node.result((1, *places.count, source.shape[3]), source)
    node.add(
        AveragePool2D,
        [node.unchanged(source, result)],
        result,
        window=_window(node),
        stride=places.stride,
        padding=places.padding,
        counts_padding=False,
        rounding=TFLITE,
        origin=-OFFSET if source.unsigned else 0,
        **node.limits(result.tensor),
    )
    node.finish(result)


@dataclass(frozen=True)
class Reduction:
    """Axes that stand side by side, as a window on an image."""

    node: Node
    source: Activation
    result: Activation
    shape: Shape
    """The input as an image: the axes of the file, or (1, those before, those reduced, those behind)."""
    window: tuple[int, int]

    @classmethod
    def of(cls, node: Node) -> "Reduction":
        """That of a node with a constant list of axes as input 1."""
        source = node.activation()
        old = source.shape
        axes = sorted({node.axis(axis, len(old)) for axis in node.integers(1, "list of axes")})
        node.need(
            bool(axes) and axes == list(range(axes[0], axes[-1] + 1)),
            f"reduces the axes {axes}, supported are axes side by side",
        )
        kept = tuple(1 if axis in axes else n for axis, n in enumerate(old))
        if not node.option("KeepDims"):
            kept = tuple(n for axis, n in enumerate(old) if axis not in axes)
        result = node.result(kept, source)
        if len(old) == 4 and old[0] == 1 and axes in ([1, 2], [1], [2]):
            return cls(node, source, result, old, (old[1] if 1 in axes else 1, old[2] if 2 in axes else 1))
        inside = prod(old[axis] for axis in axes)
        image = (1, prod(old[: axes[0]]), inside, prod(old[axes[-1] + 1 :]))
        return cls(node, source, result, image, (1, inside))

    @property
    def count(self) -> int:
        """Elements per result."""
        return self.window[0] * self.window[1]

    def pool(self, kind: type[MaxPool2D | MeanPool2D], source: Activation, **values: int) -> None:
        """Append the pooling operator and what shapes need before and behind it."""
        reader, result = self.node.reader, self.result
        shape = (1, self.shape[1] // self.window[0], self.shape[2] // self.window[1], self.shape[3])
        made = result
        if result.shape != shape:
            made = reader.derived(result, f"{result.tensor.name}.pooled", shape)
        image = reader.reshaped(source, self.shape, self.node)
        self.node.add(kind, [image], made, window=self.window, stride=self.window, padding=(0, 0, 0, 0), **values)
        if made is not result:
            reader.reshape_to(made, result, self.node)
        self.node.finish(result)


def reduce_max(node: Node) -> None:
    """REDUCE_MAX: over axes side by side; the scale stays."""
    reduction = Reduction.of(node)
    reduction.pool(MaxPool2D, node.unchanged(reduction.source, reduction.result))


def mean(node: Node) -> None:
    """MEAN: over axes side by side."""
    reduction = Reduction.of(node)
    multiplier, shift = factor(reduction.source.tensor.scale / reduction.result.tensor.scale)
    # Source: TFLite reference/reduce.h, QuantizedMeanOrSum: the multiplier is divided by the count and rounded down.
    places = min(reduction.count.bit_length() - 1, 31 + shift)
    reduction.pool(
        MeanPool2D,
        reduction.source,
        multiplier=(multiplier << places) // reduction.count,
        shift=shift - places,
    )
