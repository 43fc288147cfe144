"""Random operators on the functional machine give what the golden model gives, in every byte."""

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.sim.golden_graph import run_graph
from weft.sim.transports import MachineTransport
from weft.sw.compiler.compiler import compile_graph
from weft.sw.driver import Device

from tests.configurations import CONFIGURATIONS
from tests.sw.operator_networks import KINDS, TABULATED, network, samples

CONFIG = Config(rows=4, cols=4, lanes=2, depthwise=True, tables=True, scratchpad_bytes=1 << 16)
MEMORY = 4 << 20


def compare(graph, config, seed):
    """The program's outputs and the golden model's; with a seed the units race each other as far as tokens allow."""
    x = samples(graph, seed)
    program = compile_graph(graph, config)
    found = Device(MachineTransport(config, MEMORY, seed)).run(program, x).outputs
    for name, wanted in zip(graph.outputs, run_graph(graph, x), strict=True):
        np.testing.assert_array_equal(found[name], wanted)
    return program


@pytest.mark.parametrize("seed", range(24))
@pytest.mark.parametrize("kind", KINDS)
def test_every_byte_is_the_golden_models(kind, seed):
    compare(network(kind, seed), CONFIG, seed)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_on_arrays_of_every_shape(name, kind, seed):
    config = CONFIGURATIONS[name].replace(scratchpad_bytes=1 << 16)
    if config.tables or kind not in TABULATED:
        compare(network(kind, 100 + seed, config.tables), config, seed)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", KINDS)
def test_with_little_of_everything(kind, seed):
    """Many small tiles, and parameters that come from memory."""
    channels = 200 if kind == "with_constant" else 24
    config = CONFIG.replace(accumulators=24, parameter_channels=channels, weight_tiles=256, queue_depth=1)
    compare(network(kind, 200 + seed), config, seed)
