"""Pooling and reductions, from TFLite."""

from math import prod

from .fixed_point import factor
from .graph import TFLITE, AveragePool2D, MaxPool2D, SumPool2D
from .tflite_node import Activation, Node, Shape, geometry

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


def _reduced(node: Node) -> tuple[Activation, Shape, Activation]:
    """The input as an image, the window over it that is reduced, and the result.

    The axes that are reduced stand side by side; what is before and behind them stays.
    """
    source = node.activation()
    rank = len(source.shape)
    axes = sorted({node.axis(axis, rank) for axis in node.integers(1, "list of axes")})
    node.need(
        bool(axes) and axes == list(range(axes[0], axes[-1] + 1)),
        f"reduces the axes {axes}, supported are axes side by side",
    )
    kept = [1 if axis in axes else n for axis, n in enumerate(source.shape)]
    shape = tuple(kept) if node.option("KeepDims") else tuple(n for i, n in enumerate(source.shape) if i not in axes)
    result = node.result(shape, source)
    if rank == 4 and source.shape[0] == 1 and axes in ([1, 2], [1], [2]):
        window = (source.shape[1] if 1 in axes else 1, source.shape[2] if 2 in axes else 1)
        return source, window, result
    before, inside = prod(source.shape[: axes[0]]), prod(source.shape[axis] for axis in axes)
    behind = prod(source.shape[axes[-1] + 1 :])
    return node.reader.reshaped(source, (1, before, inside, behind), node), (1, inside), result


def _finish(node: Node, kind: type[MaxPool2D | SumPool2D], **values: int) -> None:
    source, window, result = _reduced(node)
    if kind is MaxPool2D:
        source = node.unchanged(source, result)
    size = (source.shape[1] // window[0], source.shape[2] // window[1])
    shape = (1, *size, source.shape[3])
    made = result if result.shape == shape else node.reader.derived(result, f"{result.tensor.name}.pooled", shape)
    node.add(kind, [source], made, window=window, stride=window, padding=(0, 0, 0, 0), **values)
    node.finish(node.reader.moved(made, result, node) if made is not result else result)


def reduce_max(node: Node) -> None:
    """REDUCE_MAX: over axes side by side; the scale stays."""
    _finish(node, MaxPool2D)


def _sum_factor(node: Node) -> tuple[int, int, int]:
    """Multiplier and shift of a sum, and how many elements it has."""
    source, window, result = _reduced(node)
    multiplier, shift = factor(source.tensor.scale / result.tensor.scale)
    return multiplier, shift, window[0] * window[1]


def total(node: Node) -> None:
    """SUM: over axes side by side."""
    multiplier, shift, _ = _sum_factor(node)
    _finish(node, SumPool2D, multiplier=multiplier, shift=shift)


def mean(node: Node) -> None:
    """MEAN: over axes side by side."""
    multiplier, shift, count = _sum_factor(node)
    # Source: TFLite reference/reduce.h, QuantizedMeanOrSum: the multiplier divided by the count, rounded down.
    places = min(count.bit_length() - 1, 32, 31 + shift)
    _finish(node, SumPool2D, multiplier=(multiplier << places) // count, shift=shift - places)
