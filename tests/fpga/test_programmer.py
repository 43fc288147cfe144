import pytest
from weft.fpga.boards import BOARDS
from weft.fpga.programmer import VARIABLE, load
from weft.sw.errors import UserError

BOARD = BOARDS["ulx3s"]


@pytest.fixture
def loader(tmp_path, monkeypatch):
    """A program that writes down its arguments and ends as asked."""

    def make(script):
        program = tmp_path / "loader"
        program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\n{script}\n')
        program.chmod(0o755)
        monkeypatch.setenv(VARIABLE, str(program))
        return tmp_path / "arguments"

    return make


@pytest.mark.parametrize("flash", [False, True])
def test_arguments(loader, tmp_path, flash):
    arguments = loader("exit 0")
    file = tmp_path / "x.bit"
    file.touch()
    load(BOARD, file, flash)
    assert arguments.read_text().split() == ["-b", "ulx3s", *(["--write-flash"] if flash else []), str(file)]


@pytest.mark.parametrize(
    "script, words", [("echo a; echo no device >&2; exit 1", "no device"), ("exit 3", "exit status 3")]
)
def test_its_last_words_are_told(loader, tmp_path, script, words):
    loader(script)
    (tmp_path / "x.bit").touch()
    with pytest.raises(UserError) as caught:
        load(BOARD, tmp_path / "x.bit")
    assert str(caught.value) == f"openFPGALoader could not load x.bit into ULX3S 85F: {words}"


def test_a_file_that_is_not_there(loader, tmp_path):
    loader("exit 0")
    with pytest.raises(UserError, match=r"x\.bit: there is no such file$"):
        load(BOARD, tmp_path / "x.bit")


def test_a_loader_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, "no-such-loader")
    with pytest.raises(UserError) as caught:
        load(BOARD, tmp_path / "x.bit")
    assert str(caught.value) == "loading a bitstream needs no-such-loader, which is not on the PATH: see docs/boards.md"
