import numpy as np
import onnxruntime
import pytest
from weft.rtl.isa import Rounding
from weft.sim import golden, golden_graph
from weft.sim.golden_graph import CHUNK, run_graph
from weft.sim.numerics import exact_multiplier, quantize_multiplier
from weft.sw.errors import UserError
from weft.sw.graph import (
    AveragePool2D,
    Clamp,
    Conv2D,
    Dequantize,
    FullyConnected,
    Graph,
    MaxPool2D,
    OffsetBinary,
    Quantize,
    Requantize,
    Reshape,
    Softmax,
    Tensor,
    Transpose,
    verify,
)
from weft.sw.onnx.reader import read_onnx


def one(kind, source, target, **values):
    """A graph of one operator from tensor `x` to tensor `y`, each given as (shape, type, scale, zero point)."""
    tensors = {"x": Tensor("x", *source), "y": Tensor("y", *target)}
    return verify(Graph("one", tensors, (kind("op", ("x",), "y", **values),), ("x",), ("y",)))


def int8(seed, *shape):
    return np.random.default_rng(seed).integers(-128, 128, shape, dtype=np.int8)


def only(graph, x):
    (y,) = run_graph(graph, [x])
    return y


@pytest.mark.parametrize("rounding", ["onnx", "tflite"])
@pytest.mark.parametrize("groups", [1, 2])
def test_convolution(rounding, groups):
    random = np.random.default_rng(1)
    weights, bias = int8(2, 6, 3, 3, 4 // groups), random.integers(-999, 999, 6, dtype=np.int32)
    scales = random.uniform(0.001, 0.01, 6).astype(np.float32)
    graph = one(
        Conv2D,
        ((1, 7, 8, 4), "int8", 0.25, 3),
        ((1, 6, 4, 6), "int8", 2.0, -5),
        weights=weights,
        bias=bias,
        weight_scales=scales,
        stride=(1, 2),
        padding=(1, 0, 0, 2),
        dilation=(1, 1),
        groups=groups,
        rounding=rounding,
        minimum=-5,
        maximum=100,
    )
    x = int8(3, 4, 7, 8, 4)
    sums = golden.conv2d(x, weights, 3, (1, 2), (1, 0, 0, 2), (1, 1), groups)
    if rounding == "onnx":
        real = np.float32(0.25) * scales / np.float32(2)
        expected = golden.requantize(sums, bias, *exact_multiplier(real), Rounding.NEAREST_EVEN, -5, -5, 100)
    else:
        real = 0.25 * scales.astype(np.float64) / 2
        expected = golden.requantize(sums, bias, *quantize_multiplier(real), Rounding.DOUBLE, -5, -5, 100)
    y = only(graph, x)
    assert y.dtype == np.int8
    assert np.array_equal(y, expected)
    assert len(np.unique(y)) > 20


def test_product_of_several_rows_per_sample():
    weights = int8(1, 3, 5)
    graph = one(
        FullyConnected,
        ((2, 5), "int8", 1.0, 7),
        ((2, 3), "int8", 1.0, 0),
        weights=weights,
        bias=np.array([1, 2, 3], np.int32),
        weight_scales=np.full(3, 2.0**-8, np.float32),
        rounding="onnx",
    )
    x = int8(2, 8, 5)
    sums = (x.astype(int) - 7) @ weights.T.astype(int) + [1, 2, 3]
    tensors = {**graph.tensors, "image": Tensor("image", (1, 2, 5), "int8", 1.0, 7)}
    samples = Graph("rows", tensors, (Reshape("r", ("image",), "x"), *graph.operators), ("image",), ("y",))
    y = only(samples, x.reshape(4, 2, 5))
    assert np.array_equal(y.reshape(8, 3), np.clip(np.rint(sums / 256), -128, 127))


@pytest.mark.parametrize("outputs", [3, 4], ids=["floor", "ceil"])
def test_max_pooling_has_as_many_windows_as_the_output_has_positions(outputs):
    graph = one(
        MaxPool2D,
        ((1, 8, 8, 2), "int8", 1.0, 0),
        ((1, outputs, outputs, 2), "int8", 1.0, 0),
        window=(3, 3),
        stride=(2, 2),
        padding=(0, 0, 0, 0),
    )
    x = int8(1, 3, 8, 8, 2)
    y = only(graph, x)
    for row in range(outputs):
        for column in range(outputs):
            window = x[:, 2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            assert np.array_equal(y[:, row, column], window.max(axis=(1, 2)))


@pytest.mark.parametrize("counts", [False, True], ids=["valid cells", "whole windows"])
def test_average_in_onnx_rounds_to_even_and_rescales(counts):
    graph = one(
        AveragePool2D,
        ((1, 4, 4, 1), "int8", 0.5, 10),
        ((1, 3, 3, 1), "int8", 0.25, -3),
        window=(2, 2),
        stride=(2, 2),
        padding=(1, 1, 1, 1),
        counts_padding=counts,
        rounding="onnx",
    )
    x = int8(1, 5, 4, 4, 1)
    real = np.pad((x[..., 0].astype(float) - 10) * 0.5, ((0, 0), (1, 1), (1, 1)))
    cells = np.pad(np.ones((4, 4)), 1, constant_values=float(counts))
    for row in range(3):
        for column in range(3):
            part = slice(2 * row, 2 * row + 2), slice(2 * column, 2 * column + 2)
            mean = real[:, *part].sum(axis=(1, 2)) / cells[part].sum()
            assert np.array_equal(
                only(graph, x)[:, row, column, 0], np.clip(np.rint(mean / 0.25) - 3, -128, 127).astype(np.int8)
            )


def test_average_in_tflite_rounds_away_from_zero():
    graph = one(
        AveragePool2D,
        ((1, 1, 2, 1), "int8", 1.0, 0),
        ((1, 1, 1, 1), "int8", 1.0, 0),
        window=(1, 2),
        stride=(1, 1),
        padding=(0, 0, 0, 0),
        counts_padding=False,
        rounding="tflite",
    )
    x = np.array([[1, 2], [-1, -2], [3, 3]], np.int8).reshape(3, 1, 2, 1)
    assert only(graph, x).ravel().tolist() == [2, -2, 3]


def test_requantization_in_onnx_goes_through_float32():
    graph = one(Requantize, ((1, 256), "int8", 0.1, 4), ((1, 256), "int8", 0.07, -9), rounding="onnx")
    x = np.arange(-128, 128, dtype=np.int8)[np.newaxis]
    real = (x.astype(np.float32) - 4) * np.float32(0.1)
    assert np.array_equal(only(graph, x), np.clip(np.rint(real / np.float32(0.07)) - 9, -128, 127).astype(np.int8))


def test_requantization_in_tflite_rounds_twice():
    graph = one(Requantize, ((1, 256), "int8", 0.1, 4), ((1, 256), "int8", 0.07, -9), rounding="tflite")
    x = np.arange(-128, 128, dtype=np.int8)[np.newaxis]
    factor = quantize_multiplier(0.1 / 0.07)
    expected = golden.requantize(x.astype(np.int32), -4, *factor, Rounding.DOUBLE, -9, -128, 127)
    assert np.array_equal(only(graph, x), expected)


def test_clamp():
    graph = one(Clamp, ((1, 3), "int8", 1.0, 0), ((1, 3), "int8", 1.0, 0), minimum=-2, maximum=5)
    assert only(graph, np.array([[-9, 3, 9]], np.int8)).tolist() == [[-2, 3, 5]]


def test_operators_of_the_host():
    real, byte = ((1, 2, 3), "float32"), ((1, 2, 3), "int8", 0.5, 1)
    x = np.array([[[0.5, 1.25, -1], [99, -99, 0]]], np.float32)
    quantized = only(one(Quantize, real, byte), x)
    assert quantized.tolist() == [[[2, 3, -1], [127, -128, 1]]]
    assert only(one(Dequantize, byte, real), quantized).tolist() == [[[0.5, 1, -1], [63, -64.5, 0]]]
    shifted = only(one(OffsetBinary, byte, ((1, 2, 3), "uint8", 0.5, 129)), quantized)
    assert shifted.tolist() == [[[130, 131, 127], [255, 0, 129]]]
    turned = only(one(Transpose, real, ((1, 3, 2), "float32"), permutation=(0, 2, 1)), np.tile(x, (4, 1, 1)))
    assert np.array_equal(turned, np.tile(x, (4, 1, 1)).transpose(0, 2, 1))


@pytest.mark.parametrize("axis", [1, -1])
def test_softmax_is_along_an_axis_of_one_sample(axis):
    x = np.random.default_rng(1).normal(size=(4, 2, 3)).astype(np.float32)
    y = only(one(Softmax, ((1, 2, 3), "float32"), ((1, 2, 3), "float32"), axis=axis), x)
    assert np.allclose(y.sum(axis=axis), 1)
    assert np.array_equal(y.argmax(axis=axis), x.argmax(axis=axis))


def test_samples_do_not_touch_each_other_and_progress_is_told(root):
    graph = read_onnx(root / "sw" / "models" / "lenet5.onnx")
    x = np.random.default_rng(1).random((CHUNK + 3, 1, 28, 28), np.float32)
    told = []
    (together,) = run_graph(graph, [x], lambda done, total: told.append((done, total)))
    assert told == [(CHUNK, CHUNK + 3), (CHUNK + 3, CHUNK + 3)]
    for index in (0, CHUNK - 1, CHUNK, CHUNK + 2):
        assert np.array_equal(together[index : index + 1], run_graph(graph, [x[index : index + 1]])[0])


def test_large_tensors_go_sample_by_sample(monkeypatch):
    monkeypatch.setattr(golden_graph, "ELEMENTS", 5)
    graph = one(Clamp, ((1, 2), "int8", 1.0, 0), ((1, 2), "int8", 1.0, 0), minimum=-2, maximum=5)
    told = []
    x = int8(0, 5, 2)
    (y,) = run_graph(graph, [x], lambda done, total: told.append((done, total)))
    assert told == [(2, 5), (4, 5), (5, 5)]
    assert np.array_equal(y, np.clip(x, -2, 5))


def test_lenet_against_onnx_runtime(root):
    """ONNX Runtime rounds products to float32 first, which is another answer in about two values of a million."""
    path = root / "sw" / "models" / "lenet5.onnx"
    graph = read_onnx(path)
    x = np.random.default_rng(1).random((50, 1, 28, 28), np.float32)
    x = x * (np.hypot(*np.mgrid[-13.5:14, -13.5:14]) < 9)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (theirs,) = session.run(None, {"image": x.astype(np.float32)})
    assert len(np.unique(theirs)) > 20
    assert np.array_equal(only(graph, x.astype(np.float32)), theirs)


@pytest.mark.parametrize(
    "inputs, sentence",
    [
        ([], "one has 1 inputs, not 0"),
        ([np.zeros((4, 3), np.int8)], "the input 'x' must be int8 of shape (1, 2), not int8 of (4, 3)"),
        ([np.zeros((4, 2), np.uint8)], "the input 'x' must be int8 of shape (1, 2), not uint8 of (4, 2)"),
    ],
)
def test_inputs_must_suit_the_graph(inputs, sentence):
    graph = one(Clamp, ((1, 2), "int8", 1.0, 0), ((1, 2), "int8", 1.0, 0))
    with pytest.raises(UserError) as refused:
        run_graph(graph, inputs)
    assert str(refused.value) == sentence
