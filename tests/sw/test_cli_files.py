"""Configuration files, program files and model files of any content: `weft` takes them, or says why not in one
sentence."""

import hashlib
import json
import struct
import zipfile
from copy import deepcopy
from dataclasses import fields
from io import BytesIO
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, reject
from hypothesis import strategies as st
from weft.gen.presets import PRESETS, SMALL
from weft.rtl.config import Config
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.network_file import to_bytes

from tests.sw import hostile
from tests.sw.hostile import examples, weft, well_answered
from tests.sw.mixed_networks import mixed_network, random_inputs
from tests.sw.onnx_models import Model as OnnxModel
from tests.sw.programs import CONFIG, network
from tests.sw.tflite_cases import CASES
from tests.sw.tflite_models import Model

PARAMETERS = [field.name for field in fields(Config)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A place for files, with a program of tests.sw.programs."""
    made = tmp_path_factory.mktemp("files")
    (made / "program.weft").write_bytes(to_bytes(network()))
    return made


TOML_VALUES = st.recursive(
    hostile.VALUES | st.sampled_from([hostile.Literal("0x" + "f" * hostile.DIGITS), hostile.Literal("1979-05-27"),
                                      hostile.Literal("1_000"), hostile.Literal("'''a\nb'''")]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


def toml(value):
    """A value as TOML has it."""
    if isinstance(value, hostile.Literal):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {toml(part)}" for name, part in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)


NAMES = st.sampled_from([*PARAMETERS, "preset"]) | hostile.TEXTS


@given(values=st.dictionaries(NAMES, TOML_VALUES | st.sampled_from([*PRESETS, 4, 8]), max_size=3))
@examples(150)
def test_configuration_files(folder, values):
    text = "\n".join(f"{json.dumps(name, ensure_ascii=False)} = {toml(value)}" for name, value in values.items())
    (folder / "a.toml").write_text(text, encoding="utf-8", errors="replace")
    well_answered(weft("compile", folder / "program.weft", "--config", folder / "a.toml"))


TOML = "".join(f"{name} = {toml(getattr(CONFIG, name))}\n" for name in PARAMETERS).encode()


@given(content=hostile.bytes_like(TOML) | st.binary(max_size=40))
@examples(100)
def test_configuration_files_of_other_bytes(folder, content):
    (folder / "b.toml").write_bytes(content)
    well_answered(weft("compile", folder / "program.weft", "--config", folder / "b.toml"))


@pytest.mark.parametrize("text", ["a = " + "[" * 5000, "a." * 5000 + "b = 1", "rows = 1" + "0" * 5000, "[[rows]]"])
def test_configuration_files_without_end(folder, text):
    (folder / "c.toml").write_text(text)
    assert not well_answered(weft("compile", folder / "program.weft", "--config", folder / "c.toml"))
    assert not well_answered(weft("compile", folder / "program.weft", "--set", text.replace(" = ", "=")))


@given(name=NAMES, value=TOML_VALUES)
@examples(80)
def test_settings(folder, name, value):
    well_answered(weft("compile", folder / "program.weft", "--set", f"{name}={toml(value)}"))


SEEDS = (0, 3, 5)
"""Of mixed networks with many kinds of operators on the host."""


def unpacked(content):
    """Header and other parts of a program file."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    return json.loads(parts.pop("header.json")), parts


def packed(header, parts):
    """The archive of a header and other parts, whose sums are right."""
    if isinstance(header, dict) and isinstance(header.get("sha256"), dict):
        header["sha256"] |= {
            name: hashlib.sha256(parts[name]).hexdigest() for name in header["sha256"] if name in parts
        }
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("header.json", hostile.to_json(header))
        for name, part in parts.items():
            archive.writestr(name, part)
    return buffer.getvalue()


@pytest.fixture(scope="module", params=SEEDS)
def compiled(request, folder):
    """A compiled network's file, and inputs for it."""
    graph = mixed_network(request.param)
    arrays = {f"in_{index}": array for index, array in enumerate(random_inputs(graph, 0, 2))}
    np.savez(folder / f"{request.param}.npz", **arrays)
    return to_bytes(compile_model(graph, SMALL)), folder / f"{request.param}.npz"


@given(data=st.data())
@examples(60)
def test_program_files(folder, compiled, data):
    """A few parts of the header are others, or are missing; or a byte of the images."""
    content, inputs = compiled
    header, parts = unpacked(content)
    for _ in range(data.draw(st.integers(1, 3))):
        *path, last = data.draw(st.sampled_from([*hostile.places(header)] or [("a",)]))
        inside = header
        for step in path:
            inside = inside[step]
        kind = data.draw(st.sampled_from(["value", "value", "value", "copy", "drop", "list", "image"]))
        if kind == "value":
            inside[last] = data.draw(hostile.VALUES)
        elif kind == "copy":
            inside[last] = data.draw(st.sampled_from([None, {}, [], inside[last], [inside[last]] * 3]))
        elif kind == "drop":
            del inside[last]
        elif kind == "list" and isinstance(inside, list):
            inside.append(inside[last])
        elif kind == "image":
            name = data.draw(st.sampled_from(sorted(parts)))
            if parts[name]:
                parts[name] = data.draw(hostile.bytes_like(parts[name]))
    path = folder / "a.weft"
    path.write_bytes(packed(header, parts))
    well_answered(weft("compile", path))
    well_answered(weft("run", path, "--input", inputs, "--output", folder / "out.npz", "--on", "machine"))


def tflite_structure(name):
    """What a case of tests.sw.tflite_cases puts into its file: the model, and the numbers of its inputs and outputs."""
    with patch.object(Model, "make", autospec=True) as make:
        made = CASES[name]()
    model, inputs, outputs = make.call_args.args
    return model, list(inputs), list(outputs), made.inputs


SHORT = st.integers(-130, 260)
WORDS = SHORT | st.sampled_from([(1 << 31) - 1, -(1 << 31), 1 << 16, 1 << 20])
REALS = st.sampled_from([0.0, -1.0, 1e-45, 1e-38, 1e38, float("inf"), float("nan"), 0.1, 1.0])
TENSOR_PARTS = {
    "shape": st.lists(WORDS, max_size=6),
    "kind": st.integers(0, 20),
    "scale": st.lists(REALS, max_size=4),
    "zero_point": st.lists(WORDS | st.sampled_from([1 << 62, -(1 << 63)]), max_size=4),
    "axis": WORDS,
    "buffer": st.integers(0, 6),
    "name": hostile.TEXTS,
    "variable": st.booleans(),
}
OPERATOR_PARTS = {
    "inputs": st.lists(st.integers(-2, 9), max_size=5),
    "outputs": st.lists(st.integers(-2, 9), max_size=3),
    "code": st.integers(0, 3),
}


@pytest.fixture(scope="module")
def tflite_models():
    return {name: tflite_structure(name) for name in CASES}


@given(data=st.data())
@examples(120)
def test_tflite_models(folder, tflite_models, data):
    """A few fields of tensors and operators are others."""
    model, inputs, outputs, samples = tflite_models[data.draw(st.sampled_from(sorted(tflite_models)))]
    model = deepcopy(model)
    for _ in range(data.draw(st.integers(1, 3))):
        kind = data.draw(st.sampled_from(["tensor", "tensor", "operator", "options", "options", "ends"]))
        operator = data.draw(st.sampled_from(model.operators))
        if kind == "tensor":
            name = data.draw(st.sampled_from(sorted(TENSOR_PARTS)))
            setattr(data.draw(st.sampled_from(model.tensors)), name, data.draw(TENSOR_PARTS[name]))
        elif kind == "operator":
            name = data.draw(st.sampled_from(sorted(OPERATOR_PARTS)))
            setattr(operator, name, data.draw(OPERATOR_PARTS[name]))
        elif kind == "options" and operator.values:
            name = data.draw(st.sampled_from(sorted(operator.values)))
            old = operator.values[name]
            operator.values[name] = data.draw(st.lists(WORDS, max_size=4) if isinstance(old, list | tuple) else
                                              REALS if isinstance(old, float) else WORDS)  # fmt: skip
        elif kind == "ends":
            changed = data.draw(st.sampled_from([inputs, outputs]))
            changed[:] = data.draw(st.lists(st.integers(-1, 9), max_size=3))
    try:
        content = model.make(inputs, outputs)
    except (struct.error, TypeError, OverflowError):
        reject()  # a number that the format has no room for
    path = folder / "m.tflite"
    path.write_bytes(content)
    np.savez(folder / "m.npz", **{f"in_{index}": array for index, array in enumerate(samples)})
    both_ways(folder, path, folder / "m.npz")


def both_ways(folder, model, inputs):
    """Compile the model, and run it as it is."""
    well_answered(weft("compile", model))
    well_answered(weft("run", model, "--input", inputs, "--output", folder / "out.npz", "--on", "golden"))


def onnx_model():
    """One operator of most kinds, and its inputs."""
    m = OnnxModel()
    x = m.pair(m.input((1, 4, 6, 6)))
    a = m.pair(m.node("Conv", [x, m.weights((4, 4, 3, 3))], pads=[1, 1, 1, 1]), 0.1, -4)
    b = m.pair(m.node("Relu", [a]), 0.1, -128)
    c = m.pair(m.node("Add", [b, x]), 0.2, 5)
    d = m.pair(m.node("MaxPool", [c], kernel_shape=[2, 2], strides=[2, 2]), 0.2, 5)
    e = m.pair(m.node("Transpose", [d], perm=[0, 2, 3, 1]), 0.2, 5)
    f = m.node("Reshape", [e, m.constant(np.array([1, 36]))])
    g = m.pair(m.node("Gemm", [f, m.weights((5, 36))], transB=1), 0.3, 0)
    m.output(m.node("Softmax", [g], axis=-1))
    return m.make()


def messages(message):
    """A protobuf message and all those in it, with the fields that are set."""
    for field, value in message.ListFields():
        yield message, field
        if field.type == field.TYPE_MESSAGE:
            for one in value if hasattr(value, "add") else [value]:
                yield from messages(one)


ONNX_TEXTS = hostile.TEXTS | st.sampled_from(["Conv", "LSTM", "Loop", "Gather", "Slice", "Pad", "Resize", "x", "v1"])


def protobuf_values(field):
    """Values for a field that is no message."""
    if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return REALS
    if field.type == field.TYPE_BYTES:
        return st.binary(max_size=40) | st.just(b"\xff\xfe")
    if field.cpp_type == field.CPPTYPE_STRING:
        return ONNX_TEXTS
    if field.cpp_type == field.CPPTYPE_ENUM:
        return st.sampled_from([value.number for value in field.enum_type.values])
    if field.cpp_type == field.CPPTYPE_INT64:
        return WORDS | st.sampled_from([(1 << 63) - 1, -(1 << 63)])
    return st.integers(0, 30)


@given(data=st.data())
@examples(120)
def test_onnx_models(folder, data):
    """A few fields anywhere in the file are others, or entries are doubled or missing."""
    model = onnx_model()
    for _ in range(data.draw(st.integers(1, 3))):
        found = list(messages(model))
        message, field = data.draw(st.sampled_from(found)) if found else reject()
        value = getattr(message, field.name)
        kind = data.draw(st.sampled_from(["value", "value", "value", "drop", "double", "clear"]))
        if kind == "clear":
            message.ClearField(field.name)
        elif hasattr(value, "extend"):
            place = data.draw(st.integers(0, len(value) - 1))
            if kind == "drop":
                del value[place]
            elif kind == "double":
                value.extend([value[place]])
            elif field.type != field.TYPE_MESSAGE:
                value[place] = data.draw(protobuf_values(field))
        elif field.type != field.TYPE_MESSAGE:
            setattr(message, field.name, data.draw(protobuf_values(field)))
    path = folder / "m.onnx"
    path.write_bytes(model.SerializePartialToString())
    np.savez(folder / "n.npz", in_0=np.zeros((2, 4, 6, 6), np.float32))
    both_ways(folder, path, folder / "n.npz")


@given(data=st.data())
@examples(100)
def test_models_of_other_bytes(folder, data):
    """TFLite's file has no other protection than its reader's; ONNX's is text and numbers in a row."""
    kind = data.draw(st.sampled_from(["tflite", "onnx"]))
    content = onnx_model().SerializeToString() if kind == "onnx" else CASES["conv 3x3 same int8"]().model
    path = folder / f"b.{kind}"
    path.write_bytes(data.draw(hostile.bytes_like(content) | st.binary(max_size=60)))
    well_answered(weft("compile", path))
