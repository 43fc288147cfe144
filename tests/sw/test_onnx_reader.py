"""Reading whole models, and files that are none."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from weft.sw.errors import UserError
from weft.sw.graph import Conv2D, FullyConnected, Graph, MaxPool2D
from weft.sw.onnx_reader import read_onnx

from tests.sw.networks import evaluate
from tests.sw.onnx_models import Model, check, run_onnxruntime

LENET = Path(__file__).parents[2] / "sw" / "models" / "lenet5.onnx"


def test_lenet_is_what_onnxruntime_computes():
    graph = read_onnx(LENET)
    x = np.random.default_rng(0).random((5, 1, 1, 28, 28), dtype=np.float32)
    model = onnx.load(LENET)
    for sample in x:
        np.testing.assert_array_equal(evaluate(graph, sample)[0], run_onnxruntime(model, sample)[0])
    kinds = [type(one) for one in graph.operators if isinstance(one, Conv2D | FullyConnected | MaxPool2D)]
    assert kinds == [Conv2D, MaxPool2D, Conv2D, MaxPool2D, FullyConnected, FullyConnected, FullyConnected]


def test_lenet_of_another_party_has_requantized_pools(shared):
    graph = read_onnx(shared / "models" / "lenet5_fyh620_qdq_s8s8.onnx")
    with np.load(shared / "models" / "lenet5_fyh620_qdq_s8s8.npz") as data:
        for sample, wanted in zip(data["in_0"], data["out_0_ort_noopt"], strict=True):
            np.testing.assert_array_equal(evaluate(graph, sample)[0], wanted)


def test_shape_computations_are_folded():
    m = Model(7)
    y = m.pair(m.node("Conv", [m.pair(m.input((1, 2, 4, 4))), m.weights((3, 2, 3, 3))]), 0.02)
    batch = m.node("Gather", [m.node("Shape", [y]), m.constant(np.array(0))], axis=0)
    batch = m.node("Unsqueeze", [batch, m.constant(np.array([0]))])
    target = m.node("Concat", [batch, m.constant(np.array([-1]))], axis=0)
    y = m.node("Identity", [m.node("Reshape", [y, target])])
    m.output(m.pair(m.node("Gemm", [y, m.weights((5, 12))], transB=1), 0.002))
    check(m.make(), (1, 2, 4, 4))


@pytest.mark.parametrize("kind", [TensorProto.INT8, TensorProto.UINT8])
def test_integer_inputs_and_outputs(kind):
    dtype = np.int8 if kind == TensorProto.INT8 else np.uint8
    m = Model(8)
    x = m.dequantize(m.input((1, 2, 4, 5), kind), 0.05, 7, dtype)
    y = m.quantize(m.node("Conv", [x, m.weights((3, 2, 3, 3))]), 0.02, 9, dtype)
    m.output(y, kind)
    model = m.make()
    limits = np.iinfo(dtype)
    x = np.random.default_rng(0).integers(limits.min, limits.max + 1, (1, 2, 4, 5), dtype=dtype)
    np.testing.assert_array_equal(evaluate(read_onnx(model), x)[0], run_onnxruntime(model, x)[0])


def test_an_open_batch_is_one():
    m = Model(8)
    m.input((1, 2, 4, 5))
    m.inputs[0] = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 2, 4, 5])
    m.output(m.pair(m.node("Conv", [m.pair("x"), m.weights((3, 2, 3, 3))]), 0.02))
    assert read_onnx(m.make()).tensors["x"].shape == (1, 2, 4, 5)


def test_names_of_inputs_and_outputs_stay():
    m = Model(8)
    y = m.pair(m.node("Conv", [m.pair(m.input((1, 1, 4, 5))), m.weights((3, 1, 3, 3))]), 0.02)
    m.output(y)
    graph = read_onnx(m.make())
    assert (graph.inputs, graph.outputs) == (("x",), (y,))


@pytest.mark.parametrize("shape", [(2, 1, 4, 4), (1, 1, "h", 4), (1, 1, 0, 4)])
def test_inputs_need_a_batch_of_one_and_sizes(shape):
    m = Model(8)
    m.inputs.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, shape))
    m.output(m.pair(m.node("Relu", [m.pair("x")])))
    with pytest.raises(UserError, match="the input 'x' must have a batch of 1 and known sizes, not \\("):
        read_onnx(m.make(check=False))


def test_an_output_without_quantization_is_refused():
    m = Model(8)
    m.output(m.node("Conv", [m.pair(m.input((1, 1, 4, 5))), m.weights((3, 1, 3, 3))]))
    with pytest.raises(
        UserError, match=r"the output 'v\d+' is the unquantized result of Conv 'conv_\d+', expected a Quan"
    ):
        read_onnx(m.make())


def test_an_output_that_is_constant_is_refused():
    m = Model(8)
    m.input((1, 1, 4, 5))
    m.output(m.node("Relu", [m.constant(np.zeros(3, np.float32))]))
    with pytest.raises(UserError, match="does not depend on an input"):
        read_onnx(m.make())


def sentence(source):
    """The error of reading `source`, one line."""
    with pytest.raises(UserError) as error:
        read_onnx(source)
    text = str(error.value)
    assert text
    assert "\n" not in text
    return text


def test_no_file(tmp_path):
    assert sentence(tmp_path / "none.onnx").endswith("none.onnx: the model cannot be read: No such file or directory")
    assert "the model cannot be read: Is a directory" in sentence(tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello world, this is text", bytes(1000), LENET.read_bytes()[:5000]])
def test_other_files(content, tmp_path):
    file = tmp_path / "other.onnx"
    file.write_bytes(content)
    assert "this is not an ONNX model, or" in sentence(file)


def test_unknown_operator():
    m = Model(8)
    m.node("Frobnicate", [m.pair(m.input((1, 4)))])
    m.output(m.pair("x"))
    assert "the model is malformed: No Op registered for Frobnicate" in sentence(m.make(check=False))


def damaged(random):
    """LeNet with one or two random changes to its structure."""
    model = onnx.load(LENET)
    graph = model.graph
    for _ in range(random.integers(1, 3)):
        node = graph.node[random.integers(len(graph.node))]
        constant = graph.initializer[random.integers(len(graph.initializer))]
        match random.integers(9):
            case 0:
                graph.node.remove(node)
            case 1 if node.attribute:
                node.attribute.pop(random.integers(len(node.attribute)))
            case 2 if node.attribute:
                attribute = node.attribute[random.integers(len(node.attribute))]
                attribute.ints[:1] = [int(random.integers(-3, 9))] if attribute.ints else []
                attribute.i = int(random.integers(-3, 9))
            case 3:
                node.input[random.integers(len(node.input))] = constant.name
            case 4:
                del node.input[-1]
            case 5:
                constant.dims[:] = random.integers(0, 5, random.integers(0, 4)).tolist()
            case 6:
                constant.data_type = int(random.integers(0, 17))
            case 7:
                kinds = ["Conv", "Gemm", "MatMul", "MaxPool", "Relu", "Add", "Softmax", "Flatten", "Reshape", "Clip"]
                node.op_type = str(random.choice([*kinds, "Squeeze", "Transpose", "Shape", "GlobalAveragePool"]))
            case 8:
                values = numpy_helper.to_array(constant)
                filled = np.full_like(values, random.choice([0, -1, 127]))
                constant.CopyFrom(numpy_helper.from_array(filled, constant.name))
    return model


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_model_is_refused_in_a_sentence_or_read(seed):
    model = damaged(np.random.default_rng(seed))
    try:
        graph = read_onnx(model)
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert isinstance(graph, Graph)
