"""Operators on integers, read from ONNX: values by the golden model against ONNX Runtime's."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from weft.sw.errors import UserError
from weft.sw.graph import OnnxNode
from weft.sw.onnx.qoperators import EXPANSIONS
from weft.sw.onnx.reader import read_onnx

from tests.sw.networks import evaluate
from tests.sw.onnx_models import Model, run_onnxruntime

MICROSOFT = {"domain": "com.microsoft"}
KINDS = {np.int8: TensorProto.INT8, np.uint8: TensorProto.UINT8}


class Integers(Model):
    """A model with integers as inputs and outputs."""

    def __init__(self, dtype, seed=0):
        super().__init__(seed)
        self.dtype = dtype
        self.middle = 0 if dtype is np.int8 else 128
        self.shapes = []

    def level(self, scale, zero_point):
        return [self.constant(np.float32(scale)), self.constant(self.dtype(zero_point + self.middle))]

    def activation(self, shape, scale=0.05, zero_point=3):
        self.shapes.append(shape)
        return [self.input(shape, KINDS[self.dtype], f"x{len(self.shapes)}"), *self.level(scale, zero_point)]

    def check(self, value, shape):
        self.outputs.append(self._of(value, shape))
        model = self.make(check=False)
        limits = np.iinfo(self.dtype)
        random = np.random.default_rng(1)
        arrays = [random.integers(limits.min, limits.max + 1, shape).astype(self.dtype) for shape in self.shapes]
        graph = read_onnx(model)
        assert not [one for one in graph.operators if isinstance(one, OnnxNode)]
        (found,), (wanted,) = evaluate(graph, *arrays), run_onnxruntime(model, *arrays)
        np.testing.assert_array_equal(found.reshape(wanted.shape), wanted)
        assert len(np.unique(wanted)) >= 5

    def _of(self, value, shape):
        return helper.make_tensor_value_info(value, KINDS[self.dtype], shape)


both = pytest.mark.parametrize("dtype", [np.int8, np.uint8])


@both
@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_conv(dtype, per_channel, bias):
    m = Integers(dtype)
    w = m.constant(m.random.integers(-60, 60, (6, 2, 3, 3)).astype(np.int8))
    scale = m.random.uniform(0.01, 0.02, 6 if per_channel else ()).astype(np.float32)
    zero = np.zeros(6 if per_channel else (), np.int8)
    inputs = [*m.activation((1, 4, 6, 5)), w, m.constant(scale), m.constant(zero), *m.level(0.07, -5)]
    inputs += [m.constant(m.random.integers(-500, 500, 6).astype(np.int32))] if bias else []
    m.check(m.node("QLinearConv", inputs, pads=[1, 1, 1, 1], group=2), (1, 6, 6, 5))


@both
def test_matmul(dtype):
    m = Integers(dtype)
    w = [
        m.constant(m.random.integers(-60, 60, (9, 5)).astype(np.int8)),
        *map(m.constant, (np.float32(0.02), np.int8(0))),
    ]
    m.check(m.node("QLinearMatMul", [*m.activation((1, 4, 9)), *w, *m.level(0.07, -5)]), (1, 4, 5))


@both
@pytest.mark.parametrize("bias", [True, False])
def test_gemm(dtype, bias):
    m = Integers(dtype)
    w = [
        m.constant(m.random.integers(-60, 60, (5, 9)).astype(np.int8)),
        *map(m.constant, (np.float32(0.02), np.int8(0))),
    ]
    c = m.constant(m.random.integers(-500, 500, 5).astype(np.int32)) if bias else ""
    inputs = [*m.activation((1, 9)), *w, c, *m.level(0.07, -5)]
    m.check(m.node("QGemm", inputs, transB=1, alpha=1.0, **MICROSOFT), (1, 5))


@both
@pytest.mark.parametrize("operator, scale", [("QLinearAdd", 0.083), ("QLinearMul", 0.031)])
def test_of_two(dtype, operator, scale):
    m = Integers(dtype)
    inputs = [*m.activation((1, 3, 4, 5)), *m.activation((1, 3, 4, 5), 0.0417, -20), *m.level(scale, 7)]
    m.check(m.node(operator, inputs, **MICROSOFT), (1, 3, 4, 5))


@both
@pytest.mark.parametrize(
    "operator, attributes, scale, shape",
    [
        ("QLinearSigmoid", {}, 0.004, (1, 3, 4, 6)),
        ("QLinearLeakyRelu", {"alpha": 0.1}, 0.041, (1, 3, 4, 6)),
        ("QLinearAveragePool", {"kernel_shape": [3, 3], "strides": [1, 2]}, 0.0331007, (1, 3, 2, 2)),
        ("QLinearGlobalAveragePool", {}, 0.0131007, (1, 3, 1, 1)),
        ("QLinearSoftmax", {"axis": -1, "opset": 13}, 1 / 256, (1, 3, 4, 6)),
    ],
)
def test_of_one(dtype, operator, attributes, scale, shape):
    m = Integers(dtype)
    zero_point = -128 if operator in ("QLinearSigmoid", "QLinearSoftmax") else 2
    source = (1, 12, 4, 6) if operator == "QLinearGlobalAveragePool" else (1, 3, 4, 6)
    shape = (1, 12, 1, 1) if operator == "QLinearGlobalAveragePool" else shape
    m.check(m.node(operator, [*m.activation(source), *m.level(scale, zero_point)], **attributes, **MICROSOFT), shape)


@both
def test_concat(dtype):
    m = Integers(dtype)
    parts = [*m.activation((1, 2, 4, 5), 0.0517), *m.activation((1, 3, 4, 5), 0.0413, -9)]
    m.check(m.node("QLinearConcat", [*m.level(0.0471, 4), *parts], axis=1, **MICROSOFT), (1, 5, 4, 5))


def test_all_have_been_tried():
    tried = {"QLinearConv", "QLinearMatMul", "QGemm", "QLinearAdd", "QLinearMul", "QLinearSigmoid", "QLinearLeakyRelu"}
    tried |= {"QLinearAveragePool", "QLinearGlobalAveragePool", "QLinearSoftmax", "QLinearConcat"}
    assert set(EXPANSIONS) == tried


def test_channels_last_is_refused():
    m = Integers(np.uint8)
    y = m.node(
        "QLinearGlobalAveragePool", [*m.activation((1, 4, 5, 3)), *m.level(0.1, 0)], channels_last=1, **MICROSOFT
    )
    m.outputs.append(m._of(y, (1, 1, 1, 3)))
    with pytest.raises(UserError, match="has its channels last, supported are channels first"):
        read_onnx(m.make(check=False))
