"""Damaged TFLite files: a graph or one sentence, and nothing else, at once."""

import time

import numpy as np
import pytest
from weft.sw.errors import UserError
from weft.sw.graph import Graph
from weft.sw.tflite.reader import read_tflite

from tests.sw.tflite_cases import CASES

NUMBERS = (0, 1, 2, 1000, 1 << 20, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
SECONDS = 5


def mutate(data, random):
    """Cut short, bits flipped, words replaced by suspicious ones, or a piece copied elsewhere."""
    data = bytearray(data)
    kind = random.integers(0, 5)
    if kind == 0:
        return bytes(data[: random.integers(0, len(data))])
    for _ in range(random.integers(1, 5)):
        place = int(random.integers(0, len(data) - 4))
        if kind == 1:
            data[place] ^= 1 << int(random.integers(0, 8))
        elif kind == 2:
            number = int(random.choice([*NUMBERS, len(data), random.integers(0, 1 << 32)]))
            data[place & ~3 : (place & ~3) + 4] = number.to_bytes(4, "little")
        elif kind == 3:
            number = random.choice([0, -1, np.nan, np.inf, 1e38, 1e-38, 1e-45])
            data[place & ~3 : (place & ~3) + 4] = np.float32(number).tobytes()
        else:
            other, size = random.integers(0, len(data), 2)
            piece = data[other : other + size // 8]
            data[place : place + len(piece)] = piece
    return bytes(data)


def outcome(data):
    """ "graph" or "refused"."""
    start = time.monotonic()
    try:
        made = read_tflite(data, "m")
    except UserError as error:
        sentence = str(error)
        assert sentence.startswith("m: ")
        assert "\n" not in sentence
        assert len(sentence) < 1500
        made = None
    assert time.monotonic() - start < SECONDS
    assert made is None or isinstance(made, Graph)
    return "refused" if made is None else "graph"


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", ["kws_dscnn_int8", "hello_world_int8"])
def test_mutations_of_shared_models(name, seed, shared):
    data = (shared / "models" / f"{name}.tflite").read_bytes()
    random = np.random.default_rng([seed, *name.encode()])
    found = [outcome(mutate(data, random)) for _ in range(100)]
    assert 5 < found.count("refused") < 100


@pytest.mark.parametrize("seed", range(5))
def test_mutations_of_every_operator(seed):
    random = np.random.default_rng(seed)
    models = [make().model for make in CASES.values()]
    found = [outcome(mutate(data, random)) for data in models]
    assert 5 < found.count("refused") < len(models)


def test_every_truncation():
    data = CASES["conv 3x3 same int8"]().model
    assert all(outcome(data[:size]) == "refused" for size in range(8, len(data) - 64, 4))
