"""Files that are no ONNX models, or that were made to harm."""

import onnx
import pytest
from onnx import TensorProto, helper
from weft.sw.errors import UserError
from weft.sw.onnx import file as onnx_file
from weft.sw.onnx.file import COMPILED, first_sentence, load

from tests.sw.onnx_models import Model


def small(**changes):
    """A model of one node, with fields of the graph changed."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 4)) for name in "xy")
    values = {"nodes": [helper.make_node("Relu", ["x"], ["y"], name="relu")], "inputs": [x], "outputs": [y]} | changes
    graph = helper.make_graph(values["nodes"], "g", values["inputs"], values["outputs"], values.get("initializer"))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def refused(model):
    with pytest.raises(UserError) as error:
        load(model)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 700
    return str(error.value)


def test_a_good_model():
    model, name = load(small())
    assert (model.graph.node[0].op_type, name) == ("Relu", "g")


@pytest.mark.parametrize("operator", COMPILED)
def test_models_compiled_for_other_devices(operator):
    node = helper.make_node(operator, ["x"], ["y"], name="all", domain="com.microsoft")
    assert f"{operator} 'all' holds a model compiled for {COMPILED[operator]}, expected the model" in refused(
        small(nodes=[node])
    )


def test_a_cycle():
    nodes = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    assert refused(small(nodes=[*nodes, helper.make_node("Relu", ["b"], ["y"])])).startswith(
        "g: the model is malformed: "
    )


@pytest.mark.parametrize("dims", [[1 << 40], [1 << 20, 1 << 20], [-1], [1 << 62, 4]])
def test_huge_constants(dims):
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims, raw_data=b"1234")
    assert "the constant 'w' has the shape" in refused(small(initializer=[tensor]))


def test_too_many_nodes(monkeypatch):
    monkeypatch.setattr(onnx_file, "MOST_NODES", 0)
    assert refused(small()) == "g: the model has 1 operators, supported are up to 0"


def test_files_have_an_end(monkeypatch, tmp_path):
    onnx.save(small(), tmp_path / "m.onnx")
    assert load(tmp_path / "m.onnx")[1] == "m.onnx"
    monkeypatch.setattr(onnx_file, "LARGEST_FILE", 10)
    assert "bytes, supported are up to 10" in refused(tmp_path / "m.onnx")


def test_data_outside_of_the_file(tmp_path):
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "w.bin"), ("offset", str(1 << 40)), ("length", "16")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    (tmp_path / "w.bin").write_bytes(bytes(16))
    model = small(initializer=[tensor], nodes=[helper.make_node("Add", ["x", "w"], ["y"])])
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    assert "m.onnx" in refused(tmp_path / "m.onnx")


def test_messages_of_other_libraries_are_cut():
    assert first_sentence(ValueError("first.\nsecond")) == "first"
    assert first_sentence(ValueError("")) == "ValueError"
    assert first_sentence(ValueError("a\x00b")) == "a?b"
    assert len(first_sentence(ValueError("x" * 10_000))) == onnx_file.LONGEST_SENTENCE


def test_names_of_any_length():
    m = Model()
    m.output(m.node("Relu", [m.input((1, 4))]))
    model = m.make()
    model.graph.node[0].name = "n" * 100_000
    model.graph.node[0].op_type = "EPContext"
    refused(model)


def test_names_that_are_no_text(tmp_path):
    raw = small().SerializeToString().replace(b"relu", b"re\xff\xfe")
    (tmp_path / "m.onnx").write_bytes(raw)
    assert refused(tmp_path / "m.onnx") == "m.onnx: the model is damaged: it has names that are no text"
