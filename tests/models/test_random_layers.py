"""500 random convolutions and products: the RTL, the functional machine and NumPy give the same bytes."""

import numpy as np
import pytest
from weft.sim.golden_graph import run_graph
from weft.sim.transports import MachineTransport
from weft.sw.driver import Device
from weft.sw.errors import UserError
from weft.sw.graph import Conv2D, FullyConnected

from tests.configurations import CONFIGURATIONS, device
from tests.models.random_layers import MOST_DRAWS, ROUNDINGS, random_graph, random_layer

LAYERS = 500
BATCH = 10
MEMORY = 4 << 20

BATCHES = [
    (name, first)
    for index, name in reversed(list(enumerate(CONFIGURATIONS)))
    for first in range(0, LAYERS, BATCH)
    if first // BATCH % len(CONFIGURATIONS) == index
]
"""Configuration and first seed. The configurations come in the reverse of other tests' order: two processes that
compile the RTL of one after the other then seldom wait for each other."""


def compare(seed, name):
    """One layer on all three; every byte of every sample is compared."""
    layer = random_layer(seed, CONFIGURATIONS[name])
    (wanted,) = run_graph(layer.graph, [layer.inputs])
    (output,) = layer.graph.outputs
    for where, transport in (("RTL", device(name)), ("machine", MachineTransport(CONFIGURATIONS[name], MEMORY))):
        found = Device(transport).run(layer.program, layer.inputs).outputs[output].reshape(wanted.shape)
        np.testing.assert_array_equal(found, wanted, f"seed {seed} on {name}: {where} and NumPy", strict=True)


@pytest.mark.parametrize("name, first", BATCHES)
def test_rtl_and_machine_and_numpy_are_equal(name, first):
    """The layers of ten seeds, from `first` on."""
    compared = 0
    for seed in range(first, first + BATCH):
        compare(seed, name)
        compared += 1
    assert compared == BATCH


def test_the_batches_are_500_layers_on_all_configurations():
    seeds = [seed for _, first in BATCHES for seed in range(first, first + BATCH)]
    assert sorted(seeds) == list(range(LAYERS))
    per_configuration = [sum(one == name for one, _ in BATCHES) * BATCH for name in CONFIGURATIONS]
    assert min(per_configuration) >= 60
    shapes = {(config.rows, config.cols) for config in CONFIGURATIONS.values()}
    assert {(1, 1), (16, 16)} < shapes
    assert any(rows > cols for rows, cols in shapes)
    assert any(rows < cols for rows, cols in shapes)


def test_a_seed_always_gives_the_same_layer():
    one, two = (random_layer(3, CONFIGURATIONS["5x3"]) for _ in range(2))
    assert one.program == two.program
    np.testing.assert_array_equal(one.inputs, two.inputs)


def test_a_layer_that_does_not_fit_is_drawn_again():
    config = CONFIGURATIONS["4x4"].replace(scratchpad_bytes=256)
    draws = [random_layer(seed, config).draws for seed in range(10)]
    assert 1 < max(draws) < MOST_DRAWS


def test_a_configuration_that_holds_nothing_is_an_error():
    with pytest.raises(UserError, match="scratchpad"):
        random_layer(0, CONFIGURATIONS["4x4"].replace(scratchpad_bytes=16))


def test_the_layers_are_of_every_kind():
    """What the generator is for; on 8x8, where both sides leave all remainders."""
    config = CONFIGURATIONS["8x8"]
    graphs = [random_graph(np.random.default_rng((seed, 1)), config) for seed in range(LAYERS)]
    linear = [graph.operators[0] for graph in graphs]
    convs = [one for one in linear if isinstance(one, Conv2D)]
    pools = [graph.operators[1] for graph in graphs if len(graph.operators) == 2]
    products = [one for one in linear if isinstance(one, FullyConnected)]
    assert len(convs) + len(products) == LAYERS
    assert len(products) > 80
    assert len(pools) > 80
    assert {one.weights.shape[1:3] for one in convs} == {(y, x) for y in range(1, 8) for x in range(1, 8)}
    assert {one.stride for one in convs} == {(y, x) for y in range(1, 5) for x in range(1, 5)}
    assert {one.dilation for one in convs} == {(y, x) for y in range(1, 4) for x in range(1, 4)}
    assert {one.groups for one in convs} == set(range(1, 10))
    assert len({one.padding for one in convs}) > 100
    assert {one.window for one in pools} == {(y, x) for y in range(1, 5) for x in range(1, 5)}
    assert any(any(one.padding) and one.window != one.stride for one in pools)
    for side, axis in ((config.rows, -1), (config.cols, 0)):
        assert {one.weights.shape[axis] % side for one in linear} == set(range(side))
    assert {one.rounding for one in linear} == set(ROUNDINGS)
    assert any(one.minimum == one.maximum for one in linear)
    assert sum((one.minimum, one.maximum) == (-128, 127) for one in linear) > LAYERS / 3


def test_the_results_are_no_constants():
    """Few layers give nothing but their limits, and all together every int8."""
    values, inside = set(), 0
    for seed in range(100):
        layer = random_layer(seed, CONFIGURATIONS["8x8"])
        (y,) = run_graph(layer.graph, [layer.inputs])
        limits = layer.graph.operators[0].minimum, layer.graph.operators[0].maximum
        inside += bool(np.mean(~np.isin(y, limits)) > 0.3)
        values.update(np.unique(y).tolist())
    assert values == set(range(-128, 128))
    assert inside > 60
