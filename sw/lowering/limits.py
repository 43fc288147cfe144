"""Why operators of some kinds never run on the device. What the others need for it is said where they are lowered."""

from ..graph import Dequantize, Lstm, OffsetBinary, Operator, Quantize, Softmax, SoftmaxInt8

HOST_REASONS: dict[type[Operator], str] = {
    Quantize: "the NPU takes integers, which the host makes of real numbers",
    Dequantize: "the NPU gives integers, which the host makes real numbers of",
    OffsetBinary: "the NPU computes on int8, which the host makes of uint8 and uint8 of it",
    Softmax: "the NPU has no real numbers",
    Lstm: "the NPU has no cell states of 16 bits",
    SoftmaxInt8: "the NPU has no exponentials and quotients of 32 bits",
}
"""Kind of operator -> the reason, half a sentence."""
