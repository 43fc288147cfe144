import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from weft.sim.cache import cache_folder, cached

TIME_LIMIT = 30


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


def at_once(count, build):
    """`build` of one key from several threads at a time; what each found."""
    start = Barrier(count)

    def found(_):
        start.wait(TIME_LIMIT)
        return (cached("key", build) / "result").read_text()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(found, range(count), timeout=TIME_LIMIT))


def test_of_several_at_once_one_builds_and_the_others_wait(folder):
    built = []

    def build(path):
        built.append(path)
        time.sleep(0.2)
        (path / "result").write_text(str(len(built)))

    assert at_once(8, build) == ["1"] * 8
    assert len(built) == 1
    assert list(folder.iterdir()) == [folder / "key"]


def test_after_a_build_that_failed_the_next_in_line_builds(folder):
    failures = []

    def build(path):
        if not failures:
            failures.append(path)
            time.sleep(0.2)
            raise RuntimeError("no")
        (path / "result").write_text("done")

    with pytest.raises(RuntimeError, match="no"):
        at_once(4, build)
    assert (cached("key", build) / "result").read_text() == "done"
    assert list(folder.iterdir()) == [folder / "key"]


BUILD_AND_HANG = """
import time
from weft.sim.cache import cached

def build(path):
    (path / "half").write_text("")
    print("building", flush=True)
    time.sleep(1000)

cached("key", build)
"""


def test_a_build_is_taken_over_from_a_process_that_was_killed(folder):
    def build(path):
        assert list(path.iterdir()) == []
        (path / "result").write_text("done")

    with subprocess.Popen([sys.executable, "-c", BUILD_AND_HANG], stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout.readline() == "building\n"
            with ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(cached, "key", build)
                with pytest.raises(TimeoutError):
                    waiting.result(0.3)
                other.kill()
                assert (waiting.result(TIME_LIMIT) / "result").read_text() == "done"
        finally:
            other.kill()
    assert list(folder.iterdir()) == [folder / "key"]


@pytest.mark.parametrize("key", ["", "a/b", "../a", ".hidden", "a b"])
def test_a_key_is_a_plain_name(key):
    with pytest.raises(ValueError, match=r"^a cache key consists of letters, digits, '_', '-' and '.', not '"):
        cached(key, lambda path: None)
