"""What `--strict` lets pass, and the rows of what simplifying takes away; test_model_compiler.py has the other rows."""

import numpy as np
import onnx
import pytest
from weft.gen.presets import load_config
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.compiler.partition import partition
from weft.sw.compiler.passes import simplify
from weft.sw.compiler.placement import Verdict, inner_operators, kind_of, refuse_host_operators, rows_of
from weft.sw.errors import UserError
from weft.sw.graph import (
    Clamp,
    Concat,
    Constant,
    Dequantize,
    Graph,
    OffsetBinary,
    OnnxNode,
    Quantize,
    Reshape,
    Softmax,
    SoftmaxInt8,
    Tensor,
    Transpose,
)
from weft.sw.network import HOST, NOWHERE, NPU, Row
from weft.sw.onnx.reader import read_onnx

from tests.sw.mixed_networks import append
from tests.sw.networks import Builder
from tests.sw.onnx_models import Model
from tests.sw.programs import network


def inner(*kinds):
    """Which of these, one behind the other with a device operator "d" among them, are inner."""
    operators, device = [], []
    for index, kind in enumerate(kinds):
        source, target = (f"t{index - 1}",) if index else ("x",), f"t{index}"
        if kind == "d":
            operators.append(Clamp(target, source, target))
            device.append(target)
        elif isinstance(kind, tuple):
            operators.append(Transpose(target, source, target, permutation=kind))
        else:
            values = {Softmax: {"axis": 1}, SoftmaxInt8: {"beta": 1.0}, Concat: {"axis": 1}}.get(kind, {})
            operators.append(kind(target, source, target, **values))
    tensors = {name: Tensor(name, (1, 2, 2, 2), "int8") for name in ("x", *(one.output for one in operators))}
    graph = Graph("g", tensors, tuple(operators), ("x",), (operators[-1].output,))
    return [name for name in (one.output for one in operators) if name in inner_operators(graph, device)]


TO_NHWC, TO_NCHW, OTHER = (0, 2, 3, 1), (0, 3, 1, 2), (0, 2, 1, 3)


@pytest.mark.parametrize(
    "kinds, wanted",
    [
        ((TO_NHWC, Quantize, "d", Dequantize, TO_NCHW, Reshape, Softmax), []),
        ((OffsetBinary, "d", "d", SoftmaxInt8, OffsetBinary), []),
        (("d", SoftmaxInt8, "d"), ["t1"]),
        (("d", Dequantize, Quantize, "d"), ["t1", "t2"]),
        (("d", TO_NHWC, "d"), ["t1"]),
        ((OTHER, "d", OTHER), ["t0", "t2"]),
        ((Concat, "d", Concat), ["t0", "t2"]),
        ((Quantize, Dequantize, Softmax), []),
    ],
    ids=str,
)
def test_the_first_and_the_last_may_be_on_the_host(kinds, wanted):
    assert inner(*kinds) == wanted


def test_a_constant_is_no_work():
    constant = Constant("k", (), "k", value=np.zeros(1, np.int8))
    graph = Graph("g", {}, (constant, Clamp("d", ("k",), "d")), (), ("d",))
    assert inner_operators(graph, ["d"]) == set()


def test_the_first_that_is_refused_is_named():
    rows = (
        Row("to int8", "Quantize", HOST, "the NPU takes integers"),
        Row("turn", "Transpose", HOST, "it is turned", inner=True),
        Row("more", "Concat", HOST, "it is more", inner=True),
    )
    refuse_host_operators(network(rows=rows[:1]))
    with pytest.raises(UserError) as error:
        refuse_host_operators(network(rows=rows))
    assert str(error.value) == "by hand: Concat 'more' would run on the host: it is more"
    with pytest.raises(UserError) as error:
        refuse_host_operators(network(rows=rows[:2]))
    assert str(error.value) == "by hand: Transpose 'turn' would run on the host: it is turned"


def test_a_node_of_onnx_is_called_what_it_is():
    node = onnx.helper.make_node("LpPool", ["x"], ["y"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], [])).SerializeToString()
    content = np.frombuffer(model, np.uint8)
    assert kind_of(OnnxNode("n", ("x",), "y", model=content, reason="")) == "LpPool"
    assert kind_of(OnnxNode("n", ("x",), "y", model=content[:0], reason="")) == "OnnxNode"
    assert kind_of(Reshape("r", ("x",), "y")) == "Reshape"


def test_what_simplifying_takes_away_is_with_what_stays():
    build = Builder(np.random.default_rng(0))
    x = build.input((1, 2, 3, 1))
    y = append(build, Transpose, [x], build.tensor((1, 1, 2, 3), like=x), permutation=TO_NCHW)
    z = build.add(Reshape, y, (1, 6), same_scale=True)
    w = build.fully_connected(z, 4)
    w = build.add(Clamp, w, (1, 4), same_scale=True, minimum=0)
    graph = build.graph(build.flatten(w))
    simple = simplify(graph)
    verdicts = {one.output: Verdict(layers=(one.name,)) for one in simple.operators}
    parts = partition(simple, ())
    assert rows_of(graph, simple, parts, [["fc2"]], verdicts) == (
        Row("transpose0", "Transpose", NOWHERE),
        Row("reshape1", "Reshape", NOWHERE),
        Row("fc2", "FullyConnected", NPU, program=0, layers=("fc2",)),
        Row("clamp3", "Clamp", NPU, "in the layer of fc2", program=0),
        Row("reshape4", "Reshape", NOWHERE),
    )


def test_attention_is_on_the_host_with_its_reasons_and_refused_by_strict():
    m = Model()
    x = m.pair(m.input((1, 6, 8)))
    queries, keys = (m.pair(m.node("MatMul", [x, m.weights((8, 8), axis=1)])) for _ in range(2))
    scores = m.node("MatMul", [queries, m.pair(m.node("Transpose", [keys], perm=[0, 2, 1]))])
    shares = m.pair(m.node("Softmax", [m.pair(scores, 0.2)], axis=-1), 1 / 256, -128)
    y = m.pair(m.node("MatMul", [shares, queries]))
    m.output(m.pair(m.node("LayerNormalization", [y, m.constant(np.ones(8, np.float32))], axis=-1), 0.02))
    found = compile_model(read_onnx(m.make()), load_config(preset="small"))
    notes = {row.op: row.note for row in found.rows if row.where == HOST}
    assert notes["MatMul"] == "it has weights that are computed, supported are constant weights"
    assert notes["LayerNormalization"] == "it is no operator of the NPU"
    assert notes["Softmax"] == "the NPU has no real numbers"
    assert [row.op for row in found.rows if row.where == NPU] == ["FullyConnected"] * 2
    with pytest.raises(UserError, match=r"MatMul '.*' would run on the host: it has weights that are computed"):
        refuse_host_operators(found)
