"""The golden operators against ONNX Runtime, and how far its float32 requantization is from the exact one.

`pytest -s -k counted` prints the counts that docs/numerics.md quotes.
"""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper
from weft.rtl.isa import Rounding
from weft.sim import golden
from weft.sim.numerics import exact_multiplier, quantize_multiplier

WEIGHTS = -64, 64
"""Without VNNI, ONNX Runtime adds pairs of products in saturating 16 bits on x86; weights of 7 bits cannot reach that
limit, so that these tests mean the same on every processor."""


def run(op, inputs, constants, domain="", **attributes):
    """The output of a model of one operator; NCHW, as ONNX has it."""
    graph = helper.make_graph(
        [helper.make_node(op, [*inputs, *constants], ["y"], domain=domain, **attributes)],
        "one_operator",
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
            for name, x in inputs.items()
        ],
        [onnx.ValueInfoProto(name="y")],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0]


def nhwc(x):
    return x.transpose(0, 2, 3, 1)


def int8(random, shape, low=-128, high=128):
    return random.integers(low, high, shape, dtype=np.int8)


def float32_requantize(sums, bias, scale, zero_point):
    """What ONNX Runtime does: two roundings to float32, of the sum and of the product, then to nearest even."""
    assert scale.dtype == np.float32
    product = (sums + bias).astype(np.float32) * scale
    return np.clip(np.rint(product) + zero_point, -128, 127).astype(np.int8)


def exact_requantize(sums, bias, scale, zero_point):
    return golden.requantize(sums, bias, *exact_multiplier(scale), Rounding.NEAREST_EVEN, zero_point, -128, 127)


def differences(sums, bias, scale, zero_point):
    """Positions where ONNX Runtime's arithmetic and the exact one differ, after a proof that each lies so near a tie
    that float32 cannot tell the side."""
    exact = exact_requantize(sums, bias, scale, zero_point)
    other = float32_requantize(sums, bias, scale, zero_point)
    where = exact != other
    assert (np.abs(exact.astype(int) - other)[where] == 1).all()
    multiplier, shift = (np.broadcast_to(part, sums.shape)[where] for part in exact_multiplier(scale))
    assert (shift <= 0).all()
    product = (sums + bias).astype(np.int64)[where] * multiplier
    from_tie = product % (1 << 31 - shift) - (1 << 30 - shift)
    assert (np.abs(from_tie) <= np.abs(product) >> 23).all()
    return where


class Layer:
    """Random quantization parameters of a layer whose outputs spread over int8."""

    def __init__(self, random, outputs, depth):
        self.x_scale = np.float32(random.uniform(0.01, 0.1))
        self.w_scale = random.uniform(0.001, 0.01, outputs).astype(np.float32)
        self.y_scale = np.float32(self.x_scale * self.w_scale.mean() * np.sqrt(depth) * 74 * 37 / 50)
        self.x_zero_point, self.y_zero_point = int8(random, 2, -100, 100)
        self.bias = random.integers(-2000, 2000, outputs, dtype=np.int32)

    @property
    def scale(self):
        """The factor from sums to outputs, with float32's roundings in ONNX Runtime's order."""
        return self.x_scale * self.w_scale / self.y_scale

    def constants(self, weights):
        """Inputs of a QLinear operator behind x."""
        return {
            "x_scale": self.x_scale,
            "x_zero_point": self.x_zero_point,
            "w": weights,
            "w_scale": self.w_scale,
            "w_zero_point": np.zeros_like(self.w_scale, np.int8),
            "y_scale": self.y_scale,
            "y_zero_point": self.y_zero_point,
        }

    def check(self, sums, bias, y):
        """ONNX Runtime's output is its float32 formula in every byte, and exact but for what float32 cannot tell."""
        where = differences(sums, bias, self.scale, int(self.y_zero_point))
        assert (y == float32_requantize(sums, bias, self.scale, int(self.y_zero_point))).all()
        assert where.mean() < 1e-5


CONVOLUTIONS = [
    # channels, outputs, kernel, strides, pads (top, left, bottom, right), dilations, groups
    (1, 6, (5, 5), (1, 1), (0, 0, 0, 0), (1, 1), 1),
    (3, 8, (3, 3), (2, 2), (1, 1, 1, 1), (1, 1), 1),
    (8, 5, (3, 2), (1, 2), (0, 1, 2, 0), (2, 3), 1),
    (6, 6, (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), 6),
    (4, 12, (3, 3), (2, 1), (2, 1, 1, 2), (1, 1), 2),
    (16, 16, (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), 1),
]


@pytest.mark.parametrize("seed, shape", list(enumerate(CONVOLUTIONS)))
def test_qlinear_conv(seed, shape):
    channels, outputs, kernel, strides, pads, dilations, groups = shape
    random = np.random.default_rng(seed)
    x = int8(random, (3, channels, 19, 23))
    weights = int8(random, (outputs, channels // groups, *kernel), *WEIGHTS)
    layer = Layer(random, outputs, weights[0].size)
    y = run(
        "QLinearConv",
        {"x": x},
        {**layer.constants(weights), "bias": layer.bias},
        strides=strides,
        pads=pads,
        dilations=dilations,
        group=groups,
    )
    zero_point = int(layer.x_zero_point)
    sums = golden.conv2d(nhwc(x), nhwc(weights), zero_point, strides, pads, dilations, groups)
    layer.check(sums, layer.bias, nhwc(y))


@pytest.mark.parametrize("seed", range(3))
def test_qlinear_matmul(seed):
    random = np.random.default_rng(seed)
    x, weights = int8(random, (50, 64)), int8(random, (64, 30), *WEIGHTS)
    layer = Layer(random, 30, 64)
    layer.w_scale = layer.w_scale[:1]
    y = run("QLinearMatMul", {"x": x}, layer.constants(weights))
    layer.check(golden.matmul(x, weights, int(layer.x_zero_point)), 0, y)


@pytest.mark.parametrize("seed", range(3))
def test_qgemm_which_a_quantized_gemm_becomes(seed):
    random = np.random.default_rng(seed)
    x, weights = int8(random, (50, 100)), int8(random, (20, 100), *WEIGHTS)
    layer = Layer(random, 20, 100)
    constants = layer.constants(weights)
    order = ["x_scale", "x_zero_point", "w", "w_scale", "w_zero_point", "bias", "y_scale", "y_zero_point"]
    constants = {name: {**constants, "bias": layer.bias}[name] for name in order}
    y = run("QGemm", {"x": x}, constants, domain="com.microsoft", transB=1)
    layer.check(golden.fully_connected(x, weights, int(layer.x_zero_point)), layer.bias, y)


@pytest.mark.parametrize("seed", range(3))
def test_conv_integer(seed):
    random = np.random.default_rng(seed)
    x = random.integers(0, 256, (2, 3, 11, 9), dtype=np.uint8)
    weights = random.integers(128 - 64, 128 + 64, (5, 3, 3, 3), dtype=np.uint8)
    zero_point = random.integers(0, 256, dtype=np.uint8)
    constants = {"w": weights, "x_zero_point": zero_point, "w_zero_point": np.uint8(128)}
    y = run("ConvInteger", {"x": x}, constants, pads=[1, 0, 2, 1], strides=[2, 1])
    signed = weights.astype(np.int16) - 128
    sums = golden.conv2d(nhwc(x), nhwc(signed), int(zero_point), (2, 1), (1, 0, 2, 1))
    assert y.dtype == sums.dtype == np.int32
    assert (nhwc(y) == sums).all()


@pytest.mark.parametrize("seed", range(3))
def test_matmul_integer(seed):
    random = np.random.default_rng(seed)
    a, b = int8(random, (2, 7, 33)), int8(random, (33, 5), *WEIGHTS)
    zero_points = int8(random, 2, -60, 60)
    constants = {"b": b, "a_zero_point": zero_points[0], "b_zero_point": zero_points[1]}
    y = run("MatMulInteger", {"a": a}, constants)
    assert (y == golden.matmul(a, b, int(zero_points[0]), int(zero_points[1]))).all()


@pytest.mark.parametrize(
    "window, strides, padding",
    [((2, 2), (2, 2), (0, 0, 0, 0)), ((3, 3), (2, 2), (1, 1, 1, 1)), ((3, 2), (1, 3), (2, 0, 1, 1))],
)
def test_max_pool(window, strides, padding):
    x = int8(np.random.default_rng(0), (2, 5, 14, 15))
    y = run("MaxPool", {"x": x}, {}, kernel_shape=window, strides=strides, pads=padding)
    assert (nhwc(y) == golden.max_pool2d(nhwc(x), window, strides, padding)).all()


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("bits", [10, 14, 18, 24, 31])
def test_differences_to_float32_are_counted(seed, bits):
    """Sums of up to `bits` bits, scaled to the range of int8: float32 is off, by one, in few places."""
    random = np.random.default_rng(seed)
    scale = (random.uniform(64, 128, 256) / 2.0**bits).astype(np.float32)
    sums = random.integers(-(1 << bits), 1 << bits, (1 << 13, 256)).astype(np.int32)
    count = np.count_nonzero(differences(sums, 0, scale, 0))
    factor = quantize_multiplier(scale.astype(np.float64))
    double = golden.requantize(sums, 0, *factor, Rounding.DOUBLE, 0, -128, 127)
    other = np.count_nonzero(double != exact_requantize(sums, 0, scale, 0))
    print(f"\n{bits} bits, seed {seed}: of {sums.size} values {count} differ in float32, {other} in DOUBLE")
    assert count < 1e-5 * sums.size
    assert other < 0.1 * sums.size


def test_float32_misses_the_side_of_a_tie():
    """7259 * 0x1.f5113ep-8 is 55.4999986, but float32 has no number between 55.5 and 55.4999962."""
    scale = np.array([float.fromhex("0x1.f5113ep-8")], np.float32)
    sums = np.array([7259], np.int32)
    assert exact_requantize(sums, 0, scale, 0) == 55
    assert float32_requantize(sums, 0, scale, 0) == 56
    assert differences(sums, 0, scale, 0).all()
