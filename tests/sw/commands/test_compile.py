import pytest
from weft.gen.presets import PRESETS
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.network_file import to_bytes
from weft.sw.onnx.reader import read_onnx

from tests.sw.command_line import refusal, weft
from tests.sw.mixed_networks import split_model
from tests.sw.tflite_cases import CASES


@pytest.fixture
def lenet(root):
    return root / "sw" / "models" / "lenet5.onnx"


@pytest.fixture
def split(tmp_path):
    """A model that needs the host in its middle."""
    (tmp_path / "split.tflite").write_bytes(split_model().model)
    return "split.tflite"


def test_a_row_per_operator_and_the_program(lenet, tmp_path):
    done = weft("compile", lenet, "--preset", "medium", "-o", "lenet5.weft", "--strict", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done
    network = compile_model(read_onnx(lenet), PRESETS["medium"])
    assert (tmp_path / "lenet5.weft").read_bytes() == to_bytes(network)
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:-3]] == [row.name for row in network.rows]
    assert lines[0].split() == ["name", "operator", "where", "tiles", "cycles", "bytes", "moved", "weights", "why"]
    assert lines[-3].split()[0] == "total"
    assert f"{sum(layer.predicted_cycles for layer in network.layers):,}" in lines[-3].split()
    assert lines[-1].startswith("7 of 9 operators on the NPU, in a program of ")
    (tmp_path / "lenet5.weft").rename(tmp_path / "again.weft")
    again = weft("compile", "again.weft", folder=tmp_path)
    assert again.stdout == done.stdout


REASON = "the NPU has no exponentials and quotients of 32 bits"


def test_an_operator_of_the_host_has_its_reason(split, tmp_path):
    done = weft("compile", split, "-o", "split.weft", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done
    lines = done.stdout.splitlines()
    (host,) = [line for line in lines if " host " in line]
    assert host.split() == ["SOFTMAX", "1", "SoftmaxInt8", "host", *REASON.split()]
    assert [line.split()[3:5] for line in lines if "FullyConnected" in line] == [["npu", "1"], ["npu", "2"]]


@pytest.mark.parametrize("model", ["split.tflite", "split.weft"])
def test_strict_refuses_an_operator_of_the_host(split, tmp_path, model):
    assert weft("compile", split, "-o", "split.weft", folder=tmp_path).returncode == 0
    before = sorted(path.name for path in tmp_path.iterdir())
    said = refusal("compile", model, "--strict", "-o", "strict.weft", folder=tmp_path)
    assert said == f"split.tflite: SoftmaxInt8 'SOFTMAX 1' would run on the host: {REASON}"
    assert sorted(path.name for path in tmp_path.iterdir()) == before


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


def test_what_a_configuration_cannot_do_is_told(tmp_path):
    (tmp_path / "tanh.tflite").write_bytes(CASES["TANH int8"]().model)
    assert weft("compile", "tanh.tflite", "--strict", folder=tmp_path).returncode == 0
    settings = ("--set", "tables=false")
    done = weft("compile", "tanh.tflite", *settings, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done
    reason = "it takes look-up tables, which the configuration does not have (tables = false)"
    assert done.stdout.splitlines()[1].split() == ["TANH", "0", "Lookup", "host", *reason.split()]
    said = refusal("compile", "tanh.tflite", *settings, "--strict", "-o", "tanh.weft", folder=tmp_path)
    assert said == f"tanh.tflite: Lookup 'TANH 0' would run on the host: {reason}"
    assert [path.name for path in tmp_path.iterdir()] == ["tanh.tflite"]
