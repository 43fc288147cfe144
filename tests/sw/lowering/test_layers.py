"""The parts of a layer: blocks of channels, their weights, places and tables."""

import numpy as np
import pytest
from weft.sw.lowering.elementwise import passing
from weft.sw.lowering.layers import Place, Window, block_weights, blocks_of, sources_of, table_bytes


@pytest.mark.parametrize("groups, together, sizes", [(5, 2, [2, 2, 1]), (4, 4, [4]), (3, 1, [1, 1, 1])])
def test_blocks_cover_all_channels_once(groups, together, sizes):
    layer = passing("x", "copy", "a", "b", (2, 2), groups)
    blocks = blocks_of(layer, together)
    assert [block.groups for block in blocks] == sizes
    assert [
        channel for block in blocks for channel in range(block.first_output, block.first_output + block.outputs)
    ] == [*range(groups)]


def test_a_block_of_groups_is_diagonal():
    layer = passing("x", "copy", "a", "b", (2, 2), 5)
    dense = block_weights(layer, blocks_of(layer, 3)[0])
    np.testing.assert_array_equal(dense[:, 0, 0, :], np.eye(3, dtype=np.int8))


def test_tables_are_indexed_by_the_bits_of_the_value():
    """Element x + 128 of the table stands at x modulo 256."""
    table = np.arange(-128, 128).astype(np.int8)
    assert np.frombuffer(table_bytes(table), np.int8)[[0, 127, 128, 255]].tolist() == [0, 127, -128, -1]
    sums = np.arange(-128, 128).astype(np.int32) * 1000
    assert np.frombuffer(table_bytes(sums), "<i4")[[1, 255]].tolist() == [1000, -1000]


def test_small_parts():
    assert not Window().pools
    assert Window(size=(2, 2), stride=(2, 2)).pools
    assert Place((4, 5), 6).row_pitch == 30
    assert sources_of([passing("x", "copy", "a", "b", (1, 1), 1), passing("y", "copy", "b", "c", (1, 1), 1)]) == {
        "a",
        "b",
    }
