import json
import sys

import pytest
from weft.sw import cli
from weft.sw.commands import bench as commands_bench
from weft.sw.commands import figures
from weft.sw.commands.figures import BEGIN, END
from weft.sw.datasets import scikit_digits

from tests.sw.command_line import refusal, weft
from tests.sw.mnist import write_mnist


def test_cycles_bounds_and_equality_on_the_rtl(tmp_path):
    digits = scikit_digits()
    write_mnist(tmp_path / "mnist", digits.images[:6], digits.labels[:6])
    (tmp_path / "README.md").write_text(f"# Weft\n{BEGIN}\n{END}\nrest\n")
    done = weft("bench", "--mnist", "mnist", "--json", "b.json", "--readme", "README.md", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done

    content = json.loads((tmp_path / "b.json").read_text())
    assert content["missed"] == []
    (lenet,) = content["lenet"]
    assert (lenet["preset"], lenet["macs"], lenet["passes"]) == ("small", 416520, 7877)
    assert lenet["cycles"] <= 10500
    assert sum(layer["cycles"] for layer in lenet["layers"]) == lenet["cycles"]
    for layer in lenet["layers"][:5]:
        assert layer["cycles"] <= layer["bar"] == 115 * layer["passes"] // 100 + 8 + 8 + 24
        assert abs(layer["cycles"] - layer["predicted_cycles"]) <= max(0.05 * layer["cycles"], 8)
    mnist = content["mnist"]
    assert (mnist["images"], mnist["logits"], mnist["different"]) == (6, 60, 0)
    assert mnist["runtime"]["largest_difference"] <= 1
    assert mnist["runtime"]["same_answers"] == 6

    text = (tmp_path / "README.md").read_text()
    assert text.startswith(f"# Weft\n{BEGIN}\n\nLeNet-5 on `small` (8x8), ")
    assert text.endswith(f"\n\n{END}\nrest\n")
    assert f"| start to done | 416,520 | 7,877 | {lenet['cycles']:,} |" in text
    assert "| logits that equal the golden operators' | 60 of 60 | all |" in text
    assert f"{lenet['cycles']:,}" in done.stdout


def test_a_missed_bar_is_told_and_fails(monkeypatch, capsys):
    monkeypatch.setattr(figures, "TOTAL_CYCLES", {"small": 5000})
    monkeypatch.setattr(sys, "argv", ["weft", "bench"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == commands_bench.MISSED
    said = capsys.readouterr()
    assert said.err.startswith("weft: small: ")
    assert said.err.endswith(" cycles from start to done are more than 5,000\n")


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--readme", "empty.md"], f"empty.md: the text must have one line {BEGIN} and behind it one line {END}"),
        (["--readme", "bytes.md"], "bytes.md: this is not a text in UTF-8"),
        (["--readme", "none.md"], "No such file or directory (none.md)"),
        (["--json", "none/b.json"], "none/b.json: the folder none does not exist"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_told_before_the_work(tmp_path, arguments, sentence):
    (tmp_path / "empty.md").touch()
    (tmp_path / "bytes.md").write_bytes(b"\xff")
    assert refusal("bench", *arguments, folder=tmp_path) == sentence
