"""Resizing read from ONNX: its value by the golden model against ONNX Runtime's."""

import numpy as np
import pytest
from onnx import TensorProto, helper
from weft.sw.graph import AveragePool2D, OnnxNode, ResizeNearest
from weft.sw.onnx.reader import read_onnx

from tests.sw.networks import evaluate
from tests.sw.onnx_models import Model, check, run_onnxruntime

SHAPE = (1, 3, 4, 6)


def resized(target, scale=0.05, zero_point=3, opset=18, **attributes):
    m = Model()
    scales = [m.constant(np.array(target, np.float32))] if isinstance(target[0], float) else []
    sizes = [] if scales else ["", m.constant(np.array(target, np.int64))]
    y = m.node("Resize", [m.pair(m.input(SHAPE)), "", *scales, *sizes], **attributes)
    m.output(m.pair(y, scale, zero_point))
    return m.make(opset)


def on_host(model):
    return [one.reason for one in read_onnx(model).operators if isinstance(one, OnnxNode)]


@pytest.mark.parametrize("nearest", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
@pytest.mark.parametrize("transform", ["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"])
@pytest.mark.parametrize("target", [(1.0, 1.0, 2.0, 3.0), (1, 3, 8, 3), (1, 3, 1, 11), (1.0, 1.0, 0.5, 1.5)], ids=str)
def test_nearest(target, transform, nearest):
    model = resized(target, nearest_mode=nearest, coordinate_transformation_mode=transform)
    check(model, SHAPE)
    assert on_host(model) == []


@pytest.mark.parametrize("transform", ["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners"])
@pytest.mark.parametrize(
    "target", [(1.0, 1.0, 2.0, 2.0), (1, 3, 8, 3), (1.0, 1.0, 3.0, 4.0), (1.0, 1.0, 0.5, 0.5)], ids=str
)
def test_linear_by_whole_factors(target, transform):
    """Scales are such that no mean is a tie."""
    model = resized(target, 0.0317171, -9, mode="linear", coordinate_transformation_mode=transform)
    if transform == "align_corners" and on_host(model):
        assert on_host(model)[0].startswith("interpolates in parts of 1/")
    else:
        assert on_host(model) == []
        assert [one for one in read_onnx(model).operators if isinstance(one, AveragePool2D)]
    check(model, SHAPE)


def test_twice_the_size_takes_four_times_the_pixels():
    """Windows of four cells go on by two, on an image in which every cell is there four times along each axis."""
    graph = read_onnx(resized((1.0, 1.0, 2.0, 2.0), mode="linear"))
    (spread,) = (one for one in graph.operators if isinstance(one, ResizeNearest))
    (mean,) = (one for one in graph.operators if isinstance(one, AveragePool2D))
    assert (mean.window, mean.stride) == ((4, 4), (2, 2))
    assert graph.tensors[spread.output].shape == (1, 18, 26, 3)


def test_axes_and_the_shape_of_the_image_may_be_kept():
    m = Model()
    sizes = m.constant(np.array([7, 9], np.int64))
    attributes = {"axes": [2, 3], "keep_aspect_ratio_policy": "not_larger"}
    m.output(m.pair(m.node("Resize", [m.pair(m.input(SHAPE)), "", "", sizes], **attributes)))
    check(m.make(18), SHAPE)


@pytest.mark.parametrize("opset", [9, 10])
def test_before_version_11(opset):
    m = Model()
    scales = m.constant(np.array([1, 1, 2, 2], np.float32))
    domain = {"domain": "com.microsoft"} if opset < 10 else {}
    x = m.node("QuantizeLinear", [m.input(SHAPE), *m._scale(0.05, 3, np.uint8)], **domain)
    x = m.node("DequantizeLinear", [x, *m._scale(0.05, 3, np.uint8)], **domain)
    y = m.node("Upsample" if opset < 10 else "Resize", [x, scales], mode="nearest")
    y = m.node("QuantizeLinear", [y, *m._scale(0.05, 3, np.uint8)], **domain)
    m.outputs.append(helper.make_tensor_value_info(y, TensorProto.UINT8, (1, 3, 8, 12)))
    model, x = m.make(opset), np.random.default_rng(0).uniform(-5, 5, SHAPE).astype(np.float32)
    np.testing.assert_array_equal(evaluate(read_onnx(model), x)[0], run_onnxruntime(model, x)[0])


@pytest.mark.parametrize(
    "attributes, reason",
    [
        ({"mode": "cubic"}, "has the mode 'cubic', supported are nearest and linear"),
        ({"mode": "linear", "antialias": 1}, "smooths before it shrinks (antialias)"),
    ],
)
def test_what_the_host_resizes(attributes, reason):
    model = resized((1.0, 1.0, 0.5, 0.5), 0.0317, **attributes)
    assert on_host(model) == [reason]
    x = np.random.default_rng(0).uniform(-5, 5, SHAPE).astype(np.float32)
    found, wanted = evaluate(read_onnx(model), x)[0], run_onnxruntime(model, x)[0]
    assert np.abs(found - wanted).max() <= 0.0318
