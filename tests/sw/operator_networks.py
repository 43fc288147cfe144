"""Random graphs around one operator, for all that the device executes besides convolutions and pooling; what
rewrites make of graphs."""

from dataclasses import dataclass, replace

import numpy as np
from weft.sw.graph import (
    Add,
    AveragePool2D,
    Clamp,
    Concat,
    Constant,
    Lookup,
    MaxPool2D,
    Multiply,
    Pad,
    Requantize,
    Reshape,
    ResizeBilinear,
    ResizeNearest,
    Slice,
    Subtract,
    Transpose,
    TransposeConv2D,
    verify,
)
from weft.sw.tflite.tables import prelu

from tests.sw.networks import Builder, evaluate


@dataclass
class Drawing(Builder):
    """A builder that draws shapes as well; without `tables` it uses nothing that takes them."""

    tables: bool = True

    def some(self, low, high):
        return int(self.random.integers(low, high + 1))

    def image(self, most=9, channels=12):
        return (1, self.some(1, most), self.some(1, most), self.some(1, channels))

    def shape(self):
        """Mostly an image, sometimes of fewer or more axes."""
        if self.random.random() < 0.6:
            return self.image()
        return (1, *(self.some(1, 6) for _ in range(self.some(1, 4))))

    def values(self, shape):
        return self.random.integers(-128, 128, shape, dtype=np.int8)

    def make(self, kind, sources, shape, like=None, **values):
        target = self.tensor(shape, like=like)
        self.operators.append(kind(f"{kind.__name__.lower()}{len(self.operators)}", tuple(sources), target, **values))
        return target

    def constant(self, shape, values=None, like=None):
        target = self.make(Constant, (), shape, like, value=self.values(shape) if values is None else values)
        return target

    def made(self, source):
        """A tensor of the same shape and scale, made of `source` or itself."""
        shape = self.tensors[source].shape
        choice = self.random.random()
        if choice < 0.3 or (not self.tables and len(shape) != 4):
            return source
        if choice < 0.5:
            return self.make(Clamp, [source], shape, source, minimum=-self.some(1, 99), maximum=self.some(1, 99))
        if self.tables and (choice < 0.7 or len(shape) != 4):
            target = self.make(Lookup, [source], shape, source, table=self.values(256))
        elif choice < 0.8:
            pool = {"window": (2, 2), "stride": (1, 1), "padding": (1, 0, 0, 1), **self.limits()}
            target = self.make(MaxPool2D, [source], shape, source, **pool)
        elif choice < 0.9:
            pool = {"window": (3, 2), "stride": (1, 1), "padding": (1, 0, 1, 1), "counts_padding": False}
            target = self.make(AveragePool2D, [source], shape, source, rounding=self.rounding, **pool, **self.limits())
        else:
            target = self.conv(source, shape[3], (3, 3), padding=(1, 1, 1, 1), **self.limits())
            self.tensors[target] = replace(
                self.tensors[target], scale=self.tensors[source].scale, zero_point=self.tensors[source].zero_point
            )
        return target

    def behind(self, source):
        """What may follow the operator and share its layers, or read its result twice."""
        choice = self.random.random()
        shape = self.tensors[source].shape
        if choice < 0.5 or not self.tables:
            return [source]
        if choice < 0.7:
            return [self.make(Lookup, [source], shape, table=self.values(256))]
        if choice < 0.8:
            return [self.make(Clamp, [source], shape, source, minimum=-self.some(0, 99), maximum=self.some(0, 99))]
        if choice < 0.9:
            return [source, self.make(Requantize, [source], shape, rounding=self.rounding)]
        return [self.make(Add, [source, source], shape, rounding=self.rounding)]


def concat(draw):
    shape, axis = draw.shape(), None
    axis = draw.some(1, len(shape) - 1)
    first = draw.input(shape)
    parts = [draw.made(first)]
    for _ in range(draw.some(1, 3)):
        other = (*shape[:axis], draw.some(1, 9), *shape[axis + 1 :])
        choice = draw.random.random()
        if choice < 0.2:
            parts.append(draw.made(parts[0]))
        elif choice < 0.4:
            value = np.broadcast_to(draw.values(draw.random.choice([1, other[-1]])), other)
            parts.append(draw.constant(other, np.ascontiguousarray(value), first))
        else:
            parts.append(draw.input(other))
            draw.tensors[parts[-1]] = replace(
                draw.tensors[parts[-1]], scale=draw.tensors[first].scale, zero_point=draw.tensors[first].zero_point
            )
            parts[-1] = draw.made(parts[-1])
    draw.random.shuffle(parts)
    size = sum(draw.tensors[one].shape[axis] for one in parts)
    axis -= len(shape) * draw.some(0, 1)
    whole = (*shape[: axis % len(shape)], size, *shape[axis % len(shape) + 1 :])
    return draw.make(Concat, parts, whole, first, axis=axis)


def pad(draw):
    source = draw.made(draw.input(draw.shape()))
    shape = draw.tensors[source].shape
    padding = tuple((0, 0) if draw.random.random() < 0.4 else (draw.some(0, 4), draw.some(0, 4)) for _ in shape)
    padding = ((0, 0), *padding[1:])
    grown = tuple(n + sum(one) for n, one in zip(shape, padding, strict=True))
    return draw.make(Pad, [source], grown, source, padding=padding, value=draw.some(-128, 127))


def slice_(draw):
    source = draw.made(draw.input(draw.shape()))
    start, step, count = [0], [1], [1]
    for size in draw.tensors[source].shape[1:]:
        whole = draw.random.random() < 0.4
        start.append(0 if whole else draw.some(0, size - 1))
        step.append(1 if whole else draw.some(1, 3))
        most = (size - start[-1] - 1) // step[-1] + 1
        count.append(most if whole else draw.some(1, most))
    return draw.make(Slice, [source], tuple(count), source, start=tuple(start), step=tuple(step))


def transpose_conv(draw):
    source = draw.made(draw.input(draw.image(6)))
    _, height, width, channels = draw.tensors[source].shape
    stride, kernel, before = ((draw.some(1, 3), draw.some(1, most)) for most in (3, 4, 3))
    kernel = draw.some(1, 5), draw.some(1, 5)
    before = tuple(draw.some(0, n - 1) for n in kernel)
    size = tuple(
        max(1, (n - 1) * s + k - 2 * b + draw.some(-1, 3))
        for n, s, k, b in zip((height, width), stride, kernel, before, strict=True)
    )
    outputs = draw.some(1, 10)
    weights = draw.values((outputs, *kernel, channels))
    target = draw.tensor((1, *size, outputs))
    values = draw.linear(source, weights, target)
    draw.operators.append(
        TransposeConv2D("transposed", (source,), target, stride=stride, before=before, **values, **draw.limits())
    )
    return target


def resize_nearest(draw):
    source = draw.made(draw.input(draw.image(6)))
    _, height, width, channels = draw.tensors[source].shape
    places = []
    for size in (height, width):
        if draw.random.random() < 0.6:
            factor = draw.some(1, 4)
            places.append(tuple(n // factor for n in range(size * factor)))
        else:
            count = draw.some(1, 14)
            places.append(tuple(int(n * size / count) for n in range(count)))
    shape = (1, len(places[0]), len(places[1]), channels)
    return draw.make(ResizeNearest, [source], shape, source, rows=places[0], columns=places[1])


def between(size, count, corners, centers):
    """Two neighbours and the second one's weight, of 1024."""
    scale = (size - 1) / (count - 1) if corners and count > 1 else size / count
    places = np.arange(count) * scale + (scale / 2 - 0.5 if centers else 0)
    places = np.rint(np.clip(places, 0, size - 1) * 1024).astype(np.int64)
    first = places >> 10
    return np.stack([first, np.minimum(first + 1, size - 1), places & 1023], axis=1).astype(np.int32)


def resize_bilinear(draw):
    source = draw.made(draw.input(draw.image(5)))
    _, height, width, channels = draw.tensors[source].shape
    factors = [int(draw.random.choice([1, 2, 2, 4, 8])), int(draw.random.choice([1, 2, 2, 4]))]
    centers = bool(draw.some(0, 1))
    places = [between(n, n * factor, False, centers) for n, factor in zip((height, width), factors, strict=True)]
    shape = (1, len(places[0]), len(places[1]), channels)
    return draw.make(ResizeBilinear, [source], shape, source, rows=places[0], columns=places[1])


def _broadcastable(draw, shape):
    """Some axes of one element, sometimes without the first one."""
    kept = [n if draw.random.random() < 0.5 else 1 for n in shape]
    return tuple(kept[draw.some(0, 1) if len(kept) > 1 else 0 :])


def _of_two(draw, kinds):
    """Of activations whose shapes are broadcast."""
    shape = draw.image() if draw.some(0, 3) else draw.shape()[:4]
    a = draw.input(shape)
    small = _broadcastable(draw, shape) if draw.some(0, 3) else shape
    b = draw.input(small if small[0] == 1 else (1, *small))
    if draw.tensors[b].shape != small:
        b = draw.make(Reshape, [b], small, b)
    operands = [draw.made(a), b] if draw.some(0, 1) else [b, draw.made(a)]
    kind = kinds[draw.some(0, len(kinds) - 1)]
    return draw.make(kind, operands, shape, rounding=draw.rounding, **draw.limits())


def sum_of_two(draw):
    return _of_two(draw, (Subtract, Add))


def product_of_two(draw):
    return _of_two(draw, (Multiply,))


def with_constant(draw):
    """A sum, difference or product."""
    shape = draw.shape()
    x = draw.input(shape)
    size = _broadcastable(draw, shape)
    kind = draw.random.choice([Add, Subtract, Multiply])
    if int(np.prod(size)) > 200:
        size = (shape[-1],)
    operands = [draw.made(x), draw.constant(size)]
    if draw.some(0, 1):
        operands.reverse()
    return draw.make(kind, operands, shape, rounding=draw.rounding, **draw.limits())


def square(draw):
    """Both operands are the same."""
    source = draw.made(draw.input(draw.shape()))
    kind = draw.random.choice([Add, Subtract, Multiply])
    return draw.make(kind, [source, source], draw.tensors[source].shape, rounding=draw.rounding, **draw.limits())


def slopes(draw):
    """PReLU with a slope for each channel, of one sign or of both."""
    source = draw.input(draw.image())
    channels = draw.tensors[source].shape[-1]
    target = draw.tensor(draw.tensors[source].shape)
    alpha = replace(draw.tensors[source], scale=float(np.float32(np.exp(draw.random.uniform(-7, -4)))), zero_point=0)
    low = -127 if draw.some(0, 1) else 0
    values = draw.random.integers(low, 128, channels, dtype=np.int8)
    if channels > 1:
        values[0] = values[1] + 1 if values[1] < 127 else 0
    table = prelu(draw.tensors[source], draw.tensors[target], alpha, values)
    draw.operators.append(Lookup("prelu", (source,), target, table=table if channels > 1 else table[0]))
    return target


def few_tables(draw):
    """Any functions of runs of channels."""
    source = draw.made(draw.input(draw.image()))
    channels = draw.tensors[source].shape[-1]
    tables = draw.values((3, 256))[np.sort(draw.random.integers(0, 3, channels))]
    return draw.make(Lookup, [source], draw.tensors[source].shape, table=tables)


def transpose(draw):
    source = draw.made(draw.input(draw.shape()))
    shape = draw.tensors[source].shape
    source = draw.make(Clamp, [source], shape, source, minimum=-100, maximum=120)
    order = (0, *(int(axis) + 1 for axis in draw.random.permutation(len(shape) - 1)))
    moved = tuple(shape[axis] for axis in order)
    target = draw.make(Transpose, [source], moved, source, permutation=order)
    return draw.make(Clamp, [target], moved, source, minimum=-90, maximum=110)


KINDS = {
    one.__name__.strip("_"): one
    for one in (
        concat, pad, slice_, transpose_conv, resize_nearest, resize_bilinear, sum_of_two, product_of_two, with_constant,
        square, slopes, few_tables, transpose,
    )
}  # fmt: skip


TABULATED = ("sum_of_two", "product_of_two", "with_constant", "square", "slopes", "few_tables")
"""Kinds that take tables."""


def network(kind, seed, tables=True):
    """A graph around one operator of a kind; several inputs, sometimes several outputs."""
    random = np.random.default_rng((seed, *kind.encode()))
    draw = Drawing(random, rounding=str(random.choice(["onnx", "tflite"])), tables=tables)
    made = KINDS[kind](draw)
    return draw.graph(*dict.fromkeys(draw.behind(made)))


def kinds(graph):
    """What operators a graph has, in order."""
    return [type(operator) for operator in graph.operators]


def samples(graph, seed):
    """One sample of every input."""
    random = np.random.default_rng(seed)
    tensors = [graph.tensors[name] for name in graph.inputs]
    return [
        random.normal(0, 3, one.shape).astype(np.float32)
        if one.dtype == "float32"
        else random.integers(-128, 128, one.shape, dtype=np.int8)
        for one in tensors
    ]


def same(before, after):
    """Both graphs give the same; returns the second one."""
    verify(after)
    assert (after.inputs, after.outputs) == (before.inputs, before.outputs)
    x = samples(before, 0)
    for one, other in zip(evaluate(before, *x), evaluate(after, *x), strict=True):
        np.testing.assert_array_equal(one, other)
    return after
