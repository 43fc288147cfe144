import numpy as np
import pytest
from rich.console import Console
from weft.gen.presets import PRESETS
from weft.rtl.isa import Opcode, Space, assemble, instruction
from weft.sw.compiler import compile_graph
from weft.sw.listing import Entry, entries, table
from weft.sw.onnx_reader import read_onnx
from weft.sw.program import LayerInfo

from tests.sw.programs import program


@pytest.fixture(scope="module")
def lenet(root):
    return compile_graph(read_onnx(root / "sw" / "models" / "lenet5.onnx"), PRESETS["small"])


def conv(**fields):
    """A CONV of one pixel and four times four inputs."""
    ones = dict.fromkeys(("ky_count", "kx_count", "ox_count", "oy_count", "n_count"), 1)
    return instruction(Opcode.CONV, **(ones | {"run": 16, "row_bytes": 16, "height": 1} | fields))


def made(*instructions, **changes):
    """A program of these instructions, on an array of 4x4."""
    image = assemble([*instructions, instruction(Opcode.END)])
    return program(image=image, layers=(LayerInfo("a", "conv", 1, 10, 20, 30),), **changes)


def test_resident_weights_count_once_however_often_they_are_used():
    first = [conv(tag=1, weights=0, n_count=2), conv(tag=1, weights=0, n_count=2), conv(tag=1, weights=99, run=5)]
    drains = [instruction(Opcode.DRAIN, tag=1)] * 3
    (entry,) = entries(made(*first, *drains, conv(tag=7), prologue=()))
    assert entry == Entry("a", "conv", "NPU", 3, (2 * 4 + 2) * 16, "resident", 20, 30)


def test_streamed_weights_are_what_a_run_loads():
    loads = [
        instruction(Opcode.LOAD, tag=1, space=Space.WEIGHTS, bytes=640, rows=1),
        instruction(Opcode.LOAD, tag=1, space=Space.WEIGHTS, bytes=320, rows=1),
        instruction(Opcode.LOAD, tag=1, space=Space.SCRATCHPAD, bytes=999, rows=1),
    ]
    (entry,) = entries(made(*loads, conv(tag=1), prologue=()))
    assert (entry.weight_bytes, entry.weights) == (960, "streamed")


def test_steps_of_the_host_stand_before_and_behind():
    found = entries(made(conv(tag=1), epilogue=((("dequantize", 0.5, 0),),)))
    assert [(one.name, one.op, one.where) for one in found] == [
        ("x", "reshape", "host"),
        ("x", "quantize", "host"),
        ("a", "conv", "NPU"),
        ("y", "dequantize", "host"),
    ]


def test_lenet_is_resident_and_its_tiles_cover_its_weights(lenet):
    layers = [one for one in entries(lenet) if one.where == "NPU"]
    assert [one.name for one in layers] == [layer.name for layer in lenet.layers]
    assert {one.weights for one in layers} == {"resident"}
    sizes = [6 * 25, 16 * 6 * 25, 120 * 400, 84 * 120, 10 * 84]
    assert all(one.weight_bytes >= size for one, size in zip(layers, sizes, strict=True))
    assert sum(one.weight_bytes for one in layers) <= np.frombuffer(lenet.image, np.uint8).size


def test_the_table_ends_with_the_total(lenet):
    console = Console(width=100)
    with console.capture() as shown:
        console.print(table(lenet))
    lines = shown.get().splitlines()
    assert len(lines) == len(entries(lenet)) + 2
    total = sum(layer.predicted_cycles for layer in lenet.layers)
    passes = sum(layer.passes for layer in lenet.layers)
    assert lines[-1].split()[:1] == ["total"]
    assert {f"{total:,}", f"{passes:,}"} < set(lines[-1].split())
