"""What the command line takes as a model: a framework's file, or what was compiled from one."""

from pathlib import Path

from .errors import UserError
from .graph import Graph
from .network import Network
from .network_file import load
from .readers import read_model


def load_model(path: Path) -> Graph | Network:
    """A compiled model from a .weft file, a graph from any other.

    Raises
    ------
    UserError
        If there is no such file, and as the readers do.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file, expected a model")
    if path.is_dir():
        raise UserError(f"{path}: this is a folder, expected a model")
    if path.suffix == ".weft":
        return load(path)
    return read_model(path)
