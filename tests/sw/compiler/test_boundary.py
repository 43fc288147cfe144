"""A device's graph without its Reshapes."""

import numpy as np
import pytest
from weft.sw.compiler.boundary import split
from weft.sw.errors import UserError
from weft.sw.graph import Reshape

from tests.sw.networks import Builder


@pytest.fixture
def build():
    return Builder(np.random.default_rng(0))


def refuse(build, *outputs):
    with pytest.raises(UserError) as error:
        split(build.graph(*outputs))
    return str(error.value)


def test_a_reshape_is_the_same_buffer(build):
    x = build.input((1, 4, 4, 2))
    flat = build.flatten(build.conv(x, 3, (3, 3)))
    y = build.fully_connected(flat, 5)
    z = build.add(Reshape, y, (1, 1, 5), same_scale=True)
    boundary = split(build.graph(z))
    assert (boundary.inputs, boundary.outputs) == ((x,), (y,))
    assert boundary.buffers == {x: x, "t1": "t1", flat: "t1", y: y}
    assert [type(one).__name__ for one in boundary.operators] == ["Conv2D", "FullyConnected"]


def test_an_input_may_be_read_under_another_shape(build):
    x = build.input((1, 2, 2, 2))
    y = build.fully_connected(build.flatten(x), 3)
    boundary = split(build.graph(y))
    assert boundary.inputs == (x,)
    assert boundary.buffers[build.operators[-1].inputs[0]] == x


def test_nothing_for_the_device(build):
    y = build.flatten(build.input((1, 2, 2)))
    assert refuse(build, y) == "test: the model has no operator for the device"


def test_unused_input(build):
    unused = build.input((1, 4))
    assert refuse(build, build.fully_connected(build.input((1, 4)), 3)) == (
        f"test: the input {unused!r} does not reach an operator of the device"
    )


def test_output_from_no_operator(build):
    x = build.input((1, 4))
    y = build.flatten(x)
    assert refuse(build, build.fully_connected(x, 3), y) == (
        f"test: the output {y!r} does not come from an operator of the device"
    )
