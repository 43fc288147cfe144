"""Resize and Upsample, from ONNX: the nearest cell of any size, and linear interpolation by whole factors."""

from collections.abc import Sequence
from fractions import Fraction
from math import floor, lcm

import numpy as np

from ..graph import ONNX, AveragePool2D, ResizeNearest
from .movement import taken_along
from .node import Node
from .values import DeviceValue, Pending, Quantization, Value
from .views import Shape, View, channels_last

LARGEST_SIDE = 1 << 14
"""Cells along an axis."""

MOST_PARTS = 16
"""Parts of one into which weights of linear interpolation are counted."""

LARGEST_DENOMINATOR = 1 << 10

Place = tuple[int, int, Fraction]
"""Two cells, and the weight of the second."""


def resize(node: Node) -> Value:
    """Resize by constant scales or to a constant size, nearest or linear; and Upsample."""
    shape = node.shape()
    old = node.proto.op_type == "Upsample" or node.reader.opset < 11
    scales, sizes = _targets(node, shape, old)
    mode = node.attribute("mode", "nearest")
    transform = "asymmetric" if old else node.attribute("coordinate_transformation_mode", "half_pixel")
    node.need(mode in ("nearest", "linear"), f"has the mode {mode!r}, supported are nearest and linear")
    node.need(not node.integer("antialias", 0), "smooths before it shrinks (antialias)")
    node.need(transform != "tf_crop_and_resize", "crops as well (tf_crop_and_resize)")
    node.need(max(sizes) <= LARGEST_SIDE and min(sizes) >= 1, f"resizes {shape} to {sizes}")
    if mode == "linear":
        scales = [_simple(scale) for scale in scales]
    places = {
        axis: [_position(node, transform, i, scales[axis], n, sizes[axis]) for i in range(sizes[axis])]
        for axis, n in enumerate(shape)
        if scales[axis] != 1 or sizes[axis] != n
    }
    if mode == "nearest":
        nearest = "floor" if old else node.attribute("nearest_mode", "round_prefer_floor")
        cells = {
            axis: [min(max(_nearest(node, nearest, x), 0), shape[axis] - 1) for x in some]
            for axis, some in places.items()
        }
        return taken_along(node, cells)
    node.need(len(shape) == 4 and set(places) <= {2, 3} and shape[0] == 1, f"interpolates {shape} to {sizes}")
    node.need(not node.integer("exclude_outside", 0), "leaves out cells outside of its input")
    return _linear(node, [_between(places.get(axis), shape[axis]) for axis in (2, 3)])


def _targets(node: Node, shape: Shape, old: bool) -> tuple[list[Fraction], list[int]]:
    """The scale and the size of every axis."""
    axes = [node.axis(axis, len(shape)) for axis in node.integers("axes", tuple(range(len(shape))))]
    scale_input, size_input = (1, 3) if old else (2, 3)
    scales, sizes = [Fraction(1)] * len(shape), list(shape)
    given = node.constant(scale_input, "list of scales").reshape(-1) if node.has(scale_input) else np.zeros(0)
    if not node.has(scale_input) and "scales" in node.attributes:
        given = np.array(node.attribute("scales", ()), np.float32)
    if given.size:
        node.demand(given.size == len(axes) and bool(np.all(np.isfinite(given) & (given > 0))), "has malformed scales")
        for axis, scale in zip(axes, given, strict=True):
            node.need(shape[axis] * float(scale) <= LARGEST_SIDE, f"resizes {shape[axis]} cells by {scale}")
            scales[axis] = Fraction(float(scale))
            sizes[axis] = floor(shape[axis] * float(scale))
        return scales, sizes
    wanted = node.list_of_integers(size_input, "size")
    node.demand(len(wanted) == len(axes) and min(wanted, default=0) >= 1, f"resizes {shape} to {wanted}")
    policy = node.attribute("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        node.demand(policy in ("not_larger", "not_smaller"), f"has the policy {policy!r}, which is unknown")
        each = [Fraction(n, shape[axis]) for axis, n in zip(axes, wanted, strict=True)]
        one = min(each) if policy == "not_larger" else max(each)
        for axis in axes:
            scales[axis], sizes[axis] = one, floor(one * shape[axis] + Fraction(1, 2))
        return scales, sizes
    for axis, n in zip(axes, wanted, strict=True):
        scales[axis], sizes[axis] = Fraction(n, shape[axis]), n
    return scales, sizes


def _simple(scale: Fraction) -> Fraction:
    """The simple fraction that a float32 scale was made from, if there is one; weights change by as little."""
    near = scale.limit_denominator(LARGEST_DENOMINATOR)
    return near if np.float32(float(near)) == np.float32(float(scale)) else scale


def _position(node: Node, transform: str, index: int, scale: Fraction, old: int, new: int) -> Fraction:
    """Where an element of the result is in the input. Source: ONNX, Resize, coordinate_transformation_mode."""
    half = Fraction(1, 2)
    match transform:
        case "half_pixel":
            return (index + half) / scale - half
        case "pytorch_half_pixel":
            return (index + half) / scale - half if new > 1 else Fraction(0)
        case "half_pixel_symmetric":
            adjustment = Fraction(new) / (scale * old)
            return Fraction(old, 2) * (1 - adjustment) + (index + half) / scale - half
        case "align_corners":
            # The last element of a length that is no integer is beyond the result.
            return index * (old - 1) / (scale * old - 1) if scale * old != 1 else Fraction(0)
        case "asymmetric":
            return index / scale
    raise node.error(f"has the coordinate_transformation_mode {transform!r}, which is unknown")


def _nearest(node: Node, mode: str, x: Fraction) -> int:
    half = Fraction(1, 2)
    match mode:
        case "round_prefer_floor":
            return -floor(half - x)
        case "round_prefer_ceil":
            return floor(x + half)
        case "floor":
            return floor(x)
        case "ceil":
            return -floor(-x)
    raise node.error(f"has the nearest_mode {mode!r}, which is unknown")


def _between(places: Sequence[Fraction] | None, size: int) -> list[Place]:
    """The two cells around each place, those outside moved to the edge."""
    if places is None:
        return [(cell, cell, Fraction(0)) for cell in range(size)]
    found = []
    for x in places:
        first = floor(x)
        cells = [min(max(cell, 0), size - 1) for cell in (first, first + 1)]
        found.append((cells[0], cells[1], x - first))
    return found


def _linear(node: Node, axes: list[list[Place]]) -> Value:
    """Each result is the mean of a window over cells that are there as often as their weight says."""
    reader, source = node.reader, node.real()
    parts = [lcm(*(weight.denominator for *_, weight in places)) for places in axes]
    node.need(max(parts) <= MOST_PARTS, f"interpolates in parts of 1/{max(parts)}, supported are 1/{MOST_PARTS}")
    spread = [_cells(places, count) for places, count in zip(axes, parts, strict=True)]
    node.need(max(len(one) for one, _ in spread) <= LARGEST_SIDE, "interpolates to too large an image")
    shape = (*source.shape[:2], len(axes[0]), len(axes[1]))

    def emit(quantization: Quantization, low: int, high: int) -> DeviceValue:
        image = reader.ordered(source, channels_last(4), f"{node.output}.image")
        (rows, stride_y), (columns, stride_x) = spread
        wide = reader.like(f"{node.output}.spread", image.tensor, (1, len(rows), len(columns), shape[1]))
        tensor = reader.add(ResizeNearest, [image.tensor], wide, rows=tuple(rows), columns=tuple(columns))
        view = View.ordered(shape, image.view.order)
        made = reader.add(
            AveragePool2D,
            [tensor],
            reader.int8(node.output, view.stored, quantization),
            name=node.name,
            window=(parts[0], parts[1]),
            stride=(stride_y, stride_x),
            padding=(0, 0, 0, 0),
            counts_padding=False,
            rounding=ONNX,
            minimum=low,
            maximum=high,
        )
        return DeviceValue(made, view, quantization, False, real=False)

    return Pending(emit, shape, node.text)


def _cells(places: list[Place], parts: int) -> tuple[list[int], int]:
    """Cells for windows of `parts`, and from window to window as few steps as all of them allow."""
    windows = [[first] * int(parts * (1 - weight)) + [second] * int(parts * weight) for first, second, weight in places]
    for stride in range(1, parts):
        row = list(windows[0])
        for window in windows[1:]:
            if row[-(parts - stride) :] != window[: parts - stride]:
                break
            row += window[parts - stride :]
        else:
            return row, stride
    return [cell for window in windows for cell in window], parts
