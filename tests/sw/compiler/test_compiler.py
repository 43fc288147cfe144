"""Compiled programs on the functional machine give what the golden model gives, in every byte."""

from pathlib import Path

import numpy as np
import pytest
from weft.gen.presets import PRESETS, SMALL
from weft.sim.transports import MachineTransport
from weft.sw.compiler.compiler import compile_graph
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.driver import Device
from weft.sw.errors import UserError
from weft.sw.onnx.reader import read_onnx

from tests.configurations import CONFIGURATIONS
from tests.sw.networks import Builder, device_part, evaluate, random_network, residual_network
from tests.sw.onnx_models import Model, run_onnxruntime

LENET = Path(__file__).parents[3] / "sw" / "models" / "lenet5.onnx"
MEMORY = 4 << 20


def run(program, x, seed=None):
    """The outputs on the machine, by name; with a seed its units race each other as far as tokens allow."""
    return Device(MachineTransport(program.config, MEMORY, seed)).run(program, x).outputs


def check(graph, config, seed):
    x = np.random.default_rng(seed).integers(-128, 128, graph.tensors[graph.inputs[0]].shape, dtype=np.int8)
    program = compile_graph(graph, config)
    found = run(program, x, seed)
    for name, wanted in zip(graph.outputs, evaluate(graph, x), strict=True):
        np.testing.assert_array_equal(found[name], wanted)
    return program


@pytest.mark.parametrize("seed", range(16))
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_random_networks(name, seed):
    # Few accumulators and weights make for many tiles and for streams.
    config = CONFIGURATIONS[name]
    if seed % 2:
        config = config.replace(accumulators=32, weight_tiles=config.weight_tiles // 16)
    try:
        check(random_network(seed), config, seed)
    except UserError as error:
        assert "weight tiles at once" in str(error) or "accumulators" in str(error)  # noqa: PT017
        assert seed % 2


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", [name for name, config in CONFIGURATIONS.items() if config.tables])
def test_residual_networks(name, seed):
    # Few parameters, too, so that they are loaded in the run.
    config = CONFIGURATIONS[name]
    if seed % 2:
        changes = {
            "accumulators": 64,
            "weight_tiles": config.weight_tiles // 4,
            "parameter_channels": 40 * config.lanes,
        }
        config = config.replace(**changes, depthwise=seed % 4 == 1)
    try:
        check(residual_network(seed), config, seed)
    except UserError as error:
        assert "weight tiles at once" in str(error)  # noqa: PT017
        assert seed % 2


@pytest.mark.parametrize("preset", PRESETS)
def test_lenet(preset):
    graph = read_onnx(LENET)
    program = compile_model(graph, PRESETS[preset])
    x = np.random.default_rng(0).random((3, 1, 28, 28), dtype=np.float32)
    found = run(program, x, seed=1)["logits"]
    for sample, logits in zip(x, found, strict=True):
        np.testing.assert_array_equal(logits[None], evaluate(graph, sample[None])[0])
    assert [layer.macs for layer in program.layers] == [117_600, 240_000, 48_000, 10_080, 840]
    assert [layer.tag for layer in program.layers] == [1, 2, 3, 4, 5]


def test_lenet_with_little_of_everything():
    config = SMALL.replace(weight_tiles=16, accumulators=40, queue_depth=1, scratchpad_bytes=4096)
    graph = read_onnx(LENET)
    x = np.random.default_rng(1).random((1, 1, 28, 28), dtype=np.float32)
    found = run(compile_model(graph, config), x, seed=2)["logits"]
    np.testing.assert_array_equal(found, evaluate(graph, x)[0])


def test_lenet_of_another_party(shared):
    program = compile_model(read_onnx(shared / "models" / "lenet5_fyh620_qdq_s8s8.onnx"), SMALL)
    with np.load(shared / "models" / "lenet5_fyh620_qdq_s8s8.npz") as data:
        found = run(program, data["in_0"][:, 0], seed=3)["24"]
        np.testing.assert_array_equal(found, data["out_0_ort_noopt"][:, 0])


def test_prediction_is_the_sum_of_the_layers():
    program = compile_model(read_onnx(LENET), SMALL)
    passes = [layer.passes for layer in program.layers]
    assert passes == [2940, 4000, 750, 165, 22]
    # What is not passes: the way to the first pass, through array and drain behind the last, and little between.
    assert sum(passes) < sum(layer.predicted_cycles for layer in program.layers) < sum(passes) + 150


def test_a_program_is_the_same_every_time():
    graph = device_part(read_onnx(LENET))
    assert compile_graph(graph, SMALL) == compile_graph(graph, SMALL)


def test_several_inputs_and_outputs():
    build = Builder(np.random.default_rng(0))
    one, two = build.input((1, 5, 5, 3)), build.input((1, 70))
    y = build.conv(one, 4, (3, 3))
    graph = build.graph(y, build.fully_connected(two, 5), build.fully_connected(build.flatten(y), 7))
    random = np.random.default_rng(0)
    x = [random.integers(-128, 128, graph.tensors[name].shape, dtype=np.int8) for name in graph.inputs]
    program = compile_graph(graph, SMALL)
    assert [(port.name, port.offset, port.bytes) for port in program.inputs] == [(one, 0, 75), (two, 128, 70)]
    found = run(program, x, seed=0)
    for name, wanted in zip(graph.outputs, evaluate(graph, *x), strict=True):
        np.testing.assert_array_equal(found[name], wanted)


def test_ports_tell_what_the_device_gets_and_gives():
    program = compile_graph(device_part(read_onnx(LENET)), SMALL)
    (image,), (logits,) = program.inputs, program.outputs
    assert (image.shape, image.dtype, image.bytes) == ((1, 28, 28, 1), "int8", 784)
    assert (logits.shape, logits.dtype, logits.bytes) == ((1, 10), "int8", 10)


def test_uint8_model_of_three_axes():
    m = Model(3)
    x = m.dequantize(m.input((1, 5, 20), 2), 0.05, 100, np.uint8)
    y = m.quantize(m.node("MatMul", [x, m.weights((20, 7), axis=1)]), 0.03, 100, np.uint8)
    m.output(y, 2)
    model = m.make()
    x = np.random.default_rng(0).integers(0, 256, (1, 5, 20), dtype=np.uint8)
    (wanted,) = run_onnxruntime(model, x)
    np.testing.assert_array_equal(run(compile_model(read_onnx(model), SMALL), x)[y], wanted)


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"scratchpad_bytes": 256}, "needs more than the 256 bytes of scratchpad at once, even a row at a time"),
        ({"parameter_channels": 4}, "'/pool1/MaxPool' has 6 channels with padding to whole lanes, 2 more than the 4"),
        ({"accumulators": 2}, "conv+max pool '/conv1/Conv' needs more than the 2 accumulators of the configuration"),
        ({"weight_tiles": 8}, "conv+max pool '/conv1/Conv' needs 5 weight tiles at once while as many are loaded"),
    ],
)
def test_what_does_not_fit_is_a_sentence(changes, sentence):
    with pytest.raises(UserError) as error:
        compile_graph(device_part(read_onnx(LENET)), SMALL.replace(**changes))
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)
