"""Graphs for tests: their values by the golden model, and random ones."""

from dataclasses import dataclass, field, replace

import numpy as np
from weft.sim.golden_graph import run_graph
from weft.sw.compiler.partition import partition
from weft.sw.compiler.passes import simplify
from weft.sw.graph import (
    Add,
    AveragePool2D,
    Clamp,
    Concat,
    Conv2D,
    FullyConnected,
    Graph,
    Lookup,
    MaxPool2D,
    MeanPool2D,
    Multiply,
    Requantize,
    Reshape,
    Subtract,
    Tensor,
    TransposeConv2D,
    verify,
)
from weft.sw.lowering.limits import HOST_REASONS


def evaluate(graph, *inputs):
    """The outputs of a graph for one sample, by the golden model."""
    results = run_graph(graph, inputs)
    for name, result in zip(graph.outputs, results, strict=True):
        assert result.dtype == graph.tensors[name].dtype
    return results


def device_part(graph):
    """What of a graph is between the operators that never run on the device."""
    graph = simplify(graph)
    on_host = [operator.output for operator in graph.operators if type(operator) in HOST_REASONS]
    (part,) = (part for part in partition(graph, on_host) if isinstance(part, Graph))
    return part


@dataclass
class Builder:
    """Puts a graph together, operator by operator; scales and weights are random."""

    random: np.random.Generator
    rounding: str = "onnx"
    tensors: dict = field(default_factory=dict)
    operators: list = field(default_factory=list)
    inputs: list = field(default_factory=list)

    def tensor(self, shape, like=None, dtype="int8"):
        name = f"t{len(self.tensors)}"
        if like is not None:
            made = Tensor(name, shape, dtype, self.tensors[like].scale, self.tensors[like].zero_point)
        elif dtype == "float32":
            made = Tensor(name, shape, dtype)
        else:
            scale = float(np.float32(np.exp(self.random.uniform(-5, 0))))
            made = Tensor(name, shape, dtype, scale, int(self.random.integers(-128, 128)))
        self.tensors[name] = made
        return name

    def input(self, shape):
        self.inputs.append(self.tensor(shape))
        return self.inputs[-1]

    def add(self, kind, source, shape, same_scale=False, **values):
        target = self.tensor(shape, like=source if same_scale else None)
        self.operators.append(kind(f"{kind.__name__.lower()}{len(self.operators)}", (source,), target, **values))
        return target

    def limits(self):
        """Usually none, sometimes those of a fused activation."""
        if self.random.random() < 0.6:
            return {}
        low, high = sorted(self.random.integers(-128, 128, 2).tolist())
        return {"minimum": low, "maximum": high}

    def linear(self, source, weights, target):
        """Scales that spread the results over int8, and a bias."""
        inputs = weights[0].size
        spread = 60 * np.sqrt(inputs) * 74 / 80
        factors = self.tensors[target].scale / self.tensors[source].scale / spread
        scales = (factors * np.exp(self.random.uniform(-0.5, 0.5, len(weights)))).astype(np.float32)
        return {
            "weights": weights,
            "weight_scales": scales,
            "bias": self.random.integers(-3000, 3000, len(weights), dtype=np.int32),
            "rounding": self.rounding,
        }

    def conv(self, source, outputs, kernel, stride=(1, 1), padding=(0, 0, 0, 0), dilation=(1, 1), groups=1, **limits):
        _, height, width, channels = self.tensors[source].shape
        size = [
            (n + padding[i] + padding[i + 2] - (kernel[i] - 1) * dilation[i] - 1) // stride[i] + 1
            for i, n in enumerate((height, width))
        ]
        weights = self.random.integers(-128, 128, (outputs, *kernel, channels // groups), dtype=np.int8)
        target = self.tensor((1, *size, outputs))
        operator = Conv2D(
            f"conv{len(self.operators)}",
            (source,),
            target,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            **self.linear(source, weights, target),
            **limits,
        )
        self.operators.append(operator)
        return target

    def fully_connected(self, source, outputs, **limits):
        shape = self.tensors[source].shape
        weights = self.random.integers(-128, 128, (outputs, shape[-1]), dtype=np.int8)
        target = self.tensor((*shape[:-1], outputs))
        name = f"fc{len(self.operators)}"
        values = self.linear(source, weights, target)
        self.operators.append(FullyConnected(name, (source,), target, **values, **limits))
        return target

    def pool(self, kind, source, window, stride, padding=(0, 0, 0, 0), **values):
        _, height, width, channels = self.tensors[source].shape
        size = [(n + padding[i] + padding[i + 2] - window[i]) // stride[i] + 1 for i, n in enumerate((height, width))]
        same = kind is MaxPool2D or self.rounding == "tflite"
        return self.add(
            kind, source, (1, *size, channels), same, window=window, stride=stride, padding=padding, **values
        )

    def flatten(self, source):
        shape = (1, int(np.prod(self.tensors[source].shape)))
        return self.add(Reshape, source, shape, same_scale=True)

    def graph(self, *outputs):
        return verify(Graph("test", self.tensors, tuple(self.operators), tuple(self.inputs), outputs))


def random_network(seed):
    """A graph of a few operators of every kind, with int8 input and outputs."""
    random = np.random.default_rng(seed)
    build = Builder(random, rounding=str(random.choice(["onnx", "tflite"])))

    def some(low, high):
        return int(random.integers(low, high + 1))

    x = build.input((1, some(1, 14), some(1, 14), some(1, 9)))
    outputs = []
    for _ in range(some(1, 4)):
        _, height, width, channels = build.tensors[x].shape
        choice = random.random()
        padding = tuple(some(0, 2) for _ in range(4))
        stride = (some(1, 3), some(1, 3))
        window = (some(1, min(3, height)), some(1, min(3, width)))
        if choice < 0.5:
            dilation = (some(1, 2), some(1, 2))
            room = [(n + padding[i] + padding[i + 2] - 1) // dilation[i] + 1 for i, n in enumerate((height, width))]
            kernel = some(1, min(5, room[0])), some(1, min(5, room[1]))
            groups = int(random.choice([n for n in range(1, channels + 1) if channels % n == 0]))
            x = build.conv(
                x, groups * some(1, 20 // groups), kernel, stride, padding, dilation, groups, **build.limits()
            )
        elif choice < 0.8:
            padding = tuple(some(0, window[i % 2] - 1) for i in range(4))
            x = build.pool(MaxPool2D, x, window, stride, padding, **build.limits())
        elif choice < 0.9:
            x = build.pool(
                AveragePool2D, x, window, stride, counts_padding=False, rounding=build.rounding, **build.limits()
            )
        else:
            x = build.add(
                Clamp, x, build.tensors[x].shape, same_scale=True, minimum=-some(1, 100), maximum=some(1, 100)
            )
        if random.random() < 0.15:
            outputs.append(x)
    if random.random() < 0.5:
        x = build.fully_connected(build.flatten(x), some(1, 40), **build.limits())
        if random.random() < 0.5:
            x = build.fully_connected(x, some(1, 40), **build.limits())
    return build.graph(*dict.fromkeys([*outputs, x]))


def residual_network(seed):
    """A graph of branches that are added, with depthwise convolutions, means and tables between them."""
    random = np.random.default_rng(seed)
    build = Builder(random, rounding=str(random.choice(["onnx", "tflite"])))

    def some(low, high):
        return int(random.integers(low, high + 1))

    def table(source):
        values = random.integers(-128, 128, 256, dtype=np.int8)
        return build.add(Lookup, source, build.tensors[source].shape, table=values)

    x = build.input((1, some(3, 12), some(3, 12), some(1, 20)))
    other = None
    outputs = []
    for _ in range(some(2, 5)):
        _, height, width, channels = build.tensors[x].shape
        choice = random.random()
        if choice < 0.35:
            kernel = some(1, min(4, height)), some(1, min(4, width))
            times = some(1, 2) if channels > 1 else 1
            stride = (some(1, 2), some(1, 2))
            y = build.conv(x, times * channels, kernel, stride, groups=channels, **build.limits())
        elif choice < 0.6:
            y = build.conv(x, channels, (3, 3), padding=(1, 1, 1, 1), **build.limits())
        elif choice < 0.7:
            y = table(x)
        elif choice < 0.8:
            y = build.add(Requantize, x, build.tensors[x].shape, rounding=build.rounding, **build.limits())
        elif choice < 0.9:
            window = (some(1, 3), some(1, 3))
            padding = tuple(some(0, window[i % 2] // 2) for i in range(4))
            counts = {"counts_padding": build.rounding == "onnx" and random.random() < 0.5, "rounding": build.rounding}
            y = build.pool(AveragePool2D, x, window, (some(1, 2), some(1, 2)), padding, **counts, **build.limits())
        else:
            y = build.pool(MaxPool2D, x, (min(2, height), min(2, width)), (1, 1), **build.limits())
        if build.tensors[y].shape == build.tensors[x].shape:
            other = x if random.random() < 0.7 else y
            kind = Add if random.random() < 0.7 else Subtract
            target = build.tensor(build.tensors[y].shape)
            inputs = (y, other) if random.random() < 0.5 else (other, y)
            build.operators.append(
                kind(f"sum{len(build.operators)}", inputs, target, rounding=build.rounding, **build.limits())
            )
            y = target
        if random.random() < 0.15:
            outputs.append(y)
        x = y
    if random.random() < 0.3:
        _, height, width, channels = build.tensors[x].shape
        window = (height, width)
        factor = {"multiplier": some(1 << 29, (1 << 31) - 1), "shift": -some(3, 8)}
        x = build.add(MeanPool2D, x, (1, 1, 1, channels), window=window, stride=window, padding=(0, 0, 0, 0), **factor)
    if random.random() < 0.5:
        x = build.fully_connected(build.flatten(x), some(1, 30), **build.limits())
        x = table(x) if random.random() < 0.5 else x
    return build.graph(*dict.fromkeys([*outputs, x]))


def joined_network(seed):
    """A graph whose tensors several layers write: concatenation along every axis, as in dense and in U-shaped networks,
    transposed convolutions, and gates of one number per channel."""
    random = np.random.default_rng(seed)
    build = Builder(random, rounding=str(random.choice(["onnx", "tflite"])))

    def some(low, high):
        return int(random.integers(low, high + 1))

    def leveled(source, like):
        """With the scale of another one, so that both can be joined."""
        target = build.tensor(build.tensors[source].shape, like=like)
        build.operators.append(Requantize(f"level{len(build.operators)}", (source,), target, rounding=build.rounding))
        return target

    def joined(sources, axis):
        shape = list(build.tensors[sources[0]].shape)
        shape[axis] = sum(build.tensors[one].shape[axis] for one in sources)
        target = build.tensor(tuple(shape), like=sources[0])
        build.operators.append(Concat(f"concat{len(build.operators)}", tuple(sources), target, axis=axis))
        return target

    def larger(source):
        _, height, width, channels = build.tensors[source].shape
        weights = random.integers(-128, 128, (channels, 2, 2, channels), dtype=np.int8)
        target = build.tensor((1, 2 * height, 2 * width, channels))
        values = build.linear(source, weights, target)
        operator = TransposeConv2D("", (source,), target, stride=(2, 2), before=(0, 0), **values)
        build.operators.append(replace(operator, name=f"larger{len(build.operators)}"))
        return target

    x = build.input((1, 2 * some(2, 6), 2 * some(2, 6), some(1, 8)))
    outputs = []
    for _ in range(some(2, 4)):
        _, height, width, channels = build.tensors[x].shape
        choice = random.random()
        same = {"kernel": (3, 3), "padding": (1, 1, 1, 1)}
        if choice < 0.45:
            branches = [build.conv(x, some(1, 9), **same), build.conv(x, some(1, 9), (1, 1), **build.limits())]
            branches = [leveled(one, x) for one in branches] + [x] * some(0, 1)
            x = joined(branches, 3)
        elif choice < 0.6:
            x = joined([leveled(build.conv(x, channels, **same), x), x], some(1, 2))
        elif choice < 0.85 and height % 2 == width % 2 == 0:
            inner = build.conv(x, some(1, 9), (2, 2), (2, 2))
            x = joined([leveled(larger(build.conv(inner, some(1, 6), **same)), x), x], 3)
        else:
            pixels = (height, width)
            values = {"multiplier": some(1 << 29, (1 << 31) - 1), "shift": -some(3, 8), "padding": (0, 0, 0, 0)}
            mean = build.add(MeanPool2D, x, (1, 1, 1, channels), window=pixels, stride=pixels, **values)
            gate = build.conv(mean, channels, (1, 1))
            target = build.tensor(build.tensors[x].shape)
            inputs = (x, gate) if random.random() < 0.5 else (gate, x)
            build.operators.append(
                Multiply(f"gate{len(build.operators)}", inputs, target, rounding=build.rounding, **build.limits())
            )
            x = target
        if random.random() < 0.2:
            outputs.append(x)
    if random.random() < 0.5:
        x = build.conv(x, some(1, 9), (1, 1))
    return build.graph(*dict.fromkeys([*outputs, x]))


def residual_block(seed=0, size=12, channels=16):
    """Two convolutions, a branch of one pixel's, and their sum: the last two have more to do for the drain."""
    build = Builder(np.random.default_rng(seed), rounding="tflite")
    x = build.input((1, size, size, channels))
    y = build.conv(x, channels, (3, 3), padding=(1, 1, 1, 1))
    y = build.conv(y, channels, (3, 3), padding=(1, 1, 1, 1))
    z = build.conv(x, channels, (1, 1))
    target = build.tensor((1, size, size, channels))
    build.operators.append(Add("add", (y, z), target))
    return build.graph(target)
