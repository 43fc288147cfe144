"""One node of an ONNX graph while it is read: its inputs, its attributes, and errors that name it."""

from typing import TYPE_CHECKING, Any

import onnx
from numpy.typing import NDArray

from ..errors import UserError
from ..network import LARGEST_TENSOR
from .values import Activation, Constant, DeviceValue, HostValue, Pending, QuantizedConstant, Value
from .views import Shape, channels_last

if TYPE_CHECKING:
    from .reader import Reader

LONGEST_LABEL = 80
"""Characters of a name in a message."""

SAME = ("SAME_UPPER", "SAME_LOWER")
"""Values of auto_pad that give a result for each stride."""


class HostError(UserError):
    """The node cannot run on the NPU; the sentence says why, and the host may run it."""


def label(name: str) -> str:
    """How messages call a node or a tensor: names in a file may have any length and any characters."""
    return repr(name if len(name) <= LONGEST_LABEL else f"{name[: LONGEST_LABEL - 3]}...")


class Node:
    """One node, with its inputs looked up and its attributes read.

    Raises
    ------
    HostError
        In `need` and all that use it: the node is not for the NPU.
    UserError
        In `refuse` and `demand`: nothing can run it.
    """

    def __init__(self, reader: "Reader", proto: onnx.NodeProto) -> None:
        self.reader = reader
        self.proto = proto
        self.output = proto.output[0] if proto.output else ""
        self.name = proto.name or self.output
        try:
            self.attributes = {entry.name: onnx.helper.get_attribute_value(entry) for entry in proto.attribute}
        except (ValueError, TypeError):
            raise self.refuse("has a malformed attribute") from None

    @property
    def text(self) -> str:
        """How messages call the node."""
        return f"{self.proto.op_type[:LONGEST_LABEL]} {label(self.name)}"

    def refuse(self, sentence: str) -> UserError:
        """An error that starts with the model, the operator and the node."""
        return UserError(f"{self.reader.name}: {self.text} {sentence}")

    def demand(self, good: bool, sentence: str) -> None:
        """Raise that error unless `good`."""
        if not good:
            raise self.refuse(sentence)

    def error(self, sentence: str) -> HostError:
        """Why the node cannot run on the NPU."""
        return HostError(sentence)

    def need(self, good: bool, sentence: str) -> None:
        """Raise that error unless `good`."""
        if not good:
            raise self.error(sentence)

    def attribute(self, name: str, default: Any) -> Any:
        """An attribute, strings decoded."""
        value = self.attributes.get(name, default)
        return value.decode(errors="replace") if isinstance(value, bytes) else value

    def integer(self, name: str, default: int) -> int:
        """An attribute that is an integer."""
        value = self.attributes.get(name, default)
        self.demand(isinstance(value, int), f"has an attribute {name} that is no integer")
        return int(value)

    def integers(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """An attribute that is a list of integers."""
        value = self.attributes.get(name, default)
        good = isinstance(value, list | tuple) and all(isinstance(one, int) for one in value)
        self.demand(good, f"has an attribute {name} that is no list of integers")
        return tuple(value)

    def number(self, name: str, default: float) -> float:
        """An attribute that is a number."""
        value = self.attributes.get(name, default)
        self.demand(isinstance(value, int | float), f"has an attribute {name} that is no number")
        return float(value)

    def axis(self, value: int, rank: int) -> int:
        """An axis from 0 on, counted from the end where it is negative."""
        self.demand(-rank <= value < rank, f"has axis {value} for a tensor of {rank} axes")
        return value % rank

    def has(self, index: int) -> bool:
        """The optional input is given."""
        return index < len(self.proto.input) and bool(self.proto.input[index])

    def value(self, index: int) -> Value:
        """Input `index`."""
        self.demand(self.has(index), f"lacks its input {index}")
        return self.reader.values[self.proto.input[index]]

    def constant(self, index: int, what: str) -> NDArray[Any]:
        """Input `index`, which must be known at compile time."""
        value = self.value(index)
        if isinstance(value, QuantizedConstant):
            return value.real32
        if not isinstance(value, Constant):
            raise self.error(f"has a {what} that is computed, supported is a constant one")
        return value.array

    def list_of_integers(self, index: int, what: str) -> tuple[int, ...]:
        """Input `index`, a constant list of integers."""
        array = self.constant(index, what)
        self.need(array.dtype.kind in "iu" and array.ndim <= 1, f"has a malformed {what}")
        return tuple(int(one) for one in array.reshape(-1))

    def activation(self, index: int = 0) -> Activation:
        """Input `index`, which must not be a constant."""
        value = self.value(index)
        if isinstance(value, Constant | QuantizedConstant):
            raise self.error(f"has a constant as input {index}, supported is an activation")
        return value

    def shape(self, index: int = 0) -> Shape:
        """The shape of input `index`."""
        return self.value(index).shape

    def device(self, index: int = 0) -> DeviceValue:
        """Input `index`, which must be an int8 activation, quantized or dequantized."""
        value = self.value(index)
        if isinstance(value, DeviceValue):
            return value
        if isinstance(value, HostValue) and self.reader.tensors[value.tensor].dtype in ("int8", "uint8"):
            return self.reader.integers_to_device(value, self.proto.input[index])
        if isinstance(value, Pending) and value.function is not None:
            found = self.reader.on_levels(value)
            if found is not None:
                return found
        if isinstance(value, Pending):
            raise self.error(f"reads the unquantized result of {value.text}, expected a QuantizeLinear between them")
        raise self.error(f"reads {label(self.proto.input[index])}, which is not quantized, supported is int8")

    def real(self, index: int = 0) -> DeviceValue:
        """Input `index`, which must be a dequantized activation."""
        value = self.device(index)
        self.need(value.real, f"reads the integers {label(self.proto.input[index])}, expected a DequantizeLinear")
        return value

    def image(self, index: int = 0) -> DeviceValue:
        """Input `index`, an int8 activation of a batch of 1, channels and at least one axis more, stored channels
        last."""
        value = self.device(index)
        shape = value.shape
        self.need(
            len(shape) >= 3 and shape[0] == 1,
            f"has an input of shape {shape}, supported is a batch of 1 with channels and rows",
        )
        return self.reader.ordered(value, channels_last(len(shape)), self.output)


def with_rows(node: Node, value: DeviceValue) -> DeviceValue:
    """An image of four axes, channels last, with a row of its own where there are only columns."""
    n, channels, *rest = value.shape
    image = node.reader.reshaped(value, f"{node.output}.row", (n, channels, 1, *rest)) if len(rest) == 1 else value
    return node.reader.ordered(image, channels_last(4), f"{node.output}.image")


def pair(node: Node, name: str, default: tuple[int, int]) -> tuple[int, int]:
    """An attribute of two positive integers, or of one for the second axis alone."""
    values = node.integers(name, default)
    values = (1, *values) if len(values) == 1 else values
    node.need(len(values) == 2 and min(values) >= 1, f"has {name} {list(values)}, supported are two positive numbers")
    return values[0], values[1]


def padding(
    node: Node, size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Top, left, bottom, right from `pads` or `auto_pad`."""
    auto = auto_pad(node)
    if auto in SAME:
        spans = [(kernel[i] - 1) * dilation[i] + 1 for i in range(2)]
        top, bottom = same_padding(size[0], spans[0], stride[0], auto)
        left, right = same_padding(size[1], spans[1], stride[1], auto)
        pads = [top, left, bottom, right]
    else:
        pads = [0, 0, 0, 0] if auto == "VALID" else list(node.integers("pads", (0, 0, 0, 0)))
        pads = [0, pads[0], 0, pads[1]] if len(pads) == 2 else pads
    node.need(len(pads) == 4 and min(pads) >= 0, f"has pads {pads}, supported are four numbers of 0 or more")
    padded = (size[0] + pads[0] + pads[2]) * (size[1] + pads[1] + pads[3])
    node.demand(padded <= LARGEST_TENSOR, f"pads its input to {padded} pixels, supported are up to {LARGEST_TENSOR}")
    return pads[0], pads[1], pads[2], pads[3]


def auto_pad(node: Node) -> str:
    """NOTSET, VALID or one of SAME."""
    auto = str(node.attribute("auto_pad", "NOTSET"))
    node.demand(auto in ("NOTSET", "VALID", *SAME), f"has auto_pad {auto!r}, which is unknown")
    return auto


def same_padding(size: int, span: int, stride: int, auto: str) -> tuple[int, int]:
    """Cells before and after an axis; the odd one is after for SAME_UPPER."""
    total = max((-(-size // stride) - 1) * stride + span - size, 0)
    small, large = total // 2, total - total // 2
    return (small, large) if auto == "SAME_UPPER" else (large, small)


def positions(size: int, before: int, after: int, span: int, stride: int, ceil_mode: bool = False) -> int:
    """How many windows of `span` fit, or start inside with `ceil_mode`."""
    room = size + before + after - span
    if not ceil_mode:
        return room // stride + 1
    count = -(-room // stride) + 1
    return count - 1 if (count - 1) * stride >= size + before else count
