"""A model's file to a graph, by what is in the file."""

import os
from pathlib import Path

from .errors import UserError
from .graph import Graph
from .tflite.options import IDENTIFIER


def read_model(path: str | os.PathLike[str]) -> Graph:
    """Read a TFLite model, which bytes 4 to 7 say it is, or else an ONNX model.

    Raises
    ------
    UserError
        One sentence: there is no such file, it is neither, or as the readers do.
    """
    # The readers are imported when they are needed: importing what each of them parses with takes a while.
    try:
        with Path(path).open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise UserError(f"{path}: the model cannot be read: {error.strerror or error}") from None
    if head[4:] == IDENTIFIER:
        from .tflite.reader import read_tflite

        return read_tflite(path)
    if Path(path).suffix == ".tflite":
        raise UserError(f"{path}: this is not a TFLite model: the identifier {IDENTIFIER.decode()} is missing")
    from .onnx.reader import read_onnx

    return read_onnx(path)
