"""What the values of an ONNX graph are while it is read: constants, activations, and results not yet quantized."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Quantization:
    """One scale and zero point for a whole activation, in int8 terms: uint8's zero point is moved by 128."""

    scale: float
    zero_point: int

    def level(self, real: float) -> int:
        """The int8 that stands for `real`, saturated."""
        if real in (inf, -inf):
            return 127 if real > 0 else -128
        return int(np.clip(np.rint(np.float32(real) / np.float32(self.scale)) + self.zero_point, -128, 127))


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor known at compile time."""

    array: NDArray[np.generic]


@dataclass(frozen=True, eq=False)
class QuantizedConstant:
    """The result of DequantizeLinear on constants, not multiplied out; zero points are taken off already."""

    integers: NDArray[np.int64]
    scale: NDArray[np.float32]
    """One element, or one for each index along `axis`."""
    axis: int

    @property
    def shape(self) -> Shape:
        """Shape of the integers."""
        return self.integers.shape

    def scales_along(self, axis: int) -> NDArray[np.float32] | None:
        """One scale per index along `axis`; None if the scale varies along another axis."""
        if self.scale.size == 1:
            return np.full(self.shape[axis], self.scale.reshape(()), np.float32)
        return self.scale.reshape(-1) if self.axis == axis % len(self.shape) else None

    @property
    def real(self) -> NDArray[np.float64]:
        """The constants as real numbers."""
        scale = self.scale.astype(np.float64)
        if scale.size > 1:
            scale = scale.reshape([-1 if i == self.axis else 1 for i in range(self.integers.ndim)])
        return np.asarray(self.integers * scale, np.float64)


@dataclass(frozen=True)
class HostValue:
    """A tensor of the graph in ONNX's own order of axes: float32, or the integers of a graph input."""

    tensor: str
    shape: Shape


@dataclass(frozen=True)
class DeviceValue:
    """An int8 tensor of the graph; of four axes it is NHWC, whatever the order in which ONNX sees it."""

    tensor: str
    shape: Shape
    """As ONNX sees it."""
    quantization: Quantization
    unsigned: bool
    """ONNX has it as uint8."""
    real: bool
    """It is the result of DequantizeLinear, not of QuantizeLinear."""
    channels_last: bool = False
    """ONNX sees the four axes as NHWC, after a Transpose."""
    flattened: tuple[int, int, int] | None = None
    """(channels, height, width) of the NCHW tensor that ONNX flattened; the device flattened NHWC."""


@dataclass(frozen=True, eq=False)
class Pending:
    """A real-valued result whose scale is known only when its QuantizeLinear comes."""

    emit: Callable[[Quantization, int, int], str]
    """Adds the operators that make it, with a quantization and int8 limits; returns the int8 tensor's name."""
    shape: Shape
    text: str
    """The node that made it, for messages."""
    low: float = -inf
    high: float = inf
    """Limits of the real values, from fused activations."""
    flattened: tuple[int, int, int] | None = None
    with_bias: Callable[[NDArray[np.float64]], "Pending"] | None = None
    """The same with a constant per output channel added; None where that cannot be folded."""


Value = Constant | QuantizedConstant | HostValue | DeviceValue | Pending
