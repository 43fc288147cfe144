"""A band of a layer makes the same rows as the layer: compared as convolutions in NumPy."""

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.sw.compiler.bands import Held, by_rows, part, row_bytes, rows_read, subsampled
from weft.sw.compiler.boundary import split
from weft.sw.graph import Add, MaxPool2D
from weft.sw.lowering.lower import lower

from tests.sw.networks import Builder

CONFIG = Config(rows=4, cols=4, weight_rows=4, lanes=2, depthwise=True, tables=True)


@pytest.fixture
def build():
    return Builder(np.random.default_rng(0))


def lowered(build, *outputs, config=CONFIG):
    graph = build.graph(*outputs)
    return lower(graph, split(graph), config)


def computed(layer, image):
    """The sums of a layer of one group, pooled, from the bytes of its image: what its output rows depend on."""
    height, width = layer.input_size
    x = image.reshape(height, width, layer.input_channels).astype(np.int64)
    sums = np.zeros((*layer.sums_size, layer.output_channels), np.int64)
    for y in range(layer.sums_size[0]):
        for ky in range(layer.kernel[0]):
            row = y * layer.stride[0] - layer.before[0] + ky * layer.dilation[0]
            padding = np.full((width, layer.input_channels), layer.padding_value)
            line = x[row] if 0 <= row < height else padding
            for column in range(layer.sums_size[1]):
                for kx in range(layer.kernel[1]):
                    place = column * layer.stride[1] - layer.before[1] + kx * layer.dilation[1]
                    pixel = line[place] if 0 <= place < width else np.full(layer.input_channels, layer.padding_value)
                    sums[y, column] += layer.weights[:, ky, kx].astype(np.int64) @ pixel
    window = layer.window
    pooled = np.full((*layer.output_size, layer.output_channels), -(1 << 40))
    for y in range(layer.output_size[0]):
        for i in range(window.size[0]):
            row = y * window.stride[0] - window.before[0] + i
            if 0 <= row < layer.sums_size[0]:
                for column in range(layer.output_size[1]):
                    for j in range(window.size[1]):
                        place = column * window.stride[1] - window.before[1] + j
                        if 0 <= place < layer.sums_size[1]:
                            pooled[y, column] = np.maximum(pooled[y, column], sums[row, place])
    return pooled


@pytest.mark.parametrize("seed", range(40))
def test_a_band_makes_the_rows_of_the_layer(build, seed):
    random = np.random.default_rng(seed)

    def some(low, high):
        return int(random.integers(low, high + 1))

    kernel, padding = (some(1, 4), some(1, 3)), tuple(some(0, 2) for _ in range(4))
    x = build.input((1, some(8, 12), some(5, 7), some(1, 3)))
    y = build.conv(x, some(1, 3), kernel, (some(1, 3), some(1, 2)), padding, (some(1, 2), 1))
    if random.random() < 0.5:
        y = build.pool(MaxPool2D, y, (2, 2), (some(1, 2), 1), (some(0, 1), 0, some(0, 1), 0))
    (layer,) = lowered(build, y)
    image = random.integers(-128, 128, layer.input_bytes)
    whole = computed(layer, image)
    first = some(0, layer.output_size[0] - 1)
    rows = first, some(1, layer.output_size[0] - first)
    start, count = rows_read(layer, rows)
    pitch = layer.input_size[1] * layer.input_channels
    made = layer.output_size[1] * layer.output_channels
    band = part(layer, rows, [Held("x", start * pitch)], Held("y", first * made))
    assert (band.offset_of(0), band.target_offset, band.input_size[0]) == (0, 0, count)
    assert band.whole
    np.testing.assert_array_equal(
        computed(band, image[start * pitch : (start + count) * pitch]), whole[rows[0] : sum(rows)]
    )


def test_offsets_count_from_what_the_buffers_hold(build):
    (layer,) = lowered(build, build.conv(build.input((1, 9, 5, 2)), 3, (3, 3)))
    band = part(layer, (2, 3), [Held("x", 10)], Held("y", 0))
    assert (band.sources, band.source_offsets) == (("x",), (2 * 10 - 10,))
    assert (band.target, band.target_offset) == ("y", 2 * 3 * 3)


def test_a_band_in_the_padding_still_points_at_a_row(build):
    (layer,) = lowered(build, build.conv(build.input((1, 2, 4, 1)), 1, (2, 2), (1, 1), (3, 0, 3, 0)))
    assert rows_read(layer, (0, 1)) == (0, 1)
    assert rows_read(layer, (layer.output_size[0] - 1, 1)) == (1, 1)


def test_elementwise_layers_take_the_rows_of_what_they_read(build):
    x = build.conv(build.input((1, 6, 5, 3)), 8, (3, 3))
    other = build.conv(x, 8, (1, 1))
    target = build.tensor(build.tensors[x].shape)
    build.operators.append(Add("sum", (x, other), target, rounding="tflite"))
    layers = lowered(build, target)
    pitches = row_bytes(layers, {"t0": 15})
    assert pitches[target] == pitches[x] == 3 * 8
    rows = by_rows(layers[-1], pitches[target], CONFIG)
    assert (rows.input_size, rows.input_channels, rows.target_bytes) == ((4, 6), 4, 4 * 24)
    assert len(rows.bias) == len(rows.weights) == rows.groups == 4
    assert by_rows(layers[0], 1, CONFIG) is layers[0]


def test_many_weights_find_the_pixels_they_need_side_by_side(build):
    layer = lowered(build, build.conv(build.input((1, 6, 6, 8)), 16, (1, 1), (2, 2)))[0]
    assert list(subsampled([layer], CONFIG)) == [layer]
    copy, product = subsampled([layer], CONFIG.replace(weight_tiles=4))
    assert (copy.output_size, copy.stride, copy.whole, copy.passes_values) == ((3, 3), (2, 2), True, False)
    assert (product.sources, product.input_size, product.stride) == ((copy.target,), (3, 3), (1, 1))
