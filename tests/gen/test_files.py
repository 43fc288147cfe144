from pathlib import Path

import pytest
from weft.gen.files import replace_files


def test_files_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    replace_files(tmp_path, {"a": "new\n", "b": "é\n"})
    assert (tmp_path / "a").read_bytes() == b"new\n"
    assert (tmp_path / "b").read_bytes() == "é\n".encode()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_nothing_is_replaced_when_one_text_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    with pytest.raises(UnicodeEncodeError):
        replace_files(tmp_path, {"a": "new", "b": "\ud800"})
    assert (tmp_path / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace_files(tmp_path / "none", {"a": "new"})
