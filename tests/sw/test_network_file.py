"""The file of a compiled model: it comes back as it was, and what is wrong with it is one sentence."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from weft.gen.presets import SMALL
from weft.sw import files, network_file
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.errors import UserError
from weft.sw.graph import Lookup, Tensor
from weft.sw.network_file import VERSION, from_bytes, load, operator_kinds, save, to_bytes

from tests.sw.mixed_networks import mixed_network
from tests.sw.programs import network, program


def with_table():
    """A network of two programs, with an operator of the host between that has an array."""
    table = Lookup("table", ("y",), "t", table=np.arange(-128, 128, dtype=np.int8))
    ports = {
        "inputs": (replace(program().outputs[0], name="t"),),
        "outputs": (replace(program().outputs[0], name="z"),),
    }
    tensors = network().tensors | {name: Tensor(name, (1, 4), "int8", 0.5) for name in "tz"}
    return network(program(), table, program(**ports), tensors=tensors, outputs=("z", "q"))


NETWORK = with_table()


def test_a_file_gives_the_network_back(tmp_path):
    save(NETWORK, tmp_path / "a.weft")
    loaded = load(str(tmp_path / "a.weft"))
    assert loaded.programs == NETWORK.programs
    assert (loaded.name, loaded.config, loaded.rows) == (NETWORK.name, NETWORK.config, NETWORK.rows)
    assert (loaded.tensors, loaded.inputs, loaded.outputs) == (NETWORK.tensors, NETWORK.inputs, NETWORK.outputs)
    assert [type(stage) for stage in loaded.stages] == [type(stage) for stage in NETWORK.stages]
    assert np.array_equal(loaded.stages[3].table, NETWORK.stages[3].table)
    assert to_bytes(loaded) == to_bytes(NETWORK)


@pytest.mark.parametrize("seed", range(10))
def test_compiled_models_come_back(seed):
    made = compile_model(mixed_network(seed), SMALL)
    content = to_bytes(made)
    assert to_bytes(from_bytes(content, "file")) == content
    assert to_bytes(compile_model(mixed_network(seed), SMALL)) == content


def test_other_networks_give_other_files():
    assert to_bytes(NETWORK) == to_bytes(with_table())
    assert to_bytes(NETWORK) != to_bytes(replace(NETWORK, name="other"))


def test_saving_replaces_the_file_at_once(tmp_path, monkeypatch):
    path = tmp_path / "a.weft"
    save(NETWORK, path)
    before = path.read_bytes()

    def fail(target, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_replace", fail)
    with pytest.raises(UserError, match=r"a\.weft: the file cannot be written: No space left on device$"):
        save(replace(NETWORK, name="other"), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.weft"]


def test_a_path_that_cannot_be_used_is_named(tmp_path):
    with pytest.raises(UserError, match=r"x\.weft: the file cannot be written: No such file or directory$"):
        save(NETWORK, tmp_path / "none" / "x.weft")
    with pytest.raises(UserError, match=r"x\.weft: the program cannot be read: No such file or directory$"):
        load(tmp_path / "x.weft")


def test_every_truncated_file_is_refused():
    content = to_bytes(NETWORK)
    for size in range(0, len(content), 3):
        with pytest.raises(UserError, match=r"^cut: "):
            from_bytes(content[:size], "cut")


@pytest.mark.parametrize("seed", range(3))
def test_a_garbled_byte_is_refused_or_harmless(seed):
    """Harmless where it is in the archive's own dates and attributes."""
    content = to_bytes(NETWORK)
    rng = np.random.default_rng(seed)
    refused = 0
    places = range(seed, len(content), 3)
    for place in places:
        garbled = bytearray(content)
        garbled[place] ^= int(rng.integers(1, 256))
        sentence = None
        try:
            loaded = from_bytes(bytes(garbled), "garbled")
        except UserError as error:
            sentence = str(error)
        if sentence is None:
            assert to_bytes(loaded) == content
        else:
            assert sentence.startswith("garbled: ")
            assert "\n" not in sentence
            refused += 1
    assert refused > len(places) * 0.7


@pytest.mark.parametrize("content", [b"", b"PK", b"\x7fELF" + bytes(1000), b"{}", bytes(range(256)) * 20])
def test_a_foreign_file_is_refused(content):
    with pytest.raises(UserError, match=r"^x: this is not a program file, or it is damaged$"):
        from_bytes(content, "x")


def rewritten(tmp_path, change=None, raw=None, **parts):
    """A program file whose header or other parts are changed by hand, as a valid archive; its name."""
    source, target = tmp_path / "source.weft", tmp_path / "a.weft"
    save(NETWORK, source)
    with zipfile.ZipFile(source) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    header = json.loads(contents["header.json"])
    if change is not None:
        change(header)
    contents["header.json"] = json.dumps(header) if raw is None else raw
    contents |= {name.replace("_bin", ".bin"): content for name, content in parts.items()}
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in contents.items():
            if content is not None:
                archive.writestr(name, content)
    return str(target)


def put(*path, value):
    """A change of one part of the header."""

    def change(header):
        for step in path[:-1]:
            header = header[step]
        header[path[-1]] = value

    change.__name__ = f"{path[-1]}={str(value)[:20]}"
    return change


def drop(*path):
    """A part of the header is taken out."""

    def change(header):
        for step in path[:-1]:
            header = header[step]
        del header[path[-1]]

    change.__name__ = f"no {path[-1]}"
    return change


OTHER = "this is a zip archive, but not a program file"


@pytest.mark.parametrize(
    "change, sentence",
    [
        (put("format", value="other"), OTHER),
        (put("version", value=1), f"the file has version 1, this software reads {VERSION}"),
        (put("sha256", value=3), OTHER),
        (drop("sha256", "image_0.bin"), OTHER),
        (put("sha256", "image_1.bin", value="0"), "image_1.bin is damaged, its SHA-256 is not the one in the header"),
        (put("digest", value="0" * 64), "the configuration in the header does not have the digest beside it; compile"),
        (put("config", "rows", value=8), "the configuration in the header does not have the digest"),
        (put("config", "rows", value=0), "the configuration in the header is not one: rows must be a positive integer"),
        (put("config", "rose", value=4), "the configuration in the header is not one: "),
        (put("config", value=3), "the configuration in the header is not one"),
        (put("extra", value=3), "the header is not that of a program file of version 2"),
        (drop("rows"), "the header is not that of a program file of version 2"),
        (put("name", value=3), "the name must be of type str, not 3"),
        (put("inputs", value=[3]), "the inputs must be of type str, not 3"),
        (put("tensors", value={}), "the tensors in the header must be a list"),
        (put("tensors", 0, "shape", value=["a"]), "shape of a tensor must be of type int, not 'a'"),
        (put("tensors", 0, "scale", value=-1.0), "by hand: the scale of 'x' must be a positive number, not -1.0"),
        (put("tensors", 0, "shape", value=[1, 1 << 40]), "by hand: the tensor 'x' has more than"),
        (drop("tensors", 0), "by hand: the tensor 'x' has no description"),
        (put("stages", 0, value={}), "a stage in the header is neither an operator nor a program"),
        (put("stages", 0, "operator", value="Sine"), "a stage is of the unknown kind 'Sine'"),
        (put("stages", 0, "operator", value="Softmax"), "an operator of kind Softmax has no axis"),
        (put("stages", 0, "values", "output", value="q"), "by hand: 'q' is made twice"),
        (put("stages", 0, "values", "inputs", value=[]), "by hand: 'flat' reshapes 0 tensors, expected one"),
        (put("stages", 3, "values", "table", "offset", value=1), "table of an operator of kind Lookup is an array of"),
        (put("stages", 2, "program", "run", value=63), "the offset of the run program must be a multiple of 64 inside"),
        (put("stages", 2, "program", "run", value="a"), "run of a program must be of type int, not 'a'"),
        (put("stages", 2, "program", "inputs", value=3), "inputs of a program must be of type tuple, not 3"),
        (put("stages", 2, "program", "inputs", 0, "bytes", value=5), "port 'q': (1, 2, 2, 1) of int8 has 4 bytes, not"),
        (put("stages", 2, "program", "layers", 0, "tag", value=-1), "layer 'first': tag must be an integer of 0 or"),
        (put("stages", 2, "program", value={}), "a program in the header does not have the parts of one"),
        (drop("stages", 4), "the file does not have the parts of 1 programs"),
        (put("rows", 0, "where", value=1), "where of a row must be of type str, not 1"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_wrong_with_a_header_is_named(tmp_path, change, sentence):
    path = rewritten(tmp_path, change)
    with pytest.raises(UserError) as error:
        load(path)
    assert str(error.value).startswith(f"{path}: {sentence}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "parts, sentence",
    [
        ({"image_0_bin": b"x" * 192}, "image_0.bin is damaged, its SHA-256 is not the one in the header"),
        ({"arrays_bin": b"x"}, "arrays.bin is damaged, its SHA-256 is not the one in the header"),
        ({"image_1_bin": None}, OTHER),
        ({"more_bin": b""}, OTHER),
        ({"raw": b"[1]"}, OTHER),
        ({"raw": b"{"}, "this is not a program file, or it is damaged"),
        ({"raw": b"[" * 100_000}, "this is not a program file, or it is damaged"),
        ({"raw": b"\xff\xfe"}, "this is not a program file, or it is damaged"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
def test_what_is_wrong_with_a_part_is_named(tmp_path, parts, sentence):
    path = rewritten(tmp_path, **parts)
    with pytest.raises(UserError) as error:
        load(path)
    assert str(error.value) == f"{path}: {sentence}"


@pytest.mark.parametrize("limit", ["HEADER_LIMIT", "PARTS_LIMIT"])
def test_a_part_that_would_fill_the_memory_is_refused(monkeypatch, limit):
    """Zeros take a thousandth of their size in an archive."""
    monkeypatch.setattr(network_file, limit, 100)
    header, parts = network_file.HEADER_LIMIT, network_file.PARTS_LIMIT
    with pytest.raises(UserError) as error:
        from_bytes(to_bytes(NETWORK), "large")
    assert str(error.value) == f"large: the header must have at most {header} bytes, the rest {parts}"


def test_another_archive_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme", "hello")
    with pytest.raises(UserError, match=OTHER):
        load(tmp_path / "a.zip")


def test_every_kind_of_operator_has_a_name():
    kinds = operator_kinds()
    assert {"Conv2D", "Lookup", "OnnxNode", "Multiply", "MeanPool2D"} < set(kinds)
    assert all(kind.__name__ == name for name, kind in kinds.items())
