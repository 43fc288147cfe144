"""Real TFLite models as graphs, what the reader refuses, and how inputs and outputs are named."""

import json

import numpy as np
import pytest
import tflite
from weft.sw.errors import UserError
from weft.sw.graph import Conv2D, FullyConnected, OffsetBinary, Reshape, verify
from weft.sw.tflite.reader import LARGEST_FILE, read_tflite

from tests.sw.networks import evaluate
from tests.sw.tflite_models import Model

KINDS = {
    "ADD": "Add",
    "AVERAGE_POOL_2D": "AveragePool2D",
    "CONV_2D": "Conv2D",
    "DEPTHWISE_CONV_2D": "Conv2D",
    "FULLY_CONNECTED": "FullyConnected",
    "RESHAPE": "Reshape",
    "SOFTMAX": "SoftmaxInt8",
}
MODELS = ("ad_autoencoder_int8", "hello_world_int8", "kws_dscnn_int8", "micro_speech_int8", "resnet8_int8")


@pytest.mark.parametrize("name", MODELS)
class TestSharedModels:
    def test_structure(self, name, shared):
        graph = read_tflite(shared / "models" / f"{name}.tflite")
        described = json.loads((shared / "models" / f"{name}.json").read_text())
        assert graph.name == f"{name}.tflite"
        operators = [one for one in graph.operators if not one.name.endswith(".shape")]
        assert [type(one).__name__ for one in operators] == [KINDS[one["op"]] for one in described["operators"]]
        assert [one.name for one in operators] == [f"{one['op']} {one['i']}" for one in described["operators"]]
        for entry in described["tensors"]:
            tensor = graph.tensors[entry["name"]]
            assert tensor.shape == tuple(entry["shape"])
            assert (tensor.scale, tensor.zero_point) == (entry["q"]["scale"][0], entry["q"]["zp"][0])
        assert graph.inputs == tuple(entry["name"] for entry in described["inputs"])
        assert graph.outputs == tuple(entry["name"] for entry in described["outputs"])
        names = {entry["index"]: entry["name"] for entry in described["tensors"]}
        for one, entry in zip(operators, described["operators"], strict=True):
            wanted = tuple(names[tensor["t"]] for tensor in entry["inputs"] if not tensor["const"])
            if not isinstance(one, FullyConnected):
                assert one.inputs == wanted
            if isinstance(one, Conv2D):
                options = entry["options"]
                assert one.stride == (options["strideH"], options["strideW"])
                weights = next(
                    tensor["shape"] for tensor in entry["inputs"] if len(tensor["shape"]) == 4 and tensor["const"]
                )
                assert one.weights.shape[1:3] == tuple(weights[1:3])
                assert one.groups * one.weights.shape[3] == graph.tensors[one.inputs[0]].shape[3]
                same = [
                    n == -(-m // s)
                    for n, m, s in zip(
                        graph.tensors[one.output].shape[1:3],
                        graph.tensors[one.inputs[0]].shape[1:3],
                        one.stride,
                        strict=True,
                    )
                ]
                assert (options["padding"] == 1) or all(same)

    def test_every_sample(self, name, shared):
        graph = read_tflite(shared / "models" / f"{name}.tflite")
        with np.load(shared / "models" / f"{name}.npz") as file:
            samples, wanted = file["in_0"], file["out_0_tflm"]
        found = evaluate(graph, samples.reshape(len(samples), *samples.shape[2:]))
        assert np.count_nonzero(found[0].reshape(wanted.shape) != wanted) == 0

    def test_every_layer(self, name, shared):
        graph = read_tflite(shared / "models" / f"{name}.tflite")
        described = json.loads((shared / "models" / f"{name}.json").read_text())
        every = verify(type(graph)(graph.name, graph.tensors, graph.operators, graph.inputs, tuple(graph.tensors)))
        with np.load(shared / "models" / f"{name}.trace.npz") as file:
            traces = {key: file[key] for key in file}
        start = described["inputs"][0]["name"]
        numbers = {entry["name"]: entry["index"] for entry in described["tensors"]}
        compared = 0
        for sample in dict.fromkeys(key.rsplit("/", 1)[0] for key in traces):
            found = dict(zip(every.outputs, evaluate(every, traces[f"{sample}/t{numbers[start]}"]), strict=True))
            for tensor, number in numbers.items():
                assert np.count_nonzero(found[tensor] != traces[f"{sample}/t{number}"]) == 0, f"{sample}: {tensor}"
                compared += 1
        assert compared == len(traces)


class Small(Model):
    """One operator on an int8 image, with what is broken about it."""

    def image(self, **values):
        return self.tensor((1, 4, 4, 2), **{"scale": 0.1, **values})

    def conv(self, x, weights=None, bias=None, **values):
        weights = self.constant(np.ones((3, 1, 1, 2), np.int8), 0.1) if weights is None else weights
        bias = self.constant(np.zeros(3, np.int32), 0.01) if bias is None else bias
        y = self.tensor((1, 4, 4, 3), 0.1)
        options = {"StrideH": 1, "StrideW": 1, **values}
        return self.add("CONV_2D", [x, weights, bias], y, "Conv2DOptions", **options)


def model(build, scale=0.1, **values):
    m = Small(**values)
    x = m.image(scale=scale)
    return m.make([x], [build(m, x)])


def cycle(m, x):
    a, b = m.image(), m.image()
    m.add("ADD", [x, b], a, "AddOptions")
    return m.add("ADD", [x, a], b, "AddOptions")


def twice(m, x):
    y = m.image()
    m.add("TANH", [x], y)
    return m.add("LOGISTIC", [x], y)


def variable(m, x):
    return m.add("TANH", [x], m.image(kind=tflite.TensorType.INT16))


def unknown(m, x):
    y = m.add("TANH", [x], m.image())
    m.codes[0] = (250, "", 1)
    return y


def int4_weights(m, x):
    weights = m.constant(np.zeros(3, np.int8), 0.1)
    m.tensors[weights].kind, m.tensors[weights].shape = tflite.TensorType.INT4, (3, 1, 1, 2)
    return m.conv(x, weights)


def dynamic(m, x):
    m.tensors[x].kind, m.tensors[x].scale = tflite.TensorType.FLOAT32, []
    y = m.conv(x)
    m.tensors[y].kind, m.tensors[y].scale = tflite.TensorType.FLOAT32, []
    return y


def real_model(m, x):
    m.tensors[x].kind, m.tensors[x].scale = tflite.TensorType.FLOAT32, []
    return m.conv(x, m.constant(np.zeros((3, 1, 1, 2), np.float32)))


def resize(*size):
    return lambda m, x: m.add(
        "RESIZE_NEAREST_NEIGHBOR",
        [x, m.constant(np.array(size, np.int32))],
        m.image(),
        "ResizeNearestNeighborOptions",
    )


def shaped(*shape):
    def build(m, x):
        m.tensors[x].shape = shape
        return m.add("TANH", [x], m.image())

    return build


def custom(name):
    return lambda m, x: m.add(name, [x], m.image())


REFUSED = {
    "ADD 0 reads 't2', which no earlier operator makes": cycle,
    "LOGISTIC 1 makes 't1', which there is already": twice,
    "TANH 0 has the activation 't1' of type INT16, supported are int8, uint8 and float32": variable,
    "UNKNOWN_250 0 is not supported; supported are ABS, ADD, ": unknown,
    "L2_NORMALIZATION 0 is not supported; supported are ABS, ADD, ": lambda m, x: m.add(
        "L2_NORMALIZATION", [x], m.image()
    ),
    "CONV_2D 0 has the constant 't1' of type INT4, supported is int8": int4_weights,
    "CONV_2D 0 has float32 activations and int8 weights (dynamic quantization), expected int8 activations": dynamic,
    "CONV_2D 0 has float32 activations, supported are int8 and uint8": real_model,
    "operator 0 is the custom operator 'ethos-u' (a model compiled for Arm Ethos-U), expected the model before that": (
        custom("ethos-u")
    ),
    "operator 0 is the custom operator 'edgetpu-custom-op' (a model compiled for the Edge TPU), expected": custom(
        "edgetpu-custom-op"
    ),
    "operator 0 is the custom operator 'Mine', which is not supported": custom("Mine"),
    "TANH 0 has the activation 't1' of type int8 without a scale, expected a quantized model": lambda m, x: m.add(
        "TANH", [x], m.tensor((1, 4, 4, 2))
    ),
    "TANH 0 has the activation 't1' with 2 scales, supported is one scale per activation": lambda m, x: m.add(
        "TANH", [x], m.image(scale=[0.1, 0.2])
    ),
    "TANH 0 has the activation 't1' with the scale nan, expected a positive number": lambda m, x: m.add(
        "TANH", [x], m.image(scale=np.nan)
    ),
    "TANH 0 has the activation 't1' with the zero point 200, expected -128 to 127 for int8": lambda m, x: m.add(
        "TANH", [x], m.image(zero_point=200)
    ),
    "the input 't0' has the shape (1, -1, 4, 2), supported are one axis or more": shaped(1, -1, 4, 2),
    "the input 't0' has the shape (), supported are one axis or more": shaped(),
    "the input 't0' has the shape (1, 65536, 65536), supported are one axis or more and 1 to 268435456 el": shaped(
        1, 65536, 65536
    ),
    "'t0' has 9 axes, supported are 8": shaped(*(1,) * 9),
    "RESIZE_NEAREST_NEIGHBOR 0 has an output of shape (1, 65536, 65536, 2), supported are 1 to 8 axes of": resize(
        65536, 65536
    ),
    "RESIZE_NEAREST_NEIGHBOR 0 resizes to (65537, 1), supported are up to 65536": resize(65537, 1),
    "the output 't3' does not depend on an input": lambda m, x: (
        m.add("TANH", [x], m.image()) and m.add("TANH", [x], m.image()) and m.constant(np.zeros(4, np.int8), 0.1)
    ),
    "TANH 0 is supported only on an activation as input 0, which is a constant here": lambda m, x: m.add(
        "TANH", [m.constant(np.zeros((1, 4), np.int8), 0.1)], m.image()
    ),
    "TANH 0 has input and output of different types, int8 and uint8": lambda m, x: m.add(
        "TANH", [x], m.image(dtype=np.uint8)
    ),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_refusal_is_one_sentence(sentence):
    with pytest.raises(UserError) as error:
        read_tflite(model(REFUSED[sentence]), "file.tflite")
    assert str(error.value).startswith(f"file.tflite: {sentence}")
    assert "\n" not in str(error.value)


def test_control_flow_is_refused():
    with pytest.raises(UserError, match=r"^m: the model has 2 subgraphs \(control flow\), expected one$"):
        read_tflite(model(lambda m, x: m.conv(x), subgraphs=2), "m")


def test_operators_out_of_order_are_refused():
    m = Small()
    x, a, b = m.image(), m.image(), m.image()
    m.add("TANH", [a], b)
    m.add("TANH", [x], a)
    with pytest.raises(UserError, match=r"^m: TANH 0 reads 't1', which no earlier operator makes$"):
        read_tflite(m.make([x], [b]), "m")


def test_scales_without_a_common_factor_are_refused():
    with pytest.raises(
        UserError, match=r"^m: CONV_2D 0 has scales that give a factor of 1e\+29, which must be from 0 "
    ):
        read_tflite(model(lambda m, x: m.conv(x), scale=1e29), "m")


def test_a_bias_that_says_another_axis_is_taken_as_it_is():
    graphs = []
    for axis in (0, 3):
        m = Small()
        x = m.image()
        bias = m.constant(np.arange(3, dtype=np.int32) * 100, [0.01, 0.01, 0.01], axis=axis)
        graphs.append(read_tflite(m.make([x], [m.conv(x, bias=bias)])))
    assert np.array_equal(graphs[0].operators[0].bias, [0, 100, 200])
    assert np.array_equal(graphs[1].operators[0].bias, [0, 100, 200])


def test_an_operator_may_lack_its_bias():
    m = Small()
    x, weights = m.image(), m.constant(np.ones((3, 1, 1, 2), np.int8), 0.1)
    y = m.tensor((1, 4, 4, 3), 0.1)
    m.add("CONV_2D", [x, weights], y, "Conv2DOptions", StrideH=1, StrideW=1)
    assert np.array_equal(read_tflite(m.make([x], [y])).operators[0].bias, [0, 0, 0])


def test_uint8_is_int8_between_the_borders():
    m = Model()
    x, y = m.tensor((1, 8), 0.1, 200, np.uint8), m.tensor((1, 8), 1 / 128, 128, np.uint8)
    graph = read_tflite(m.make([x], [m.add("TANH", [x], y)]))
    assert [type(one).__name__ for one in graph.operators] == ["OffsetBinary", "Lookup", "OffsetBinary"]
    assert [(graph.tensors[name].dtype, graph.tensors[name].zero_point) for name in ("t0", "t0.int8")] == [
        ("uint8", 200),
        ("int8", 72),
    ]
    assert (graph.inputs, graph.outputs) == (("t0",), ("t1",))
    assert graph.tensors["t1"].dtype == "uint8"


def test_names_are_unique_and_printable():
    m = Small()
    x, a, y = m.image(name="same"), m.image(name="same"), m.image(name="")
    m.add("TANH", [x], a)
    m.add("TANH", [a], y)
    graph = read_tflite(m.make([x], [y]))
    assert list(graph.tensors) == ["same", "same.1", "tensor 2"]
    m.tensors[y].name = "a\nb" * 400
    (name,) = read_tflite(m.make([x], [y])).outputs
    assert name.startswith("a?ba?b")
    assert len(name) == 1000


def test_a_sample_without_an_axis_of_samples_gets_one():
    m = Model()
    x, y = m.tensor((6, 4), 0.1), m.tensor((6, 4), 1 / 128)
    graph = read_tflite(m.make([x], [m.add("TANH", [x], y)]))
    assert [graph.tensors[name].shape for name in (*graph.inputs, *graph.outputs)] == [(1, 6, 4), (1, 6, 4)]
    assert [type(one) for one in graph.operators][::2] == [Reshape, Reshape]


def test_an_output_may_be_an_input_or_be_given_twice():
    m = Small()
    x, y = m.image(), m.image()
    m.add("TANH", [x], y)
    graph = read_tflite(m.make([x], [x, y, y]))
    assert len(set(graph.outputs)) == 3
    values = np.arange(32, dtype=np.int8).reshape(1, 4, 4, 2)
    found = evaluate(graph, values)
    assert np.array_equal(found[0], values)
    assert np.array_equal(found[1], found[2])
    assert not any(isinstance(one, OffsetBinary) for one in graph.operators)


def test_sharing_weights_again_and_again_is_refused():
    m = Model()
    x = y = m.tensor((1, 1024), 0.1, 128, np.uint8)
    weights = m.constant(np.full((1024, 1024), 100, np.uint8), 0.1, 110)
    for _ in range(300):
        y = m.add("FULLY_CONNECTED", [y, weights], m.tensor((1, 1024), 0.1, 128, np.uint8), "FullyConnectedOptions")
    with pytest.raises(UserError, match=r"^m: FULLY_CONNECTED 25\d makes it more than 268435456 bytes of weights"):
        read_tflite(m.make([x], [y]), "m")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match="the model cannot be read: No such file"):
        read_tflite(tmp_path / "missing.tflite")
    large = tmp_path / "large.tflite"
    with large.open("wb") as file:
        file.truncate(LARGEST_FILE + 1)
    with pytest.raises(
        UserError, match=r"^large.tflite: the model has 268435457 bytes, supported are up to 268435456$"
    ):
        read_tflite(large)
