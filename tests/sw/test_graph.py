"""The graph and its checks."""

from dataclasses import replace

import numpy as np
import pytest
from weft.sw.errors import UserError
from weft.sw.graph import Clamp, Graph, MaxPool2D, Reshape, Tensor, verify

from tests.sw.networks import Builder


@pytest.fixture
def graph():
    build = Builder(np.random.default_rng(0))
    x = build.input((1, 4, 4, 2))
    y = build.pool(MaxPool2D, x, (2, 2), (2, 2))
    return build.graph(build.flatten(y))


def test_producer_and_users(graph):
    pool, reshape = graph.operators
    assert graph.producer("t0") is None
    assert graph.producer("t1") is pool
    assert list(graph.users("t1")) == [reshape]
    assert graph.tensors["t2"].size == 8


def test_unused_tensors_go_with_their_operators(graph):
    assert set(graph.with_operators(graph.operators[:1]).tensors) == {"t0", "t1", "t2"}
    assert set(replace(graph, outputs=("t1",)).with_operators(graph.operators[:1]).tensors) == {"t0", "t1"}


def tensor(graph, **changes):
    return replace(graph, tensors=graph.tensors | {"t1": replace(graph.tensors["t1"], **changes)})


BROKEN = {
    "the tensor 'other' is filed under 't1'": lambda g: tensor(g, name="other"),
    "the tensor 't1' has the unknown type 'int5'": lambda g: tensor(g, dtype="int5"),
    "the tensor 't1' has the empty shape (1, 0)": lambda g: tensor(g, shape=(1, 0)),
    "the scale of 't1' must be a positive number, not 0.0": lambda g: tensor(g, scale=0.0),
    "the zero point of 't1' must be from -128 to 127, not 128": lambda g: tensor(g, zero_point=128),
    "the zero point of 't1' must be from 0 to 255, not -1": lambda g: tensor(g, dtype="uint8", zero_point=-1),
    "'maxpool2d0' reads 't0', which nothing has made before it": lambda g: replace(g, inputs=()),
    "'reshape1' reads 't1', which nothing has made before it": lambda g: replace(g, operators=g.operators[::-1]),
    "the output 't9' is made by nothing": lambda g: replace(g, outputs=("t9",)),
    "'t1' is made twice": lambda g: replace(g, operators=(g.operators[0], *g.operators)),
    "'r' makes 't9', which has no description": lambda g: replace(g, operators=(Reshape("r", ("t0",), "t9"),)),
    "'r' reshapes (1, 4, 4, 2) into (1, 8)": lambda g: replace(g, operators=(Reshape("r", ("t0",), "t2"),)),
    "the range of 'c' must be inside -128..127 and not empty, not 3..2": lambda g: replace(
        g, operators=(Clamp("c", ("t0",), "t2", minimum=3, maximum=2),)
    ),
}


@pytest.mark.parametrize("sentence", BROKEN)
def test_a_broken_graph_is_refused_in_a_sentence(graph, sentence):
    with pytest.raises(UserError) as error:
        verify(BROKEN[sentence](graph))
    assert str(error.value) == f"test: {sentence}"


def test_a_whole_graph_is_itself(graph):
    assert verify(graph) is graph
    assert isinstance(graph, Graph)
    assert graph.tensors["t0"] == Tensor(
        "t0", (1, 4, 4, 2), "int8", graph.tensors["t0"].scale, graph.tensors["t0"].zero_point
    )
