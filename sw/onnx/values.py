"""What the values of an ONNX graph are while it is read: constants, activations, and results not yet quantized."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from .views import Shape, View

LEVELS = np.arange(-128, 128)
"""All values of an int8."""


@dataclass(frozen=True)
class Quantization:
    """One scale and zero point for a whole activation, in int8 terms: uint8's zero point is moved by 128."""

    scale: float
    zero_point: int

    def level(self, real: float) -> int:
        """The int8 that stands for `real`, saturated."""
        if real in (inf, -inf):
            return 127 if real > 0 else -128
        with np.errstate(over="ignore"):
            quotient = np.rint(np.float32(real) / np.float32(self.scale))
        return int(np.clip(quotient + self.zero_point, -128, 127))

    def levels(self, reals: NDArray[np.float32]) -> NDArray[np.int8]:
        """The same for many, as QuantizeLinear does it; what is no number becomes the lowest."""
        with np.errstate(over="ignore", invalid="ignore"):
            quotients = np.rint(reals / np.float32(self.scale)) + np.float32(self.zero_point)
        return np.clip(np.where(np.isnan(quotients), -128, quotients), -128, 127).astype(np.int8)

    @property
    def reals(self) -> NDArray[np.float32]:
        """(256,): what all int8 stand for, as DequantizeLinear does it."""
        return (LEVELS - self.zero_point).astype(np.float32) * np.float32(self.scale)


@dataclass(frozen=True, eq=False)
class Constant:
    """A tensor known at compile time."""

    array: NDArray[np.generic]

    @property
    def shape(self) -> Shape:
        """That of the array."""
        return self.array.shape


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
    def spread_scale(self) -> NDArray[np.float32]:
        """The scales in a shape that broadcasts to that of the integers."""
        if self.scale.size == 1:
            return self.scale.reshape(())
        return self.scale.reshape([-1 if i == self.axis else 1 for i in range(self.integers.ndim)])

    @property
    def real(self) -> NDArray[np.float64]:
        """The constants as real numbers."""
        return np.asarray(self.integers * self.spread_scale.astype(np.float64), np.float64)

    @property
    def real32(self) -> NDArray[np.float32]:
        """The constants as ONNX has them, in float32."""
        return np.asarray(self.integers.astype(np.float32) * self.spread_scale, np.float32)


@dataclass(frozen=True)
class HostValue:
    """A tensor of the graph in ONNX's own type and order of axes."""

    tensor: str
    shape: Shape


@dataclass(frozen=True)
class DeviceValue:
    """An int8 tensor of the graph, and how ONNX sees it."""

    tensor: str
    view: View
    quantization: Quantization
    unsigned: bool
    """ONNX has it as uint8."""
    real: bool
    """It is the result of DequantizeLinear, not of QuantizeLinear."""

    @property
    def shape(self) -> Shape:
        """As ONNX sees it."""
        return self.view.shape


@dataclass(frozen=True, eq=False)
class Function:
    """A real number for every int8 of an activation."""

    source: DeviceValue
    values: NDArray[np.float32]
    """(256,), or (channels, 256) where each index along `axis` has values of its own."""
    axis: int | None = None
    """Of ONNX's shape."""


@dataclass(frozen=True, eq=False)
class Pending:
    """A real-valued result whose scale is known only when its QuantizeLinear comes."""

    emit: Callable[[Quantization, int, int], DeviceValue]
    """Adds the operators that make it, with a quantization and int8 limits; what they make is not real."""
    shape: Shape
    text: str
    """The node that made it, for messages."""
    low: float = -inf
    high: float = inf
    """Limits of the real values, from fused activations."""
    with_bias: Callable[[NDArray[np.float64]], "Pending"] | None = None
    """The same with a constant per output channel added; None where that cannot be folded."""
    channel: int = 0
    """The axis of the output channels, where there is `with_bias`."""
    function: Function | None = None
    """What it is, if it depends on one activation element by element."""


Value = Constant | QuantizedConstant | HostValue | DeviceValue | Pending

Activation = HostValue | DeviceValue | Pending
