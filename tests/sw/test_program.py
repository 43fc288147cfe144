"""Programs and the file that holds one."""

import json
import os
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.sw.errors import UserError
from weft.sw.program import LayerInfo, Port, Program


def port(name: str = "image", offset: int = 0, **changes) -> Port:
    return replace(Port(name, (1, 4, 3, 2), "int8", 0.5, -3, offset, 24, (1, 2, 4, 3), "float32"), **changes)


PROGRAM = Program(
    config=Config(rows=8, cols=4, lanes=2),
    image=np.random.default_rng(5).integers(0, 256, 640, dtype=np.uint8).tobytes(),
    setup=512,
    run=64,
    workspace_bytes=100,
    inputs=(port(), port("mask", 64, host_shape=(), host_dtype="")),
    outputs=(Port("scores", (1, 10), "int32", 1e-3, 0, 8, 40),),
    layers=(LayerInfo("conv1", "Conv2D", 1, 1000, 40, 55), LayerInfo("fc", "FullyConnected", 2, 10, 2, 9)),
    prologue=((("nchw_to_nhwc",), ("quantize", 0.5, -3)), ()),
    epilogue=((("dequantize", 0.1, 0), ("softmax", -1), ("reshape", (1, 2, 5))),),
    name="two inputs",
)


def test_a_file_gives_the_program_back(tmp_path):
    PROGRAM.save(tmp_path / "a.weft")
    loaded = Program.load(str(tmp_path / "a.weft"))
    assert loaded == PROGRAM
    assert hash(loaded) == hash(PROGRAM)
    assert loaded.config.digest == PROGRAM.config.digest


def test_equal_programs_give_equal_files():
    assert PROGRAM.to_bytes() == replace(PROGRAM, name="two inputs").to_bytes()
    assert PROGRAM.to_bytes() != replace(PROGRAM, name="other").to_bytes()


def test_buffers_span_their_ports():
    assert PROGRAM.input_bytes == 64 + 24
    assert PROGRAM.output_bytes == 8 + 40


def test_steps_are_per_port():
    assert PROGRAM.steps_before(0) == (("nchw_to_nhwc",), ("quantize", 0.5, -3))
    assert PROGRAM.steps_before(1) == ()
    assert replace(PROGRAM, prologue=(), epilogue=()).steps_after(0) == ()


def test_saving_replaces_the_file_at_once(tmp_path, monkeypatch):
    path = tmp_path / "a.weft"
    PROGRAM.save(path)
    before = path.read_bytes()

    def fail(source, target):
        assert path.read_bytes() == before
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(UserError, match=r"a\.weft: the program cannot be written: No space left on device$"):
        replace(PROGRAM, name="other").save(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.weft"]


def test_a_path_that_cannot_be_used_is_named(tmp_path):
    with pytest.raises(UserError, match=r"x\.weft: the program cannot be written: No such file or directory$"):
        PROGRAM.save(tmp_path / "none" / "x.weft")
    with pytest.raises(UserError, match=r"x\.weft: the program cannot be read: No such file or directory$"):
        Program.load(tmp_path / "x.weft")


def test_every_truncated_file_is_refused():
    content = PROGRAM.to_bytes()
    for size in range(len(content)):
        with pytest.raises(UserError, match=r"^cut: "):
            Program.from_bytes(content[:size], "cut")


@pytest.mark.parametrize("seed", range(3))
def test_a_garbled_byte_is_refused_or_harmless(seed):
    """Harmless where it is in the archive's own dates and attributes."""
    content = PROGRAM.to_bytes()
    rng = np.random.default_rng(seed)
    refused = 0
    for place in range(len(content)):
        garbled = bytearray(content)
        garbled[place] ^= int(rng.integers(1, 256))
        sentence = None
        try:
            loaded = Program.from_bytes(bytes(garbled), "garbled")
        except UserError as error:
            sentence = str(error)
        if sentence is None:
            assert loaded == PROGRAM
        else:
            assert sentence.startswith("garbled: ")
            assert "\n" not in sentence
            refused += 1
    assert refused > len(content) * 0.8


@pytest.mark.parametrize("content", [b"", b"PK", b"\x7fELF" + bytes(1000), b"{}", bytes(range(256)) * 20])
def test_a_foreign_file_is_refused(content):
    with pytest.raises(UserError, match=r"^x: this is not a program file, or it is damaged$"):
        Program.from_bytes(content, "x")


def rewritten(tmp_path, image: bytes | None = None, raw: bytes | None = None, **changes) -> str:
    """A program file with a header changed by hand, as a valid archive."""
    source, target = tmp_path / "source.weft", tmp_path / "a.weft"
    PROGRAM.save(source)
    with zipfile.ZipFile(source) as archive:
        header = json.loads(archive.read("header.json"))
        image = archive.read("image.bin") if image is None else image
    header |= changes
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("header.json", json.dumps(header) if raw is None else raw)
        archive.writestr("image.bin", image)
    return str(target)


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"format": "other"}, "this is a zip archive, but not a program file"),
        ({"version": 2}, "the file has version 2, this software reads 1"),
        ({"image": b"x" * 640}, "the image is damaged, its SHA-256 is not the one in the header"),
        ({"digest": "0" * 64}, "the configuration in the header does not have the digest beside it; compile"),
        ({"config": {"rows": 4}}, "the configuration in the header does not have the digest"),
        ({"config": {"rows": 0}}, "the configuration in the header is not one: rows must be a positive integer, not 0"),
        ({"config": {"rose": 4}}, "the header is not that of a program file of version 1"),
        ({"config": 3}, "the header is not that of a program file of version 1"),
        ({"inputs": [{"name": "x"}]}, "the header is not that of a program file of version 1"),
        ({"inputs": 3}, "the header is not that of a program file of version 1"),
        ({"layers": {"a": 1}}, "the header is not that of a program file of version 1"),
        ({"extra": 3}, "the header is not that of a program file of version 1"),
        ({"run": 63}, "the offset of the run program must be a multiple of 64 inside the image of 640 bytes, not 63"),
        ({"epilogue": [[["sine"]]]}, "('sine',) is not a host step"),
        ({"raw": b"[1]"}, "this is a zip archive, but not a program file"),
        ({"raw": b"{"}, "this is not a program file, or it is damaged"),
        ({"raw": b"[" * 100_000}, "this is not a program file, or it is damaged"),
        ({"raw": b"\xff\xfe"}, "this is not a program file, or it is damaged"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path, changes, sentence):
    path = rewritten(tmp_path, **changes)
    with pytest.raises(UserError) as error:
        Program.load(path)
    assert str(error.value).startswith(f"{path}: {sentence}")


def test_another_archive_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme", "hello")
    with pytest.raises(UserError, match="this is a zip archive, but not a program file"):
        Program.load(tmp_path / "a.zip")


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
        ({"prologue": ((),)}, "the prologue must have one tuple of steps for each of the 2 ports, not ((),)"),
        ({"epilogue": (("softmax", 1),)}, "'softmax' is not a host step"),
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
        ({"host_shape": (1, 0)}, "port 'image': the shape must be positive integers after a leading 1, not (1, 0)"),
        ({"dtype": "float32"}, "port 'image': the type must be one of int8, uint8, int32, not 'float32'"),
        (
            {"host_dtype": "bool"},
            "port 'image': the host's type must be one of int8, uint8, int32, float32, not 'bool'",
        ),
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
        ({"op": None}, "the op of a layer must be text, not None"),
    ],
    ids=str,
)
def test_a_layer_is_checked(changes, sentence):
    with pytest.raises(UserError) as error:
        replace(PROGRAM.layers[0], **changes)
    assert str(error.value) == sentence
