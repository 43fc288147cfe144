from tests.sw.command_line import refusal


def test_a_loader_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENFPGALOADER", "no-such-loader")
    said = refusal("program", "ulx3s", "--bitstream", "x.bit", folder=tmp_path)
    assert "loading a bitstream needs no-such-loader, which is not on the PATH: see docs/boards.md" in said


def test_a_board_that_is_not_known(tmp_path):
    assert refusal("program", "arduino", folder=tmp_path).startswith("'arduino' is not a board")
