"""Operators that move values and compute none, from TFLite; and resizing, which nearly does."""

import numpy as np
from numpy.typing import NDArray

from ..graph import Concat, Lookup, Pad, Reshape, ResizeBilinear, ResizeNearest, Slice, Transpose
from . import shapes, tables
from .node import Activation, Constant, Node, Shape

LARGEST_SIDE = 1 << 16
"""Of a resized image."""


def _reshape(node: Node, source: Activation, shape: Shape, index: int = 0) -> None:
    result = node.result(shape, source, index)
    node.add(Reshape, [node.unchanged(source, result)], result)
    node.finish(result, index)


def reshape(node: Node) -> None:
    """RESHAPE to a constant shape."""
    source = node.any_activation(0)
    _reshape(node, source, shapes.reshape(node, source.shape))


def squeeze(node: Node) -> None:
    """SQUEEZE."""
    source = node.any_activation(0)
    _reshape(node, source, shapes.squeeze(node, source.shape))


def expand_dims(node: Node) -> None:
    """EXPAND_DIMS at a constant axis."""
    source = node.any_activation(0)
    _reshape(node, source, shapes.expand(node, source.shape))


def transpose(node: Node) -> None:
    """TRANSPOSE by a constant permutation."""
    source = node.any_activation(0)
    order = shapes.permutation(node, source.shape)
    result = node.result(tuple(source.shape[axis] for axis in order), source)
    node.add(Transpose, [node.unchanged(source, result)], result, permutation=order)
    node.finish(result)


def _blocks(node: Node, source: Activation, split: Shape, order: Shape, shape: Shape) -> None:
    """Reshape to `split`, transpose, reshape to `shape`."""
    result = node.result(shape, source)
    parts = node.reader.reshaped(node.unchanged(source, result), split, node)
    turned = node.reader.derived(parts, f"{result.tensor.name}.turned", tuple(split[axis] for axis in order))
    node.add(Transpose, [parts], turned, permutation=order)
    node.reader.reshape_to(turned, result, node)
    node.finish(result)


def space_to_depth(node: Node) -> None:
    """SPACE_TO_DEPTH."""
    source, block = node.image(), int(node.option("BlockSize"))
    _, height, width, channels = source.shape
    node.need(block >= 1 and not height % block and not width % block, f"has blocks of {block} on {source.shape}")
    rows, columns = height // block, width // block
    split = (1, rows, block, columns, block, channels)
    _blocks(node, source, split, (0, 1, 3, 2, 4, 5), (1, rows, columns, block * block * channels))


def depth_to_space(node: Node) -> None:
    """DEPTH_TO_SPACE."""
    source, block = node.image(), int(node.option("BlockSize"))
    _, height, width, channels = source.shape
    node.need(block >= 1 and channels % (block * block) == 0, f"has blocks of {block} on {source.shape}")
    depth = channels // (block * block)
    split = (1, height, width, block, block, depth)
    _blocks(node, source, split, (0, 1, 3, 2, 4, 5), (1, height * block, width * block, depth))


def _operands(node: Node) -> list[Activation]:
    """All inputs, constants as tensors of the graph."""
    values = [node.value(index) for index in range(node.inputs)]
    like = next((value for value in values if isinstance(value, Activation)), None)
    if like is None:
        raise node.error("joins constants alone, which is not supported")
    return [_operand(node, index, value, like) for index, value in enumerate(values)]


def _operand(node: Node, index: int, value: Activation | Constant, like: Activation) -> Activation:
    if isinstance(value, Activation):
        return node.activation(index)
    array, level = node.quantized(index, like)
    return node.reader.constant_tensor(array, level, like, node)


def _same_scale(node: Node, source: Activation, result: Activation) -> Activation:
    """`source` in the scale of `result`, which on uint8 may be another."""
    if source.level == result.level:
        return source
    node.need(source.unsigned, "joins int8 tensors of different scales, expected the same scale")
    target = node.reader.derived(source, f"{result.tensor.name}.scaled", source.shape, result.level)
    table = tables.requantized(source.level, result.level)
    return node.reader.add(f"{node.name}.scale", Lookup, [source], target, table=table)


def concatenation(node: Node) -> None:
    """CONCATENATION along any axis; tensors of one scale, on uint8 also of several."""
    sources = _operands(node)
    node.need(node.option("FusedActivationFunction") == 0, "has a fused activation, which is not supported")
    rank = len(sources[0].shape)
    axis = node.axis(node.option("Axis"), rank)

    def rest(shape: Shape) -> Shape:
        return (*shape[:axis], *shape[axis + 1 :])

    node.need(
        all(len(one.shape) == rank and rest(one.shape) == rest(sources[0].shape) for one in sources),
        f"joins {', '.join(str(one.shape) for one in sources[:9])} along axis {axis}, which do not fit",
    )
    length = sum(one.shape[axis] for one in sources)
    first = sources[0].shape
    result = node.result((*first[:axis], length, *first[axis + 1 :]), sources[0])
    node.add(Concat, [_same_scale(node, one, result) for one in sources], result, axis=axis)
    node.finish(result)


def pack(node: Node) -> None:
    """PACK: tensors of one shape and scale along a new axis."""
    sources = _operands(node)
    shape = sources[0].shape
    node.need(all(one.shape == shape for one in sources), "packs tensors of different shapes")
    axis = node.axis(node.option("Axis"), len(shape) + 1)
    result = node.result((*shape[:axis], len(sources), *shape[axis:]), sources[0])
    slots = [node.reader.reshaped(one, (*shape[:axis], 1, *shape[axis:]), node) for one in sources]
    node.add(Concat, [_same_scale(node, one, result) for one in slots], result, axis=axis)
    node.finish(result)


def pad(node: Node) -> None:
    """PAD and PADV2 by constant amounts of 0 or more, with zero or one constant."""
    source = node.activation()
    amounts = node.constant(1, "padding").array
    node.need(
        amounts.shape == (len(source.shape), 2) and amounts.dtype.kind == "i" and bool(np.all(amounts >= 0)),
        f"pads {len(source.shape)} axes by numbers of shape {amounts.shape}, expected two of 0 or more for each",
    )
    padding = tuple((int(before), int(after)) for before, after in amounts)
    shape = tuple(n + before + after for n, (before, after) in zip(source.shape, padding, strict=True))
    result = node.result(shape, source)
    value = result.tensor.zero_point
    if node.has(2):
        array, _ = node.quantized(2, source)
        node.need(array.size == 1, f"has a value of shape {array.shape}, expected one number")
        value = int(array.reshape(-1)[0])
    node.add(Pad, [node.unchanged(source, result)], result, padding=padding, value=value)
    node.finish(result)


def _slice(node: Node, source: Activation, section: shapes.Section, index: int = 0) -> None:
    result = node.result(section.shape, source, index)
    source = node.unchanged(source, result)
    made = result
    if section.shape != section.size:
        made = node.reader.derived(result, f"{result.tensor.name}.slice", section.size)
    node.add(Slice, [source], made, start=section.start, step=section.step)
    if made is not result:
        node.reader.reshape_to(made, result, node)
    node.finish(result, index)


def slice_(node: Node) -> None:
    """SLICE with constant begin and size."""
    source = node.activation()
    _slice(node, source, shapes.section(node, source.shape))


def strided_slice(node: Node) -> None:
    """STRIDED_SLICE with constant begin, end and strides of 1 or more, without ellipsis and new axes."""
    source = node.activation()
    _slice(node, source, shapes.strided_section(node, source.shape))


def _parts(node: Node, source: Activation, axis: int, sizes: list[int], keep: bool = True) -> None:
    """Cut the input along an axis; `keep` the axis in the parts."""
    shape, rank = source.shape, len(source.shape)
    node.need(
        len(sizes) == len(node.operator.outputs) and sum(sizes) == shape[axis] and min(sizes) >= 1,
        f"splits {shape[axis]} along axis {axis} into {len(node.operator.outputs)} parts, which does not fit",
    )
    start = 0
    for index, size in enumerate(sizes):
        begin = tuple(start if i == axis else 0 for i in range(rank))
        part = tuple(size if i == axis else n for i, n in enumerate(shape))
        left = part if keep else (*part[:axis], *part[axis + 1 :])
        _slice(node, source, shapes.Section(begin, (1,) * rank, part, left), index)
        start += size


def split(node: Node) -> None:
    """SPLIT into equal parts along a constant axis."""
    source = node.activation(1)
    axis, count = node.axis(node.integer(0, "axis"), len(source.shape)), len(node.operator.outputs)
    node.need(count >= 1 and source.shape[axis] % count == 0, f"splits {source.shape} into {count} parts along {axis}")
    _parts(node, source, axis, [source.shape[axis] // count] * count)


def split_v(node: Node) -> None:
    """SPLIT_V into parts of constant sizes, one of which may be -1."""
    source = node.activation()
    axis = node.axis(node.integer(2, "axis"), len(source.shape))
    sizes = list(node.integers(1, "sizes"))
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = source.shape[axis] - sum(sizes) - 1
    node.need(bool(sizes), "splits into no parts")
    _parts(node, source, axis, sizes)


def unpack(node: Node) -> None:
    """UNPACK along an axis."""
    source = node.activation()
    axis = node.axis(node.option("Axis"), len(source.shape))
    count = len(node.operator.outputs)
    node.need(source.shape[axis] == count, f"unpacks {source.shape} along axis {axis} into {count} parts")
    _parts(node, source, axis, [1] * source.shape[axis], keep=False)


def _resized(node: Node) -> tuple[Activation, Activation, tuple[int, int]]:
    source = node.image()
    size = node.integers(1, "size")
    node.need(len(size) == 2 and min(size) >= 1, f"resizes to {size}, expected two positive numbers")
    node.need(max(size) <= LARGEST_SIDE, f"resizes to {size}, supported are up to {LARGEST_SIDE}")
    result = node.result((1, *size, source.shape[3]), source)
    return node.unchanged(source, result), result, (size[0], size[1])


def resize_nearest(node: Node) -> None:
    """RESIZE_NEAREST_NEIGHBOR to a constant size; the scale stays."""
    source, result, size = _resized(node)
    corners, centers = bool(node.option("AlignCorners")), bool(node.option("HalfPixelCenters"))
    places = [_nearest(source.shape[axis + 1], n, corners, centers) for axis, n in enumerate(size)]
    node.add(ResizeNearest, [source], result, rows=places[0], columns=places[1])
    node.finish(result)


def _nearest(size: int, count: int, corners: bool, centers: bool) -> Shape:
    """Where each of `count` comes from. Source: TFLite reference/resize_nearest_neighbor.h, in float32."""
    scaled = corners and count > 1
    scale = np.float32(size - 1) / np.float32(count - 1) if scaled else np.float32(size) / np.float32(count)
    places = (np.arange(count, dtype=np.float32) + np.float32(0.5 if centers else 0)) * scale
    rounded = tables.round_half_away(places) if corners else np.floor(places)
    return tuple(int(n) for n in np.clip(rounded, 0 if centers else None, size - 1))


def resize_bilinear(node: Node) -> None:
    """RESIZE_BILINEAR of int8 to a constant size; the scale stays."""
    source, result, size = _resized(node)
    node.need(not source.unsigned, "is on uint8, which the reference kernel computes in float32, supported is int8")
    corners, centers = bool(node.option("AlignCorners")), bool(node.option("HalfPixelCenters"))
    places = [_between(source.shape[axis + 1], n, corners, centers) for axis, n in enumerate(size)]
    node.add(ResizeBilinear, [source], result, rows=places[0], columns=places[1])
    node.finish(result)


def _between(size: int, count: int, corners: bool, centers: bool) -> NDArray[np.int32]:
    """Two neighbours and the second one's weight. Source: TFLite reference/resize_bilinear.h, for integers."""
    scale = ((size << 10) + count // 2) // count
    if corners and count > 1:
        scale = (((size - 1) << 10) + (count - 1) // 2) // (count - 1)
    places = np.arange(count, dtype=np.int64) * scale
    if centers:
        places += scale // 2 - (1 << 9)
    first = np.clip(places >> 10, 0, size - 1)
    second = np.clip((places + 1023) >> 10, 0, size - 1)
    weight = np.where(second > first, places - (first << 10), 0)
    return np.stack([first, second, weight], axis=1).astype(np.int32)
