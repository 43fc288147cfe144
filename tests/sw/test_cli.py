import re
import signal
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from weft.gen import presets
from weft.sw import cli
from weft.sw.errors import UserError
from weft.sw.transport import DeviceError

from tests.sw.command_line import refusal, weft


def test_version(tmp_path: Path) -> None:
    done = weft("--version", folder=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"weft {version('weft')}\n", "")


def test_help_lists_every_command(tmp_path: Path) -> None:
    done = weft("--help", folder=tmp_path)
    assert done.returncode == 0
    listed = re.findall(r"^  ([a-z]+)  ", done.stdout[done.stdout.index("Commands:") :], re.MULTILINE)
    assert listed == list(cli.COMMANDS)
    for command in cli.COMMANDS:
        assert weft(command, "--help", folder=tmp_path).returncode == 0


@pytest.mark.parametrize(
    "arguments, culprit",
    [
        (["--frob"], "--frob"),
        (["frob"], "'frob'"),
        (["presets", "--frob"], "--frob"),
        (["presets", "frob"], "(frob)"),
        (["generate"], "'-o' / '--output'"),
        (["generate", "-o"], "'-o'"),
    ],
)
def test_wrong_usage_is_told(tmp_path: Path, arguments: list[str], culprit: str) -> None:
    done = weft(*arguments, folder=tmp_path)
    assert done.returncode == 2
    assert culprit in done.stderr
    assert "Traceback" not in done.stderr


def test_what_the_user_can_mend_is_one_sentence(tmp_path: Path) -> None:
    said = refusal("generate", "-o", "out", "--preset", "giant", folder=tmp_path)
    assert said == "'giant' is not a preset; the presets are nano, tiny, small, medium, large, huge"


def run_with(monkeypatch: pytest.MonkeyPatch, error: BaseException, *, by: str = "weft.gen.presets") -> int:
    """Run a command in which `error` is raised by a function of the module `by`; the exit status."""
    source = "def load_config(*_):\n    raise error\n"
    names = {"__name__": by, "error": error}
    exec(source, names)
    monkeypatch.setattr(presets, "load_config", names["load_config"])
    monkeypatch.setattr(sys, "argv", ["weft", "generate", "-o", "unused"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    "error, sentence",
    [
        (UserError("the model has no output"), "the model has no output"),
        (ValueError("rows must be 1"), "rows must be 1"),
        (PermissionError(13, "Permission denied", "npu.v"), "Permission denied (npu.v)"),
        (OSError(28, "No space left on device"), "No space left on device"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_of_the_user_and_the_system(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, sentence: str
) -> None:
    assert run_with(monkeypatch, error) == cli.USER_ERROR
    assert capsys.readouterr().err == f"weft: {sentence}\n"


def test_what_a_stopped_device_says_keeps_its_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_with(monkeypatch, DeviceError("it stopped:\n  the load unit is idle")) == cli.USER_ERROR
    assert capsys.readouterr().err == "weft: it stopped:\n  the load unit is idle\n"
    assert run_with(monkeypatch, UserError("the tensor a\nb")) == cli.USER_ERROR
    assert capsys.readouterr().err == "weft: the tensor a\\nb\n"


@pytest.mark.parametrize("error", [ValueError("shapes do not match"), PermissionError(13, "denied")], ids=repr)
def test_error_out_of_a_library_is_a_defect(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    with pytest.raises(type(error), match=re.escape(str(error))):
        run_with(monkeypatch, error, by="numpy")


def test_user_error_counts_wherever_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_with(monkeypatch, UserError("not a number"), by="json.decoder") == cli.USER_ERROR


def test_interrupt_ends_with_the_status_of_the_signal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_with(monkeypatch, KeyboardInterrupt()) == 128 + signal.SIGINT
    assert "Traceback" not in capsys.readouterr().err
