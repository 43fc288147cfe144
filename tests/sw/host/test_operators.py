"""Every operator on the host: TFLite's recorded answers, and what does not suit is one sentence."""

from dataclasses import replace

import numpy as np
import pytest
from weft.sw.errors import UserError
from weft.sw.graph import (
    Add,
    Concat,
    Constant,
    Conv2D,
    Graph,
    Multiply,
    Operator,
    Pad,
    Quantize,
    Reshape,
    Slice,
    Softmax,
    Subtract,
    Tensor,
    Transpose,
    verify,
)
from weft.sw.host import operators as host_operators
from weft.sw.host.operators import apply, run, types
from weft.sw.network_file import operator_kinds
from weft.sw.operators_page import BASES
from weft.sw.tflite.reader import read_tflite

from tests.sw.networks import evaluate
from tests.sw.tflite_cases import CASES
from tests.sw.tflite_record import REFERENCE

X = np.arange(-48, 48, dtype=np.int8).reshape(2, 1, 4, 4, 3)
IMAGE = Tensor("x", (1, 4, 4, 3), "int8")


def on_host(graph, inputs):
    """All operators of a graph, each on all samples."""
    samples = len(inputs[0])
    values = {
        name: array.reshape(samples, *graph.tensors[name].shape)
        for name, array in zip(graph.inputs, inputs, strict=True)
    }
    for operator in graph.operators:
        types(operator, graph)
        sources = [graph.tensors[name] for name in operator.inputs]
        arrays = [values[name] for name in operator.inputs]
        values[operator.output] = run(operator, arrays, sources, graph.tensors[operator.output], samples)
    return [values[name] for name in graph.outputs]


def recorded(name):
    """The bytes of all outputs of a case by TFLite's reference kernels."""
    with np.load(REFERENCE) as file:
        index = file["names"].tolist().index(name)
        start = int(file["lengths"][:index].sum())
        return file["bytes"][start : start + int(file["lengths"][index])].tobytes()


def as_bytes(arrays):
    """Those of all arrays, one behind the other."""
    return b"".join(array.tobytes() for array in arrays)


@pytest.mark.parametrize("name", CASES)
def test_operators_give_what_tflites_reference_kernels_give(name):
    case = CASES[name]()
    assert as_bytes(on_host(read_tflite(case.model, name), case.inputs)) == recorded(name)


@pytest.mark.parametrize("kind", [Add, Subtract, Multiply])
def test_pairs_between_dequantize_and_quantize_are_the_golden_models(kind):
    values = np.arange(-128, 128, dtype=np.int8)
    tensors = [Tensor("a", (1, 256, 1), "int8", 0.1, 3), Tensor("b", (1, 1, 256), "int8", 0.07, -5)]
    tensors.append(Tensor("y", (1, 256, 256), "int8", 0.2, 7))
    operator = kind("o", ("a", "b"), "y", rounding="onnx", minimum=-100)
    graph = verify(Graph("g", {one.name: one for one in tensors}, (operator,), ("a", "b"), ("y",)))
    (found,) = on_host(graph, [values[None], values[None]])
    assert np.array_equal(found[0], evaluate(graph, values.reshape(1, 256, 1), values.reshape(1, 1, 256))[0])


def test_movement():
    x = X[:, 0]

    def moved(operator, shape, inputs=(X,)):
        return apply(operator, inputs, [IMAGE] * len(inputs), Tensor("y", shape, "int8"), 2)[:, 0]

    pad = Pad("p", ("x",), "y", padding=((0, 0), (1, 0), (0, 2), (0, 0)), value=7)
    assert np.array_equal(moved(pad, (1, 5, 6, 3)), np.pad(x, ((0, 0), (1, 0), (0, 2), (0, 0)), constant_values=7))
    cut = Slice("s", ("x",), "y", start=(0, 1, 0, 2), step=(1, 2, 3, 1))
    assert np.array_equal(moved(cut, (1, 2, 2, 1)), x[:, 1::2, ::3, 2:])
    join = Concat("c", ("x", "x"), "y", axis=-1)
    assert np.array_equal(moved(join, (1, 4, 4, 6), (X, X)), np.concatenate([x, x], 3))
    turn = Transpose("t", ("x",), "y", permutation=(0, 3, 1, 2))
    assert np.array_equal(moved(turn, (1, 3, 4, 4)), x.transpose(0, 3, 1, 2))


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "bool", "float32"])
def test_what_only_moves_takes_every_type(dtype):
    source = Tensor("x", (1, 2, 3), dtype)
    x = np.arange(12).reshape(2, 1, 2, 3).astype(dtype)
    turn = Transpose("t", ("x",), "y", permutation=(0, 2, 1))
    found = run(turn, [x], [source], Tensor("y", (1, 3, 2), dtype), 2)
    assert found.dtype == np.dtype(dtype)
    assert np.array_equal(found, x.transpose(0, 1, 3, 2))


@pytest.mark.parametrize("elements, chunks", [(1, [1] * 7), (15, [3, 3, 1]), (1 << 22, [7])])
def test_many_samples_go_in_chunks(monkeypatch, elements, chunks):
    monkeypatch.setattr(host_operators, "CHUNK", elements)
    counts = []
    whole = host_operators.apply

    def counted(operator, inputs, sources, target, samples):
        counts.append(samples)
        return whole(operator, inputs, sources, target, samples)

    monkeypatch.setattr(host_operators, "apply", counted)
    x = np.random.default_rng(0).normal(size=(7, 1, 5)).astype(np.float32)
    tensor = Tensor("x", (1, 5), "float32")
    found = run(Softmax("s", ("x",), "y", axis=-1), [x], [tensor], tensor, len(x))
    assert counts == chunks
    assert found.shape == x.shape
    assert np.allclose(found.sum(axis=-1), 1)


def test_a_constant_takes_no_room_for_its_samples():
    found = run(Constant("k", (), "y", value=np.arange(3, dtype=np.int8)), [], [], Tensor("y", (3,), "int8"), 1000)
    assert found.shape == (1000, 3)
    assert found.strides == (0, 1)


@pytest.mark.parametrize(
    "operator, target, sentence",
    [
        (Reshape("o", ("x",), "y"), (1, 4, 4, 2), "Reshape 'o' does not suit its tensors"),
        (Transpose("o", ("x",), "y", permutation=(0, 1)), (1, 4, 4, 3), "Transpose 'o' does not suit its tensors"),
        (Slice("o", ("x",), "y", start=(0,), step=(1,)), (1, 4, 4, 3), "Slice 'o' does not suit its tensors"),
        (Add("o", ("x",), "y"), (1, 4, 4, 3), "Add 'o' does not suit its tensors"),
        (Concat("o", ("x",), "y", axis=9), (1, 4, 4, 3), "Concat 'o' on the host: makes int8 of (1, 8, 4, 3), not"),
        (Softmax("o", ("x",), "y", axis=3), (1, 4, 4, 3), "Softmax 'o' on the host: makes float32 of (1, 4, 4, 3)"),
        (Quantize("o", ("x",), "y"), (1, 4, 4, 3), "Quantize 'o' on the host: quantize takes float32, not int8"),
        (Operator("o", ("x",), "y"), (1, 4, 4, 3), "Operator 'o' on the host: is not an operator that the host knows"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Operator) else "",
)
def test_what_does_not_suit_is_one_sentence(operator, target, sentence):
    inputs = [X, X] if isinstance(operator, Concat) else [X]
    with pytest.raises(UserError) as error:
        run(operator, inputs, [IMAGE] * len(inputs), Tensor("y", target, "int8"), 2)
    assert str(error.value).startswith(sentence)
    assert "\n" not in str(error.value)


def test_arithmetic_is_on_int8():
    tensors = {"x": replace(IMAGE, dtype="uint8"), "y": Tensor("y", (1, 4, 4, 3), "int8")}
    graph = Graph("g", tensors, (Pad("p", ("x",), "y", padding=((0, 0),) * 4, value=0),), ("x",), ("y",))
    types(graph.operators[0], graph)
    with pytest.raises(UserError) as error:
        types(Add("sum", ("x", "x"), "y"), graph)
    assert str(error.value) == (
        "g: Add 'sum' has the activation 'x' of type uint8, which neither the NPU nor the host computes; "
        "supported is int8"
    )


def test_the_host_knows_every_kind_of_operator():
    """None falls through to the last case; what it is given suits none of them."""
    for kind in operator_kinds().values():
        if kind.__name__ in BASES:
            continue
        operator = object.__new__(kind)
        object.__setattr__(operator, "name", "o")
        with pytest.raises(Exception) as error:  # noqa: PT011
            apply(operator, [], [], Tensor("y", (1,), "int8"), 1)
        assert "is not an operator that the host knows" not in str(error.value), kind
    assert Conv2D in operator_kinds().values()
