"""Float networks as PyTorch exports them, small: the blocks that people's networks are made of."""

import numpy as np

CLASSES = 5


def _linear(n, x, inputs, outputs=CLASSES):
    bias = n.constant((n.random.standard_normal(outputs) * 0.1).astype(np.float32))
    return n.node("Gemm", [x, n.weights(outputs, inputs), bias], transB=1)


def _relu6(n, x):
    return n.node("Clip", [x, n.constant(np.float32(0)), n.constant(np.float32(6))])


def inverted_residuals(n):
    """MobileNetV2: wide depthwise convolutions between narrow sums, ReLU6."""
    x = _relu6(n, n.conv("x", 3, 8, strides=[2, 2]))
    for inputs, outputs, stride in ((8, 8, 1), (8, 12, 2)):
        y = _relu6(n, n.conv(x, inputs, 3 * inputs, 1))
        y = _relu6(n, n.conv(y, 3 * inputs, 3 * inputs, group=3 * inputs, strides=[stride, stride]))
        y = n.conv(y, 3 * inputs, outputs, 1)
        x = n.node("Add", [x, y]) if (inputs, stride) == (outputs, 1) else y
    return _linear(n, n.node("ReduceMean", [x], axes=[2, 3], keepdims=0), 12)


def _shuffled(n, x, groups, channels):
    x = n.node("Reshape", [x, n.constant(np.array([1, groups, channels // groups, 16, 16]))])
    x = n.node("Transpose", [x], perm=[0, 2, 1, 3, 4])
    return n.node("Reshape", [x, n.constant(np.array([1, channels, 16, 16]))])


def shuffles(n):
    """ShuffleNet, both versions: halves that go different ways, groups, and channels that change places."""
    x = n.node("Relu", [n.conv("x", 3, 12)])
    left, right = n.node("Split", [x, n.constant(np.array([6, 6]))], 2, axis=1)
    right = n.conv(n.node("Relu", [n.conv(right, 6, 6, 1)]), 6, 6, group=6)
    x = _shuffled(n, n.node("Concat", [left, n.node("Relu", [n.conv(right, 6, 6, 1)])], axis=1), 2, 12)
    x = _shuffled(n, n.node("Relu", [n.conv(x, 12, 12, 1, group=3)]), 3, 12)
    x = n.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    return _linear(n, n.node("Flatten", [n.node("GlobalAveragePool", [x])]), 12)


def _hard_swish(n, x):
    return n.node("Mul", [x, n.node("HardSigmoid", [x], alpha=1 / 6, beta=0.5)])


def gates(n):
    """MobileNetV3 and its like: hard-swish, gates per channel by convolutions and by a product, and one per pixel."""
    x = n.node("HardSwish", [n.conv("x", 3, 8, strides=[2, 2])])
    y = _hard_swish(n, n.conv(_hard_swish(n, n.conv(x, 8, 16, 1)), 16, 16, 5, group=16))
    squeezed = n.node("Relu", [n.conv(n.node("GlobalAveragePool", [y]), 16, 8, 1)])
    gate = n.node("HardSigmoid", [n.conv(squeezed, 8, 16, 1)], alpha=1 / 6, beta=0.5)
    x = n.node("Add", [n.conv(n.node("Mul", [gate, y]), 16, 8, 1), x])
    gate = n.node("Sigmoid", [_linear(n, n.node("ReduceMean", [x], axes=[2, 3], keepdims=0), 8, 8)])
    x = n.node("Mul", [x, n.node("Reshape", [gate, n.constant(np.array([1, 8, 1, 1]))])])
    x = n.node("Mul", [x, n.node("Sigmoid", [n.conv(x, 8, 1)])])
    return _linear(n, n.node("Flatten", [n.node("GlobalAveragePool", [x])]), 8)


def sequences(n):
    """One-dimensional: strided, dilated, depthwise; a residual sum; transposed; a shape that is computed."""

    def conv(x, inputs, outputs, kernel, group=1, **attributes):
        bias = n.constant((n.random.standard_normal(outputs) * 0.1).astype(np.float32))
        return n.node("Conv", [x, n.weights(outputs, inputs // group, kernel), bias], group=group, **attributes)

    x = n.node("Reshape", ["x", n.constant(np.array([1, 3, 256]))])
    x = n.node("Relu", [conv(x, 3, 12, 9, strides=[2], pads=[4, 4])])
    x = n.node("MaxPool", [x], kernel_shape=[3], strides=[2])
    y = conv(n.node("Relu", [conv(x, 12, 12, 3, 12, pads=[2, 2], dilations=[2])]), 12, 12, 1)
    x = n.node("Relu", [n.node("Add", [x, y])])
    zeros = n.constant(np.zeros(8, np.float32))
    x = n.node("ConvTranspose", [x, n.weights(12, 8, 4), zeros], strides=[2], pads=[1, 1])
    x = n.node("GlobalAveragePool", [x])
    first = n.node("Gather", [n.node("Shape", [x]), n.constant(np.array(0))], axis=0)
    first = n.node("Unsqueeze", [first, n.constant(np.array([0]))])
    x = n.node("Reshape", [x, n.node("Concat", [first, n.constant(np.array([-1]))], axis=0)])
    return _linear(n, x, 8)


def decoder(n):
    """A U-shape: smaller, then larger by transposed convolutions and by repeated pixels, and joined."""

    def larger(x, inputs, outputs, kernel, **attributes):
        bias = n.constant((n.random.standard_normal(outputs) * 0.1).astype(np.float32))
        return n.node(
            "ConvTranspose", [x, n.weights(inputs, outputs, kernel, kernel), bias], strides=[2, 2], **attributes
        )

    skip = n.node("Relu", [n.conv("x", 3, 6, strides=[2, 2])])
    x = n.node("Relu", [n.conv(skip, 6, 10, strides=[2, 2])])
    x = n.node("Concat", [n.node("Relu", [larger(x, 10, 6, 4, pads=[1, 1, 1, 1])]), skip], axis=1)
    y = n.node("Relu", [larger(x, 12, 6, 3, pads=[1, 1, 1, 1], output_padding=[1, 1])])
    scales = n.constant(np.array([1, 1, 2, 2], np.float32))
    places = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    z = n.node("LeakyRelu", [n.conv(n.node("Resize", [x, "", scales], **places), 12, 6)], alpha=0.01)
    x = n.node("Sigmoid", [n.conv(n.node("Add", [y, z]), 6, 3, 1)])
    return _linear(n, n.node("Flatten", [n.node("GlobalMaxPool", [x])]), 3)


NETWORKS = {one.__name__: one for one in (inverted_residuals, shuffles, gates, sequences, decoder)}
