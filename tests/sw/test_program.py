"""Programs, and what a layer's instructions move."""

from dataclasses import replace

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.rtl.isa import Opcode, Space, instruction
from weft.sw.errors import UserError
from weft.sw.program import LayerInfo, Port, Program, Traffic, traffic_of


def port(name: str = "image", offset: int = 0, **changes) -> Port:
    return replace(Port(name, (1, 4, 3, 2), "int8", 0.5, -3, offset, 24), **changes)


PROGRAM = Program(
    config=Config(rows=8, cols=4, lanes=2),
    image=np.random.default_rng(5).integers(0, 256, 640, dtype=np.uint8).tobytes(),
    setup=512,
    run=64,
    workspace_bytes=100,
    inputs=(port(), port("mask", 64)),
    outputs=(Port("scores", (1, 10), "int32", 1e-3, 0, 8, 40),),
    layers=(LayerInfo("conv1", "Conv2D", 1, 1000, 40, 55), LayerInfo("fc", "FullyConnected", 2, 10, 2, 9)),
    name="two inputs",
)


def test_buffers_span_their_ports():
    assert PROGRAM.input_bytes == 64 + 24
    assert PROGRAM.output_bytes == 8 + 40


def conv(**fields):
    """A CONV of one pixel and four times four inputs, on an array of 4x4."""
    ones = dict.fromkeys(("ky_count", "kx_count", "ox_count", "oy_count", "n_count"), 1)
    return instruction(Opcode.CONV, **(ones | {"run": 16, "row_bytes": 16, "height": 1} | fields))


def load(count, tag, space=Space.SCRATCHPAD):
    return instruction(Opcode.LOAD, tag=tag, space=space, bytes=count, rows=1)


def test_resident_weights_count_once_however_often_they_are_used():
    first = [conv(tag=1, weights=0, n_count=2), conv(tag=1, weights=0, n_count=2), conv(tag=1, weights=99, run=5)]
    drains = [instruction(Opcode.DRAIN, tag=1)] * 3
    found = traffic_of([*first, *drains, conv(tag=7), instruction(Opcode.END)], (1,), Config())
    assert found == {1: Traffic(3, 0, (2 * 4 + 2) * 16, False)}


def test_streamed_weights_are_what_a_run_loads():
    loads = [load(640, 1, Space.WEIGHTS), load(320, 1, Space.WEIGHTS), load(999, 1)]
    assert traffic_of([*loads, conv(tag=1)], (1,), Config()) == {1: Traffic(0, 640 + 320 + 999, 960, True)}


@pytest.mark.parametrize("space", [Space.SCRATCHPAD, Space.PARAMETERS, Space.TABLES])
def test_weights_stay_where_a_run_loads_something_else(space):
    assert traffic_of([load(2048, 1, space), conv(tag=1)], (1,), Config()) == {1: Traffic(0, 2048, 64, False)}


def test_inputs_are_moved_for_the_next_layer_and_outputs_for_the_last():
    drains = [instruction(Opcode.DRAIN, tag=tag) for tag in (1, 2)]
    store = instruction(Opcode.STORE, tag=3, bytes=10, rows=2)
    run = [load(5, 0), conv(tag=1), drains[0], load(7, 0), conv(tag=2), drains[1], store, instruction(Opcode.END)]
    found = traffic_of(run, (1, 2), Config())
    assert [one.moved_bytes for one in found.values()] == [5, 7 + 20]
    assert [one.tiles for one in found.values()] == [1, 1]


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"image": "text"}, "the image of a program must be bytes"),
        ({"config": None}, "the config of a program must be a Config"),
        ({"setup": -2}, "the offset of the setup program must be a multiple of 64 inside the image"),
        ({"run": -1}, "the offset of the run program must be a multiple of 64 inside the image"),
        ({"run": 640}, "the offset of the run program must be a multiple of 64 inside the image"),
        ({"run": 64.0}, "the offset of the run program must be a multiple of 64 inside the image"),
        ({"workspace_bytes": -1}, "workspace_bytes must be an integer of 0 or more, not -1"),
        ({"inputs": ()}, "a program must have a tuple of at least one input"),
        ({"outputs": ()}, "a program must have a tuple of at least one output"),
        ({"inputs": (port(), port(offset=64))}, "the inputs must have different names, not image, image"),
        ({"inputs": (port(), port("b", 23))}, "the inputs 'image' and 'b' overlap in the buffer"),
        ({"name": 3}, "the name of a program must be text, not 3"),
    ],
    ids=str,
)
def test_a_program_is_checked(changes, sentence):
    with pytest.raises(UserError) as error:
        replace(PROGRAM, **changes)
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"name": ""}, "the name of a port must be text, not ''"),
        ({"shape": (2, 12)}, "port 'image': the shape must be positive integers after a leading 1, not (2, 12)"),
        ({"shape": [1, 24]}, "port 'image': the shape must be positive integers after a leading 1, not [1, 24]"),
        ({"dtype": "float32"}, "port 'image': the type must be one of int8, uint8, int32, not 'float32'"),
        ({"bytes": 25}, "port 'image': (1, 4, 3, 2) of int8 has 24 bytes, not 25"),
        ({"dtype": "int32"}, "port 'image': (1, 4, 3, 2) of int32 has 96 bytes, not 24"),
        ({"scale": 0.0}, "port 'image': the scale must be a positive number, not 0.0"),
        ({"zero_point": 0.5}, "port 'image': the zero point must be an integer, not 0.5"),
        ({"offset": -1}, "port 'image': the offset must be from 0 to 2^32 - 1, not -1"),
    ],
    ids=str,
)
def test_a_port_is_checked(changes, sentence):
    with pytest.raises(UserError) as error:
        port(**changes)
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"macs": -1}, "layer 'conv1': macs must be an integer of 0 or more, not -1"),
        ({"passes": 1.5}, "layer 'conv1': passes must be an integer of 0 or more, not 1.5"),
        ({"tag": 1 << 16}, "layer 'conv1': the tag must be below 65536, not 65536"),
        ({"tiles": -1}, "layer 'conv1': tiles must be an integer of 0 or more, not -1"),
        ({"streamed": 1}, "layer 'conv1': streamed must be true or false, not 1"),
        ({"op": None}, "the op of a layer must be text, not None"),
    ],
    ids=str,
)
def test_a_layer_is_checked(changes, sentence):
    with pytest.raises(UserError) as error:
        replace(PROGRAM.layers[0], **changes)
    assert str(error.value) == sentence
