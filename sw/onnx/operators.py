"""What each ONNX operator becomes: a table of one function per operator."""

from collections.abc import Callable

from .file import ONNX_DOMAINS
from .functions import FUNCTIONS, binary, clip, relu
from .layout import depth_to_space, flatten, identity, reshape, softmax, space_to_depth, squeeze, transpose, unsqueeze
from .linear import conv, conv_transpose, gemm, matmul
from .movement import concat, expand, gather, pad, slice_, split, tile
from .node import Node
from .pool import average_pool, global_average_pool, global_max_pool, max_pool, reduce_max, reduce_mean
from .quantize import dequantize_linear, quantize_linear
from .resize import resize
from .values import Value


def sums(node: Node) -> Value:
    """ConvInteger and MatMulInteger: int32 sums, which only the host can have as they are."""
    raise node.error("makes int32 sums, supported are sums that a scale brings to int8")


def dynamic(node: Node) -> Value:
    """DynamicQuantizeLinear and its like: refused."""
    raise node.refuse("measures scales while it runs (dynamic quantization), expected a model with constant scales")


OPERATORS: dict[str, Callable[[Node], Value | list[Value]]] = {
    **FUNCTIONS,
    "Add": binary,
    "AveragePool": average_pool,
    "Clip": clip,
    "Concat": concat,
    "Conv": conv,
    "ConvInteger": sums,
    "ConvTranspose": conv_transpose,
    "DepthToSpace": depth_to_space,
    "DequantizeLinear": dequantize_linear,
    "Dropout": identity,
    "DynamicQuantizeLSTM": dynamic,
    "DynamicQuantizeLinear": dynamic,
    "DynamicQuantizeMatMul": dynamic,
    "Expand": expand,
    "Flatten": flatten,
    "Gather": gather,
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
    "Identity": identity,
    "MatMul": matmul,
    "MatMulInteger": sums,
    "MaxPool": max_pool,
    "Mul": binary,
    "Pad": pad,
    "QuantizeLinear": quantize_linear,
    "ReduceMax": reduce_max,
    "ReduceMean": reduce_mean,
    "Relu": relu,
    "Reshape": reshape,
    "Resize": resize,
    "Slice": slice_,
    "Softmax": softmax,
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Squeeze": squeeze,
    "Sub": binary,
    "Tile": tile,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
    "Upsample": resize,
}

DOMAINS = {
    "QuantizeLinear": (*ONNX_DOMAINS, "com.microsoft"),
    "DequantizeLinear": (*ONNX_DOMAINS, "com.microsoft"),
    "DynamicQuantizeLSTM": ("com.microsoft",),
    "DynamicQuantizeMatMul": ("com.microsoft",),
}
"""Domains of operators that are not, or not only, ONNX's own."""

MOVING = ("Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
"""Operators on constants that leave their scales."""
