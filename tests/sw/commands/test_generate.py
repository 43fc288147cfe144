from pathlib import Path

import pytest
from weft.gen.generate import generate
from weft.gen.presets import PRESETS

from tests.sw.command_line import refusal, weft


def test_files_of_the_chosen_configuration(tmp_path: Path) -> None:
    (tmp_path / "npu.toml").write_text('preset = "tiny"\nrows = 2\n')
    done = weft("generate", "--config", "npu.toml", "--set", "cols=2", "-o", "out", folder=tmp_path)
    assert done.returncode == 0, done
    assert done.stdout.splitlines() == ["out/npu.v", "out/npu.json", "out/npu.h"]
    expected = generate(PRESETS["tiny"].replace(rows=2, cols=2), tmp_path / "expected")
    for file in expected:
        assert (tmp_path / "out" / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["--set", "rows=0"], "rows must be a positive integer, not 0"),
        (["--set", "rows"], "a setting must be PARAMETER=VALUE, not 'rows'"),
        (["--config", "none.toml"], "the configuration file none.toml does not exist"),
        (["--config", "bad.toml"], "bad.toml, line 2: cols must be at most 128, not 999"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_configuration_leaves_no_file(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    (tmp_path / "bad.toml").write_text("rows = 8\ncols = 999\n")
    assert refusal("generate", "-o", "out", *arguments, folder=tmp_path) == sentence
    assert [path.name for path in tmp_path.iterdir()] == ["bad.toml"]


def test_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("precious")
    assert refusal("generate", "--preset", "tiny", "-o", "out", folder=tmp_path) == "File exists (out)"
    assert (tmp_path / "out").read_text() == "precious"
