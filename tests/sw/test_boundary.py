"""What runs on the host, and what crosses to the device."""

import numpy as np
import pytest
from weft.sw.boundary import split
from weft.sw.errors import UserError
from weft.sw.graph import Dequantize, OffsetBinary, Quantize, Reshape, Softmax, Transpose

from tests.sw.networks import Builder


@pytest.fixture
def build():
    return Builder(np.random.default_rng(0))


def append(build, kind, source, shape, dtype, **values):
    target = build.tensor(shape, dtype=dtype)
    build.operators.append(kind(f"{kind.__name__.lower()}{len(build.operators)}", (source,), target, **values))
    return target


def float_network(build):
    """float32 NCHW in, softmax out."""
    build.inputs.append(build.tensor((1, 2, 4, 4), dtype="float32"))
    x = append(build, Transpose, build.inputs[0], (1, 4, 4, 2), "float32", permutation=(0, 2, 3, 1))
    x = append(build, Quantize, x, (1, 4, 4, 2), "int8")
    x = build.flatten(build.conv(x, 3, (3, 3)))
    x = build.fully_connected(x, 5)
    x = append(build, Dequantize, x, (1, 5), "float32")
    return append(build, Softmax, x, (1, 5), "float32", axis=-1)


def test_steps_before_and_behind(build):
    graph = build.graph(float_network(build))
    boundary = split(graph)
    quantized, logits = graph.tensors["t2"], graph.tensors["t5"]
    assert boundary.inputs == ("t2",)
    assert boundary.outputs == ("t5",)
    assert boundary.prologue == ((("nchw_to_nhwc",), ("quantize", quantized.scale, quantized.zero_point, "int8")),)
    assert boundary.epilogue == ((("dequantize", logits.scale, logits.zero_point), ("softmax", -1)),)
    assert [type(one).__name__ for one in boundary.operators] == ["Conv2D", "FullyConnected"]


def test_a_reshape_on_the_device_is_the_same_buffer(build):
    boundary = split(build.graph(float_network(build)))
    assert boundary.buffers["t4"] == boundary.buffers["t3"] == "t3"


def test_int8_network_has_no_steps(build):
    x = build.input((1, 4, 4, 2))
    boundary = split(build.graph(build.conv(x, 3, (3, 3))))
    assert (boundary.inputs, boundary.prologue, boundary.epilogue) == ((x,), ((),), ((),))


def test_uint8_is_moved_on_the_host(build):
    build.inputs.append(build.tensor((1, 4, 4, 2), dtype="uint8"))
    x = append(build, OffsetBinary, build.inputs[0], (1, 4, 4, 2), "int8")
    build.tensors["t0"] = type(build.tensors["t0"])("t0", (1, 4, 4, 2), "uint8", 1.0, 128)
    y = append(build, OffsetBinary, build.conv(x, 3, (3, 3)), (1, 2, 2, 3), "uint8")
    build.tensors[y] = type(build.tensors[y])(y, (1, 2, 2, 3), "uint8", 1.0, 128)
    boundary = split(build.graph(y))
    assert boundary.prologue == ((("offset_binary",),),)
    assert boundary.epilogue == ((("offset_binary",),),)


def refuse(build, *outputs):
    with pytest.raises(UserError) as error:
        split(build.graph(*outputs))
    return str(error.value)


def test_nothing_for_the_device(build):
    build.inputs.append(build.tensor((1, 4), dtype="float32"))
    y = append(build, Softmax, build.inputs[0], (1, 4), "float32", axis=1)
    assert refuse(build, y) == "test: the model has no operator for the device"


def test_host_between_device(build):
    x = append(build, Dequantize, build.fully_connected(build.input((1, 4)), 4), (1, 4), "float32")
    x = append(build, Quantize, append(build, Softmax, x, (1, 4), "float32", axis=1), (1, 4), "int8")
    text = refuse(build, build.fully_connected(x, 3))
    assert "'fc4' runs on the device and needs 'quantize3', which runs on the host after device operators" in text


def test_input_quantized_twice(build):
    build.inputs.append(build.tensor((1, 4), dtype="float32"))
    first, second = (append(build, Quantize, build.inputs[0], (1, 4), "int8") for _ in range(2))
    text = refuse(build, build.fully_connected(first, 3), build.fully_connected(second, 3))
    assert text == "test: the input 't0' is quantized in two ways, supported is one"


def test_unused_input(build):
    build.inputs.append(build.tensor((1, 4)))
    assert refuse(build, build.fully_connected(build.input((1, 4)), 3)) == (
        "test: the input 't0' does not reach an operator of the device"
    )


def test_output_from_the_host_alone(build):
    x = build.input((1, 4))
    y = append(build, Dequantize, x, (1, 4), "float32")
    assert refuse(build, build.fully_connected(x, 3), y) == (
        f"test: the output {y!r} does not come from an operator of the device"
    )


def test_output_of_several_rows(build):
    y = build.fully_connected(build.input((3, 4)), 3)
    assert "must have a batch of 1" in refuse(build, y)
    z = append(build, Reshape, y, (1, 3, 3), "int8")
    assert split(build.graph(z)).epilogue == ((("reshape", (1, 3, 3)),),)


def test_another_transpose(build):
    y = append(build, Dequantize, build.conv(build.input((1, 4, 4, 2)), 3, (3, 3)), (1, 2, 2, 3), "float32")
    z = append(build, Transpose, y, (1, 2, 2, 3), "float32", permutation=(0, 2, 1, 3))
    assert "permutes the axes [0, 2, 1, 3] on the host, supported are [0, 2, 3, 1] and [0, 3, 1, 2]" in refuse(build, z)
