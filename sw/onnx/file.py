"""An ONNX file in memory, checked: what is no model, is damaged or was made to harm is one sentence."""

import os
from collections.abc import Iterator
from math import prod
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError, EncodeError  # type: ignore[import-untyped]

from ..errors import UserError
from .node import label

LARGEST_FILE = 1 << 29
"""Bytes of a model."""

MOST_NODES = 10_000
"""Nodes of a graph."""

LARGEST_TENSOR = 1 << 28
"""Elements of one tensor."""

LONGEST_SENTENCE = 300
"""Characters of another library's message."""

ONNX_DOMAINS = ("", "ai.onnx")
"""Of ONNX's own operators."""

COMPILED = {
    "EPContext": "an execution provider of ONNX Runtime",
    "EdgeTPUDelegateForCustomOp": "the Edge TPU",
    "TRT_EngineOp": "TensorRT",
    "TRTEngine": "TensorRT",
    "EthosU": "Arm Ethos-U",
}
"""Operators that hold a model compiled for another device, and its name."""

NO_TEXT = "the model is damaged: it has names that are no text"

CHECKER_ERRORS = (
    onnx.checker.ValidationError,
    onnx.shape_inference.InferenceError,
    ValueError,
    TypeError,
    RuntimeError,
    EncodeError,
)


def load(source: str | os.PathLike[str] | onnx.ModelProto) -> tuple[onnx.ModelProto, str]:
    """The model of a file, or the one given, and its name.

    Raises
    ------
    UserError
        One sentence: the file is not an ONNX model, or is malformed.
    """
    if isinstance(source, onnx.ModelProto):
        model, name = source, source.graph.name or "model"
    else:
        name = Path(source).name
        model = _parsed(source, name)
    try:
        _check(model, name)
    except UnicodeDecodeError:
        raise UserError(f"{name}: {NO_TEXT}") from None
    return model, name


def _parsed(source: str | os.PathLike[str], name: str) -> onnx.ModelProto:
    try:
        size = Path(source).stat().st_size
        if size > LARGEST_FILE:
            raise UserError(f"{name}: the model has {size} bytes, supported are up to {LARGEST_FILE}")
        return onnx.load(os.fspath(source))
    except OSError as error:
        raise UserError(f"{source}: the model cannot be read: {error.strerror or error}") from None
    except UserError:
        raise
    except (DecodeError, *CHECKER_ERRORS):
        raise UserError(f"{source}: this is not an ONNX model, or it is damaged") from None


def _check(model: onnx.ModelProto, name: str) -> None:
    if not model.graph.node:
        raise UserError(f"{name}: this is not an ONNX model, or it has no operators")
    if len(model.graph.node) > MOST_NODES:
        raise UserError(f"{name}: the model has {len(model.graph.node)} operators, supported are up to {MOST_NODES}")
    # What is no text comes as bytes, from some versions of protobuf, or as an error.
    if not all(isinstance(one, str) for one in _names(model.graph)):
        raise UserError(f"{name}: {NO_TEXT}")
    for node in model.graph.node:
        if node.op_type in COMPILED:
            raise UserError(
                f"{name}: {node.op_type} {label(node.name)} holds a model compiled for {COMPILED[node.op_type]}, "
                f"expected the model before that"
            )
    _check_constants(model, name)
    _conforms(model, name)


def _names(graph: onnx.GraphProto) -> Iterator[str]:
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
    for entry in (*graph.input, *graph.output, *graph.initializer, *graph.value_info):
        yield entry.name


def _check_constants(model: onnx.ModelProto, name: str) -> None:
    for initializer in model.graph.initializer:
        if any(n < 0 for n in initializer.dims) or prod(initializer.dims) > LARGEST_TENSOR:
            raise UserError(
                f"{name}: the constant {label(initializer.name)} has the shape {list(initializer.dims)[:9]}, supported "
                f"are up to {LARGEST_TENSOR} elements"
            )


def _conforms(model: onnx.ModelProto, name: str) -> None:
    try:
        onnx.checker.check_model(model)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except CHECKER_ERRORS as error:
        raise UserError(f"{name}: the model is malformed: {first_sentence(error)}") from None


def first_sentence(error: Exception) -> str:
    """The first line of another library's message, as a part of a sentence."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0].rstrip(".") if lines else type(error).__name__
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return text if len(text) <= LONGEST_SENTENCE else f"{text[: LONGEST_SENTENCE - 3]}..."
