"""A model's file to what it holds, by its suffix."""

from pathlib import Path

from .errors import UserError
from .graph import Graph
from .program import Program


def load_model(path: Path) -> Graph | Program:
    """A graph from an .onnx file, or a program from a .weft file.

    Raises
    ------
    UserError
        For another suffix, and as the readers do.
    """
    if not path.exists():
        raise UserError(f"{path}: no such file, expected a model")
    if path.is_dir():
        raise UserError(f"{path}: this is a folder, expected a model")
    match path.suffix:
        case ".onnx":
            # Only now: importing onnx takes longer than loading a program.
            from .onnx_reader import read_onnx

            return read_onnx(path)
        case ".weft":
            return Program.load(path)
    raise UserError(f"{path}: a model must be an .onnx file or a compiled .weft file")
