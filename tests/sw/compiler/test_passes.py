"""Rewrites keep the values of every output, and do what they are for."""

import numpy as np
import pytest
from weft.sw.compiler.passes import (
    REWRITES,
    drop_unused,
    fuse_clamps,
    merge_reshapes,
    merge_transposes,
    pool_limits_first,
    simplify,
    whole_kernels_to_products,
)
from weft.sw.graph import Clamp, Conv2D, FullyConnected, MaxPool2D, Quantize, Reshape, Transpose

from tests.sw.networks import Builder, random_network
from tests.sw.operator_networks import kinds, same


@pytest.fixture
def build():
    return Builder(np.random.default_rng(0))


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("rewrite", [*dict.fromkeys(REWRITES), simplify])
def test_outputs_stay(rewrite, seed):
    graph = random_network(seed)
    same(graph, rewrite(graph))


def transposed(build, source, permutation):
    shape = tuple(build.tensors[source].shape[axis] for axis in permutation)
    build.operators.append(
        Transpose(f"transpose{len(build.operators)}", (source,), build.tensor(shape, dtype="float32"), permutation)
    )
    return build.operators[-1].output


def float_input(build, shape):
    build.inputs.append(build.tensor(shape, dtype="float32"))
    return build.inputs[0]


def test_two_transposes_become_one_or_none(build):
    x = float_input(build, (1, 3, 4, 5))
    y = transposed(build, transposed(build, x, (0, 3, 1, 2)), (0, 2, 3, 1))
    graph = build.graph(build.add(Quantize, y, (1, 3, 4, 5)))
    after = same(graph, drop_unused(merge_reshapes(merge_transposes(graph))))
    assert kinds(after) == [Quantize]


def test_a_transpose_that_moves_nothing_is_a_reshape(build):
    y = transposed(build, float_input(build, (1, 1, 4, 5)), (0, 2, 3, 1))
    graph = build.graph(build.add(Quantize, y, (1, 4, 5, 1)))
    assert kinds(same(graph, merge_transposes(graph))) == [Reshape, Quantize]


def test_a_transpose_that_moves_something_stays(build):
    y = transposed(build, float_input(build, (1, 2, 4, 5)), (0, 2, 3, 1))
    graph = build.graph(build.add(Quantize, y, (1, 4, 5, 2)))
    assert kinds(same(graph, merge_transposes(graph))) == [Transpose, Quantize]


def test_reshapes_in_a_row_are_one(build):
    x = build.input((1, 2, 3, 4))
    y = build.add(Reshape, x, (1, 24), same_scale=True)
    y = build.add(Reshape, y, (1, 4, 6), same_scale=True)
    graph = build.graph(build.add(Reshape, y, (1, 24), same_scale=True))
    after = same(graph, drop_unused(merge_reshapes(graph)))
    assert [(one.inputs, one.output) for one in after.operators] == [(("t0",), "t3")]


def test_a_reshape_to_the_same_shape_is_dropped(build):
    y = build.add(Reshape, build.input((1, 6)), (1, 6), same_scale=True)
    graph = build.graph(build.fully_connected(y, 3))
    assert kinds(same(graph, drop_unused(merge_reshapes(graph)))) == [FullyConnected]


def test_clamp_goes_into_the_operator_before(build):
    y = build.conv(build.input((1, 4, 4, 2)), 3, (3, 3), minimum=-100, maximum=90)
    graph = build.graph(build.add(Clamp, y, (1, 2, 2, 3), same_scale=True, minimum=-20, maximum=120))
    (conv,) = same(graph, fuse_clamps(graph)).operators
    assert (conv.minimum, conv.maximum) == (-20, 90)


def test_clamp_outside_the_range_before_it(build):
    y = build.conv(build.input((1, 4, 4, 2)), 3, (3, 3), minimum=-100, maximum=-50)
    graph = build.graph(build.add(Clamp, y, (1, 2, 2, 3), same_scale=True, minimum=10, maximum=20))
    (conv,) = same(graph, fuse_clamps(graph)).operators
    assert (conv.minimum, conv.maximum) == (10, 10)


def test_clamp_stays_where_the_unlimited_values_are_needed_too(build):
    y = build.conv(build.input((1, 4, 4, 2)), 3, (3, 3))
    z = build.add(Clamp, y, (1, 2, 2, 3), same_scale=True, minimum=10, maximum=20)
    graph = build.graph(y, z)
    assert kinds(same(graph, fuse_clamps(graph))) == [Conv2D, Clamp]


def test_limits_of_a_pool_move_before_it(build):
    y = build.conv(build.input((1, 6, 6, 2)), 3, (3, 3))
    graph = build.graph(build.pool(MaxPool2D, y, (2, 2), (2, 2), minimum=-5, maximum=60))
    conv, pool = same(graph, pool_limits_first(graph)).operators
    assert (conv.minimum, conv.maximum) == (-5, 60)
    assert (pool.minimum, pool.maximum) == (-128, 127)


def test_a_kernel_as_large_as_its_input_is_a_product(build):
    y = build.conv(build.input((1, 3, 4, 2)), 5, (3, 4))
    graph = build.graph(y)
    assert kinds(same(graph, whole_kernels_to_products(graph))) == [Reshape, FullyConnected, Reshape]


@pytest.mark.parametrize("settings", [{"padding": (0, 0, 1, 0)}, {"groups": 2}])
def test_other_kernels_stay(build, settings):
    graph = build.graph(build.conv(build.input((1, 3, 4, 2)), 4, (3, 4), **settings))
    assert kinds(same(graph, whole_kernels_to_products(graph))) == [Conv2D]


def test_what_nobody_reads_is_dropped(build):
    x = build.input((1, 3, 4, 2))
    build.conv(build.conv(x, 5, (3, 4)), 2, (1, 1))
    graph = build.graph(build.conv(x, 3, (1, 1)))
    after = same(graph, drop_unused(graph))
    assert kinds(after) == [Conv2D]
    assert set(after.tensors) == {"t0", graph.outputs[0]}
