"""From operators to layers: every operator of the device is a convolution whose sums the drain pools and requantizes.

A product is a 1x1 convolution of one row of pixels. Pooling and requantization alone are convolutions with the identity
matrix, averages are ones on the diagonal. Zero points are folded into the bias.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import Config
from weft.rtl.isa import Rounding

from .boundary import Boundary
from .errors import UserError
from .graph import (
    ONNX,
    AveragePool2D,
    Clamp,
    Clamped,
    Conv2D,
    FullyConnected,
    Graph,
    MaxPool2D,
    Operator,
    Requantize,
    Tensor,
)
from .multiplier import (
    ROUNDING,
    combined_scales,
    factors,
    identity_factors,
    mean_factors,
    requantizing_factor,
)

Pair = tuple[int, int]


@dataclass(frozen=True)
class Window:
    """Max pooling on the drain; the default pools nothing."""

    size: Pair = (1, 1)
    stride: Pair = (1, 1)
    before: Pair = (0, 0)
    """Padding at the top and left, which takes no part."""

    @property
    def pools(self) -> bool:
        """Anything is done at all."""
        return self != Window()


@dataclass(frozen=True, eq=False)
class Block:
    """Some output channels and the input channels that they depend on."""

    first_input: int
    first_output: int
    weights: NDArray[np.int8]
    """(outputs, kernel height, kernel width, inputs)."""

    @property
    def inputs(self) -> int:
        """Number of input channels."""
        return int(self.weights.shape[3])

    @property
    def outputs(self) -> int:
        """Number of output channels."""
        return int(self.weights.shape[0])


@dataclass(frozen=True, eq=False)
class Layer:
    """One convolution, max pooled and requantized. Pairs are (y, x)."""

    name: str
    op: str
    source: str
    """Buffer read, and target: buffer written; both dense NHWC."""
    target: str
    input_size: Pair
    input_channels: int
    sums_size: Pair
    """Height and width of the convolution's result."""
    output_size: Pair
    """Height and width after pooling."""
    output_channels: int
    blocks: tuple[Block, ...]
    stride: Pair
    dilation: Pair
    before: Pair
    """Padding at the top and left of the convolution's input."""
    padding_value: int
    window: Window
    bias: NDArray[np.int32]
    """(output channels,), zero point folded in."""
    multiplier: NDArray[np.int64]
    shift: NDArray[np.int64]
    rounding: Rounding
    zero_point: int
    minimum: int
    maximum: int
    macs: int
    """Multiplications of the operator's definition."""

    @property
    def product(self) -> bool:
        """It is one row times a matrix, so that its input is one run."""
        whole = len(self.blocks) == 1 and self.blocks[0].weights.shape[1:3] == (1, 1)
        return whole and self.input_size == (1, 1) == self.sums_size

    @property
    def exact(self) -> bool:
        """The output values are the sums, limited at most."""
        return bool(
            np.all(self.multiplier == 1 << 30)
            and np.all(self.shift == 1)
            and not np.any(self.bias)
            and self.zero_point == 0
        )


def lower(graph: Graph, boundary: Boundary, config: Config) -> tuple[Layer, ...]:
    """The layers in order, pooling put behind the convolutions where that is the same.

    Raises
    ------
    UserError
        Names the operator and what is supported instead.
    """
    layers = []
    for operator in boundary.operators:
        try:
            layers.append(_lower(operator, graph, boundary, config))
        except UserError as error:
            raise UserError(f"{graph.name}: {type(operator).__name__} {operator.name!r} {error}") from None
    return share_drains(tuple(layers), boundary.outputs)


def share_drains(layers: tuple[Layer, ...], outputs: tuple[str, ...]) -> tuple[Layer, ...]:
    """Let a convolution pool its own sums where a pooling layer is all that reads its result.

    Requantization with positive multipliers is monotone, so the largest sum gives the largest result.
    """
    found = list(layers)
    for pool in layers:
        readers = [layer for layer in found if layer.source == pool.source]
        maker = next((layer for layer in found if layer.target == pool.source), None)
        if (
            pool.window.pools
            and pool.exact
            and (pool.minimum, pool.maximum) == (-128, 127)
            and maker is not None
            and not maker.window.pools
            and (maker.output_size, maker.output_channels) == (pool.input_size, pool.input_channels)
            and len(readers) == 1
            and maker.target not in outputs
        ):
            found[found.index(maker)] = replace(
                maker, op=f"{maker.op}+{pool.op}", target=pool.target, window=pool.window, output_size=pool.output_size
            )
            found.remove(pool)
    return tuple(found)


def _lower(operator: Operator, graph: Graph, boundary: Boundary, config: Config) -> Layer:
    source, target = graph.tensors[operator.inputs[0]], graph.tensors[operator.output]
    for tensor in (source, target):
        if tensor.dtype != "int8":
            raise UserError(f"has the activation {tensor.name!r} of type {tensor.dtype}, supported is int8")
    match operator:
        case Conv2D():
            layer = _conv(operator, source, target, config)
        case FullyConnected():
            layer = _fully_connected(operator, source, target, config)
        case MaxPool2D():
            layer = _max_pool(operator, source, target, config)
        case AveragePool2D():
            layer = _average_pool(operator, source, target, config)
        case Requantize():
            layer = _requantize(operator, source, target, config)
        case Clamp():
            layer = _identity(operator, source, target, config)
        case _:
            raise UserError("is not supported on the device")
    return replace(layer, source=boundary.buffers[layer.source])


def _image(tensor: Tensor) -> tuple[Pair, int]:
    """Height and width, and channels; rows of features are a row of pixels."""
    shape = tensor.shape
    if len(shape) == 4 and shape[0] == 1:
        return (shape[1], shape[2]), shape[3]
    rows = tensor.size // shape[-1]
    return (1, rows), shape[-1]


def _requantization(
    source: Tensor, target: Tensor, weight_scales: NDArray[np.float32], rounding: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if rounding not in ROUNDING:
        raise UserError(f"has the unknown rounding {rounding!r}")
    real = combined_scales(source.scale, weight_scales, target.scale, rounding)
    if np.any(real < 0):
        raise UserError("has a negative scale")
    return factors(real)


def _check_left_shift(layer: Layer, weights: NDArray[np.int8], bias: NDArray[np.int32]) -> None:
    """A factor above one shifts the sum left first, which must not push its top bits out."""
    largest = 255 * np.abs(weights.astype(np.int64)).reshape(len(weights), -1).sum(axis=1)
    largest += np.abs(bias.astype(np.int64))
    if np.any((layer.shift > 0) & (largest << np.maximum(layer.shift, 0) >= 1 << 31)):
        raise UserError("has scales that lift sums above 32 bits before they are limited")


def fold_zero_point(bias: NDArray[np.int32], weights: NDArray[np.int8], zero_point: int) -> NDArray[np.int32]:
    """The bias for sums of x * w that stand for sums of (x - zero_point) * w; modulo 2^32, like the sums."""
    totals = weights.astype(np.int64).reshape(len(weights), -1).sum(axis=1)
    folded: NDArray[np.int32] = (bias.astype(np.int64) - zero_point * totals).astype(np.int32)
    return folded


def blocks_of(weights: NDArray[np.int8], groups: int, config: Config) -> tuple[Block, ...]:
    """Groups put side by side in the array, as many as give the fewest passes; off the diagonal weights are zero.

    weights: (outputs, kernel height, kernel width, inputs / groups).
    """
    outputs, height, width, inputs = weights.shape
    per_group = outputs // groups

    def passes(together: int) -> int:
        last = groups % together
        sizes = [(groups // together, together), (1 if last else 0, last)]
        return sum(n * -(-size * inputs // config.rows) * -(-size * per_group // config.cols) for n, size in sizes)

    together = min(range(1, groups + 1), key=lambda n: (passes(n), -n))
    blocks = []
    for first in range(0, groups, together):
        count = min(together, groups - first)
        block = np.zeros((count * per_group, height, width, count * inputs), np.int8)
        for index in range(count):
            rows = slice(index * per_group, (index + 1) * per_group)
            source = (first + index) * per_group
            block[rows, :, :, index * inputs : (index + 1) * inputs] = weights[source : source + per_group]
        blocks.append(Block(first * inputs, first * per_group, block))
    return tuple(blocks)


def _conv(operator: Conv2D, source: Tensor, target: Tensor, config: Config) -> Layer:
    size, channels = _image(source)
    sums, outputs = _image(target)
    multiplier, shift = _requantization(source, target, operator.weight_scales, operator.rounding)
    layer = Layer(
        name=operator.name,
        op="conv",
        source=source.name,
        target=target.name,
        input_size=size,
        input_channels=channels,
        sums_size=sums,
        output_size=sums,
        output_channels=outputs,
        blocks=blocks_of(operator.weights, operator.groups, config),
        stride=operator.stride,
        dilation=operator.dilation,
        before=operator.padding[:2],
        padding_value=source.zero_point,
        window=Window(),
        bias=fold_zero_point(operator.bias, operator.weights, source.zero_point),
        multiplier=multiplier,
        shift=shift,
        rounding=ROUNDING[operator.rounding],
        zero_point=target.zero_point,
        minimum=operator.minimum,
        maximum=operator.maximum,
        macs=sums[0] * sums[1] * operator.weights.size,
    )
    if operator.rounding == ONNX:
        _check_left_shift(layer, operator.weights, operator.bias)
    return layer


def _fully_connected(operator: FullyConnected, source: Tensor, target: Tensor, config: Config) -> Layer:
    outputs, inputs = operator.weights.shape
    rows = source.size // inputs
    conv = Conv2D(
        operator.name,
        operator.inputs,
        operator.output,
        weights=operator.weights.reshape(outputs, 1, 1, inputs),
        bias=operator.bias,
        weight_scales=operator.weight_scales,
        stride=(1, 1),
        padding=(0, 0, 0, 0),
        dilation=(1, 1),
        groups=1,
        rounding=operator.rounding,
        minimum=operator.minimum,
        maximum=operator.maximum,
    )
    image = replace(source, shape=(1, 1, rows, inputs)), replace(target, shape=(1, 1, rows, outputs))
    return replace(_conv(conv, *image, config), op="fully connected")


def _diagonal(operator: Clamped, source: Tensor, target: Tensor, config: Config, kernel: Pair, stride: Pair) -> Layer:
    """Sums of each channel by itself over windows of `kernel`, passed on as they are."""
    size, channels = _image(source)
    output, _ = _image(target)
    weights = np.ones((channels, *kernel, 1), np.int8)
    multiplier, shift = identity_factors(channels)
    return Layer(
        name=operator.name,
        op="",
        source=source.name,
        target=target.name,
        input_size=size,
        input_channels=channels,
        sums_size=output,
        output_size=output,
        output_channels=channels,
        blocks=blocks_of(weights, channels, config),
        stride=stride,
        dilation=(1, 1),
        before=(0, 0),
        padding_value=0,
        window=Window(),
        bias=np.zeros(channels, np.int32),
        multiplier=multiplier,
        shift=shift,
        rounding=Rounding.NEAREST_EVEN,
        zero_point=0,
        minimum=operator.minimum,
        maximum=operator.maximum,
        macs=0,
    )


def _same_scale(source: Tensor, target: Tensor) -> None:
    if (source.scale, source.zero_point) != (target.scale, target.zero_point):
        raise UserError("changes the scale, supported is the same scale before and behind")


def _identity(operator: Clamped, source: Tensor, target: Tensor, config: Config) -> Layer:
    _same_scale(source, target)
    return replace(_diagonal(operator, source, target, config, (1, 1), (1, 1)), op="clamp")


def _max_pool(operator: MaxPool2D, source: Tensor, target: Tensor, config: Config) -> Layer:
    _same_scale(source, target)
    size, _ = _image(source)
    layer = _diagonal(operator, source, target, config, (1, 1), (1, 1))
    window = Window(operator.window, operator.stride, operator.padding[:2])
    return replace(layer, op="max pool", sums_size=size, window=window)


def _average_pool(operator: AveragePool2D, source: Tensor, target: Tensor, config: Config) -> Layer:
    (height, width), channels = _image(source)
    output, _ = _image(target)
    count = operator.window[0] * operator.window[1]
    inside = all(
        (output[i] - 1) * operator.stride[i] + operator.window[i] <= (height, width)[i] + operator.padding[i + 2]
        for i in range(2)
    )
    if (any(operator.padding) and not operator.counts_padding) or not inside:
        raise UserError("has windows that reach into padding which is not counted, supported are whole windows")
    layer = _diagonal(operator, source, target, config, operator.window, operator.stride)
    layer = replace(layer, op="average pool", before=operator.padding[:2], padding_value=source.zero_point)
    if operator.rounding == ONNX:
        real = np.float32(np.float32(source.scale) / (np.float32(target.scale) * np.float32(count)))
        multiplier, shift = factors(np.full(channels, real, np.float64))
        ones = np.ones((channels, *operator.window, 1), np.int8)
        bias = fold_zero_point(np.zeros(channels, np.int32), ones, source.zero_point)
        return replace(layer, bias=bias, multiplier=multiplier, shift=shift, zero_point=target.zero_point)
    _same_scale(source, target)
    if any(operator.padding):
        raise UserError("has padding, which TFLite leaves out of its averages, supported are whole windows")
    multiplier, shift = mean_factors(count, channels)
    return replace(layer, multiplier=multiplier, shift=shift, rounding=Rounding.HALF_AWAY)


def _requantize(operator: Requantize, source: Tensor, target: Tensor, config: Config) -> Layer:
    layer = replace(_diagonal(operator, source, target, config, (1, 1), (1, 1)), op="requantize")
    channels = layer.output_channels
    if operator.rounding == ONNX:
        values = np.arange(-128, 128) - source.zero_point
        real = values.astype(np.float32) * np.float32(source.scale)
        results = np.rint(real / np.float32(target.scale)).astype(np.int64)
        quotient = np.float32(source.scale) / np.float32(target.scale)
        limits = -128 - target.zero_point, 127 - target.zero_point
        factor = requantizing_factor(values, results, *limits, float(quotient))
        if factor is None:
            raise UserError(
                "has scales whose quotient makes ties, which float32 breaks in no order; supported are others"
            )
        multiplier, shift = (np.full(channels, value, np.int64) for value in factor)
    else:
        multiplier, shift = factors(np.full(channels, np.float64(source.scale) / np.float64(target.scale)))
    ones = np.ones((channels, 1, 1, 1), np.int8)
    bias = fold_zero_point(np.zeros(channels, np.int32), ones, source.zero_point)
    return replace(
        layer,
        bias=bias,
        multiplier=multiplier,
        shift=shift,
        rounding=ROUNDING[operator.rounding],
        zero_point=target.zero_point,
    )
