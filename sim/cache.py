"""The folder in which builds are kept, each under a key that names everything it was made from."""

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """The folder that holds all builds: $WEFT_CACHE, or ~/.cache/weft."""
    named = os.environ.get("WEFT_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "weft"


def cached(key: str, build: Callable[[Path], None]) -> Path:
    """The folder `key` of the cache, built if it is not there.

    Parameters
    ----------
    key
        Names the folder: letters, digits, `_`, `-` and `.`. It must change with everything that the build
        depends on.
    build
        Fills the empty folder that it is given. That one gets its name only when `build` has returned, so it
        must be good under another path. Of several processes or threads that want the same key, one builds and the
        others wait; a build must not want its own key.

    Raises
    ------
    ValueError
        For a key that is no plain name.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", key):
        raise ValueError(f"a cache key consists of letters, digits, '_', '-' and '.', not {key!r}")
    folder = cache_folder() / key
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_name(f".{key}.lock")):
        if not folder.is_dir():
            partial = folder.with_name(f".{key}.partial")
            # What a process left that was killed.
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            try:
                build(partial)
                partial.rename(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock on a file, which is made for it and removed again. The system lets go of it when a process dies."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Whoever had the lock before has removed the file, and the next one locks another.
            if not _is_at(descriptor, path):
                continue
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return
        finally:
            os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
