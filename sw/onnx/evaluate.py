"""Single ONNX nodes by ONNX's own reference implementation: constants when a model is read, and on the host."""

import warnings
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import onnx
import onnx.version_converter
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from ..errors import UserError
from .file import CHECKER_ERRORS, LARGEST_TENSOR, ONNX_DOMAINS, first_sentence

Array = NDArray[Any]

LARGEST_FOLDED = 1 << 24
"""Elements of a constant that is computed when the model is read."""

HEAVY = (
    *("Conv", "ConvInteger", "ConvTranspose", "DeformConv", "QLinearConv", "LSTM", "GRU", "RNN", "Einsum", "Attention"),
    *("AveragePool", "MaxPool", "LpPool", "Resize", "Upsample", "GridSample", "NonMaxSuppression", "RoiAlign", "DFT"),
)
"""Operators that no model has on constants, and that would take long."""


def single(
    proto: onnx.NodeProto,
    opsets: Sequence[onnx.OperatorSetIdProto],
    ir_version: int,
    constants: dict[str, Array],
    inputs: dict[str, tuple[str, tuple[int, ...]]],
    output: str,
) -> onnx.ModelProto:
    """A model of one node and one of its outputs.

    Parameters
    ----------
    constants
        Inputs of the node that are known.
    inputs
        Type, as NumPy calls it, and shape of the others.
    """
    graph = helper.make_graph(
        [proto],
        "node",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
            for name, (dtype, shape) in inputs.items()
        ],
        [onnx.ValueInfoProto(name=output)],
        [numpy_helper.from_array(np.array(array, order="C"), name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=list(opsets))
    model.ir_version = ir_version
    return model


def result_of(model: onnx.ModelProto) -> tuple[str, tuple[int, ...]]:
    """Type, as NumPy calls it, and shape of what a `single` model makes.

    Raises
    ------
    UserError
        A part of a sentence: they cannot be told before it runs.
    """
    try:
        inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        kind = inferred.graph.output[0].type.tensor_type
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(kind.elem_type)).name
    except (*CHECKER_ERRORS, KeyError) as error:
        raise UserError(f"cannot be applied to its inputs: {first_sentence(error)}") from None
    if not kind.HasField("shape") or any(not dim.HasField("dim_value") for dim in kind.shape.dim):
        raise UserError("makes a tensor whose shape is known only when it runs")
    shape = tuple(dim.dim_value for dim in kind.shape.dim)
    if any(n < 0 for n in shape) or prod(shape) > LARGEST_TENSOR:
        raise UserError(f"makes a tensor of shape {shape}, supported are up to {LARGEST_TENSOR} elements")
    return dtype, shape


def _evaluator(model: onnx.ModelProto) -> ReferenceEvaluator:
    """That of the model, in the newest version of its operator: the implementations know few older ones, and take some
    for the newest."""
    operator, domain = model.graph.node[0].op_type, model.graph.node[0].domain
    version = next((entry.version for entry in model.opset_import if entry.domain == domain), 1)
    if domain in ONNX_DOMAINS:
        newest = onnx.defs.onnx_opset_version()
        then, now = (onnx.defs.get_schema(operator, one, "").since_version for one in (version, newest))
        if then != now:
            return ReferenceEvaluator(onnx.version_converter.convert_version(model, newest))
    return ReferenceEvaluator(model)


def runs(model: onnx.ModelProto) -> None:
    """Check that the reference implementation has the operator.

    Raises
    ------
    UserError
        A part of a sentence.
    """
    try:
        _evaluator(model)
    except Exception as error:  # whatever the implementation of any operator raises
        raise UserError(f"has no reference implementation: {first_sentence(error)}") from None


def evaluate(model: onnx.ModelProto, inputs: dict[str, Array]) -> Array:
    """What a `single` model makes.

    Raises
    ------
    UserError
        A part of a sentence: it cannot be applied to these inputs.
    """
    return _evaluated(model, [inputs])[0]


def _evaluated(model: onnx.ModelProto, samples: Sequence[dict[str, Array]]) -> list[Array]:
    """What a `single` model makes of the inputs of each sample."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            evaluator = _evaluator(model)
            return [np.asarray(evaluator.run(None, inputs)[0]) for inputs in samples]
    except Exception as error:  # whatever the implementation of any operator raises
        raise UserError(f"cannot be applied to its inputs: {first_sentence(error)}") from None


def evaluate_samples(content: NDArray[np.uint8], inputs: Sequence[Array], samples: int, shape: Sequence[int]) -> Array:
    """A serialized `single` model on samples, each input (samples, *its shape); the result has samples on axis 0.

    Raises
    ------
    UserError
        A part of a sentence: it cannot be applied to these inputs.
    """
    try:
        model = onnx.ModelProto.FromString(content.tobytes())
    except DecodeError:
        raise UserError("has no ONNX model") from None
    names = [entry.name for entry in model.graph.input]
    shapes = [[dim.dim_value for dim in entry.type.tensor_type.shape.dim] for entry in model.graph.input]
    given = []
    for sample in range(samples):
        arrays = (np.asarray(array[sample]).reshape(own) for array, own in zip(inputs, shapes, strict=True))
        given.append(dict(zip(names, arrays, strict=True)))
    made = _evaluated(model, given)
    for result in made:
        if result.size != prod(shape):
            raise UserError(f"makes {result.shape}, expected {tuple(shape)}")
    return np.stack([result.reshape(shape) for result in made])


def fold(model: onnx.ModelProto, size_of_inputs: int) -> Array:
    """The value of a `single` model that has no inputs.

    Raises
    ------
    UserError
        A part of a sentence: it cannot be computed, or is too large.
    """
    operator = model.graph.node[0].op_type
    if operator in HEAVY:
        raise UserError("has only constant inputs, expected an activation")
    try:
        _, shape = result_of(model)
        size = prod(shape)
    except UserError as error:
        if "known only when it runs" not in str(error) or operator not in ("NonZero", "Unique", "Compress"):
            raise
        size = 8 * size_of_inputs
    if max(size, size_of_inputs) > LARGEST_FOLDED:
        raise UserError(f"computes a constant of {size} elements, supported are up to {LARGEST_FOLDED}")
    return evaluate(model, {})
