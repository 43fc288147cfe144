import pytest
from weft.sw.errors import UserError
from weft.sw.graph import Graph
from weft.sw.loading import load_model
from weft.sw.network_file import save, to_bytes

from tests.sw.programs import network


def test_an_onnx_file_is_a_graph(root):
    graph = load_model(root / "sw" / "models" / "lenet5.onnx")
    assert isinstance(graph, Graph)
    assert graph.name == "lenet5.onnx"


def test_a_weft_file_is_a_program(tmp_path):
    save(network(), tmp_path / "p.weft")
    assert to_bytes(load_model(tmp_path / "p.weft")) == to_bytes(network())


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("none.onnx", "no such file, expected a model"),
        ("folder.onnx", "this is a folder, expected a model"),
        ("model.pt", "this is not an ONNX model, or it is damaged"),
        ("text.weft", "this is not a program file, or it is damaged"),
        ("text.onnx", "this is not an ONNX model, or it is damaged"),
    ],
)
def test_what_is_no_model_is_told(tmp_path, name, sentence):
    (tmp_path / "folder.onnx").mkdir()
    for other in ("model.pt", "text.weft", "text.onnx"):
        (tmp_path / other).write_text("hello, world")
    with pytest.raises(UserError) as refused:
        load_model(tmp_path / name)
    assert str(refused.value) == f"{tmp_path / name}: {sentence}"
