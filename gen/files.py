"""Files that are either old or new, never half of each."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path


def replace_files(folder: Path, texts: Mapping[str, str]) -> None:
    """Write several files of one folder, name to text; none is replaced before all are written.

    Raises
    ------
    OSError
        When one cannot be written or replaced.
    """
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=folder) as staging:
        for name, text in texts.items():
            (Path(staging) / name).write_text(text, encoding="utf-8", newline="\n")
        for name in texts:
            os.replace(Path(staging) / name, folder / name)
