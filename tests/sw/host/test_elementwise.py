"""Sums, differences and products; tests/sw/test_tflite_reference.py has the reference kernels' answers."""

import numpy as np
import pytest
from weft.sim import golden
from weft.sw.graph import Tensor
from weft.sw.host import elementwise
from weft.sw.host.elementwise import Level


def operands(seed):
    random = np.random.default_rng(seed)
    levels = tuple(
        Level(float(np.float32(np.exp(random.uniform(-5, -2)))), int(random.integers(-128, 128))) for _ in range(3)
    )
    a, b = random.integers(-128, 128, (2, 50, 8), dtype=np.int8)
    low, high = sorted(random.integers(-128, 128, 2).tolist())
    return a, b, levels, low, high


@pytest.mark.parametrize("seed", range(10))
def test_add_is_the_golden_one(seed):
    a, b, levels, low, high = operands(seed)
    places = [(level.scale, level.zero_point) for level in levels]
    wanted = golden.add(a, *places[0], b, *places[1], *places[2], low, high)
    assert np.array_equal(elementwise.add(a, b, levels, low, high), wanted)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("name", ["add", "subtract", "multiply"])
def test_near_the_real_ones(name, seed):
    a, b, levels, low, high = operands(seed)
    if name == "multiply":
        levels = (*levels[:2], Level(float(np.float32(60 * levels[0].scale * levels[1].scale)), levels[2].zero_point))
    real = [(x.astype(float) - level.zero_point) * level.scale for x, level in zip((a, b), levels, strict=False)]
    value = {"add": np.add, "subtract": np.subtract, "multiply": np.multiply}[name](*real)
    exact = value / levels[2].scale + levels[2].zero_point
    wanted = np.clip(np.rint(exact), low, high)
    found = getattr(elementwise, name)(a, b, levels, low, high)
    assert found.dtype == np.int8
    assert np.max(np.abs(found - wanted)) <= 1
    # A product is rounded to units of its factor first, which is 1/60.
    clear = np.abs(exact % 1 - 0.5) > (0.001 if name != "multiply" else 0.01)
    assert np.array_equal(found[clear], wanted[clear])
    assert np.mean(clear) > 0.8


def test_shapes_broadcast():
    a, b, levels, *_ = operands(0)
    found = elementwise.multiply(a, b[:1], levels)
    assert np.array_equal(found[7], elementwise.multiply(a[7], b[0], levels))


def test_level_of_a_tensor():
    assert Level.of(Tensor("x", (1,), "int8", 0.5, 3)) == Level(0.5, 3)
