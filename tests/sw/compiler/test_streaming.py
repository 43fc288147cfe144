"""Portions of weights take turns in the room they have."""

import itertools

import numpy as np
import pytest
from weft.rtl.config import Config
from weft.rtl.isa import Opcode, Space
from weft.rtl.registers import Unit
from weft.sw.compiler.allocate import weight_lines
from weft.sw.compiler.schedule import Schedule
from weft.sw.compiler.streaming import WeightStream

CONFIG = Config(rows=4, cols=4, weight_rows=2)
LINE = CONFIG.weight_line_bytes
TILES = [np.full((count, 4, 4), count, np.int8) for count in (1, 2, 3, 4)]
KEYS = [(1, 0, (column, 1), 0) for column in range(4)]


def run(uses):
    """The program that uses these portions, and the stream."""
    schedule = Schedule()
    order = [uses[0], *(two for one, two in itertools.pairwise(uses) if one != two)]
    stream = WeightStream(CONFIG, schedule, [(KEYS[index], TILES[index]) for index in order], 8, base=0)
    lines = []
    for index in uses:
        line, load = stream.get(KEYS[index])
        number = schedule.add(Opcode.CONV, "conv", after=[load], weights=line)
        stream.use(KEYS[index], number)
        lines.append(line)
    return schedule.finish()[:-1], stream, lines


def test_loads_run_ahead_as_long_as_there_is_room():
    program, _, lines = run([0, 1, 1, 2])
    assert [one.opcode.name for one in program] == ["LOAD", "CONV", "LOAD", "LOAD", "CONV", "CONV", "CONV"]
    assert lines == [0, 2, 2, 6]
    loads = [one for one in program if one.opcode is Opcode.LOAD]
    assert [(one.local, one.bytes, one.offset) for one in loads] == [
        (0, 2 * LINE, 0),
        (2 * LINE, 4 * LINE, 2 * LINE),
        (6 * LINE, 6 * LINE, 6 * LINE),
    ]
    assert all((one.space, one.base, one.tag) == (Space.WEIGHTS.value, 0, 1) for one in loads)


def test_a_load_waits_for_the_last_use_of_what_it_replaces():
    program, _, lines = run([3, 3, 2, 1])
    assert lines == [0, 0, 8, 0]
    assert [(one.opcode.name, one.wait, one.signal) for one in program] == [
        ("LOAD", 0, 1 << Unit.ARRAY),
        ("CONV", 1 << Unit.LOAD, 0),
        ("LOAD", 0, 1 << Unit.ARRAY),
        ("CONV", 0, 1 << Unit.LOAD),
        ("CONV", 1 << Unit.LOAD, 0),
        ("LOAD", 1 << Unit.ARRAY, 1 << Unit.ARRAY),
        ("CONV", 1 << Unit.LOAD, 0),
    ]


def test_what_is_still_there_is_not_loaded_again():
    program, stream, lines = run([0, 1, 0, 1])
    assert sum(one.opcode is Opcode.LOAD for one in program) == 2
    assert lines == [0, 2, 0, 2]
    assert stream.image == weight_lines(np.concatenate(TILES[:2]), CONFIG)


def test_more_than_fits_again_and_again_keeps_a_part():
    """Ten tiles in turns through room for eight: the first portion in would be the first one out, each time."""
    rounds = 10
    program, _, _ = run([0, 1, 2, 3] * rounds)
    loads = sum(one.opcode is Opcode.LOAD for one in program)
    assert 4 < loads < 3 * rounds


def test_the_image_has_each_portion_once():
    program, stream, _ = run([0, 1, 2, 3, 0])
    assert stream.image == weight_lines(np.concatenate(TILES), CONFIG)
    offsets = [one.offset for one in program if one.opcode is Opcode.LOAD]
    assert offsets[:4] == [0, 2 * LINE, 6 * LINE, 12 * LINE]


@pytest.mark.parametrize("seed", range(20))
def test_a_portion_in_use_is_never_replaced(seed):
    random = np.random.default_rng(seed)
    program, _, _ = run(random.integers(0, 4, 30).tolist())
    contents = {}
    sizes = {}
    for one in program:
        if one.opcode is Opcode.LOAD:
            for line in range(one.bytes // LINE):
                contents[one.local // LINE + line] = one.offset // LINE + line
            sizes[one.offset // LINE] = one.bytes // LINE
        else:
            start = contents[one.weights]
            assert [contents[one.weights + line] - start for line in range(sizes[start])] == list(range(sizes[start]))
