"""From operators to layers: every operator of the device is a convolution whose sums the drain pools, adds, requantizes
and looks up.

A product is a 1x1 convolution of one row of pixels. Pooling and functions of single values are convolutions with the
identity matrix, averages have ones on the diagonal; what only moves values copies parts of images. Zero points are
folded into the bias.
"""

from dataclasses import replace

from weft.rtl.config import Config

from ..compiler.boundary import Boundary
from ..errors import UserError
from ..graph import (
    AveragePool2D,
    Binary,
    Clamp,
    Concat,
    Constant,
    Conv2D,
    FullyConnected,
    Graph,
    Lookup,
    MaxPool2D,
    MeanPool2D,
    Operator,
    Pad,
    Requantize,
    Reshape,
    ResizeBilinear,
    ResizeNearest,
    Slice,
    Transpose,
    TransposeConv2D,
)
from .binary import binary, known
from .channels import means_in_parts, narrowed
from .elementwise import clamp, requantize
from .images import pixel_of, root_of
from .joins import share_drains
from .layers import Layer
from .linear import conv, fully_connected
from .lookup import lookup
from .movement import concat, joined_channels, pad, slice_
from .permute import transpose
from .pool import average_pool, max_pool, mean_pool
from .resize import resize_bilinear, resize_nearest
from .transpose_conv import transpose_conv


def lower(graph: Graph, boundary: Boundary, config: Config) -> tuple[Layer, ...]:
    """The layers in order, pooling, tables and copies put into the layers before them where that is the same.

    Raises
    ------
    UserError
        Names the operator and what is supported instead.
    """
    layers: list[Layer] = []
    for operator in boundary.operators:
        try:
            made = _apart(operator, graph, config)
        except UserError as error:
            raise UserError(f"{graph.name}: {type(operator).__name__} {operator.name!r} {error}") from None
        layers += (
            replace(one, sources=tuple(boundary.buffers.get(name, name) for name in one.sources)) for one in made
        )
    return share_drains(tuple(layers), boundary.outputs)


def _apart(operator: Operator, graph: Graph, config: Config) -> list[Layer]:
    """The layers of an operator; what lies between them is named after it, and no tensor may have that name."""
    while True:
        layers = lower_operator(operator, graph, config)
        between = {one.target for one in layers} - {operator.output}
        if between.isdisjoint(graph.tensors) and all(operator.output not in one.sources for one in layers):
            return layers
        operator = replace(operator, name=f"{operator.name}'")


def lower_operator(operator: Operator, graph: Graph, config: Config) -> list[Layer]:
    """One operator by itself; none for a constant that the layers of its readers hold.

    Raises
    ------
    UserError
        Why the device cannot execute it: a sentence without its subject, which is the operator.
    """
    sources, target = [graph.tensors[name] for name in operator.inputs], graph.tensors[operator.output]
    for tensor in (*sources, target):
        if tensor.dtype != "int8":
            raise UserError(f"has the activation {tensor.name!r} of type {tensor.dtype}, supported is int8")
    match operator:
        case Conv2D():
            return narrowed(conv(operator, sources[0], target, config), config)
        case FullyConnected():
            return narrowed(fully_connected(operator, sources[0], target), config)
        case TransposeConv2D():
            return transpose_conv(operator, sources[0], target)
        case MaxPool2D():
            return max_pool(operator, sources[0], target)
        case AveragePool2D():
            return means_in_parts(average_pool(operator, sources[0], target), sources[0], config)
        case MeanPool2D():
            return means_in_parts(mean_pool(operator, sources[0], target), sources[0], config)
        case Requantize():
            return requantize(operator, sources[0], target, config)
        case Clamp():
            return clamp(operator, sources[0], target, config)
        case Lookup():
            return lookup(operator, sources[0], target, config)
        case Binary():
            return binary(operator, sources[0], sources[1], target, graph, config)
        case Concat():
            return concat(operator, sources, target, graph, config)
        case Pad():
            return pad(operator, sources[0], target, config)
        case Slice():
            return slice_(operator, sources[0], target, config)
        case ResizeNearest():
            return resize_nearest(operator, sources[0], target)
        case ResizeBilinear():
            return resize_bilinear(operator, sources[0], target)
        case Transpose():
            return transpose(operator, sources[0], target, graph, config)
        case Constant():
            _need_holders(operator, graph, config)
            return []
    raise UserError("is not supported on the device")


def _need_holders(operator: Constant, graph: Graph, config: Config) -> None:
    """Refuse a constant that is an output, or of which some reader's layers do not hold the values."""
    if operator.output in (root_of(graph, name) for name in graph.outputs):
        raise UserError("is an output that is known beforehand")
    for reader in graph.operators:
        for name in reader.inputs:
            if root_of(graph, name) == operator.output and not _holds(reader, name, graph, config):
                raise UserError(f"has more values than the layers of {reader.name!r} hold, so that the host sends them")


def _holds(reader: Operator, name: str, graph: Graph, config: Config) -> bool:
    """The layers of a reader hold the values of a constant, or nothing does as it is not for the device."""
    target = graph.tensors[reader.output]
    match reader:
        case Reshape():
            return True
        case Binary():
            return known(graph, name, target, config) is not None
        case Concat():
            return pixel_of(graph, name, joined_channels(reader, graph.tensors[name], target), config) is not None
    return False
