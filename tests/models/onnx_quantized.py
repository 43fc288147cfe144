"""A network of many operators, quantized by ONNX Runtime in all its ways."""

import logging
import warnings

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

SHAPE = (1, 3, 16, 16)

FORMATS = {"QDQ": QuantFormat.QDQ, "QOperator": QuantFormat.QOperator}
TYPES = {"int8": QuantType.QInt8, "uint8": QuantType.QUInt8}


class Network:
    """Nodes put together one by one, with random weights."""

    def __init__(self, seed=0):
        self.random = np.random.default_rng(seed)
        self.nodes = []
        self.initializers = []

    def constant(self, value):
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, operator, inputs, outputs=1, **attributes):
        names = [f"v{len(self.nodes)}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, name=f"{operator}_{len(self.nodes)}", **attributes))
        return names if outputs > 1 else names[0]

    def weights(self, *shape):
        spread = 1.5 / np.sqrt(np.prod(shape[1:]))
        return self.constant((self.random.standard_normal(shape) * spread).astype(np.float32))

    def conv(self, x, inputs, outputs, kernel=3, group=1, **attributes):
        bias = self.constant((self.random.standard_normal(outputs) * 0.1).astype(np.float32))
        weights = self.weights(outputs, inputs // group, kernel, kernel)
        return self.node("Conv", [x, weights, bias], pads=[kernel // 2] * 4, group=group, **attributes)

    def model(self, output, shape):
        graph = helper.make_graph(
            self.nodes,
            "many operators",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, SHAPE)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
            self.initializers,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def network():
    """A float network: residual, depthwise, SiLU, hard-swish, an upsampled path, squeeze-and-excitation, a shuffle of
    channels, a transpose before a product."""
    n = Network()
    start = n.node("Relu", [n.conv("x", 3, 8)])
    deep = n.node("LeakyRelu", [n.conv(start, 8, 8, group=8)], alpha=0.1)
    skip = n.node("Add", [start, deep])
    small = n.conv(skip, 8, 16, strides=[2, 2])
    small = n.node("Mul", [small, n.node("Sigmoid", [small])])
    gated = n.conv(small, 16, 16)
    gated = n.node("Mul", [gated, n.node("HardSigmoid", [gated], alpha=1 / 6, beta=0.5)])
    joined = n.conv(n.node("Concat", [small, gated], axis=1), 32, 16, 1)
    scales = n.constant(np.array([1, 1, 2, 2], np.float32))
    places = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    large = n.node("Concat", [n.node("Resize", [joined, "", scales], **places), skip], axis=1)
    pooled = n.node("MaxPool", [large], kernel_shape=[2, 2], strides=[2, 2])
    pooled = n.node("AveragePool", [pooled], kernel_shape=[3, 3])
    squeezed = n.node("Relu", [n.conv(n.node("GlobalAveragePool", [pooled]), 24, 6, 1)])
    scaled = n.node("Mul", [pooled, n.node("Sigmoid", [n.conv(squeezed, 6, 24, 1)])])
    parts = n.node("Split", [scaled, n.constant(np.array([8, 16]))], 2, axis=1)
    turned = n.node("Transpose", [n.node("Concat", parts[::-1], axis=1)], perm=[0, 2, 3, 1])
    rows = n.node("Reshape", [turned, n.constant(np.array([1, -1, 24]))])
    rows = n.node("MatMul", [rows, n.weights(24, 10)])
    rows = n.node("Tanh", [n.node("Add", [rows, n.constant(n.random.standard_normal(10).astype(np.float32))])])
    bias = n.constant(n.random.standard_normal(5).astype(np.float32))
    logits = n.node("Gemm", [n.node("Flatten", [rows]), n.weights(5, 360), bias], transB=1)
    return n.model(n.node("Softmax", [logits], axis=-1), (1, 5))


def samples(count, seed=1):
    """(count, *SHAPE)."""
    return np.random.default_rng(seed).standard_normal((count, *SHAPE)).astype(np.float32)


class _Calibration(CalibrationDataReader):
    def __init__(self):
        self.rest = [{"x": sample} for sample in samples(8, 2)]

    def get_next(self):
        return self.rest.pop() if self.rest else None


def quantized(folder, form, activations, weights, per_channel, model=None):
    """The model, or the network, quantized."""
    source, target = folder / "float.onnx", folder / "quantized.onnx"
    onnx.save(model or network(), source)
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantize_static(
            source,
            target,
            _Calibration(),
            quant_format=FORMATS[form],
            activation_type=TYPES[activations],
            weight_type=TYPES[weights],
            per_channel=per_channel,
            extra_options={"WeightSymmetric": weights == "int8"},
        )
    logging.disable(logging.NOTSET)
    return onnx.load(target)
