"""Networks to infer in campaigns: small ones that use all of the NPU, random inputs, and what they must give."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from weft.rtl.config import Config
from weft.sim.golden_graph import run_graph
from weft.sw import synthetic
from weft.sw.commands.shared import LENET
from weft.sw.compiler.model_compiler import compile_model
from weft.sw.graph import Graph
from weft.sw.network import Network
from weft.sw.onnx.reader import read_onnx


@dataclass(frozen=True)
class Workload:
    """A network, compiled."""

    name: str
    graph: Graph
    network: Network

    def inputs(self, random: Generator, samples: int) -> list[NDArray[Any]]:
        """Random inputs, samples on axis 0."""
        found: list[NDArray[Any]] = []
        for name in self.graph.inputs:
            tensor = self.graph.tensors[name]
            shape = (samples, *tensor.shape[1:])
            if tensor.dtype == "float32":
                found.append(random.random(shape, dtype=np.float32))
            else:
                found.append(random.integers(-128, 128, shape).astype(tensor.dtype))
        return found

    def golden(self, inputs: list[NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The outputs by name, by the golden operators."""
        return dict(zip(self.network.outputs, run_graph(self.graph, inputs), strict=True))


GRAPHS: dict[str, Callable[[], Graph]] = {
    "lenet": lambda: read_onnx(LENET),
    # Depthwise columns and the mean of each channel.
    "mobile": lambda: synthetic.mobilenet_v1(alpha=1 / 8, size=32, classes=32),
    # Sums through look-up tables, and weights that stream.
    "residual": lambda: synthetic.mobilenet_v2(alpha=1 / 16, size=8, classes=32),
}


@cache
def workload(name: str, config: Config) -> Workload:
    """The workload of this name, compiled for a configuration."""
    graph = GRAPHS[name]()
    return Workload(name, graph, compile_model(graph, config))


def differs(outputs: dict[str, NDArray[Any]], golden: dict[str, NDArray[Any]]) -> bool:
    """Whether a byte of an output is not what it must be."""
    return any(not np.array_equal(outputs[name], golden[name]) for name in golden)
