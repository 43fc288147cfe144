from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from weft.sw.errors import UserError
from weft.sw.graph import Lookup, Slice
from weft.sw.records import Block, plain, record, typed


@dataclass(frozen=True)
class Inner:
    pair: tuple[int, float]


@dataclass(frozen=True)
class Outer:
    name: str
    sizes: tuple[tuple[int, int], ...]
    inner: Inner
    maybe: int | None
    on: bool
    raw: bytes
    values: NDArray[np.int32]


OUTER = Outer("a", ((1, 2), (3, 4)), Inner((5, 0.5)), None, True, b"xyz", np.arange(6, dtype=np.int32).reshape(2, 3))


def test_a_record_comes_back():
    block = Block()
    value = plain(OUTER, block)
    assert value["raw"] == {"dtype": "uint8", "shape": [3], "offset": 0}
    back = record(Outer, value, Block(block.content), "it")
    assert (back.name, back.sizes, back.inner, back.maybe, back.on, back.raw) == (
        *("a", ((1, 2), (3, 4)), Inner((5, 0.5)), None, True, b"xyz"),
    )
    assert back.values.dtype == np.int32
    assert np.array_equal(back.values, OUTER.values)


def test_operators_come_back():
    block = Block()
    table = Lookup("t", ("x",), "y", table=np.arange(-128, 128, dtype=np.int8))
    cut = Slice("s", ("x",), "y", start=(0, np.int64(3)), step=(1, 2))
    found = [plain(one, block) for one in (table, cut)]
    block = Block(block.content)
    assert np.array_equal(record(Lookup, found[0], block, "it").table, table.table)
    assert record(Slice, found[1], block, "it").start == (0, 3)
    assert type(found[1]["start"][1]) is int


def good():
    return plain(OUTER, Block())


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"name": 3}, "name of it must be of type str, not 3"),
        ({"on": 1}, "on of it must be of type bool, not 1"),
        ({"maybe": "x" * 99}, f"maybe of it must be of type int, not '{'x' * 59}..."),
        ({"inner": 5}, "inner of it must be a record, not 5"),
        ({"inner": {"pair": [1]}}, "pair of inner of it must have 2 elements, not 1"),
        ({"inner": {"pair": [1, float("nan")]}}, "pair of inner of it must be of type float, not nan"),
        ({"inner": {"pair": [True, 1.0]}}, "pair of inner of it must be of type int, not True"),
        ({"inner": {}}, "inner of it has no pair"),
        ({"other": 1}, "it has the unknown part 'other'"),
        ({"sizes": {"a": 1}}, "sizes of it must be of type tuple, not {'a': 1}"),
        ({"values": [1]}, "values of it must be an array of int32, not [1]"),
        ({"values": {"dtype": "int8", "shape": [1], "offset": 0}}, "values of it must be an array of int32, not"),
        ({"values": {"dtype": "int32", "shape": [-1], "offset": 0}}, "values of it must be an array of int32, not"),
        ({"values": {"dtype": "int32", "shape": [1], "offset": None}}, "values of it must be an array of int32, not"),
        (
            {"values": {"dtype": "int32", "shape": [7], "offset": 0}},
            "values of it is an array of shape [7] that the file does not hold",
        ),
        ({"raw": "xyz"}, "raw of it must be an array of uint8, not 'xyz'"),
    ],
    ids=str,
)
def test_what_is_wrong_is_named(changes, sentence):
    block = Block()
    value = plain(OUTER, block) | changes
    with pytest.raises(UserError) as error:
        record(Outer, value, Block(block.content), "it")
    assert str(error.value).startswith(sentence)


def test_a_missing_part_is_named():
    value = good()
    del value["on"]
    with pytest.raises(UserError, match=r"^it has no on$"):
        record(Outer, value, Block(), "it")
    with pytest.raises(UserError, match=r"^it must be a record, not \[\]$"):
        record(Outer, [], Block(), "it")


def test_an_integer_is_a_number():
    found = typed(float, 3, Block(), "it")
    assert (found, type(found)) == (3.0, float)
