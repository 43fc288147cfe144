"""Small quantized ONNX models for tests, with their values by ONNX Runtime."""

import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper, numpy_helper, shape_inference
from weft.sw.onnx.reader import read_onnx

from tests.sw.networks import evaluate

OPSET = 17


class Model:
    """Puts a model with QuantizeLinear/DequantizeLinear pairs together, node by node; all names are counted up."""

    def __init__(self, seed=0):
        self.random = np.random.default_rng(seed)
        self.nodes = []
        self.initializers = []
        self.inputs = []
        self.outputs = []
        self.count = 0

    def name(self, stem="v"):
        self.count += 1
        return f"{stem}{self.count}"

    def constant(self, value, stem="c"):
        name = self.name(stem)
        self.initializers.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def input(self, shape, kind=TensorProto.FLOAT, name="x"):
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def node(self, op, inputs, outputs=1, **attributes):
        names = [self.name() for _ in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=f"{op.lower()}_{self.count}", **attributes))
        return names[0]

    def quantize(self, value, scale=0.05, zero_point=3, dtype=np.int8):
        return self.node("QuantizeLinear", [value, *self._scale(scale, zero_point, dtype)])

    def dequantize(self, value, scale=0.05, zero_point=3, dtype=np.int8):
        return self.node("DequantizeLinear", [value, *self._scale(scale, zero_point, dtype)])

    def _scale(self, scale, zero_point, dtype):
        return self.constant(np.float32(scale)), self.constant(np.array(zero_point, dtype))

    def pair(self, value, scale=0.05, zero_point=3, dtype=np.int8):
        """Quantize and dequantize, as between two operators."""
        return self.dequantize(self.quantize(value, scale, zero_point, dtype), scale, zero_point, dtype)

    def weights(self, shape, axis=0, per_channel=True, dtype=np.int8):
        """Random weights behind a DequantizeLinear; the real ones have a spread of about 0.1 at any size."""
        count = shape[axis] if per_channel else 1
        scale = np.exp(self.random.uniform(-8, -7, count)).astype(np.float32)
        zero = np.zeros(count, dtype) if dtype != np.uint8 else np.full(count, 128, np.uint8)
        low = -100 if dtype != np.uint8 else 28
        value = self.constant(self.random.integers(low, low + 200, shape).astype(dtype), "weights")
        if not per_channel:
            scale, zero = scale.reshape(()), zero.reshape(())
        extra = {"axis": axis} if per_channel else {}
        return self.node("DequantizeLinear", [value, self.constant(scale), self.constant(zero)], **extra)

    def quantized_bias(self, weights, input_scale=0.05):
        """A bias in units of the input scale times the scales of `weights`."""
        node = next(node for node in self.nodes if node.output[0] == weights)
        scale = numpy_helper.to_array(next(one for one in self.initializers if one.name == node.input[1]))
        units = np.float32(input_scale) * np.atleast_1d(scale)
        channels = numpy_helper.to_array(next(one for one in self.initializers if one.name == node.input[0])).shape[0]
        units = np.broadcast_to(units, (channels,)).astype(np.float32)
        value = self.constant(self.random.integers(-2000, 2000, channels, dtype=np.int32), "bias")
        zero = self.constant(np.zeros(channels, np.int32))
        return self.node("DequantizeLinear", [value, self.constant(units), zero], axis=0)

    def output(self, value, kind=TensorProto.FLOAT):
        self.outputs.append(helper.make_tensor_value_info(value, kind, None))

    def make(self, opset=OPSET, check=True):
        graph = helper.make_graph(self.nodes, "small", self.inputs, self.outputs, self.initializers)
        domains = {node.domain for node in self.nodes} - {""}
        opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in sorted(domains))]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        model = shape_inference.infer_shapes(model)
        if check:
            checker.check_model(model)
        return model


def run_onnxruntime(model, *inputs):
    """All outputs, without optimizations: every node as ONNX defines it, in float32."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    return session.run(None, dict(zip(names, inputs, strict=True)))


def check(model, shape, seed=0):
    """Both give the same real numbers on the same quantized results."""
    x = np.random.default_rng(seed).uniform(-5, 5, shape).astype(np.float32)
    found = evaluate(read_onnx(model), x)
    for mine, theirs in zip(found, run_onnxruntime(model, x), strict=True):
        assert mine.shape == theirs.shape
        np.testing.assert_array_equal(mine, theirs)
    return found
