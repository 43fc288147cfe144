"""Convolutions and matrix products as layers."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from weft.rtl.config import Config

from ..compiler.ways import fewest_cycles
from ..errors import UserError
from ..graph import ONNX, Conv2D, FullyConnected, Tensor
from ..host.multiplier import ROUNDING, combined_scales, factors
from .elementwise import copies
from .images import image_of
from .layers import Layer, Place, Window


def fold_zero_point(bias: NDArray[np.int32], weights: NDArray[np.int8], zero_point: int) -> NDArray[np.int32]:
    """The bias for sums of x * w that stand for sums of (x - zero_point) * w; modulo 2^32, like the sums."""
    totals = weights.astype(np.int64).reshape(len(weights), -1).sum(axis=1)
    folded: NDArray[np.int32] = (bias.astype(np.int64) - zero_point * totals).astype(np.int32)
    return folded


def _requantization(
    source: Tensor, target: Tensor, weight_scales: NDArray[np.float32], rounding: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if rounding not in ROUNDING:
        raise UserError(f"has the unknown rounding {rounding!r}")
    real = combined_scales(source.scale, weight_scales, target.scale, rounding)
    if np.any(real < 0):
        raise UserError("has a negative scale")
    return factors(real)


def check_left_shift(layer: Layer, bias: NDArray[np.int32]) -> None:
    """A factor above one shifts the sum left first, which must not push its top bits out."""
    largest = 255 * np.abs(layer.weights.astype(np.int64)).reshape(len(layer.weights), -1).sum(axis=1)
    check_lift(layer, largest + np.abs(bias.astype(np.int64)))


def check_lift(layer: Layer, largest: NDArray[np.int64]) -> None:
    """`check_left_shift` for sums of these sizes at most."""
    if np.any((layer.shift > 0) & (largest << np.maximum(layer.shift, 0) >= 1 << 31)):
        raise UserError("has scales that lift sums above 32 bits before they are limited")


def convolution(operator: Conv2D, source: Tensor, target: Tensor) -> Layer:
    """As it is, without a thought of how it is computed."""
    size, channels = image_of(source)
    sums, outputs = image_of(target)
    multiplier, shift = _requantization(source, target, operator.weight_scales, operator.rounding)
    layer = Layer(
        name=operator.name,
        op="conv" if operator.groups == 1 or operator.weights.shape[3] > 1 else "depthwise conv",
        sources=(source.name,),
        target=target.name,
        input_size=size,
        input_channels=channels,
        sums_size=sums,
        output_size=sums,
        output_channels=outputs,
        weights=operator.weights,
        groups=operator.groups,
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
        place=Place(sums, outputs),
    )
    if operator.rounding == ONNX:
        check_left_shift(layer, operator.bias)
    return layer


def conv(operator: Conv2D, source: Tensor, target: Tensor, config: Config) -> list[Layer]:
    """One layer. A depthwise convolution with several outputs per channel may be two: the first one copies each channel
    as often as it has outputs, so that the second one can run down the columns."""
    layer = convolution(operator, source, target)
    times = layer.output_channels // layer.groups
    if config.depthwise and 1 < layer.groups == layer.input_channels and times > 1:
        copied = copies(f"{operator.name}.copies", source.name, layer.input_size, layer.input_channels, times)
        alone = replace(
            layer, sources=(copied.target,), input_channels=layer.output_channels, groups=layer.output_channels
        )
        if fewest_cycles(copied, config) + fewest_cycles(alone, config) < fewest_cycles(layer, config):
            return [copied, alone]
    return [layer]


def fully_connected(operator: FullyConnected, source: Tensor, target: Tensor) -> list[Layer]:
    """A 1x1 convolution of one row of pixels."""
    outputs, inputs = operator.weights.shape
    rows = source.size // inputs
    pixels = Conv2D(
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
    return [replace(convolution(pixels, *image), op="fully connected")]
