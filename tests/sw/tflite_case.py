"""How the cases of tflite_cases.py are made: one small TFLite model each, and samples for it."""

from dataclasses import dataclass

import numpy as np

from tests.sw.tflite_models import Model

SAME, VALID = 0, 1
NONE, RELU, RELU_N1_TO_1, RELU6 = 0, 1, 2, 3


@dataclass
class Case:
    """A model, and for each of its inputs the samples, each with the model's own shape."""

    model: bytes
    inputs: list


class Maker:
    """Random scales and constants for one case."""

    def __init__(self, name, dtype=np.int8):
        self.random = np.random.default_rng(list(name.encode()))
        self.model = Model()
        self.dtype = np.dtype(dtype)
        self.low = 0 if dtype == np.uint8 else -128

    def scale(self, low=-6, high=-4):
        """From 2^low up to 2^high, by exact arithmetic alone: no two versions of NumPy agree on more."""
        return float(self.random.integers(1 << 23, 1 << 24)) * 2.0 ** int(self.random.integers(low - 23, high - 23))

    def zero(self):
        return int(self.random.integers(self.low + 64, self.low + 192))

    def tensor(self, shape, scale=None, zero_point=None, dtype=None):
        zero_point = self.zero() if zero_point is None else zero_point
        return self.model.tensor(shape, self.scale() if scale is None else scale, zero_point, dtype or self.dtype)

    def like(self, shape, other):
        tensor = self.model.tensors[other]
        return self.model.tensor(shape, tensor.scale, tensor.zero_point, self.dtype)

    def values(self, shape, low=0, high=256):
        return (self.random.integers(low, high, shape) + self.low).astype(self.dtype)

    def scale_of(self, tensor):
        return self.model.tensors[tensor].scale[0]

    def case(self, inputs, outputs, samples=3):
        """Random samples for all inputs."""
        model = self.model.make(inputs, outputs)
        arrays = []
        for index in inputs:
            tensor = self.model.tensors[index]
            if tensor.kind == 0:
                arrays.append(self.random.uniform(-3, 3, (samples, *tensor.shape)).astype(np.float32))
            else:
                arrays.append(self.values((samples, *tensor.shape)))
        return Case(model, arrays)

    def weights(self, shape, axis, source, count, per_channel=True, zero_point=None, wide=False):
        """Weights and bias of `count` outputs, and an output scale that spreads the sums over 8 bits; if they are
        `wide`, they need nine bits about their zero point."""
        m = self.model
        per_channel = per_channel and self.dtype == np.int8
        scale = np.array([self.scale(-10, -7) for _ in range(count if per_channel else 1)])
        if zero_point is None:
            zero_point = 128 if self.dtype == np.uint8 else 0
        margin = abs(zero_point - 128) if self.dtype == np.uint8 and not wide else 0
        values = self.values(shape, margin, 256 - margin)
        weights = m.constant(values, scale, zero_point, axis=axis)
        units = self.scale_of(source) * scale
        bias = m.constant(self.random.integers(-2000, 2000, count).astype(np.int32), units)
        spread = float(np.sqrt(np.prod(shape) / count)) * 74 * 74 / 60
        return weights, bias, float(units[0]) * max(spread, 60)


CASES = {}


def case(name, signed=True, unsigned=False, **values):
    """Register a function that fills a Maker, for int8 and for uint8."""

    def register(function):
        for dtype, wanted in ((np.int8, signed), (np.uint8, unsigned or not signed)):
            if wanted:
                full = f"{name} {np.dtype(dtype).name}"
                CASES[full] = lambda full=full, dtype=dtype: function(Maker(full, dtype), **values)
        return function

    return register
