"""What the device executes: convolutions whose sums the drain pools or adds, requantizes and looks up."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from weft.rtl.isa import Rounding

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


@dataclass(frozen=True)
class Place:
    """Where a layer's pixels lie in a dense NHWC buffer."""

    size: Pair
    """Height and width of the buffer."""
    channels: int
    origin: Pair = (0, 0)
    step: Pair = (1, 1)
    """From one pixel of the layer to the next."""
    channel: int = 0
    """Of the buffer, where the layer's first one lies."""

    @property
    def row_pitch(self) -> int:
        """Bytes from one row of the buffer to the next."""
        return self.size[1] * self.channels


@dataclass(frozen=True, eq=False)
class Layer:
    """One convolution, pooled, requantized and looked up; or a sum or product of two of them. Pairs are (y, x)."""

    name: str
    op: str
    sources: tuple[str, ...]
    """Buffers read, dense NHWC and alike: one, or the two whose results are added or multiplied."""
    target: str
    """Buffer written."""
    input_size: Pair
    input_channels: int
    sums_size: Pair
    """Height and width of the convolution's result."""
    output_size: Pair
    """Height and width after pooling."""
    output_channels: int
    weights: NDArray[np.int8]
    """(outputs, kernel height, kernel width, inputs / groups)."""
    groups: int
    stride: Pair
    dilation: Pair
    before: Pair
    """Padding at the top and left of the convolution's input; negative where the input's edge is not read."""
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
    place: Place
    """Where in the target the results go."""
    sum_tables: NDArray[np.int32] | None = None
    """(operands, 256): what value x of an operand adds to the sum, or is as a factor, at x + 128."""
    multiplies: bool = False
    """Two operands are multiplied, not added; there is no bias then."""
    result_table: NDArray[np.int8] | None = None
    """(256,): what becomes of result x, at x + 128."""
    source_offsets: tuple[int, ...] = ()
    """Where in each buffer its image begins, in bytes; () for all at the start."""
    target_offset: int = 0
    """Where in the target its image begins."""

    @property
    def source(self) -> str:
        """The first buffer that is read."""
        return self.sources[0]

    @property
    def operands(self) -> int:
        """Sums of as many convolutions are added or multiplied."""
        return len(self.sources)

    @property
    def kernel(self) -> Pair:
        """Height and width of the kernel."""
        return int(self.weights.shape[1]), int(self.weights.shape[2])

    @property
    def product(self) -> bool:
        """It is one row times a matrix, so that its input is one run."""
        whole = self.groups == 1 == self.operands and self.kernel == (1, 1)
        return whole and self.input_size == (1, 1) == self.sums_size

    @property
    def whole(self) -> bool:
        """The results are the target, from its first byte to its last."""
        return self.place == Place(self.output_size, self.output_channels)

    @property
    def uniform(self) -> bool:
        """All channels have the same weights."""
        return self.groups == self.output_channels and bool(np.all(self.weights == self.weights[:1]))

    @property
    def passes_values(self) -> bool:
        """The results are the input's values, pooled, limited or looked up at most."""
        return bool(
            self.operands == 1
            and self.sum_tables is None
            and self.groups == self.input_channels == self.output_channels
            and self.kernel == (1, 1)
            and self.input_size == self.sums_size
            and self.stride == (1, 1)
            and self.before == (0, 0)
            and np.all(self.weights == 1)
            and np.all(self.multiplier == 1 << 30)
            and np.all(self.shift == 1)
            and not np.any(self.bias)
            and self.zero_point == 0
        )

    @property
    def elementwise(self) -> bool:
        """All values are treated alike, so that any image of as many values is the same layer."""
        alike = all(np.all(some == some[0]) for some in (self.bias, self.multiplier, self.shift))
        return bool(
            alike
            and self.whole
            and self.uniform
            and self.kernel == (1, 1)
            and self.stride == (1, 1)
            and self.before == (0, 0)
            and self.input_size == self.sums_size == self.output_size
            and self.input_channels == self.output_channels
            and not self.window.pools
        )

    def offset_of(self, operand: int) -> int:
        """Where the image of a source begins in its buffer."""
        return self.source_offsets[operand] if self.source_offsets else 0

    @property
    def input_bytes(self) -> int:
        """Size of the image in each buffer that is read."""
        return self.input_size[0] * self.input_size[1] * self.input_channels

    @property
    def row_bytes(self) -> int:
        """Size of a row of the results, wherever they go."""
        return self.output_size[1] * self.output_channels

    @property
    def target_bytes(self) -> int:
        """Size of the image that is written."""
        return self.place.size[0] * self.place.row_pitch


@dataclass(frozen=True)
class Block:
    """Some groups of a layer's channels, side by side in the array."""

    first_group: int
    groups: int
    first_input: int
    inputs: int
    first_output: int
    outputs: int


def blocks_of(layer: Layer, together: int) -> tuple[Block, ...]:
    """The layer's groups, so many of them together; the last block has the rest."""
    inputs, outputs = layer.weights.shape[3], len(layer.weights) // layer.groups
    blocks = []
    for first in range(0, layer.groups, together):
        count = min(together, layer.groups - first)
        blocks.append(Block(first, count, first * inputs, count * inputs, first * outputs, count * outputs))
    return tuple(blocks)


def block_weights(layer: Layer, block: Block) -> NDArray[np.int8]:
    """The block as one dense convolution, (outputs, kernel height, kernel width, inputs): off the diagonal weights are
    zero."""
    inputs, outputs = layer.weights.shape[3], len(layer.weights) // layer.groups
    if block.groups == 1:
        return layer.weights[block.first_output : block.first_output + outputs]
    dense = np.zeros((block.outputs, *layer.kernel, block.inputs), np.int8)
    for group in range(block.groups):
        rows = slice(group * outputs, (group + 1) * outputs)
        source = block.first_output + group * outputs
        dense[rows, :, :, group * inputs : (group + 1) * inputs] = layer.weights[source : source + outputs]
    return dense


def table_bytes(table: NDArray[np.int8] | NDArray[np.int32]) -> bytes:
    """A table of 256 elements, or several, as the device holds it: indexed by an int8 as unsigned."""
    turned = np.roll(table, 128, axis=-1)
    return turned.astype("<i4").tobytes() if table.dtype == np.int32 else turned.astype(np.int8).tobytes()


def sources_of(layers: Sequence[Layer]) -> set[str]:
    """All buffers that are read."""
    return {name for layer in layers for name in layer.sources}
