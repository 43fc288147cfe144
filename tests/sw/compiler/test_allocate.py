"""Buffers that live together do not overlap; weights and parameters lie where the hardware looks for them."""

from itertools import pairwise

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.sw.compiler.allocate import (
    Buffer,
    WeightStore,
    buffers_of,
    pack,
    parameter_lines,
    place,
    predecessors,
    weight_lines,
)
from weft.sw.compiler.boundary import split
from weft.sw.errors import UserError
from weft.sw.lowering.lower import lower

from tests.sw.networks import Builder

CONFIG = Config(scratchpad_bytes=256)


def test_lifetimes():
    build = Builder(np.random.default_rng(0))
    x = build.input((1, 4, 4, 2))
    y = build.conv(x, 3, (1, 1))
    z = build.conv(y, 3, (1, 1))
    w = build.conv(build.conv(z, 3, (1, 1)), 2, (1, 1))
    graph = build.graph(z, w)
    layers = lower(graph, split(graph), CONFIG)
    sizes = {name: tensor.size for name, tensor in graph.tensors.items()}
    found = buffers_of(layers, sizes, (x,), (z, w))
    assert found == [
        Buffer(x, 32, 0, 1),
        Buffer(y, 48, 1, 2),
        Buffer(z, 48, 2, 5),
        Buffer("t3", 48, 3, 4),
        Buffer(w, 32, 4, 5),
    ]


@pytest.mark.parametrize("seed", range(20))
def test_buffers_alive_together_are_apart(seed):
    random = np.random.default_rng(seed)
    buffers = []
    for index in range(random.integers(1, 12)):
        first = int(random.integers(0, 10))
        buffers.append(Buffer(str(index), int(random.integers(1, 20)), first, first + int(random.integers(0, 4))))
    addresses = place(buffers, CONFIG)
    for one in buffers:
        assert addresses[one.name] % CONFIG.word_bytes == 0
        assert addresses[one.name] + one.size <= CONFIG.scratchpad_bytes
        for other in buffers:
            if other is not one and one.first <= other.last and other.first <= one.last:
                apart = addresses[one.name] + one.size <= addresses[other.name]
                assert apart or addresses[other.name] + other.size <= addresses[one.name]


def test_bytes_are_used_again():
    buffers = [Buffer("a", 128, 0, 1), Buffer("b", 128, 1, 2), Buffer("c", 128, 2, 3)]
    addresses = place(buffers, CONFIG)
    assert addresses["a"] == addresses["c"] != addresses["b"]
    assert predecessors(buffers, addresses) == {"a": (), "b": (), "c": ("a",)}


def test_those_that_end_behind_the_room_choose_first_the_next_time():
    """The largest at the bottom leaves a gap that is of no use before it comes."""
    buffers = [Buffer("a", 4, 0, 1), *(Buffer(name, 4, 0, 0) for name in "bcd"), Buffer("e", 7, 1, 2)]
    addresses, end = pack(buffers, 1)
    assert (addresses["e"], end) == (0, 19)
    addresses, end = pack(buffers, 1, 16)
    assert end == 16
    for step in range(3):
        alive = sorted((addresses[one.name], one.size) for one in buffers if one.first <= step <= one.last)
        assert all(start + size <= behind for (start, size), (behind, _) in pairwise(alive))
    assert pack(buffers, 1, 19) == pack(buffers, 1)


def test_only_the_last_owners_of_some_bytes_come_before():
    buffers = [Buffer("a", 8, 0, 1), Buffer("b", 4, 2, 3), Buffer("c", 2, 4, 5), Buffer("d", 8, 6, 7)]
    addresses = {"a": 0, "b": 4, "c": 3, "d": 0}
    found = predecessors(buffers, addresses)
    assert {name: set(some) for name, some in found.items()} == {
        "a": set(),
        "b": {"a"},
        "c": {"a", "b"},
        "d": {"a", "b", "c"},
    }


def test_too_many_activations():
    with pytest.raises(UserError) as error:
        place([Buffer("a", 200, 0, 1), Buffer("b", 100, 1, 2)], CONFIG)
    assert str(error.value) == (
        "the activations need 300 bytes of scratchpad at once, 44 more than the 256 of the configuration"
    )


def test_equal_weights_are_stored_once():
    store = WeightStore(CONFIG)
    one, other = np.ones((2, 4, 4), np.int8), np.zeros((1, 4, 4), np.int8)
    assert [store.add(key, some) for key, some in enumerate((one, other, one))] == [0, 8, 0]
    assert (store.count, len(store.image())) == (3, 3 * 4 * CONFIG.weight_line_bytes)


@pytest.mark.parametrize(
    "rows, cols, weight_rows, memory_width", [(4, 4, 1, 32), (6, 3, 2, 64), (8, 8, 8, 32), (1, 1, 1, 32)]
)
def test_weights_lie_where_each_bank_reads_them(rows, cols, weight_rows, memory_width):
    config = Config(rows=rows, cols=cols, weight_rows=weight_rows, memory_width=memory_width, axi_width=64)
    tiles = np.random.default_rng(0).integers(-128, 128, (3, rows, cols), dtype=np.int8)
    raw = np.frombuffer(weight_lines(tiles, config), np.int8).reshape(-1, config.weight_line_bytes)
    assert len(raw) == 3 * config.weight_steps
    for index, tile in enumerate(tiles):
        for row in range(rows):
            bank, step = divmod(row, config.weight_steps)
            line = raw[index * config.weight_steps + step]
            np.testing.assert_array_equal(line[bank * config.weight_pitch :][:cols], tile[row])


def test_weights_are_stored_once():
    config = Config(rows=2, cols=2, weight_tiles=4)
    store = WeightStore(config, first=1)
    tiles = np.arange(8, dtype=np.int8).reshape(2, 2, 2)
    assert store.add("a", tiles) == 1 * 2
    assert store.add("b", tiles[:1]) == 3 * 2
    assert store.add("a", tiles) == 1 * 2
    assert store.image() == weight_lines(np.concatenate([tiles, tiles[:1]]), config)


def test_too_many_weights():
    store = WeightStore(Config(rows=2, cols=2, weight_tiles=2))
    store.add("a", np.zeros((3, 2, 2), np.int8))
    with pytest.raises(UserError) as error:
        store.image()
    assert str(error.value) == "the weights need 3 tiles of 2x2, 1 more than the 2 of the configuration"


def test_parameters():
    config = Config(cols=4, lanes=2, memory_width=32)
    raw = parameter_lines(np.array([1, -2, 3]), np.array([4, 5, 2**31 - 1]), np.array([-6, 7, 0]), config)
    records = np.frombuffer(raw, np.uint8).reshape(-1, 16)
    assert len(records) == 2 * 2
    assert records[:, :4].copy().view("<i4")[:, 0].tolist() == [1, -2, 3, 0]
    assert records[:, 4:8].copy().view("<u4")[:, 0].tolist() == [4, 5, 2**31 - 1, 0]
    assert records[:, 8].view(np.int8).tolist() == [-6, 7, 0, 0]
