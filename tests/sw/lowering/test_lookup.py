"""Look-up tables as layers; that they are exact, test_lower_operators tests."""

from dataclasses import replace

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.sw.errors import UserError
from weft.sw.graph import Lookup, Tensor
from weft.sw.lowering.lookup import lookup
from weft.sw.tflite.tables import prelu

CONFIG = Config(rows=4, cols=4, depthwise=True, tables=True, lanes=2)
SOURCE, TARGET = Tensor("x", (1, 3, 5, 64), "int8", 0.11, 7), Tensor("y", (1, 3, 5, 64), "int8", 0.13, -20)


def lowered(table, source=SOURCE, target=TARGET, config=CONFIG):
    return lookup(Lookup("l", ("x",), "y", table=table), source, target, config)


def tables(seed, count):
    return np.random.default_rng(seed).integers(-128, 128, (count, 256), dtype=np.int8)


def test_a_function_of_one_value_is_a_result_table():
    table = tables(0, 1)[0]
    for same in (table, np.tile(table, (64, 1))):
        (layer,) = lowered(same)
        np.testing.assert_array_equal(layer.result_table, table)
        assert layer.passes_values


def test_runs_of_channels_with_one_table_are_layers():
    table = tables(0, 3)[np.repeat([0, 1, 0, 2], [10, 20, 30, 4])]
    layers = lowered(table)
    assert [layer.place.channel for layer in layers] == [0, 10, 30, 60]
    assert [layer.output_channels for layer in layers] == [10, 20, 30, 4]
    for layer in layers:
        np.testing.assert_array_equal(layer.result_table, table[layer.place.channel])


def test_many_functions_are_refused():
    sentence = (
        "has 64 tables for its channels, which are not lines below the zero point and alike above it; "
        "supported are up to 16"
    )
    with pytest.raises(UserError) as error:
        lowered(tables(0, 64))
    assert str(error.value) == sentence


@pytest.mark.parametrize("seed", range(40))
def test_slopes_of_prelu_are_three_layers_or_four(seed):
    random = np.random.default_rng(seed)
    zero_points = [int(random.choice([-128, 127, random.integers(-128, 128)])) for _ in range(2)]
    scale = float(np.exp(random.uniform(-5, 0)))
    source = replace(SOURCE, scale=scale, zero_point=zero_points[0])
    target = replace(TARGET, scale=scale * float(np.exp(random.uniform(-1, 1))), zero_point=zero_points[1])
    alpha = replace(SOURCE, scale=float(np.exp(random.uniform(-8, -4))), zero_point=0)
    both = seed % 2
    slopes = random.integers(-127 * both, 128, 64, dtype=np.int8)
    table = prelu(source, target, alpha, slopes)
    layers = lowered(table, source, target)
    if np.all(table == table[:1]):
        # Nothing of the slopes is seen.
        assert len(layers) == 1
        return
    assert len(layers) <= 3 + both
    assert layers[-1].operands == len(layers) - 1
    assert all(layer.target == f"l.{index}" for index, layer in enumerate(layers[:-1]))


def test_without_tables_all_are_refused():
    with pytest.raises(UserError, match="takes look-up tables"):
        lowered(tables(0, 1)[0], config=CONFIG.replace(tables=False))
