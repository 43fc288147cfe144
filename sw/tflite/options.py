"""How a TFLite file starts, and which of its operators' options matter here, with the schema's defaults.

Source: the TFLite schema, schema.fbs.
"""

from typing import Any

IDENTIFIER = b"TFL3"
"""Bytes 4 to 7 of every TFLite file."""

_ACTIVATION = {"FusedActivationFunction": 0}
_WINDOW = {"Padding": 0, "StrideH": 0, "StrideW": 0}
_DILATION = {"DilationHFactor": 1, "DilationWFactor": 1}
_POOL = ("Pool2DOptions", {**_WINDOW, **_ACTIVATION, "FilterHeight": 0, "FilterWidth": 0})
_REDUCER = ("ReducerOptions", {"KeepDims": False})
_RESIZE = {"AlignCorners": False, "HalfPixelCenters": False}

OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "ADD": ("AddOptions", _ACTIVATION),
    "AVERAGE_POOL_2D": _POOL,
    "BATCH_MATMUL": ("BatchMatMulOptions", {"AdjX": False, "AdjY": False}),
    "CONCATENATION": ("ConcatenationOptions", {"Axis": 0, **_ACTIVATION}),
    "CONV_2D": ("Conv2DOptions", {**_WINDOW, **_DILATION, **_ACTIVATION}),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", {**_WINDOW, **_DILATION, **_ACTIVATION}),
    "DEPTH_TO_SPACE": ("DepthToSpaceOptions", {"BlockSize": 0}),
    "FULLY_CONNECTED": ("FullyConnectedOptions", {**_ACTIVATION, "WeightsFormat": 0, "KeepNumDims": False}),
    "GATHER": ("GatherOptions", {"Axis": 0, "BatchDims": 0}),
    "GELU": ("GeluOptions", {"Approximate": False}),
    "LEAKY_RELU": ("LeakyReluOptions", {"Alpha": 0.0}),
    "MAX_POOL_2D": _POOL,
    "MEAN": _REDUCER,
    "MUL": ("MulOptions", _ACTIVATION),
    "PACK": ("PackOptions", {"ValuesCount": 0, "Axis": 0}),
    "REDUCE_MAX": _REDUCER,
    "REDUCE_PROD": _REDUCER,
    "RESHAPE": ("ReshapeOptions", {"NewShape": ()}),
    "RESIZE_BILINEAR": ("ResizeBilinearOptions", _RESIZE),
    "RESIZE_NEAREST_NEIGHBOR": ("ResizeNearestNeighborOptions", _RESIZE),
    "SOFTMAX": ("SoftmaxOptions", {"Beta": 0.0}),
    "SPACE_TO_DEPTH": ("SpaceToDepthOptions", {"BlockSize": 0}),
    "SQUEEZE": ("SqueezeOptions", {"SqueezeDims": ()}),
    "STRIDED_SLICE": (
        "StridedSliceOptions",
        {"BeginMask": 0, "EndMask": 0, "EllipsisMask": 0, "NewAxisMask": 0, "ShrinkAxisMask": 0, "Offset": False},
    ),
    "SUB": ("SubOptions", _ACTIVATION),
    "TRANSPOSE_CONV": ("TransposeConvOptions", {**_WINDOW, **_ACTIVATION}),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (
        "UnidirectionalSequenceLSTMOptions",
        {**_ACTIVATION, "CellClip": 0.0, "ProjClip": 0.0, "TimeMajor": False},
    ),
    "UNPACK": ("UnpackOptions", {"Num": 0, "Axis": 0}),
}
"""Operator -> its table of options, and the fields read from it with their defaults."""
