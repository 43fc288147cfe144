"""A program made by hand: small, and with a host side."""

from weft.rtl.config import Config
from weft.rtl.isa import Opcode, assemble, instruction
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
        "inputs": (Port("x", (1, 2, 2, 1), "int8", 0.5, 0, 0, 4, (1, 1, 2, 2), "float32"),),
        "outputs": (Port("y", (1, 4), "int8", 0.5, 0, 0, 4),),
        "layers": (LayerInfo("first", "conv", 1, 1200, 100, 110), LayerInfo("second", "pool", 2, 0, 40, 45)),
        "prologue": ((("reshape", (1, 2, 2, 1)), ("quantize", 0.5, 0, "int8")),),
        "name": "by hand",
    }
    return Program(**(values | changes))
