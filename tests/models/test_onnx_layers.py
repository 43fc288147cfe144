"""Other people's ONNX networks: each layer gets what ONNX Runtime has there, and makes the same bytes."""

import numpy as np
import onnx
import pytest

from tests.models.onnx_layers import MODES, compared

MODELS = ("resnet8_qdq", "lenet5_fyh620_qdq_s8s8")

LEAST_EQUAL = 0.999

FUSED_SOFTMAX = 0.8
"""ONNX Runtime's optimizer makes one operator of DequantizeLinear, Softmax and QuantizeLinear. It multiplies by the
whole part of 1 / scale, 254 for a scale of 1/255, and so gives 254 where ONNX's definition is 255: equal is the model
without optimizations."""


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", MODELS)
def test_every_layer_equals_onnxruntime(shared, name, mode):
    model = onnx.load(shared / "models" / f"{name}.onnx")
    with np.load(shared / "models" / f"{name}.npz") as file:
        samples = file["in_0"]
    layers = compared(model, samples, mode)
    table = "\n".join(map(str, layers))
    assert len(layers) >= 10
    assert max(layer.largest for layer in layers) <= 1, table
    for layer in layers:
        fused = mode == "default" and layer.operators == "Softmax"
        assert layer.equal >= (FUSED_SOFTMAX if fused else LEAST_EQUAL), table
