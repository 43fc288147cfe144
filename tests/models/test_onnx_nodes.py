"""ONNX's own cases of single operators (onnx.backend.test, kind node), on the functional machine and by the golden
model.

Cases are those of one node whose operator is in TALLIES: operators on integers, and those that move values or pool.
All cases of an operator are counted; each is either run and has to give the bytes that ONNX expects, or is out of scope
for a reason stated here.

- Operators on integers, and others in their int8 and uint8 cases, run as they are: scales, zero points, weights and
  the like, which the cases have as inputs, become constants, and the results are those of the case.
- Cases of real numbers run between DequantizeLinear and QuantizeLinear with scale 1, on random int8 in the first case
  of an operator, uint8 in the second and so on; ONNX's reference implementation makes the results of the node. Means
  are quantized with scale 1/4: ONNX breaks ties to even, and the NPU only where the count is a power of two.

Out of scope:

- Types of other widths than 8 and 16 bits (float8, float4, int4, int2): the NPU's are int8, and models with them are
  refused.
- DynamicQuantizeLinear: scales measured while a model runs are refused, `test_dynamic_quantization_is_refused`.
- Empty tensors: an NPU has nothing to do, `test_empty_tensors_are_refused`.
- Sequences, optional values and reductions of bool: no numbers.
- Indices of maxima, for which ONNX's reference implementation cannot be trusted: refused.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest
from onnx import TensorProto
from weft.gen.presets import load_config
from weft.sim.golden_graph import run_graph
from weft.sim.transports import MachineTransport
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.driver import Device
from weft.sw.errors import UserError
from weft.sw.onnx.reader import read_onnx
from weft.sw.program import Program

from tests.models.onnx_node_cases import collected, prepared

NARROW, DYNAMIC, EMPTY = "narrow types", "dynamic quantization", "empty tensors"
NO_NUMBERS, INDICES = "no numbers", "indices of maxima"

EMPTY_CASES = {
    "reduce_max_empty_set",
    "reshape_allowzero_reordered",
    "slice_start_out_of_bounds",
    "split_zero_size_splits_opset13",
    "split_zero_size_splits_opset18",
}

OTHER_CASES = {"identity_sequence", "identity_opt", "reduce_max_bool_inputs", "reduce_max_empty_set_bool"}

NARROW_TYPES = {
    getattr(TensorProto, name)
    for name in ("FLOAT8E4M3FN", "FLOAT8E5M2", "FLOAT4E2M1", "INT4", "UINT4", "INT2", "UINT2")
    if hasattr(TensorProto, name)
}


@dataclass(frozen=True)
class Tally:
    """How many cases of an operator run, how many of them have a layer on the NPU; how many do not run, and why."""

    run: int
    on_npu: int
    out: dict = field(default_factory=dict)


TALLIES = {
    "QuantizeLinear": Tally(6, 0, {NARROW: 7}),
    "DequantizeLinear": Tally(5, 0, {NARROW: 9}),
    "QLinearConv": Tally(1, 1),
    "QLinearMatMul": Tally(8, 8),
    "ConvInteger": Tally(2, 0),
    "MatMulInteger": Tally(1, 0),
    "DynamicQuantizeLinear": Tally(0, 0, {DYNAMIC: 3}),
    "AveragePool": Tally(20, 14),
    "Clip": Tally(12, 10),
    "Concat": Tally(12, 12),
    "DepthToSpace": Tally(2, 0),
    "Expand": Tally(2, 2),
    "Flatten": Tally(9, 0),
    "Gather": Tally(4, 4),
    "GlobalAveragePool": Tally(2, 2),
    "GlobalMaxPool": Tally(2, 2),
    "Identity": Tally(3, 0, {NO_NUMBERS: 2}),
    "MaxPool": Tally(17, 16, {INDICES: 2}),
    "Pad": Tally(6, 6),
    "ReduceMax": Tally(8, 8, {EMPTY: 1, NO_NUMBERS: 2}),
    "ReduceMean": Tally(8, 8),
    "Relu": Tally(1, 1),
    "Reshape": Tally(9, 0, {EMPTY: 1}),
    "Resize": Tally(39, 21),
    "Slice": Tally(7, 7, {EMPTY: 1}),
    "SpaceToDepth": Tally(4, 0),
    "Split": Tally(14, 14, {EMPTY: 2}),
    "Squeeze": Tally(2, 0),
    "Tile": Tally(2, 2),
    "Transpose": Tally(7, 0),
    "Unsqueeze": Tally(7, 0),
    "Upsample": Tally(1, 1),
}
"""For onnx 1.23; a later version may add cases, which then have to be counted here. Where nothing is on the NPU, views
of a tensor need no layer, transposes are the host's, and so is what ONNX quantizes by channel or by block, or makes of
int32 sums."""


def out_of_scope(case, name):
    """The reason, None for a case that runs."""
    kinds = {entry.type.tensor_type.elem_type for entry in (*case.model.graph.input, *case.model.graph.output)}
    if case.model.graph.node[0].op_type == "DynamicQuantizeLinear":
        return DYNAMIC
    if name in OTHER_CASES:
        return NO_NUMBERS
    if case.model.graph.node[0].op_type == "MaxPool" and len(case.model.graph.output) == 2:
        return INDICES
    if name in EMPTY_CASES:
        return EMPTY
    return NARROW if kinds & NARROW_TYPES else None


@pytest.mark.parametrize("operator", TALLIES)
def test_every_case_is_counted(operator):
    reasons = Counter(out_of_scope(case, name) for name, case in collected()[operator].items())
    tally = TALLIES[operator]
    assert reasons.pop(None, 0) == tally.run
    assert reasons == tally.out


def test_how_many_cases_there_are():
    assert sum(tally.run for tally in TALLIES.values()) == 223
    assert sum(sum(tally.out.values()) for tally in TALLIES.values()) == 30


@pytest.mark.parametrize("operator", [operator for operator, tally in TALLIES.items() if tally.run])
def test_cases_are_exact(operator):
    config = load_config(preset="small")
    device = Device(MachineTransport(config))
    ran, on_npu, wrong = 0, 0, []
    for index, (name, case) in enumerate(collected()[operator].items()):
        if out_of_scope(case, name) is not None:
            continue
        one = prepared(case, (np.int8, np.uint8)[index % 2])
        graph = read_onnx(one.model)
        inputs = [x.reshape(graph.tensors[name].shape) for x, name in zip(one.inputs, graph.inputs, strict=True)]
        golden = run_graph(graph, inputs)
        network = compile_model(graph, config)
        machine = device.run(network, inputs).outputs
        for where, made in (("golden", golden), ("machine", [machine[output] for output in graph.outputs])):
            for found, wanted in zip(made, one.expected, strict=True):
                same = found.dtype == wanted.dtype and np.array_equal(found.reshape(wanted.shape), wanted)
                wrong += [] if same else [f"{name}: {where}"]
        ran += 1
        on_npu += any(isinstance(stage, Program) for stage in network.stages)
    assert wrong == []
    assert ran == TALLIES[operator].run
    assert on_npu >= TALLIES[operator].on_npu


@pytest.mark.parametrize("name", ["dynamicquantizelinear", "dynamicquantizelinear_min_adjusted"])
def test_dynamic_quantization_is_refused(name):
    with pytest.raises(UserError, match=r"DynamicQuantizeLinear 'y' measures scales while it runs \(dynamic quantiz"):
        read_onnx(collected()["DynamicQuantizeLinear"][name].model)


@pytest.mark.parametrize(
    "operator, name", [("Slice", "slice_start_out_of_bounds"), ("Reshape", "reshape_allowzero_reordered")]
)
def test_empty_tensors_are_refused(operator, name):
    with pytest.raises(UserError) as error:
        read_onnx(prepared(collected()[operator][name], np.int8).model)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["dequantizelinear_int4", "dequantizelinear_e4m3fn", "quantizelinear_uint4"])
def test_narrow_types_are_refused(name):
    operator = "DequantizeLinear" if name.startswith("d") else "QuantizeLinear"
    with pytest.raises(UserError) as error:
        read_onnx(collected()[operator][name].model)
    assert "\n" not in str(error.value)
