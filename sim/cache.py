"""The folder in which builds are kept, each under a key that names everything it was made from."""

import os
import re
import shutil
import tempfile
from collections.abc import Callable
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
        must be good under another path; when several processes build the same key, one result is kept.

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
    partial = Path(tempfile.mkdtemp(prefix=f".{key}.", dir=folder.parent))
    try:
        build(partial)
        partial.chmod(0o755)
        try:
            partial.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder
