"""Random operators that move, resize or combine values: the RTL and NumPy give the same bytes."""

import numpy as np
import pytest
from weft.sim.golden_graph import run_graph
from weft.sw.compiler.compiler import compile_graph
from weft.sw.driver import Device

from tests.configurations import CONFIGURATIONS, device
from tests.sw.operator_networks import KINDS, network, samples

NAMES = [name for name, config in CONFIGURATIONS.items() if config.tables]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
def test_every_byte_on_the_rtl(name, kind, seed):
    config = CONFIGURATIONS[name]
    graph = network(kind, 300 + seed)
    x = samples(graph, seed)
    found = Device(device(name)).run(compile_graph(graph, config), x).outputs
    for output, wanted in zip(graph.outputs, run_graph(graph, x), strict=True):
        np.testing.assert_array_equal(found[output], wanted, strict=True)
