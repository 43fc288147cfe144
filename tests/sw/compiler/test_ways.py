"""How channels are put into blocks, and which ways down the columns there are."""

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.sw.compiler.boundary import split
from weft.sw.compiler.columns import Columns, column_mappings
from weft.sw.compiler.ways import fewest_cycles, ways, weight_tiles
from weft.sw.errors import UserError
from weft.sw.graph import MaxPool2D
from weft.sw.lowering.layers import blocks_of
from weft.sw.lowering.lower import lower

from tests.sw.networks import Builder

CONFIG = Config(rows=8, cols=8, weight_rows=8, lanes=2, depthwise=True, scratchpad_bytes=32768)


def layer_of(shape, kernel, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), config=CONFIG, **settings):
    build = Builder(np.random.default_rng(0))
    channels = shape[3]
    y = build.conv(build.input(shape), channels, kernel, stride, padding, dilation, channels, **settings)
    graph = build.graph(y)
    return lower(graph, split(graph), config)[-1]


@pytest.mark.parametrize(
    "shape, kernel, stride, padding, wanted",
    [
        # ky * oh * ((ow - 1) * stride + kx) per 8 channels, or the same along y.
        ((1, 48, 48, 8), (3, 3), (1, 1), (1, 1, 1, 1), 3 * 48 * (47 + 3)),
        ((1, 48, 48, 16), (3, 3), (2, 2), (0, 0, 1, 1), 2 * 3 * 24 * (23 * 2 + 3)),
        ((1, 25, 5, 64), (3, 3), (1, 1), (1, 1, 1, 1), 8 * 3 * 5 * (24 + 3)),
        ((1, 9, 9, 8), (3, 3), (3, 3), (0, 0, 0, 0), 3 * 3 * (2 * 3 + 3)),
        ((1, 9, 9, 8), (2, 2), (3, 3), (0, 0, 0, 0), 2 * 2 * 3 * 3),
        # Ten taps are two groups of five.
        ((1, 1, 40, 8), (1, 10), (1, 1), (0, 0, 0, 0), 2 * (30 + 5)),
    ],
)
def test_depthwise_takes_as_many_passes_as_the_design_promises(shape, kernel, stride, padding, wanted):
    assert fewest_cycles(layer_of(shape, kernel, stride, padding), CONFIG) == wanted


def test_without_the_option_filters_lie_on_the_diagonal():
    config = CONFIG.replace(depthwise=False)
    layer = layer_of((1, 12, 12, 16), (3, 3), config=config)
    assert not any(isinstance(one, Columns) for way in ways(layer, config) for one in way)
    assert fewest_cycles(layer, config) == 2 * 9 * 100


def test_dilation_between_the_taps():
    layer = layer_of((1, 20, 20, 8), (1, 3), dilation=(1, 3))
    mapping = column_mappings(layer, blocks_of(layer, 8)[0], 0, CONFIG)[0]
    assert (mapping.step, mapping.interval, mapping.spread, mapping.size, mapping.taps) == (1, 1, 3, 7, 1)


def test_stride_and_dilation_may_share_a_step():
    layer = layer_of((1, 20, 20, 8), (1, 3), (1, 2), dilation=(1, 2))
    mapping = column_mappings(layer, blocks_of(layer, 8)[0], 0, CONFIG)[0]
    assert (mapping.step, mapping.interval, mapping.spread, mapping.size) == (2, 1, 1, 3)


def test_alike_channels_share_their_weights():
    build = Builder(np.random.default_rng(0))
    x = build.input((1, 6, 6, 20))
    graph = build.graph(build.pool(MaxPool2D, x, (2, 2), (2, 2)))
    (layer,) = lower(graph, split(graph), CONFIG)
    assert {weight_tiles(way) for way in ways(layer, CONFIG) if len(way) == 3 and isinstance(way[0], Columns)} == {1}


def test_padding_wider_than_the_scratchpad_is_refused():
    config = CONFIG.replace(scratchpad_bytes=1024, depthwise=False)
    layer = layer_of((1, 1, 1, 1000), (1, 9), padding=(0, 4, 0, 4), config=CONFIG)
    with pytest.raises(UserError, match="has padding that is wider than the scratchpad"):
        ways(layer, config)
