"""Files that are either old or new, never a part of the new one."""

import os
import tempfile
from pathlib import Path

from .errors import UserError


def check_target(path: str | os.PathLike[str]) -> None:
    """See before the work that a file could be written there.

    Raises
    ------
    UserError
        If the folder does not exist, or the name is a folder's.
    """
    target = Path(path)
    if target.is_dir():
        raise UserError(f"{target}: this is a folder, expected the name of a file to write")
    if not target.parent.is_dir():
        raise UserError(f"{target}: the folder {target.parent} does not exist")


def replace_file(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file as a whole; what is no regular file (a pipe, a terminal) is written as it is.

    Raises
    ------
    UserError
        If it cannot be written; an old file stays.
    """
    target = Path(path)
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(content)
        else:
            _replace(target.resolve(), content)
    except OSError as error:
        raise UserError(f"{path}: the file cannot be written: {error.strerror}") from None


def _replace(target: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~umask)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
