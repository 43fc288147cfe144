"""Pooling and reductions as the graph has them; tests/sw/test_tflite_reference.py has what they compute."""

import numpy as np
import pytest
from weft.sw.errors import UserError
from weft.sw.graph import AveragePool2D, MaxPool2D, MeanPool2D
from weft.sw.tflite.reader import read_tflite

from tests.sw.tflite_cases import CASES
from tests.sw.tflite_models import Model


def operators(name):
    graph = read_tflite(CASES[name]().model, name)
    return graph, {type(one): one for one in graph.operators}


def test_padding_is_that_of_the_scheme():
    _, found = operators("average pool 3x4 relu int8")
    pool = found[AveragePool2D]
    assert (pool.window, pool.stride, pool.padding, pool.counts_padding) == ((3, 4), (1, 2), (1, 1, 1, 2), False)
    assert pool.minimum > -128


@pytest.mark.parametrize("kind, origin", [("int8", 0), ("uint8", -128)])
def test_ties_go_away_from_what_zero_is_in_the_file(kind, origin):
    _, found = operators(f"average pool 2x2 {kind}")
    assert found[AveragePool2D].origin == origin


@pytest.mark.parametrize(
    "name, shape, window",
    [
        ("mean image int8", (1, 4, 5, 9), (4, 5)),
        ("mean rows int8", (1, 4, 6, 9), (4, 1)),
        ("mean columns int8", (1, 4, 6, 9), (1, 6)),
        ("mean channels int8", (1, 24, 9, 1), (1, 9)),
        ("mean time int8", (1, 1, 12, 9), (1, 12)),
    ],
)
def test_a_mean_is_a_window(name, shape, window):
    graph, found = operators(name)
    mean = found[MeanPool2D]
    assert graph.tensors[mean.inputs[0]].shape == shape
    assert (mean.window, mean.stride, mean.padding) == (window, window, (0, 0, 0, 0))
    source, target = graph.tensors[mean.inputs[0]], graph.tensors[mean.output]
    real = source.scale / target.scale / (window[0] * window[1])
    assert mean.multiplier * 2.0 ** (mean.shift - 31) == pytest.approx(real, rel=1e-8)


def test_a_maximum_over_axes_is_a_pool():
    _, found = operators("reduce max int8")
    assert found[MaxPool2D].window == (4, 5)


def sentence(axes, keep=True):
    m = Model()
    x, y = m.tensor((1, 4, 5, 3), 0.1), m.tensor((1, 1, 1, 1), 0.1)
    m.add("MEAN", [x, m.constant(np.array(axes, np.int32))], y, "ReducerOptions", KeepDims=keep)
    with pytest.raises(UserError) as error:
        read_tflite(m.make([x], [y]), "m")
    return str(error.value)


def test_refusals():
    assert sentence([1, 3]) == "m: MEAN 0 reduces the axes [1, 3], supported are axes side by side"
    assert sentence([]) == "m: MEAN 0 reduces the axes [], supported are axes side by side"
    assert sentence([4]) == "m: MEAN 0 has axis 4 for a tensor of 4 axes"
    assert sentence([0, 1, 2, 3], keep=False).startswith(
        "m: MEAN 0 has an output of shape (), supported are 1 to 8 axes"
    )
