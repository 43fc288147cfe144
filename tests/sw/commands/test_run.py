import json
import sys

import numpy as np
import onnx
import pytest
from weft.gen.presets import PRESETS
from weft.sw import cli
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.datasets import scikit_digits, to_input
from weft.sw.network_file import save
from weft.sw.onnx.reader import read_onnx

from tests.sw.command_line import weft
from tests.sw.mixed_networks import split_model

SAMPLES = 3


@pytest.fixture
def folder(tmp_path, root, monkeypatch):
    """A folder with LeNet-5, a few digits, and things that are wrong."""
    monkeypatch.chdir(tmp_path)
    model = (root / "sw" / "models" / "lenet5.onnx").read_bytes()
    (tmp_path / "lenet5.onnx").write_bytes(model)
    (tmp_path / "cut.onnx").write_bytes(model[:5000])
    (tmp_path / "text.onnx").write_text("hello, world")
    digits = to_input(scikit_digits().images[:SAMPLES])
    np.savez("in.npz", in_0=digits)
    np.save("in.npy", digits[:, np.newaxis])
    np.savez("bytes.npz", in_0=digits.astype(np.int8))
    np.savez("tall.npz", in_0=digits.transpose(0, 2, 1, 3))
    return tmp_path


def told(monkeypatch, capsys, *arguments):
    """What `weft` says when it exits with status 2, in this process; it is one sentence."""
    monkeypatch.setattr(sys, "argv", ["weft", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (cli.USER_ERROR, ""), said
    assert said.err.startswith("weft: ")
    assert said.err.count("\n") == 1
    return said.err.removeprefix("weft: ").rstrip("\n")


def output(name):
    with np.load(name) as found:
        assert found.files == ["out_0"]
        return found["out_0"]


def test_rtl_machine_and_golden_operators_give_the_same_bytes(folder, root):
    for on in ("rtl", "machine", "golden"):
        where = ("--on", on, "--input", "in.npz", "--output", f"{on}.npz", "--report", f"{on}.json")
        done = weft("run", "lenet5.onnx", "--preset", "small", *where, folder=folder)
        assert (done.returncode, done.stderr) == (0, ""), done
        assert ("total" in done.stdout) == (on == "rtl")
    golden = output("golden.npz")
    assert golden.shape == (SAMPLES, 10)
    assert golden.dtype == np.float32
    assert golden.argmax(axis=1).tolist() == scikit_digits().labels[:SAMPLES].tolist()
    for on in ("rtl", "machine"):
        assert output(f"{on}.npz").tobytes() == golden.tobytes()

    report = json.loads((folder / "rtl.json").read_text())
    network = compile_model(read_onnx(root / "sw" / "models" / "lenet5.onnx"), PRESETS["small"])
    assert report["macs"] == 416520
    assert report["utilization"] == 416520 / (report["cycles"] * 64)
    assert sum(layer["cycles"] for layer in report["layers"]) == report["cycles"] <= 10500
    assert [layer["name"] for layer in report["layers"][:5]] == [layer.name for layer in network.layers]
    assert all(
        set(layer) == {"name", "op", "cycles", "predicted_cycles", "macs", "utilization", "stalls"}
        for layer in report["layers"]
    )
    for on in ("machine", "golden"):
        content = json.loads((folder / f"{on}.json").read_text())
        assert content["macs"] == 416520
        assert content["cycles"] is None
        assert {layer["cycles"] for layer in content["layers"]} == {None}


def test_a_compiled_program_runs_as_its_model_does(folder):
    arguments = ("--on", "machine", "--input", "in.npy")
    assert weft("compile", "lenet5.onnx", "-o", "lenet5.weft", folder=folder).returncode == 0
    done = weft("run", "lenet5.weft", *arguments, "--output", "program.npy", folder=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done
    done = weft("run", "lenet5.onnx", *arguments, "--output", "model.npy", folder=folder)
    assert done.returncode == 0, done
    found = np.load("program.npy")
    assert found.shape == (SAMPLES, 1, 10)
    assert found.tobytes() == np.load("model.npy").tobytes()


def test_a_model_of_several_programs(folder):
    """Cycles are the sum of the programs', and all layers are told."""
    case = split_model()
    (folder / "split.tflite").write_bytes(case.model)
    np.savez("split.npz", in_0=case.inputs[0])
    for on in ("rtl", "machine", "golden"):
        where = ("--on", on, "--input", "split.npz", "--output", f"{on}.npz", "--report", f"{on}.json")
        done = weft("run", "split.tflite", "--preset", "small", *where, folder=folder)
        assert (done.returncode, done.stderr) == (0, ""), done
    assert output("rtl.npz").tobytes() == output("machine.npz").tobytes() == output("golden.npz").tobytes()
    report = json.loads((folder / "rtl.json").read_text())
    names = [layer["name"] for layer in report["layers"]]
    assert [name for name in names if name != "(result)"] == ["FULLY_CONNECTED 0", "FULLY_CONNECTED 2"]
    assert sum(layer["cycles"] for layer in report["layers"]) == report["cycles"]
    assert report["macs"] == 8 * 8 + 8 * 5


@pytest.mark.parametrize(
    "model, changes, sentence",
    [
        ("none.onnx", [], "none.onnx: no such file, expected a model"),
        ("text.onnx", [], "text.onnx: this is not an ONNX model, or it is damaged"),
        ("cut.onnx", [], "cut.onnx: this is not an ONNX model, or it is damaged"),
        ("in.npz", [], "in.npz: this is not an ONNX model, or it is damaged"),
        ("lenet5.onnx", ["--input", "none.npz"], "none.npz: no such file, expected the inputs"),
        ("lenet5.onnx", ["--input", "bytes.npz"], "bytes.npz: in_0 (the model's 'image') must be float32, not int8"),
        (
            "lenet5.onnx",
            ["--input", "tall.npz"],
            "tall.npz: in_0 (the model's 'image') must have the shape (samples, 1, 28, 28) with at least 1 sample, "
            "not (3, 28, 1, 28)",
        ),
        ("lenet5.onnx", ["--output", "none/out.npz"], "none/out.npz: the folder none does not exist"),
        ("lenet5.onnx", ["--output", "out.csv"], "out.csv: the output must be an .npz or .npy file"),
        ("lenet5.onnx", ["--report", "none/r.json"], "none/r.json: the folder none does not exist"),
        ("lenet5.onnx", ["--set", "rows=0"], "rows must be a positive integer, not 0"),
        (
            "lenet5.onnx",
            ["--preset", "giant"],
            "'giant' is not a preset; the presets are nano, tiny, small, medium, large, huge",
        ),
        (
            "lenet5.onnx",
            ["--on", "rtl", "--set", "axi=false"],
            "simulating the RTL takes a configuration with axi = true: the memory model speaks AXI",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_bad_input_is_one_sentence_and_leaves_no_file(folder, monkeypatch, capsys, model, changes, sentence):
    before = sorted(path.name for path in folder.iterdir())
    arguments = ["--on", "machine", "--input", "in.npz", "--output", "out.npz", "--report", "r.json"]
    assert told(monkeypatch, capsys, "run", model, *arguments, *changes) == sentence
    assert sorted(path.name for path in folder.iterdir()) == before


def test_an_operator_that_is_not_supported_is_named(folder, monkeypatch, capsys):
    model = onnx.load("lenet5.onnx")
    pool = next(node for node in model.graph.node if node.op_type == "MaxPool")
    pool.op_type, pool.domain = "LpPool", "org.example"
    model.opset_import.append(onnx.helper.make_opsetid("org.example", 1))
    kept = [attribute for attribute in pool.attribute if attribute.name in ("kernel_shape", "strides")]
    del pool.attribute[:]
    pool.attribute.extend(kept)
    onnx.save(model, "other.onnx")
    said = told(monkeypatch, capsys, "run", "other.onnx", "--input", "in.npz", "--output", "out.npz")
    assert "LpPool" in said
    assert pool.name in said


def test_a_program_for_another_configuration_is_refused(folder, monkeypatch, capsys):
    save(compile_model(read_onnx("lenet5.onnx"), PRESETS["small"]), "lenet5.weft")
    arguments = ("run", "lenet5.weft", "--input", "in.npz", "--output", "out.npz")
    small, large = (PRESETS[name].digest32 for name in ("small", "large"))
    assert told(monkeypatch, capsys, *arguments, "--preset", "large") == (
        f"the program was compiled for configuration {small:08x} (8x8), not for the chosen {large:08x} (16x16)"
    )
    assert told(monkeypatch, capsys, *arguments, "--on", "golden") == (
        "lenet5.weft: the golden operators run a model, and this is a program compiled from one"
    )


def test_an_interrupt_leaves_no_file(folder, monkeypatch, capsys):
    def interrupt(*_):
        raise KeyboardInterrupt

    before = sorted(path.name for path in folder.iterdir())
    monkeypatch.setattr("weft.sim.golden_graph.run_graph", interrupt)
    where = ["--on", "golden", "--input", "in.npz", "--output", "out.npz", "--report", "r.json"]
    monkeypatch.setattr(sys, "argv", ["weft", "run", "lenet5.onnx", *where])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == cli.INTERRUPTED
    assert "Traceback" not in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == before
