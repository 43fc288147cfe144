"""The training script's parts that need no PyTorch, and the LeNet-5 that it wrote."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import typer
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner
from weft.sw import train_lenet
from weft.sw.datasets import Digits, scikit_digits, to_input
from weft.sw.errors import UserError

LENET = Path(train_lenet.__file__).parent / "models" / "lenet5.onnx"


def random_digits(count: int, seed: int) -> Digits:
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
    return Digits(images, random.integers(0, 10, count, dtype=np.uint8))


def save(path: Path, nodes: list[onnx.NodeProto], **constants: np.ndarray) -> Path:
    """Write a float network from (batch, 1, 28, 28) to (batch, 10)."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 1, 28, 28])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 10])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def constants(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def quantized_weights(model: onnx.ModelProto) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Values, scales and zero points of each Conv's and Gemm's weights, by node name, in graph order."""
    values = constants(model)
    makers = {node.output[0]: node for node in model.graph.node}
    layers = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    assert all(makers[node.input[1]].op_type == "DequantizeLinear" for node in layers)
    return {node.name: tuple(values[name] for name in makers[node.input[1]].input) for node in layers}


def test_the_training_set_repeats_the_digits():
    mnist, digits = random_digits(5, seed=1), random_digits(2, seed=2)
    data = train_lenet.training_set(mnist, digits)
    for which in range(2):
        assert len(data[which]) == 5 + 4 * 2
        np.testing.assert_array_equal(data[which][:5], mnist[which], strict=True)
        for start in range(5, 13, 2):
            np.testing.assert_array_equal(data[which][start : start + 2], digits[which], strict=True)


def test_calibration_takes_a_thousand_different_training_images():
    numbers = np.arange(3000)
    images = np.zeros((3000, 28, 28), np.uint8)
    images[:, 0, 0], images[:, 0, 1] = numbers // 256, numbers % 256
    data = Digits(images, np.zeros(3000, np.uint8))

    chosen = train_lenet.calibration_images(data, seed=3)
    assert chosen.shape == (1000, 28, 28)
    rows = chosen[:, 0, 0].astype(int) * 256 + chosen[:, 0, 1]
    assert len(set(rows.tolist())) == 1000
    assert rows.max() > 2000
    np.testing.assert_array_equal(chosen, train_lenet.calibration_images(data, seed=3))
    assert not np.array_equal(chosen, train_lenet.calibration_images(data, seed=4))


def test_calibration_takes_all_of_fewer_images():
    data = random_digits(20, seed=5)
    np.testing.assert_array_equal(train_lenet.calibration_images(data), data.images)


def test_quantizing_is_int8_per_channel_with_the_ranges_seen(tmp_path):
    weights = np.zeros((10, 784), np.float32)
    weights[np.arange(10), np.arange(10)] = np.arange(1, 11)
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["logits"], "gemm", transB=1),
    ]
    source = save(tmp_path / "float.onnx", nodes, weights=weights, bias=np.zeros(10, np.float32))
    calibration = random_digits(250, seed=7).images // 2
    calibration[249, 0, 9] = 200  # the largest pixel and the largest logit are in the last image
    target = tmp_path / "int8.onnx"
    train_lenet.quantize(source, target, calibration)

    model = onnx.load(target)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    values, scales, zero_points = quantized_weights(model)["gemm"]
    assert (values.dtype, zero_points.dtype) == (np.int8, np.int8)
    np.testing.assert_array_equal(values[:, :10], 127 * np.eye(10, dtype=np.int8))
    np.testing.assert_array_equal(zero_points, np.zeros(10))
    np.testing.assert_array_equal(np.rint(scales * 127), np.arange(1, 11))
    found = constants(model)
    assert found["flat_scale"] == np.float32(200) / np.float32(255) / np.float32(255)
    assert found["logits_scale"] == np.float32(10) * (np.float32(200) / np.float32(255)) / np.float32(255)
    assert found["flat_zero_point"] == found["logits_zero_point"] == -128


def test_accuracy_counts_every_image_once(tmp_path):
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("Slice", ["flat", "start", "end", "axis"], ["logits"]),
    ]
    bounds = {"start": np.array([0]), "end": np.array([10]), "axis": np.array([1])}
    path = save(tmp_path / "pick.onnx", nodes, **bounds)
    labels = np.arange(2500, dtype=np.uint8) % 10
    images = np.zeros((2500, 28, 28), np.uint8)
    images[np.arange(2500), 0, labels] = 255
    labels[2100:2150] = (labels[2100:2150] + 1) % 10
    assert train_lenet.accuracy(path, Digits(images, labels)) == 98.0


@pytest.mark.parametrize("package", ["torch", "onnxruntime"])
def test_a_missing_package_is_told_before_anything_else(monkeypatch, tmp_path, package):
    installed = {"torch", "onnxruntime"} - {package}
    monkeypatch.setattr(train_lenet.importlib.util, "find_spec", lambda name: name in installed or None)
    sentence = f"training needs {package}, which is not installed: pip install 'weft\\[train\\]'"
    with pytest.raises(UserError, match=f"^{sentence}$"):
        train_lenet.gather(tmp_path / "absent", tmp_path / "absent" / "file.onnx")


def test_the_command_ends_with_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(train_lenet.importlib.util, "find_spec", lambda name: name)
    app = typer.Typer()
    app.command()(train_lenet.main)

    def run(output: Path) -> str:
        result = CliRunner().invoke(app, ["--mnist", str(tmp_path), "--output", str(output)])
        assert result.exit_code == 2
        assert result.stdout == ""
        return result.stderr

    absent = tmp_path / "absent"
    expected = f"{absent}: no such folder, expected one to write lenet.onnx into\n"
    assert run(absent / "lenet.onnx") == expected
    names = "neither train-images-idx3-ubyte nor train-images-idx3-ubyte.gz is there"
    assert run(tmp_path / "lenet.onnx") == f"{tmp_path}: {names}, expected the files of MNIST\n"
    assert not (tmp_path / "lenet.onnx").exists()


def test_training_packages_are_not_imported_with_the_module():
    code = "import sys, weft.sw.train_lenet; sys.exit(bool({'torch', 'onnxruntime'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


@pytest.fixture(scope="module")
def lenet() -> onnx.ModelProto:
    model = onnx.load(LENET)
    onnx.checker.check_model(model, full_check=True)
    return model


def dimensions(value: onnx.ValueInfoProto) -> list[str | int]:
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def test_lenet_is_standard_onnx_with_any_batch(lenet):
    assert [(opset.domain, opset.version) for opset in lenet.opset_import] == [("", 17)]
    ends = [*lenet.graph.input, *lenet.graph.output]
    expected = [("image", ["batch", 1, 28, 28]), ("logits", ["batch", 10])]
    assert [(value.name, dimensions(value)) for value in ends] == expected
    assert LENET.stat().st_size < 80_000


def test_lenet_is_the_classic_chain(lenet):
    layers = [node for node in lenet.graph.node if node.op_type not in ("QuantizeLinear", "DequantizeLinear")]
    kinds = ["Conv", "MaxPool", "Conv", "MaxPool", "Flatten", "Gemm", "Gemm", "Gemm"]
    assert [node.op_type for node in layers] == kinds
    attributes = [{a.name: helper.get_attribute_value(a) for a in node.attribute} for node in layers]
    assert [attributes[at]["pads"] for at in (0, 2)] == [[2, 2, 2, 2], [0, 0, 0, 0]]
    assert [attributes[at]["strides"] for at in (0, 1, 2, 3)] == [[1, 1], [2, 2], [1, 1], [2, 2]]
    assert [attributes[at]["kernel_shape"] for at in (1, 3)] == [[2, 2], [2, 2]]
    shapes = [values.shape for values, _, _ in quantized_weights(lenet).values()]
    assert shapes == [(6, 1, 5, 5), (16, 6, 5, 5), (120, 400), (84, 120), (10, 84)]


def test_lenet_takes_416520_multiply_accumulates_an_image(lenet):
    inferred = onnx.shape_inference.infer_shapes(lenet, strict_mode=True)
    shapes = {value.name: dimensions(value) for value in [*inferred.graph.value_info, *inferred.graph.output]}
    outputs = {node.name: node.output[0] for node in lenet.graph.node}
    total = 0
    for name, (values, _, _) in quantized_weights(lenet).items():
        # every element of the output is one dot product with one filter
        total += int(np.prod(shapes[outputs[name]][1:])) * int(np.prod(values.shape[1:]))
    assert total == 416_520


def test_lenet_is_int8_with_weights_per_channel(lenet):
    for values, scales, zero_points in quantized_weights(lenet).values():
        assert (values.dtype, zero_points.dtype) == (np.int8, np.int8)
        assert scales.shape == zero_points.shape == values.shape[:1]
        assert not zero_points.any()
        assert len(np.unique(scales)) > 1
    found = constants(lenet)
    activations = [node for node in lenet.graph.node if node.op_type == "QuantizeLinear"]
    assert len(activations) == 9
    for node in activations:
        scale, zero_point = (found[name] for name in node.input[1:])
        assert (scale.shape, zero_point.shape, zero_point.dtype) == ((), (), np.int8)
        # ReLU is the lower end of the range: nothing below zero can be expressed
        if node.input[0] != "logits_QuantizeLinear_Input":
            assert zero_point == -128


def test_a_bias_is_int32_in_units_of_the_products(lenet):
    found = constants(lenet)
    makers = {node.output[0]: node for node in lenet.graph.node}
    for node in lenet.graph.node:
        if node.op_type in ("Conv", "Gemm"):
            activation, weight, bias = (makers[name] for name in node.input)
            assert found[bias.input[0]].dtype == np.int32
            product = found[activation.input[1]] * found[weight.input[1]]
            np.testing.assert_array_equal(found[bias.input[1]], product, strict=True)


def test_the_quantized_input_is_the_pixel_less_128(lenet):
    found = constants(lenet)
    levels = np.resize(np.arange(256, dtype=np.uint8), (1, 28, 28))
    steps = np.rint(to_input(levels)[:, 0] / found["image_scale"]) + found["image_zero_point"]
    np.testing.assert_array_equal(steps, levels.astype(np.float32) - 128)


def test_lenet_reads_the_held_digits():
    assert train_lenet.accuracy(LENET, scikit_digits("held")) >= 98.5


def test_one_image_at_a_time_gives_the_same_logits():
    session = onnxruntime.InferenceSession(LENET, providers=["CPUExecutionProvider"])
    images = to_input(scikit_digits("held").images[:8])
    (together,) = session.run(["logits"], {"image": images})
    alone = [session.run(["logits"], {"image": image[np.newaxis]})[0][0] for image in images]
    np.testing.assert_array_equal(together, np.stack(alone), strict=True)
