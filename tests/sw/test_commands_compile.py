import pytest
from weft.gen.presets import PRESETS
from weft.sw.compiler import compile_graph
from weft.sw.onnx_reader import read_onnx
from weft.sw.program import Program

from tests.sw.command_line import refusal, weft


@pytest.fixture
def lenet(root):
    return root / "sw" / "models" / "lenet5.onnx"


def test_a_row_per_layer_and_the_program(lenet, tmp_path):
    done = weft("compile", lenet, "--preset", "medium", "-o", "lenet5.weft", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done
    program = compile_graph(read_onnx(lenet), PRESETS["medium"])
    assert Program.load(tmp_path / "lenet5.weft") == program
    lines = done.stdout.splitlines()
    names = [line.split()[0] for line in lines]
    assert [name for name in names if name.startswith("/")] == [layer.name for layer in program.layers]
    assert names[-1] == "total"
    assert f"{sum(layer.predicted_cycles for layer in program.layers):,}" in lines[-1].split()


def test_without_an_output_nothing_is_written(lenet, tmp_path):
    assert weft("compile", lenet, folder=tmp_path).returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["-o", "lenet5.zip"], "lenet5.zip: the output must be a .weft file"),
        (["-o", "none/lenet5.weft"], "none/lenet5.weft: the folder none does not exist"),
        (["--set", "cols=999"], "cols must be at most 128, not 999"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_sentence_and_leaves_no_file(lenet, tmp_path, arguments, sentence):
    assert refusal("compile", lenet, *arguments, folder=tmp_path) == sentence
    assert list(tmp_path.iterdir()) == []


def test_a_configuration_that_cannot_hold_the_model_is_told(lenet, tmp_path):
    said = refusal("compile", lenet, "--set", "scratchpad_bytes=1024", "-o", "lenet5.weft", folder=tmp_path)
    assert "1024" in said
    assert list(tmp_path.iterdir()) == []
