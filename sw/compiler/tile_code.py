"""A tile field by field: its CONVs, its DRAIN, and the weights that they read."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import Config
from weft.rtl.isa import Combine

from ..lowering.layers import Layer
from .mapping import Mapping
from .tiling import Part, Plan, Shape, Tile

ENTRY_BITS = 16


def columns_of(layer: Layer, plan: Plan, config: Config) -> dict[int, NDArray[np.int8]]:
    """The weights of the blocks as the array holds them; blocks that share theirs have one entry."""
    return {
        index: mapping.weights(layer, config) for index, mapping in enumerate(plan.mappings) if mapping.shared == index
    }


def tiles_of(columns: NDArray[np.int8], tile: Tile, part: Part) -> NDArray[np.int8]:
    """The weight tiles of one CONV, in the order of its passes; where there are those of one column only, it is for
    all."""
    own = columns if len(columns) == 1 else columns[tile.columns[0] : sum(tile.columns)]
    some = own[:, :, :, part.chunks.start : part.chunks.stop]
    return some.reshape(-1, *some.shape[-2:])


def conv_fields(
    layer: Layer, mapping: Mapping, tile: Tile, shape: Shape, part: Part, source: int, config: Config
) -> dict[str, Any]:
    """All fields of a CONV but its place in the program and its weights; `source` is where its input lies."""
    start = part.chunks.start * mapping.chunk
    values = mapping.fields(layer, shape.sums_rows, shape.sums_pixels, (start, part.end))
    values["address"] += source + mapping.offset(tile.columns)
    for name in ("address", "y_pitch", "ky_pitch"):
        values[name] %= config.scratchpad_bytes
    return values | {
        "accumulate": part.number > 0,
        "zero_point": layer.padding_value,
        "entry": part.operand * tile.columns[1],
        **mapping.across(tile.columns, layer.operands),
    }


def drain_fields(
    layer: Layer, mapping: Mapping, tile: Tile, shape: Shape, target: int, config: Config
) -> dict[str, Any]:
    """All fields of a DRAIN but its place in the program and its parameters; `target` is where its output lies."""
    window, place = layer.window, layer.place
    (first_row, rows), (first_pixel, pixels) = tile.rows, tile.pixels
    count, operands = tile.columns[1], layer.operands
    y0 = first_row * window.stride[0] - window.before[0] - shape.sums_rows[0]
    x0 = first_pixel * window.stride[1] - window.before[1] - shape.sums_pixels[0]
    row_step, pixel_step = (
        step * count * operands for step in mapping.entry_steps(shape.sums_rows[1], shape.sums_pixels[1])
    )
    if mapping.packed == 1:
        entry = y0 * row_step + x0 * pixel_step
        group, group_step = 1, window.stride[1] * pixel_step
        pixel, along = (0, 0), (pixel_step, 0)
    else:
        entry = y0 * row_step
        group, group_step = mapping.packed // window.stride[1], count
        pixel = divmod(window.stride[1] * mapping.pitch, config.cols)
        along = divmod(mapping.pitch, config.cols)
    if operands > 1:
        # The operands of a pixel lie side by side, as a window of as many pixels.
        along = (count, 0)
    y = place.origin[0] + first_row * place.step[0]
    x = place.origin[1] + first_pixel * place.step[1]
    first_channel = place.channel + mapping.block.first_output + tile.columns[0] * config.cols
    return {
        "rounding": layer.rounding,
        "combine": Combine.MAX if operands == 1 else Combine.MULTIPLY if layer.multiplies else Combine.ADD,
        "release": 1,
        "look_up_sums": layer.sum_tables is not None,
        "look_up_results": layer.result_table is not None,
        "zero_point": layer.zero_point,
        "minimum": layer.minimum,
        "maximum": layer.maximum,
        "entry": entry % (1 << ENTRY_BITS),
        "row_step": window.stride[0] * row_step % (1 << ENTRY_BITS),
        "group_step": group_step % (1 << ENTRY_BITS),
        "pixel_step": pixel[0],
        "pixel_column_step": pixel[1],
        "window_row_step": row_step,
        "window_step": along[0],
        "window_column_step": along[1],
        "rows": rows,
        "pixels": pixels,
        "group": group,
        "window_height": window.size[0],
        "window_width": window.size[1] * operands,
        "y0": y0,
        "y_stride": window.stride[0],
        "height": shape.sums_rows[1],
        "x0": x0 * operands,
        "x_stride": window.stride[1] * operands,
        "width": shape.sums_pixels[1] * operands,
        "channels": shape.channels,
        "address": target + y * place.row_pitch + x * place.channels + first_channel,
        "row_pitch": place.step[0] * place.row_pitch,
        "pixel_pitch": place.step[1] * place.channels,
    }
