"""ONNX's own cases of single operators, as models that a quantized network could have."""

import warnings
from dataclasses import dataclass
from functools import cache

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.loader import load_model_tests
from onnx.reference import ReferenceEvaluator

QUANTIZED = (
    "QuantizeLinear",
    "DequantizeLinear",
    "QLinearConv",
    "QLinearMatMul",
    "ConvInteger",
    "MatMulInteger",
    "DynamicQuantizeLinear",
)
"""Operators that take or make integers themselves."""

SEVERAL = ("Concat",)
"""Operators all of whose inputs are activations."""

MEANS = ("AveragePool", "GlobalAveragePool", "ReduceMean")
MEAN_SCALE = 0.25
"""Of their results. A mean of integers that lies half-way between two levels of this scale is one of 2, 4, 8, ... or
of 8, 24, ... integers; the windows of the cases have other numbers of cells."""

TYPES = {np.int8: TensorProto.INT8, np.uint8: TensorProto.UINT8}


@dataclass(frozen=True, eq=False)
class Case:
    """A model, its inputs, and what it makes of them."""

    model: onnx.ModelProto
    inputs: list
    expected: list


@cache
def collected():
    """All cases of one node, by operator and name."""
    found = {}
    with warnings.catch_warnings():
        # Cases of casts overflow on purpose.
        warnings.simplefilter("ignore")
        cases = load_model_tests(kind="node")
    for case in cases:
        nodes = case.model.graph.node
        if len(nodes) == 1:
            found.setdefault(nodes[0].op_type, {})[case.name.removeprefix("test_")] = case
    return found


def prepared(case, dtype):
    """A case with its parameters constant; where it is of real numbers, between DequantizeLinear of inputs of `dtype`
    with scale 1 and QuantizeLinear."""
    node, inputs = case.model.graph.node[0], case.data_sets[0][0]
    names = [entry.name for entry in case.model.graph.input]
    arrays = {name: np.asarray(value) for name, value in zip(names, inputs, strict=True)}
    count = len(names) if node.op_type in SEVERAL else 1
    if node.op_type in QUANTIZED or arrays[names[0]].dtype in (np.int8, np.uint8):
        return bound(case, arrays, names[:count])
    return wrapped(case, arrays, names[:count], dtype)


def bound(case, arrays, activations):
    """All inputs but the activations as constants."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    del model.graph.input[len(activations) :]
    model.graph.initializer.extend(
        numpy_helper.from_array(array, name) for name, array in arrays.items() if name not in activations
    )
    expected = [
        numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)
        for value in case.data_sets[0][1]
    ]
    return Case(model, [arrays[name] for name in activations], expected)


def wrapped(case, arrays, activations, dtype):
    """The node between integers, with random ones as inputs; ONNX's reference implementation makes the real numbers."""
    node, version = case.model.graph.node[0], case.model.opset_import[0].version
    # Before version 10 only ONNX Runtime's own domain has them.
    domain = {} if version >= 10 else {"domain": "com.microsoft"}
    zero = np.array(0 if dtype is np.int8 else 128, dtype)
    scale_out = np.float32(MEAN_SCALE if node.op_type in MEANS else 1)
    constants = {"scale": np.float32(1), "scale_out": scale_out, "zero": zero}
    constants |= {name: value for name, value in arrays.items() if name not in activations}
    nodes = [
        helper.make_node("DequantizeLinear", [f"{name}_q", "scale", "zero"], [name], **domain) for name in activations
    ]
    nodes.append(node)
    outputs, integers = [], []
    for entry in case.model.graph.output:
        integers.append(entry.type.tensor_type.elem_type in (TensorProto.FLOAT, TensorProto.INT32))
        if integers[-1]:
            names = [entry.name, "scale_out", "zero"], [f"{entry.name}_q"]
            nodes.append(helper.make_node("QuantizeLinear", *names, **domain))
            shape = [dim.dim_value for dim in entry.type.tensor_type.shape.dim]
            outputs.append(helper.make_tensor_value_info(f"{entry.name}_q", TYPES[dtype], shape))
        else:
            outputs.append(entry)
    inputs = [helper.make_tensor_value_info(f"{name}_q", TYPES[dtype], arrays[name].shape) for name in activations]
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, case.name, inputs, outputs, initializers)
    opsets = [*case.model.opset_import, *([helper.make_opsetid("com.microsoft", 1)] if domain else [])]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=case.model.ir_version)
    random = np.random.default_rng([*case.name.encode()])
    spread = 30 if node.op_type in MEANS else 100
    levels = [random.integers(-spread, spread, arrays[name].shape) for name in activations]
    reals = {name: level.astype(np.float32) for name, level in zip(activations, levels, strict=True)}
    made = ReferenceEvaluator(case.model).run(None, arrays | reals)
    limits = np.iinfo(dtype)
    expected = [
        np.clip(np.rint(value / scale_out) + int(zero), limits.min, limits.max).astype(dtype) if integer else value
        for value, integer in zip(made, integers, strict=True)
    ]
    return Case(model, [(level + int(zero)).astype(dtype) for level in levels], expected)
