"""Buffers that share bytes are never alive in them at once."""

import numpy as np
import pytest
from weft.sim.transports import MachineTransport
from weft.sw.compiler import compiler
from weft.sw.compiler.compiler import compile_graph
from weft.sw.compiler.overlaying import BEFORE, BEHIND, Life, lives_of, pack_lives, peak
from weft.sw.driver import Device

from tests.sw.compiler.test_interleaving import work
from tests.sw.compiler.test_merging import CONFIG
from tests.sw.networks import Builder, evaluate


def life(name, born, died):
    return Life(name, np.array(born), np.array(died))


def test_a_byte_lives_from_its_first_write_to_its_last_read():
    works = [work("x", "y", 3, 1, 1), work("y", "z", 3, 1, 1)]
    order = ((0, 0), (0, 1), (1, 0), (0, 2), (1, 1), (1, 2))
    x, y, z = lives_of(works, order, {"x": 3, "y": 3, "z": 3}, ["z"], 1)
    assert (x.name, x.born.tolist(), x.died.tolist()) == ("x", [BEFORE] * 3, [0, 2, 6])
    assert (y.name, y.born.tolist(), y.died.tolist()) == ("y", [1, 3, 7], [4, 8, 10])
    assert (z.name, z.born.tolist(), z.died.tolist()) == ("z", [5, 9, 11], [BEHIND] * 3)
    assert peak([x, y, z], 12) == 3


def test_a_buffer_grows_into_what_another_has_left():
    old, new = life("old", [BEFORE] * 4, [0, 2, 4, 6]), life("new", [1, 3, 5, 7], [BEHIND] * 4)
    assert pack_lives([old, new], 4) == {"old": 0, "new": 0}
    early = life("new", [1, 1, 5, 7], [BEHIND] * 4)
    assert pack_lives([old, early], 4) is None
    assert pack_lives([old, early], 8) == {"old": 0, "new": 4}


def pyramid(seed):
    """Layers that make more and more channels of fewer and fewer pixels, as many bytes each time or twice as many."""
    build = Builder(np.random.default_rng(seed), rounding="tflite")
    x = build.input((1, 28, 28, 4))
    y = build.conv(x, 8, (3, 3), padding=(1, 1, 1, 1))
    y = build.conv(y, 8, (3, 3), padding=(1, 1, 1, 1), groups=8)
    y = build.conv(y, 24, (1, 1))
    y = build.conv(y, 24, (3, 3), stride=(2, 2), padding=(1, 1, 1, 1), groups=24)
    return build.graph(build.conv(y, 16, (1, 1)))


@pytest.mark.parametrize("seed", range(3))
def test_layers_that_take_turns_on_a_small_scratchpad_do_not_disturb_each_other(seed, monkeypatch):
    packed = []

    def pack(lives, units):
        packed.append(pack_lives(lives, units))
        return packed[-1]

    monkeypatch.setattr(compiler, "pack_lives", pack)
    config = CONFIG.replace(accumulators=256)
    graph = pyramid(seed)
    x = np.random.default_rng(seed).integers(-128, 128, graph.tensors["t0"].shape, dtype=np.int8)
    program = compile_graph(graph, config)
    assert packed
    assert packed[-1] is not None
    (wanted,) = evaluate(graph, x)
    for order in range(4):
        (found,) = Device(MachineTransport(config, 1 << 20, order)).run(program, x).outputs.values()
        np.testing.assert_array_equal(found, wanted)
