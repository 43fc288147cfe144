"""A program made by hand, and a network around it with a host side."""

from weft.rtl.config import Config
from weft.rtl.isa import Opcode, assemble, instruction
from weft.sw.graph import Quantize, Reshape, Tensor
from weft.sw.network import HOST, NOWHERE, NPU, Network, Row
from weft.sw.program import LayerInfo, Port, Program

CONFIG = Config()


def program(**changes):
    """Four quantized numbers, copied twice over the scratchpad under the tags of two layers; the output is int8."""
    move = [
        instruction(Opcode.LOAD, base=1, bytes=4, rows=1, tag=0, signal=8),
        instruction(Opcode.STORE, base=2, bytes=4, rows=1, tag=3, wait=1),
        instruction(Opcode.END),
    ]
    values = {
        "config": CONFIG,
        "image": assemble(move),
        "setup": -1,
        "run": 0,
        "workspace_bytes": 0,
        "inputs": (Port("q", (1, 2, 2, 1), "int8", 0.5, 0, 0, 4),),
        "outputs": (Port("y", (1, 4), "int8", 0.5, 0, 0, 4),),
        "layers": (
            LayerInfo("first", "conv", 1, 1200, 100, 110, 3, 1004, 500, True),
            LayerInfo("second", "pool", 2, 0, 40, 45, 2, 4),
        ),
        "name": "by hand",
    }
    return Program(**(values | changes))


def network(*programs, **changes):
    """float32 to int8 on the host, then the program; several programs follow each other, each from q to y, y2, ..."""
    tensors = [
        Tensor("x", (1, 1, 2, 2), "float32"),
        Tensor("r", (1, 2, 2, 1), "float32"),
        Tensor("q", (1, 2, 2, 1), "int8", 0.5, 0),
        Tensor("y", (1, 4), "int8", 0.5, 0),
    ]
    stages = [Reshape("flat", ("x",), "r"), Quantize("to int8", ("r",), "q"), *(programs or [program()])]
    values = {
        "name": "by hand",
        "config": CONFIG,
        "tensors": {tensor.name: tensor for tensor in tensors},
        "stages": tuple(stages),
        "inputs": ("x",),
        "outputs": ("y",),
        "rows": (
            Row("flat", "Reshape", NOWHERE),
            Row("to int8", "Quantize", HOST, "the NPU takes integers"),
            Row("first", "Conv2D", NPU, program=0, layers=("first",)),
            Row("relu", "Clamp", NPU, "in the layer of first", program=0),
            Row("second", "MaxPool2D", NPU, program=0, layers=("second",)),
        ),
    }
    return Network(**(values | changes))
