"""Mappings of a convolution to passes, against the convolution itself."""

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.sim import golden
from weft.sw.compiler.boundary import split
from weft.sw.compiler.mapping import dense_mappings, packings
from weft.sw.compiler.ways import ways
from weft.sw.graph import MaxPool2D
from weft.sw.lowering.layers import blocks_of
from weft.sw.lowering.lower import lower

from tests.sw.networks import Builder

SQUARE = Config(rows=8, cols=8, weight_rows=8, lanes=2)


def layer_of(config, shape, outputs, kernel, stride=(1, 1), dilation=(1, 1), groups=1, window=None):
    build = Builder(np.random.default_rng(0))
    y = build.conv(build.input(shape), outputs, kernel, stride, (0, 0, 0, 0), dilation, groups)
    if window is not None:
        y = build.pool(MaxPool2D, y, *window)
    graph = build.graph(y)
    return lower(graph, split(graph), config)[0]


def best(layer, config):
    return min(mapping.cycles(*layer.sums_size) for mapping in mappings(layer, config))


def mappings(layer, config):
    """Those of a layer that is one block."""
    (block,) = blocks_of(layer, layer.groups)
    return dense_mappings(layer, block, 0, config)


@pytest.mark.parametrize(
    "shape, outputs, kernel, window, rows, cols, cycles",
    [
        ((1, 32, 32, 1), 6, (5, 5), ((2, 2), (2, 2)), 8, 8, 2940),
        ((1, 32, 32, 1), 6, (5, 5), ((2, 2), (2, 2)), 16, 8, 2940),
        ((1, 32, 32, 1), 6, (5, 5), ((2, 2), (2, 2)), 16, 16, 1680),
        ((1, 14, 14, 6), 16, (5, 5), ((2, 2), (2, 2)), 8, 8, 4000),
        ((1, 14, 14, 6), 16, (5, 5), ((2, 2), (2, 2)), 16, 8, 2000),
        ((1, 14, 14, 6), 16, (5, 5), ((2, 2), (2, 2)), 16, 16, 1000),
        ((1, 1, 1, 400), 120, (1, 1), None, 8, 8, 750),
        ((1, 1, 1, 120), 84, (1, 1), None, 16, 8, 88),
        ((1, 1, 1, 84), 10, (1, 1), None, 16, 16, 6),
    ],
)
def test_lenet_takes_as_many_passes_as_the_design_promises(shape, outputs, kernel, window, rows, cols, cycles):
    config = SQUARE.replace(rows=rows, cols=cols, weight_rows=rows)
    assert best(layer_of(config, shape, outputs, kernel, window=window), config) == cycles


def test_a_run_takes_fewer_passes_than_taps():
    layer = layer_of(SQUARE, (1, 6, 6, 3), 8, (3, 3))
    taps, run = mappings(layer, SQUARE)[:2]
    assert (taps.passes, run.passes) == (9, 3 * 2)


def test_dilation_is_a_run_with_gaps_or_taps():
    layer = layer_of(SQUARE, (1, 9, 9, 8), 8, (3, 3), dilation=(1, 3))
    taps, run = mappings(layer, SQUARE)[:2]
    assert (taps.passes, run.passes) == (9, 3 * 7)


def test_a_slice_of_the_channels_has_taps_only():
    layer = layer_of(SQUARE, (1, 6, 6, 16), 16, (3, 3), groups=2)
    sliced = next(way for way in ways(layer, SQUARE) if len(way) == 2)
    assert [mapping.passes for mapping in sliced] == [9, 9]


def test_groups_of_few_channels_are_runs_together():
    layer = layer_of(SQUARE, (1, 6, 6, 4), 16, (3, 3), groups=2)
    assert min(sum(one.cycles(4, 4) for one in way) for way in ways(layer, SQUARE)) == 3 * 2 * 2 * 16


def test_packed_pixels_stay_on_lane_boundaries():
    config = SQUARE.replace(lanes=4)
    layer = layer_of(config, (1, 6, 12, 1), 6, (3, 3))
    assert {mapping.pitch for mapping in mappings(layer, config) if mapping.packed > 1} == {8}


@pytest.mark.parametrize(
    "window, wanted",
    [
        (None, list(range(1, 11))),
        (((2, 2), (2, 2)), [1, 2, 4, 6, 8, 10]),
        (((2, 2), (1, 1)), [1]),
        (((3, 3), (2, 2)), [1]),
        (((2, 2), (2, 2), (0, 1, 0, 1)), [1]),
        (((2, 2), (3, 3)), [1, 3, 6, 9]),
    ],
)
def test_windows_lie_inside_a_group_of_packed_pixels(window, wanted):
    assert packings(layer_of(SQUARE, (1, 12, 12, 1), 6, (3, 3), window=window)) == wanted


def computed(layer, mapping, weights, x):
    """The sums of a valid convolution by the passes of a mapping: (rows, columns, outputs)."""
    tiles, kernel_rows, taps, chunks, rows, cols = weights.shape
    assert (tiles, kernel_rows * taps * chunks) == (mapping.column_tiles, mapping.passes)
    height, width = layer.sums_size
    channels, outputs = layer.input_channels, layer.output_channels
    # The tail stands for what the feeder masks: other bytes, which meet zero weights here.
    data = np.concatenate([x.reshape(x.shape[1], -1), np.full((x.shape[1], 10_000), 99)], axis=1).astype(np.int64)
    result = np.zeros((height, width, outputs), np.int64)
    for y in range(height):
        for group in range(mapping.groups(width)):
            columns = np.zeros(tiles * cols, np.int64)
            for ky in range(kernel_rows):
                for kx in range(taps):
                    line = data[y * layer.stride[0] + ky * layer.dilation[0]]
                    start = (group * mapping.packed * layer.stride[1] + kx * layer.dilation[1]) * channels
                    for k in range(chunks):
                        part = line[start + k * rows : start + (k + 1) * rows].copy()
                        part[max(mapping.run - k * rows, 0) :] = 0
                        columns += np.concatenate([part @ tile[ky, kx, k].astype(np.int64) for tile in weights])
            for pixel in range(min(mapping.packed, width - group * mapping.packed)):
                first = pixel * mapping.pitch
                result[y, group * mapping.packed + pixel] = columns[first : first + outputs]
    return result


@pytest.mark.parametrize("rows, cols, lanes", [(1, 1, 1), (3, 5, 5), (8, 4, 2), (16, 16, 4)])
@pytest.mark.parametrize("seed", range(4))
def test_every_mapping_computes_the_convolution(seed, rows, cols, lanes):
    config = Config(rows=rows, cols=cols, lanes=lanes, parameter_channels=80)
    random = np.random.default_rng(seed)
    kernel, stride, dilation = (tuple(random.integers(1, 4, 2).tolist()) for _ in range(3))
    shape = (1, *random.integers(7, 12, 2).tolist(), int(random.integers(1, 6)))
    layer = layer_of(config, shape, int(random.integers(1, 8)), kernel, stride, dilation)
    x = random.integers(-128, 128, shape, dtype=np.int8)
    wanted = golden.conv2d(x, layer.weights, 0, stride, dilation=dilation)[0]
    for mapping in mappings(layer, config):
        columns = mapping.weights(layer, config)
        np.testing.assert_array_equal(computed(layer, mapping, columns, x), wanted)


def test_parts_of_a_run():
    layer = layer_of(SQUARE, (1, 1, 1, 30), 8, (1, 1))
    mapping = mappings(layer, SQUARE)[0]
    assert mapping.chunks_of((30,)) == [range(0, 4)]
    assert mapping.chunks_of((8, 24, 30)) == [range(0, 1), range(1, 3), range(3, 4)]
