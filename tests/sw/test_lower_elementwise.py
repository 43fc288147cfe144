"""Elementwise operators as layers."""

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.sw.errors import UserError
from weft.sw.graph import TFLITE, Add, Clamp, Lookup, Tensor
from weft.sw.lower_elementwise import clamp, copies, lookup, passing, same_scale, total

CONFIG = Config(rows=4, cols=4, tables=True)
A = Tensor("a", (1, 4, 6, 3), "int8", 0.1, 3)
B = Tensor("b", (1, 4, 6, 3), "int8", 0.2, -5)


def test_passing_values_is_what_it_says():
    assert passing("x", "copy", "a", "b", (2, 3), 5).passes_values
    assert copies("x", A, 1).source != A.name or copies("x", A, 1).operands == 1


def test_a_change_of_scale_is_refused():
    same_scale(A, A)
    with pytest.raises(UserError, match="changes the scale, supported is the same scale before and behind"):
        same_scale(A, B)


def test_a_clamp_limits_what_it_passes():
    (layer,) = clamp(
        Clamp("clamp", ("a",), "y", minimum=-3, maximum=9), A, Tensor("y", A.shape, "int8", 0.1, 3), CONFIG
    )
    assert (layer.minimum, layer.maximum) == (-3, 9)
    assert layer.passes_values


def test_a_function_of_one_value_is_a_result_table():
    table = np.arange(127, -129, -1).astype(np.int8)
    (layer,) = lookup(Lookup("not", ("a",), "y", table=table), A, Tensor("y", A.shape, "int8", 0.1, 3), CONFIG)
    np.testing.assert_array_equal(layer.result_table, table)


def test_a_sum_has_two_sources_and_their_tables():
    (layer,) = total(Add("add", ("a", "b"), "y", rounding=TFLITE), A, B, Tensor("y", A.shape, "int8", 0.3, 0), CONFIG)
    assert layer.operands == 2
    assert layer.sum_tables.shape == (2, 256)


def test_without_tables_a_sum_is_refused():
    with pytest.raises(UserError, match="tables"):
        total(Add("add", ("a", "b"), "y", rounding=TFLITE), A, B, B, CONFIG.replace(tables=False))
