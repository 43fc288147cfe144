"""Whole models: device and host together give what the golden model gives, in every byte."""

from dataclasses import replace

import numpy as np
import pytest
from weft.gen.presets import SMALL
from weft.sim.golden_graph import run_graph
from weft.sim.transports import MachineTransport
from weft.sw import network_file
from weft.sw.compiler.model_compiler import compile_model, verdict
from weft.sw.driver import Device
from weft.sw.errors import UserError
from weft.sw.graph import (
    Add,
    Conv2D,
    Dequantize,
    FullyConnected,
    Graph,
    Lookup,
    Multiply,
    OnnxNode,
    Operator,
    Quantize,
    Reshape,
    Slice,
    Softmax,
    SoftmaxInt8,
    Tensor,
)
from weft.sw.network import HOST, NOWHERE, NPU
from weft.sw.program import Program
from weft.sw.tflite.reader import read_tflite

from tests.configurations import CONFIGURATIONS
from tests.sw.host.test_operators import as_bytes, recorded
from tests.sw.mixed_networks import append, mixed_network, random_inputs
from tests.sw.networks import Builder
from tests.sw.tflite_cases import CASES

MEMORY = 4 << 20


def on_machine(network, inputs, seed=None):
    """The outputs in order; with a seed the units race each other as far as tokens allow."""
    outputs = Device(MachineTransport(network.config, MEMORY, seed), chunk=2).run(network, inputs).outputs
    return [outputs[name] for name in network.outputs]


def check(graph, config, seed, samples=3):
    """The network, which runs as the golden model does, also from its file."""
    network = compile_model(graph, config)
    inputs = random_inputs(graph, seed, samples)
    wanted = run_graph(graph, inputs)
    loaded = network_file.from_bytes(network_file.to_bytes(network), "file")
    for one in (network, loaded):
        for found, expected in zip(on_machine(one, inputs, seed), wanted, strict=True):
            np.testing.assert_array_equal(found, expected, strict=True)
    return network


@pytest.mark.parametrize("seed", range(60))
def test_mixed_networks(seed):
    name = sorted(CONFIGURATIONS)[seed % len(CONFIGURATIONS)]
    graph = mixed_network(seed)
    network = check(graph, CONFIGURATIONS[name], seed)
    assert [row.name for row in network.rows] == [operator.name for operator in graph.operators]
    for row, operator in zip(network.rows, graph.operators, strict=True):
        assert row.where != HOST or row.note, row
        assert row.where != NPU or isinstance(network.programs[row.program], Program), row
        if isinstance(operator, Softmax | SoftmaxInt8 | Quantize | Dequantize) and "nothing reads" not in row.note:
            assert row.where == HOST


def test_the_mixed_networks_have_several_programs():
    counts = [len(compile_model(mixed_network(seed), CONFIGURATIONS["8x8"]).programs) for seed in range(60)]
    assert max(counts) >= 3
    assert sum(count > 1 for count in counts) > 20


@pytest.mark.parametrize("name", CASES)
def test_tflite_cases_on_the_machine(name):
    """Every byte is that of TFLite's reference kernels, wherever the operators run."""
    case = CASES[name]()
    graph = read_tflite(case.model, name)
    inputs = [
        array.reshape(len(array), *graph.tensors[tensor].shape[1:])
        for array, tensor in zip(case.inputs, graph.inputs, strict=True)
    ]
    assert as_bytes(on_machine(compile_model(graph, SMALL), inputs)) == recorded(name)


@pytest.fixture
def build():
    return Builder(np.random.default_rng(0))


def test_host_operators_around_the_device_leave_one_program(build):
    build.inputs.append(build.tensor((1, 4, 4, 2), dtype="float32"))
    x = append(build, Quantize, build.inputs, build.tensor((1, 4, 4, 2)))
    x = build.fully_connected(build.flatten(build.conv(x, 3, (3, 3), minimum=0)), 5)
    y = append(
        build,
        Softmax,
        [append(build, Dequantize, [x], build.tensor((1, 5), dtype="float32"))],
        build.tensor((1, 5), dtype="float32"),
        axis=-1,
    )
    network = check(build.graph(y), SMALL, 0)
    assert [type(stage).__name__ for stage in network.stages] == ["Quantize", "Program", "Dequantize", "Softmax"]
    assert [(row.op, row.where) for row in network.rows] == [
        ("Quantize", HOST),
        ("Conv2D", NPU),
        ("Reshape", NOWHERE),
        ("FullyConnected", NPU),
        ("Dequantize", HOST),
        ("Softmax", HOST),
    ]
    assert not any(row.inner for row in network.rows)
    assert [row.layers for row in network.rows if row.where == NPU] == [("conv1",), ("fc3",)]


def test_what_a_layer_does_besides_is_told(build):
    x = build.conv(build.input((1, 6, 6, 2)), 4, (3, 3))
    table = np.random.default_rng(0).integers(-128, 128, 256, dtype=np.int8)
    x = build.add(Lookup, x, (1, 4, 4, 4), table=table)
    network = check(build.graph(x), SMALL, 0)
    conv, lookup = network.rows
    assert (conv.layers, conv.program, conv.note) == (("conv0",), 0, "")
    assert (lookup.layers, lookup.program, lookup.note) == ((), 0, "in the layer of conv0")


def test_an_operator_that_the_device_cannot_hold_goes_to_the_host(build):
    x = build.flatten(build.conv(build.input((1, 40, 40, 4)), 4, (3, 3)))
    y = build.fully_connected(x, 10)
    network = check(build.graph(build.fully_connected(y, 4)), SMALL.replace(scratchpad_bytes=4096), 0)
    rows = [row for row in network.rows if row.where in (NPU, HOST)]
    assert [(row.where, row.inner) for row in rows] == [(NPU, False), (HOST, True), (NPU, False)]
    assert rows[1].note.endswith("needs more than the 4096 bytes of scratchpad at once, even a row at a time")


def test_operators_of_one_name_are_told_apart(build):
    x = build.input((1, 4))
    for _ in range(3):
        x = build.fully_connected(x, 4)
        build.operators[-1] = replace(build.operators[-1], name="same")
    network = check(build.graph(x), SMALL, 0)
    assert [row.name for row in network.rows] == ["same", "same.1", "same.2"]
    assert [row.layers for row in network.rows] == [("same",), ("same.1",), ("same.2",)]


def test_a_model_without_an_operator_for_the_device(build):
    build.inputs.append(build.tensor((1, 4), dtype="float32"))
    y = append(build, Softmax, build.inputs, build.tensor((1, 4), dtype="float32"), axis=1)
    network = check(build.graph(y), SMALL, 0)
    assert network.programs == ()


def test_an_input_that_nothing_reads_and_one_that_is_an_output(build):
    unused, x = build.input((1, 3)), build.input((1, 4))
    y = build.fully_connected(x, 3)
    z = build.add(Reshape, x, (1, 2, 2), same_scale=True)
    network = check(build.graph(y, z, x), SMALL, 0)
    assert network.inputs == (unused, x)


def test_results_that_nothing_reads_are_not_computed(build):
    x = build.input((1, 4))
    build.fully_connected(x, 9)
    network = check(build.graph(build.fully_connected(x, 3)), SMALL, 0)
    assert (network.rows[0].where, network.rows[0].note) == (NOWHERE, "nothing reads its result")
    assert len(network.layers) == 1


def test_an_operator_that_neither_side_runs_is_an_error(build):
    tensors = {"x": Tensor("x", (1, 4), "uint8"), "y": Tensor("y", (1, 4), "int8")}
    graph = Graph("g", tensors, (Add("sum", ("x", "x"), "y"),), ("x",), ("y",))
    with pytest.raises(UserError, match="'sum' has the activation 'x' of type uint8, which neither the NPU nor"):
        compile_model(graph, SMALL)


def test_a_verdict_says_why(build):
    x = build.input((1, 4, 4, 3))
    build.conv(x, 3, (3, 3))
    build.operators.append(SoftmaxInt8("s", (x,), x, beta=1.0))
    build.operators.append(OnnxNode("n", (x,), x, model=np.zeros(0, np.uint8), reason="is a guess"))
    build.operators.append(Operator("?", (x,), x))
    graph = Graph("g", build.tensors, tuple(build.operators), (x,), ())
    found = [verdict(operator, graph, SMALL) for operator in graph.operators]
    assert (found[0].reason, found[0].layers) == ("", ("conv0",))
    assert found[1].reason == "the NPU has no exponentials and quotients of 32 bits"
    assert found[2].reason == "it is a guess"
    assert found[3].reason == "it is not supported on the device"


def test_a_joint_failure_cuts_a_part_in_two(build, monkeypatch):
    """As long as each operator compiles alone, all of them stay on the device."""
    from weft.sw.compiler import model_compiler

    whole = model_compiler.compile_graph

    def small_ones(part, *rest):
        if sum(isinstance(one, FullyConnected) for one in part.operators) > 2:
            raise UserError("test: too much for one")
        return whole(part, *rest)

    monkeypatch.setattr(model_compiler, "compile_graph", small_ones)
    x = build.input((1, 6))
    for _ in range(5):
        x = build.fully_connected(x, 6)
    network = check(build.graph(x), SMALL, 0)
    assert all(row.where == NPU for row in network.rows)
    assert [len(program.layers) for program in network.programs] == [2, 1, 2]
    assert [row.program for row in network.rows] == [0, 0, 1, 2, 2]


def test_what_does_not_compile_alone_is_named_with_the_compilers_sentence(build, monkeypatch):
    from weft.sw.compiler import model_compiler

    whole, checked = model_compiler.compile_graph, model_compiler.check_graph
    asked = []

    def no_convs(part, *rest):
        if any(isinstance(one, Conv2D) for one in part.operators):
            raise UserError("test: conv is not for today")
        return whole(part, *rest)

    def no_convs_either(part, *rest):
        asked.append([one.output for one in part.operators])
        no_convs(part, *rest)
        checked(part, *rest)

    monkeypatch.setattr(model_compiler, "compile_graph", no_convs)
    monkeypatch.setattr(model_compiler, "check_graph", no_convs_either)
    x = build.conv(build.input((1, 5, 5, 2)), 3, (3, 3))
    x = append(build, Slice, [x], build.tensor((1, 2, 2, 3), like=x), start=(0, 1, 1, 0), step=(1, 1, 1, 1))
    x = build.fully_connected(build.flatten(x), 4)
    network = check(build.graph(x), SMALL, 0)
    assert (network.rows[0].where, network.rows[0].note, network.rows[0].inner) == (HOST, "conv is not for today", True)
    assert network.rows[-1].where == NPU
    assert asked
    assert all(asked.count(one) == 1 for one in asked)


def test_a_product_of_activations_without_tables_splits_the_program(build):
    x = build.conv(build.input((1, 5, 5, 2)), 2, (3, 3), padding=(1, 1, 1, 1))
    y = append(build, Multiply, [x, build.inputs[0]], build.tensor((1, 5, 5, 2)))
    graph = build.graph(build.conv(y, 2, (3, 3)))
    network = check(graph, SMALL.replace(tables=False), 0)
    assert [type(stage).__name__ for stage in network.stages] == ["Program", "Multiply", "Program"]
    reason = "it takes look-up tables, which the configuration does not have (tables = false)"
    assert network.rows[1].note == reason
    assert [row.inner for row in network.rows] == [False, True, False]
    assert all(row.where == NPU for row in check(graph, SMALL, 0).rows)
