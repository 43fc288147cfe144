"""Well-known networks with random weights, for measuring: MobileNetV1, MobileNetV2, ResNet-50, SqueezeNet and DenseNet.

Shapes are those of the published networks (arXiv 1704.04861, 1801.04381, 1512.03385, 1602.07360, 1608.06993; ResNet-50
with the stride in the 3x3 convolution, SqueezeNet 1.1, DenseNet-121 with its normalizations in the convolutions before
them). Scales are chosen so that values neither vanish nor all reach the limits.
"""

from collections.abc import Callable
from math import sqrt

import numpy as np

from .graph import (
    TFLITE,
    Add,
    AveragePool2D,
    Concat,
    Conv2D,
    FullyConnected,
    Graph,
    MaxPool2D,
    MeanPool2D,
    Operator,
    Reshape,
    Tensor,
    verify,
)
from .host.fixed_point import factor

DEVIATION = 127 / sqrt(3)
"""Of uniform weights, in steps."""

RELU_ZERO = -128
"""Zero point behind a ReLU; others have 0."""


class _Builder:
    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.random = np.random.default_rng(seed)
        self.tensors: dict[str, Tensor] = {}
        self.operators: list[Operator] = []

    def tensor(self, name: str, shape: tuple[int, ...], zero_point: int = 0) -> str:
        self.tensors[name] = Tensor(name, shape, "int8", 1.0, zero_point)
        return name

    def conv(
        self,
        source: str,
        outputs: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        relu: bool = True,
    ) -> str:
        """A convolution with padding to ceil(size / stride), with ReLU or without."""
        _, height, width, channels = self.tensors[source].shape
        sizes = [-(-n // stride) for n in (height, width)]
        totals = [max((m - 1) * stride + kernel - n, 0) for m, n in zip(sizes, (height, width), strict=True)]
        before = [total // 2 for total in totals]
        weights = self.random.integers(-127, 128, (outputs, kernel, kernel, channels // groups), np.int8)
        terms = kernel * kernel * channels // groups
        name = f"conv{len(self.operators)}" if groups == 1 else f"depthwise{len(self.operators)}"
        target = self.tensor(name, (1, *sizes, outputs), RELU_ZERO if relu else 0)
        self.operators.append(
            Conv2D(
                name,
                (source,),
                target,
                weights=weights,
                bias=self.random.integers(-2000, 2000, outputs, np.int32),
                weight_scales=np.full(outputs, 1 / (DEVIATION * sqrt(terms)), np.float32),
                stride=(stride, stride),
                padding=(before[0], before[1], totals[0] - before[0], totals[1] - before[1]),
                dilation=(1, 1),
                groups=groups,
                rounding=TFLITE,
                minimum=-128,
                maximum=127,
            )
        )
        return target

    def add(self, one: str, other: str, relu: bool) -> str:
        name = f"add{len(self.operators)}"
        target = self.tensor(name, self.tensors[one].shape, RELU_ZERO if relu else 0)
        self.operators.append(Add(name, (one, other), target, rounding=TFLITE))
        return target

    def join(self, *sources: str) -> str:
        """Channels side by side."""
        _, height, width, _ = self.tensors[sources[0]].shape
        channels = sum(self.tensors[one].shape[3] for one in sources)
        name = f"join{len(self.operators)}"
        target = self.tensor(name, (1, height, width, channels), self.tensors[sources[0]].zero_point)
        self.operators.append(Concat(name, sources, target, axis=3))
        return target

    def largest(self, source: str, padding: int = 0) -> str:
        """The largest of 3x3 values, in every second row and column."""
        _, height, width, channels = self.tensors[source].shape
        sizes = [(n + 2 * padding - 3) // 2 + 1 for n in (height, width)]
        behind = [2 * (m - 1) + 3 - n - padding for m, n in zip(sizes, (height, width), strict=True)]
        name = f"pool{len(self.operators)}"
        target = self.tensor(name, (1, *sizes, channels), self.tensors[source].zero_point)
        pads = (padding, padding, max(behind[0], 0), max(behind[1], 0))
        self.operators.append(MaxPool2D(name, (source,), target, window=(3, 3), stride=(2, 2), padding=pads))
        return target

    def halve(self, source: str) -> str:
        """The means of 2x2 values."""
        _, height, width, channels = self.tensors[source].shape
        name = f"mean{len(self.operators)}"
        target = self.tensor(name, (1, height // 2, width // 2, channels), self.tensors[source].zero_point)
        self.operators.append(
            AveragePool2D(
                name,
                (source,),
                target,
                window=(2, 2),
                stride=(2, 2),
                padding=(0, 0, 0, 0),
                counts_padding=False,
                rounding=TFLITE,
            )
        )
        return target

    def classify(self, source: str, classes: int) -> Graph:
        """The mean of each channel, and a product."""
        _, height, width, channels = self.tensors[source].shape
        zero_point = self.tensors[source].zero_point
        mean = self.tensor("mean", (1, 1, 1, channels), zero_point)
        multiplier, shift = factor(1 / (height * width))
        self.operators.append(
            MeanPool2D(
                "mean",
                (source,),
                mean,
                window=(height, width),
                stride=(1, 1),
                padding=(0, 0, 0, 0),
                multiplier=multiplier,
                shift=shift,
            )
        )
        self.operators.append(Reshape("flat", (mean,), self.tensor("flat", (1, channels), zero_point)))
        self.operators.append(
            FullyConnected(
                "classes",
                ("flat",),
                self.tensor("classes", (1, classes)),
                weights=self.random.integers(-127, 128, (classes, channels), np.int8),
                bias=self.random.integers(-2000, 2000, classes, np.int32),
                weight_scales=np.full(classes, 1 / (DEVIATION * sqrt(channels)), np.float32),
                rounding=TFLITE,
            )
        )
        return verify(Graph(self.name, self.tensors, tuple(self.operators), ("image",), ("classes",)))


def mobilenet_v1(alpha: float = 0.25, size: int = 96, classes: int = 2, seed: int = 0) -> Graph:
    """MobileNetV1: pairs of depthwise and pointwise convolutions."""
    build = _Builder(f"mobilenet_v1_{alpha:g}_{size}", seed)
    x = build.conv(build.tensor("image", (1, size, size, 3)), round(32 * alpha), 3, stride=2)
    for outputs, stride in (
        (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1),
    ):  # fmt: skip
        x = build.conv(x, build.tensors[x].shape[3], 3, stride, groups=build.tensors[x].shape[3])
        x = build.conv(x, round(outputs * alpha), 1)
    return build.classify(x, classes)


def mobilenet_v2(alpha: float = 1.0, size: int = 224, classes: int = 1000, seed: int = 0) -> Graph:
    """MobileNetV2: inverted residuals with linear bottlenecks."""
    build = _Builder(f"mobilenet_v2_{alpha:g}_{size}", seed)

    def channels(count: int) -> int:
        """To a multiple of 8, no less than 90 %."""
        found = max(8, int(count * alpha + 4) // 8 * 8)
        return found + 8 if found < 0.9 * count * alpha else found

    x = build.conv(build.tensor("image", (1, size, size, 3)), channels(32), 3, stride=2)
    for widening, outputs, count, first in (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ):  # fmt: skip
        for index in range(count):
            inputs = build.tensors[x].shape[3]
            y = build.conv(x, widening * inputs, 1) if widening > 1 else x
            stride = first if index == 0 else 1
            y = build.conv(y, widening * inputs, 3, stride, groups=widening * inputs)
            y = build.conv(y, channels(outputs), 1, relu=False)
            x = build.add(x, y, relu=False) if build.tensors[x].shape == build.tensors[y].shape else y
    return build.classify(build.conv(x, max(1280, channels(1280)), 1), classes)


def resnet50(size: int = 224, classes: int = 1000, seed: int = 0) -> Graph:
    """ResNet-50: bottlenecks of 1x1, 3x3 and 1x1 convolutions."""
    build = _Builder(f"resnet50_{size}", seed)
    x = build.conv(build.tensor("image", (1, size, size, 3)), 64, 7, stride=2)
    _, height, width, channels = build.tensors[x].shape
    pooled = build.tensor("pool", (1, -(-height // 2), -(-width // 2), channels), RELU_ZERO)
    build.operators.append(
        MaxPool2D("pool", (x,), pooled, window=(3, 3), stride=(2, 2), padding=(1, 1, 1 - height % 2, 1 - width % 2))
    )
    x = pooled
    for inner, count, first in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for index in range(count):
            stride = first if index == 0 else 1
            y = build.conv(build.conv(x, inner, 1), inner, 3, stride)
            y = build.conv(y, 4 * inner, 1, relu=False)
            if index == 0:
                x = build.conv(x, 4 * inner, 1, stride, relu=False)
            x = build.add(x, y, relu=True)
    return build.classify(x, classes)


def squeezenet(size: int = 224, classes: int = 1000, seed: int = 0) -> Graph:
    """SqueezeNet 1.1: fire modules, a 1x1 convolution in front of a 1x1 and a 3x3 one side by side. The classes are
    behind the mean instead of in front of it."""
    build = _Builder(f"squeezenet_{size}", seed)
    x = build.largest(build.conv(build.tensor("image", (1, size, size, 3)), 64, 3, stride=2))
    for inner, outputs, pooled in (
        (16, 64, False), (16, 64, True), (32, 128, False), (32, 128, True),
        (48, 192, False), (48, 192, False), (64, 256, False), (64, 256, False),
    ):  # fmt: skip
        y = build.conv(x, inner, 1)
        x = build.join(build.conv(y, outputs, 1), build.conv(y, outputs, 3))
        x = build.largest(x) if pooled else x
    return build.classify(x, classes)


def densenet121(size: int = 224, classes: int = 1000, seed: int = 0) -> Graph:
    """DenseNet-121: each layer adds 32 channels to all those before it."""
    build = _Builder(f"densenet121_{size}", seed)
    x = build.largest(build.conv(build.tensor("image", (1, size, size, 3)), 64, 7, stride=2), 1)
    for block, count in enumerate((6, 12, 24, 16)):
        if block:
            x = build.halve(build.conv(x, build.tensors[x].shape[3] // 2, 1))
        for _ in range(count):
            x = build.join(x, build.conv(build.conv(x, 128, 1), 32, 3))
    return build.classify(x, classes)


NETWORKS: dict[str, Callable[[], Graph]] = {
    "mobilenet_v1": mobilenet_v1,
    "mobilenet_v2": mobilenet_v2,
    "resnet50": resnet50,
    "squeezenet": squeezenet,
    "densenet121": densenet121,
}
"""By the name that `weft bench` takes."""
