"""Whole networks as people have them: an early uint8 file, one with slopes, and one with an LSTM."""

import numpy as np

from tests.sw.tflite_case import NONE, RELU6, SAME, Maker
from tests.sw.tflite_cases import tflite_cases_other

BIAS_AXIS = 3
"""Files of the first converters may say that a bias of one axis is quantized along its fourth. TensorFlow Lite Micro
takes them, TFLite's interpreter does not: it was asked about the same network with axis 0."""


SIX = 6 / 255

GAIN = 2.25
"""So that values neither vanish nor saturate behind ReLUs."""


class Layers:
    """Layer after layer; weights are as wide as the first converters made them, about a zero point that is not 128."""

    def __init__(self, m, x, bias_axis=0):
        self.m = m
        self.x = x
        self.bias_axis = bias_axis

    def _weights(self, shape, axis, outputs, activation):
        m = self.m
        if m.dtype != np.uint8:
            return m.weights(shape, axis, self.x, outputs)
        zero = int(m.random.choice([124, 125, 126, 130, 131, 132]))
        w, b, scale = m.weights(shape, axis, self.x, outputs, zero_point=zero, wide=True)
        m.model.tensors[b].axis = self.bias_axis
        if activation:
            # ReLU6 is the whole range of eight bits.
            for tensor in (w, b):
                m.model.tensors[tensor].scale = [m.scale_of(tensor) * GAIN * SIX / scale]
            scale = SIX
        return w, b, scale

    def _size(self, stride):
        return [-(-n // stride) for n in self.m.model.tensors[self.x].shape[1:3]]

    def conv(self, outputs, kernel=1, stride=1, activation=RELU6):
        m, inputs = self.m, self.m.model.tensors[self.x].shape[3]
        w, b, scale = self._weights((outputs, kernel, kernel, inputs), 0, outputs, activation)
        y = m.tensor((1, *self._size(stride), outputs), scale, m.low if activation else None)
        values = {"Padding": SAME, "StrideH": stride, "StrideW": stride, "FusedActivationFunction": activation}
        self.x = m.model.add("CONV_2D", [self.x, w, b], y, "Conv2DOptions", **values)

    def depthwise(self, stride=1, multiplier=1, activation=RELU6):
        m = self.m
        outputs = m.model.tensors[self.x].shape[3] * multiplier
        w, b, scale = self._weights((1, 3, 3, outputs), 3, outputs, activation)
        y = m.tensor((1, *self._size(stride), outputs), scale, m.low if activation else None)
        values = {"Padding": SAME, "StrideH": stride, "StrideW": stride, "FusedActivationFunction": activation}
        options = "DepthwiseConv2DOptions"
        self.x = m.model.add("DEPTHWISE_CONV_2D", [self.x, w, b], y, options, DepthMultiplier=multiplier, **values)

    def slope(self, code, options="", slopes=None, **values):
        m = self.m
        y = m.tensor(m.model.tensors[self.x].shape, m.scale_of(self.x) * 0.75)
        inputs = [self.x] if slopes is None else [self.x, m.model.constant(m.values(slopes), 0.01, m.low + 100)]
        self.x = m.model.add(code, inputs, y, options, **values)

    def reshape(self, *shape):
        y = self.m.like(shape, self.x)
        numbers = self.m.model.constant(np.array(shape, np.int32))
        self.x = self.m.model.add("RESHAPE", [self.x, numbers], y, "ReshapeOptions")

    def connect(self, outputs):
        m = self.m
        w, b, scale = m.weights((outputs, m.model.tensors[self.x].shape[1]), 0, self.x, outputs, per_channel=False)
        y = m.tensor((1, outputs), scale)
        self.x = m.model.add("FULLY_CONNECTED", [self.x, w, b], y, "FullyConnectedOptions", version=4)

    def softmax(self):
        y = self.m.tensor(self.m.model.tensors[self.x].shape, 1 / 256, self.m.low)
        self.x = self.m.model.add("SOFTMAX", [self.x], y, "SoftmaxOptions", Beta=1.0)


def person_detection(bias_axis=0):
    """MobileNetV1 0.25 on grayscale images of 96x96, the way in a depthwise layer of eight channels."""
    m = Maker("person detection", np.uint8)
    image = m.tensor((1, 96, 96, 1), 1 / 128, 128)
    net = Layers(m, image, bias_axis)
    net.depthwise(stride=2, multiplier=8)
    for index, (outputs, stride) in enumerate(
        ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1))
    ):
        if index:
            net.depthwise(stride)
        net.conv(outputs)
    features = net.x
    y = m.like((1, 1, 1, 256), features)
    values = {"Padding": 1, "StrideH": 2, "StrideW": 2, "FilterHeight": 3, "FilterWidth": 3}
    net.x = m.model.add("AVERAGE_POOL_2D", [features], y, "Pool2DOptions", **values)
    net.conv(2, activation=NONE)
    scores = net.x
    net.reshape(1, 2)
    net.softmax()
    return m.case([image], [features, scores, net.x], samples=2)


def slopes():
    """PReLU per channel and for all, and leaky ReLU."""
    m = Maker("slopes")
    image = m.tensor((1, 20, 18, 3), 1 / 64)
    net = Layers(m, image)
    net.conv(12, kernel=3, activation=NONE)
    net.slope("PRELU", slopes=(1, 1, 12))
    net.depthwise(activation=NONE)
    net.slope("LEAKY_RELU", "LeakyReluOptions", Alpha=0.1)
    net.conv(16, kernel=3, stride=2, activation=NONE)
    net.slope("PRELU", slopes=(1, 1, 16))
    features = net.x
    net.conv(8, activation=NONE)
    net.slope("PRELU", slopes=(1, 1, 1))
    net.reshape(1, 720)
    net.connect(10)
    return m.case([image], [features, net.x], samples=2)


def keywords():
    """An LSTM over 20 frames, of which the last state is classified."""
    m = Maker("keywords")
    tflite_cases_other._lstm(m, size=(20, 10), cells=16)
    lstm = m.model.operators[0]
    (states,) = lstm.outputs
    net = Layers(m, states)
    last = m.like((1, 1, 16), states)
    begin, size = (m.model.constant(np.array(v, np.int32)) for v in ((0, 19, 0), (1, 1, 16)))
    net.x = m.model.add("SLICE", [states, begin, size], last, "SliceOptions")
    net.reshape(1, 16)
    net.connect(12)
    scores = net.x
    net.softmax()
    return m.case([lstm.inputs[0]], [states, scores, net.x], samples=3)


NETWORKS = {"person detection": person_detection, "slopes": slopes, "keywords": keywords}
