import pytest
from weft.sim.cache import cache_folder, cached


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_folder_is_the_users_unless_it_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv("WEFT_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "weft"


def test_a_key_is_built_once(folder):
    built = []

    def build(path):
        built.append(path)
        (path / "result").write_text("done")

    assert cached("some-key.1", build) == cached("some-key.1", build) == folder / "some-key.1"
    assert len(built) == 1
    assert (folder / "some-key.1" / "result").read_text() == "done"
    assert built[0].parent == folder
    assert list(folder.iterdir()) == [folder / "some-key.1"]


def test_a_build_that_fails_leaves_nothing(folder):
    def build(path):
        (path / "half").write_text("")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        cached("key", build)
    assert list(folder.iterdir()) == []


def test_the_first_of_two_builds_at_once_is_kept(folder):
    def slow(path):
        (path / "result").write_text("slow")

        def fast(path):
            (path / "result").write_text("fast")

        cached("key", fast)

    assert (cached("key", slow) / "result").read_text() == "fast"
    assert list(folder.iterdir()) == [folder / "key"]


@pytest.mark.parametrize("key", ["", "a/b", "../a", ".hidden", "a b"])
def test_a_key_is_a_plain_name(key):
    with pytest.raises(ValueError, match=r"^a cache key consists of letters, digits, '_', '-' and '.', not '"):
        cached(key, lambda path: None)
