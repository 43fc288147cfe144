"""One node of an ONNX graph while it is read: its inputs, its attributes, and errors that name it."""

from typing import TYPE_CHECKING, Any

import onnx
from numpy.typing import NDArray

from .errors import UserError
from .onnx_values import Constant, DeviceValue, Pending, QuantizedConstant, Value

if TYPE_CHECKING:
    from .onnx_reader import Reader


class Node:
    """One node, with its inputs looked up and its attributes read."""

    def __init__(self, reader: "Reader", proto: onnx.NodeProto) -> None:
        self.reader = reader
        self.proto = proto
        self.output = proto.output[0] if proto.output else ""
        self.name = proto.name or self.output
        try:
            self.attributes = {entry.name: onnx.helper.get_attribute_value(entry) for entry in proto.attribute}
        except ValueError:
            raise self.error("has a malformed attribute") from None

    @property
    def text(self) -> str:
        """How messages call the node."""
        return f"{self.proto.op_type} {self.name!r}"

    def error(self, sentence: str) -> UserError:
        """An error that starts with the model, the operator and the node."""
        return UserError(f"{self.reader.name}: {self.text} {sentence}")

    def need(self, good: bool, sentence: str) -> None:
        """Raise the error unless `good`."""
        if not good:
            raise self.error(sentence)

    def attribute(self, name: str, default: Any) -> Any:
        """An attribute, strings decoded."""
        value = self.attributes.get(name, default)
        return value.decode(errors="replace") if isinstance(value, bytes) else value

    def has(self, index: int) -> bool:
        """The optional input is given."""
        return index < len(self.proto.input) and bool(self.proto.input[index])

    def value(self, index: int) -> Value:
        """Input `index`."""
        self.need(self.has(index), f"lacks its input {index}")
        return self.reader.values[self.proto.input[index]]

    def constant(self, index: int, what: str) -> NDArray[Any]:
        """Input `index`, which must be known at compile time."""
        value = self.value(index)
        if isinstance(value, QuantizedConstant):
            return value.real
        if not isinstance(value, Constant):
            raise self.error(f"is supported only with a constant {what}")
        return value.array

    def real(self, index: int) -> DeviceValue:
        """Input `index`, which must be a dequantized activation."""
        value = self.value(index)
        if isinstance(value, DeviceValue) and value.real:
            return value
        if isinstance(value, Pending):
            raise self.error(f"reads the unquantized result of {value.text}, expected a QuantizeLinear between them")
        raise self.error(f"is supported only on int8 activations, and {self.proto.input[index]!r} is not quantized")


def pair(node: Node, name: str, default: tuple[int, int]) -> tuple[int, int]:
    values = tuple(node.attribute(name, default))
    node.need(len(values) == 2 and min(values) >= 1, f"has {name} {list(values)}, supported are two positive numbers")
    return int(values[0]), int(values[1])


def padding(
    node: Node, size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Top, left, bottom, right from `pads` or `auto_pad`."""
    auto = node.attribute("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        totals = []
        for axis in range(2):
            span = (kernel[axis] - 1) * dilation[axis] + 1
            totals.append(max((-(-size[axis] // stride[axis]) - 1) * stride[axis] + span - size[axis], 0))
        small, large = [total // 2 for total in totals], [total - total // 2 for total in totals]
        first, second = (small, large) if auto == "SAME_UPPER" else (large, small)
        return first[0], first[1], second[0], second[1]
    node.need(auto in ("NOTSET", "VALID"), f"has auto_pad {auto!r}, which is unknown")
    pads = [0, 0, 0, 0] if auto == "VALID" else [int(n) for n in node.attribute("pads", (0, 0, 0, 0))]
    node.need(len(pads) == 4 and min(pads) >= 0, f"has pads {pads}, supported are four numbers of 0 or more")
    return pads[0], pads[1], pads[2], pads[3]


def positions(size: int, before: int, after: int, span: int, stride: int, ceil_mode: bool = False) -> int:
    """How many windows of `span` fit, or start inside with `ceil_mode`."""
    room = size + before + after - span
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= size + before else count
