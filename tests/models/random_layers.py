"""Random convolutions and matrix products of every shape, each a graph of one operator or of two with max pooling."""

import re
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from weft.rtl.config import Config
from weft.sw.compiler.compiler import compile_graph
from weft.sw.errors import UserError
from weft.sw.graph import ONNX, TFLITE, TFLITE32, Conv2D, FullyConnected, Graph, MaxPool2D, Operator, Tensor, verify
from weft.sw.program import Program

ROUNDINGS = (ONNX, TFLITE, TFLITE32)

CYCLES = 40_000
"""Most passes of a layer on its array, if no pass were partly filled."""

MOST_DRAWS = 50
"""Of one seed; a configuration that holds none of so many layers holds none at all."""

DOES_NOT_FIT = re.compile(
    r"needs more than the \d+ bytes of scratchpad at once, even a row at a time"
    r"|has padding that is wider than the scratchpad"
    r"|does not fit into the accumulator of the configuration"
    r"|the layers have \d+ channels with padding to whole lanes"
    r"|needs more than the \d+ accumulators of the configuration"
    r"|needs \d+ weight tiles at once while as many are loaded"
)
"""What the compiler says of a layer that a configuration cannot hold; any other refusal is an error."""


@dataclass(frozen=True, eq=False)
class RandomLayer:
    """A layer, compiled, and what it is run on."""

    seed: int
    draws: int
    """How many layers were drawn until one fitted."""
    graph: Graph
    program: Program
    inputs: NDArray[np.int8]
    """One or two samples."""


def random_layer(seed: int, config: Config) -> RandomLayer:
    """The first layer drawn from `seed` that the configuration holds."""
    for draws in count(1):
        random = np.random.default_rng((seed, draws))
        graph = random_graph(random, config)
        try:
            program = compile_graph(graph, config)
        except UserError as error:
            sentence = str(error)
            if draws < MOST_DRAWS and DOES_NOT_FIT.search(sentence) and "\n" not in sentence:
                continue
            raise
        shape = graph.tensors[graph.inputs[0]].shape[1:]
        inputs = random_bytes(random, (integer(random, 1, 2), *shape))
        return RandomLayer(seed, draws, graph, program, inputs)


def random_graph(random: Generator, config: Config) -> Graph:
    """A product, or a convolution that may be pooled, with dimensions around those of the array."""
    return _product(random, config) if chance(random, 0.25) else _convolution(random, config)


def integer(random: Generator, low: int, high: int) -> int:
    """Uniform from `low` to `high`, both included."""
    return int(random.integers(low, high + 1))


def chance(random: Generator, share: float) -> bool:
    """True in this share of the cases."""
    return bool(random.random() < share)


def random_bytes(random: Generator, shape: tuple[int, ...]) -> NDArray[np.int8]:
    """Mostly uniform, sometimes small, sometimes only the two extremes, so that sums get as large as they can."""
    if chance(random, 0.1):
        return np.where(random.random(shape) < random.uniform(0.3, 0.7), 127, -128).astype(np.int8)
    if chance(random, 0.1):
        return random.integers(-3, 4, shape, dtype=np.int8)
    return random.integers(-128, 128, shape, dtype=np.int8)


def _size(random: Generator, side: int, most: int) -> int:
    """Mostly next to a multiple of a side of the array, where the last tile is full, or one short or long of it;
    sometimes so little that several pixels fit side by side."""
    if chance(random, 0.2):
        return integer(random, 1, min(max(side // 2, 1), most))
    if chance(random, 0.6):
        multiple = side * integer(random, 1, max(most // side, 1))
        return min(max(multiple + integer(random, -1, 1), 1), most)
    return integer(random, 1, most)


def _scales(random: Generator, near: NDArray[np.float64]) -> NDArray[np.float32]:
    """Scales as they are, or powers of two; where all are powers of two, results lie halfway between two integers."""
    return (np.exp2(np.rint(np.log2(near))) if chance(random, 0.6) else near).astype(np.float32)


def _tensor(random: Generator, name: str, shape: tuple[int, ...]) -> Tensor:
    zero_point = int(random.choice([-128, 0, 127])) if chance(random, 0.3) else integer(random, -128, 127)
    return Tensor(name, shape, "int8", float(_scales(random, np.exp(random.uniform(-6, 1)))), zero_point)


def _linear(random: Generator, weights: NDArray[np.int8], source: Tensor, target: Tensor) -> dict[str, object]:
    """Scales that spread the results of each channel over a part of int8 or beyond it, and limits, sometimes."""
    outputs = len(weights)
    norm = np.sqrt(np.square(weights.astype(np.float64)).sum() / outputs)
    spread = max(norm, 1) * np.exp(random.uniform(-0.7, 2))
    scales = target.scale / source.scale / spread * np.exp(random.uniform(-0.7, 0.7, outputs))
    bias = random.normal(0, 30 * spread, outputs)
    low, high = -128, 127
    if chance(random, 0.25):
        low = target.zero_point
    elif chance(random, 0.25):
        low, high = sorted(random.integers(-128, 128, 2).tolist())
    return {
        "weights": weights,
        "weight_scales": _scales(random, scales),
        "bias": np.rint(bias).astype(np.int32),
        "rounding": str(random.choice(ROUNDINGS)),
        "minimum": low,
        "maximum": high,
    }


def _product(random: Generator, config: Config) -> Graph:
    most = CYCLES * config.macs_per_cycle
    rows = 1 if chance(random, 0.5) else integer(random, 2, 20)
    inputs = _size(random, config.rows, min(400, most // rows))
    outputs = _size(random, config.cols, min(120, most // (rows * inputs)))
    source = _tensor(random, "x", (1, rows, inputs))
    target = _tensor(random, "y", (1, rows, outputs))
    weights = random_bytes(random, (outputs, inputs))
    operator = FullyConnected("product", ("x",), "y", **_linear(random, weights, source, target))
    return verify(Graph("random product", {"x": source, "y": target}, (operator,), ("x",), ("y",)))


def _convolution(random: Generator, config: Config) -> Graph:
    most = CYCLES * config.macs_per_cycle
    kernel, stride, dilation, before, after, size, sums = zip(*(_axis(random) for _ in range(2)), strict=True)
    groups = integer(random, 2, 9) if chance(random, 0.25) else 1
    room = max(most // (kernel[0] * kernel[1] * sums[0] * sums[1] * groups), 1)
    inputs = _size(random, config.rows, min(40 // groups, room))
    outputs = _size(random, config.cols, min(40 // groups, max(room // inputs, 1)))
    weights = random_bytes(random, (groups * outputs, *kernel, inputs))
    source = _tensor(random, "x", (1, *size, groups * inputs))
    target = _tensor(random, "y", (1, *sums, groups * outputs))
    conv = Conv2D(
        "conv",
        ("x",),
        "y",
        stride=stride,
        padding=(*before, *after),
        dilation=dilation,
        groups=groups,
        **_linear(random, weights, source, target),
    )
    tensors: dict[str, Tensor] = {"x": source, "y": target}
    operators: list[Operator] = [conv]
    if chance(random, 0.4):
        pool, tensors["z"] = _pool(random, target)
        operators.append(pool)
    return verify(Graph("random convolution", tensors, tuple(operators), ("x",), (operators[-1].output,)))


def _axis(random: Generator) -> tuple[int, int, int, int, int, int, int]:
    """Of one axis: kernel, stride, dilation, padding before and after, size, and size of the sums."""
    kernel = integer(random, 1, 7)
    stride = 1 if chance(random, 0.5) else integer(random, 2, 4)
    dilation = 1 if chance(random, 0.6) else integer(random, 2, 3)
    span = (kernel - 1) * dilation + 1
    before, after = (0, 0) if chance(random, 0.4) else (integer(random, 0, span - 1), integer(random, 0, span - 1))
    # A kernel over all of the image is a product in disguise.
    size = kernel if chance(random, 0.1) else integer(random, 1, 32 if chance(random, 0.2) else 16)
    size = max(size, span - before - after)
    return kernel, stride, dilation, before, after, size, (size + before + after - span) // stride + 1


def _pool(random: Generator, source: Tensor) -> tuple[MaxPool2D, Tensor]:
    """Max pooling of a tensor, and its result."""
    size, channels = source.shape[1:3], source.shape[3]
    window = tuple(integer(random, 1, min(4, n)) for n in size)
    stride = tuple(integer(random, 1, 3) for _ in range(2))
    padding = tuple(integer(random, 0, window[side % 2] - 1) for side in range(4))
    pooled = [(n + padding[i] + padding[i + 2] - window[i]) // stride[i] + 1 for i, n in enumerate(size)]
    target = Tensor("z", (1, *pooled, channels), "int8", source.scale, source.zero_point)
    return MaxPool2D("pool", (source.name,), "z", window=window, stride=stride, padding=padding), target
