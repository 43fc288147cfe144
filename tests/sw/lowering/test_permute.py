"""Permuted axes as layers; that they are exact, test_lower_operators tests."""

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.sw.errors import UserError
from weft.sw.graph import Clamp, Dequantize, Graph, Quantize, Reshape, Tensor, Transpose
from weft.sw.lowering.permute import at_border, exchanges, transpose

CONFIG = Config(rows=4, cols=4, depthwise=True, lanes=2)


def inside(shape, order):
    """The operator between two of the device."""
    moved = tuple(shape[axis] for axis in order)
    tensors = {name: Tensor(name, shape, "int8") for name in "xa"} | {
        name: Tensor(name, moved, "int8") for name in "by"
    }
    operator = Transpose("t", ("a",), "b", permutation=order)
    operators = (Clamp("c", ("x",), "a"), operator, Clamp("d", ("b",), "y"))
    return operator, Graph("test", tensors, operators, ("x",), ("y",))


def lowered(shape, order):
    operator, graph = inside(shape, order)
    return transpose(operator, graph.tensors["a"], graph.tensors["b"], graph, CONFIG)


@pytest.mark.parametrize("seed", range(20))
def test_exchanges_bring_all_axes_in_order(seed):
    random = np.random.default_rng(seed)
    shape = tuple(random.integers(1, 5, random.integers(1, 6)).tolist())
    order = tuple(random.permutation(len(shape)).tolist())
    values = np.arange(np.prod(shape))
    found = values
    for one in exchanges(shape, order):
        found = found.reshape(one.outer, one.first, one.second, one.inner).transpose(0, 2, 1, 3)
    np.testing.assert_array_equal(found.reshape(-1), values.reshape(shape).transpose(order).reshape(-1))


def test_axes_that_stay_together_are_exchanged_once():
    (one,) = exchanges((1, 4, 5, 6), (0, 3, 1, 2))
    assert (one.outer, one.first, one.second, one.inner) == (1, 20, 6, 1)
    assert list(exchanges((1, 4, 1, 6), (0, 1, 3, 2))) == []


def test_depth_to_space_is_a_layer_for_each_row_of_a_block():
    layers = lowered((1, 3, 5, 2, 2, 8), (0, 1, 3, 2, 4, 5))
    assert [layer.place.origin for layer in layers] == [(0, 0), (0, 5)]
    assert {(layer.input_size, layer.input_channels, layer.stride) for layer in layers} == {((3, 10), 16, (1, 2))}


def test_few_shuffled_channels_are_selected_by_weights():
    (layer,) = lowered((1, 9, 9, 2, 3), (0, 1, 2, 4, 3))
    assert layer.groups == 1
    assert layer.weights[:, 0, 0].argmax(axis=1).tolist() == [0, 3, 1, 4, 2, 5]


def test_what_moves_nothing_is_a_copy():
    (layer,) = lowered((1, 4, 1, 6), (0, 1, 3, 2))
    assert layer.passes_values


def test_two_exchanges_are_two_stages():
    layers = lowered((1, 2, 3, 4), (0, 3, 2, 1))
    assert {layer.target for layer in layers} == {"t.1", "b"}


def test_long_blocks_are_refused():
    sentence = "exchanges axes of 100 and 100 elements, supported are up to 64 in one of them"
    with pytest.raises(UserError, match=sentence):
        lowered((1, 100, 100, 8), (0, 2, 1, 3))


@pytest.mark.parametrize("front", [True, False])
def test_the_host_permutes_what_it_copies(front):
    shapes = {"x": (4, 2), "a": (2, 4), "b": (8,), "y": (8,)} if front else {"x": (2, 4), "a": (2, 4), "b": (4, 2)}
    tensors = {name: Tensor(name, shape, "int8") for name, shape in shapes.items()}
    if front:
        tensors["q"] = Tensor("q", (4, 2), "float32")
        operator = Transpose("t", ("x",), "a", permutation=(1, 0))
        operators = (Quantize("q", ("q",), "x"), operator, Reshape("r", ("a",), "b"), Clamp("c", ("b",), "y"))
        graph = Graph("test", tensors, operators, ("q",), ("y",))
    else:
        tensors["q"] = Tensor("q", (4, 2), "float32")
        operator = Transpose("t", ("a",), "b", permutation=(1, 0))
        operators = (Clamp("c", ("x",), "a"), operator, Dequantize("d", ("b",), "q"))
        graph = Graph("test", tensors, operators, ("x",), ("q",))
    assert at_border(operator, graph)
    with pytest.raises(UserError, match="permutes the axes of an input or an output, which the host does as it copies"):
        transpose(operator, *(graph.tensors[name] for name in (operator.inputs[0], operator.output)), graph, CONFIG)
    assert not at_border(*inside((2, 4), (1, 0)))
