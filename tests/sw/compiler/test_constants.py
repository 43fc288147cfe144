"""Parameters and tables stay on the chip if they fit, else they come before the layer that uses them."""

from dataclasses import replace

import numpy as np
import pytest
from weft.rtl.config import PARAMETER_RECORD_BYTES, Config
from weft.rtl.isa import RESULT_TABLE_BYTES, RESULT_TABLE_OFFSET, SUM_TABLE_BYTES, Opcode, Space
from weft.rtl.registers import Unit
from weft.sw.compiler.constants import Constants, agree
from weft.sw.compiler.schedule import Schedule
from weft.sw.errors import UserError
from weft.sw.lowering.elementwise import passing
from weft.sw.lowering.layers import blocks_of

CONFIG = Config(cols=4, lanes=2, tables=True, parameter_channels=32)
LINE = 2 * PARAMETER_RECORD_BYTES


def layer(channels, value=0, **changes):
    """With parameters of its own."""
    made = passing(f"layer{value}", "pass", "x", "y", (1, 1), channels)
    return replace(made, bias=value + np.arange(channels, dtype=np.int32), **changes)


def result_table(value):
    return np.full(256, value, np.int8)


class Run:
    """The constants of some layers, of which each has one drain."""

    def __init__(self, *layers, config=CONFIG):
        self.layers = layers
        self.schedule = Schedule()
        blocks = [blocks_of(one, one.groups) for one in layers]
        self.constants = Constants(config, self.schedule, layers, blocks, 0)

    def program(self):
        for index in range(len(self.layers)):
            own, following = range(index, index + 1), range(index + 1, min(index + 2, len(self.layers)))
            self.constants.prepare(own)
            loads = self.constants.needed(index)
            conv = self.schedule.add(Opcode.CONV, "conv", tag=index + 1)
            drain = self.schedule.add(Opcode.DRAIN, "drain", after=loads, implied=[conv], tag=index + 1)
            self.constants.use(index, drain)
            self.constants.prepare_next(own, following)
        return self.schedule.finish()[:-1]


def shown(program):
    return [(one.opcode.name, one.tag, one.wait, one.signal) for one in program if one.opcode is not Opcode.CONV]


def test_what_fits_is_resident():
    run = Run(layer(5), layer(4, 10), layer(5))
    (parameters,) = run.constants.resident
    # The third layer has the parameters of the first; an odd channel takes a whole line.
    assert run.constants.lines == [[0], [3], [0]]
    assert (parameters.space, parameters.local, len(parameters.content)) == (Space.PARAMETERS, 0, 5 * LINE)
    assert run.constants.image == b""
    assert all(one.opcode is not Opcode.LOAD for one in run.program())


def test_what_does_not_fit_is_loaded_while_the_layer_before_is_computed():
    run = Run(layer(16), layer(16, 100), layer(16, 200), layer(8, 300))
    assert run.constants.resident == []
    # 16 lines: two layers at once.
    assert run.constants.lines == [[0], [8], [0], [8]]
    drain, load = 1 << Unit.DRAIN, 1 << Unit.LOAD
    assert shown(run.program()) == [
        ("LOAD", 1, 0, drain),
        ("DRAIN", 1, load, load),
        ("LOAD", 2, 0, drain),
        ("DRAIN", 2, load, load),
        ("LOAD", 3, drain, drain),
        ("DRAIN", 3, load, 0),
        ("LOAD", 4, drain, drain),
        ("DRAIN", 4, load, 0),
    ]


def test_what_takes_all_places_waits_for_the_layer_before():
    run = Run(layer(20), layer(20, 100))
    program = run.program()
    assert [one.local for one in program if one.opcode is Opcode.LOAD] == [0, 0]
    assert shown(program)[2] == ("LOAD", 2, 1 << Unit.DRAIN, 1 << Unit.DRAIN)


def test_the_image_has_what_is_loaded():
    run = Run(layer(16), layer(16, 100), layer(16, 200), layer(16, 0))
    for one in run.program():
        if one.opcode is Opcode.LOAD:
            record = run.constants.image[one.offset : one.offset + one.bytes]
            bias = np.frombuffer(record, "<i4").reshape(-1, 4)[:, 0]
            np.testing.assert_array_equal(bias, run.layers[one.tag - 1].bias)
    # What two layers have in common is there once.
    assert len(run.constants.image) == 3 * 8 * LINE


def test_one_table_is_resident():
    table = result_table(3)
    run = Run(layer(4, result_table=table), layer(4), layer(4, result_table=table))
    tables = run.constants.resident[1]
    assert (tables.space, tables.local, tables.content) == (Space.TABLES, RESULT_TABLE_OFFSET, bytes([3]) * 256)


def test_several_tables_take_turns():
    sums = np.arange(512, dtype=np.int32).reshape(2, 256)
    run = Run(
        layer(4, result_table=result_table(1)),
        layer(4, sum_tables=sums),
        layer(4, result_table=result_table(2)),
        layer(4, sum_tables=sums[::-1]),
        layer(4, result_table=result_table(2)),
    )
    loads = [one for one in run.program() if one.opcode is Opcode.LOAD]
    # Each comes as soon as its place is free, and the last layer finds its table there.
    assert [(one.tag, one.local, one.rows * one.bytes) for one in loads] == [
        (1, RESULT_TABLE_OFFSET, RESULT_TABLE_BYTES),
        (2, 0, 2 * SUM_TABLE_BYTES),
        (3, RESULT_TABLE_OFFSET, RESULT_TABLE_BYTES),
        (4, 0, 2 * SUM_TABLE_BYTES),
    ]
    assert {one.space for one in loads} == {Space.TABLES.value}


def test_tables_are_indexed_by_unsigned_values():
    run = Run(layer(4, result_table=np.arange(-128, 128, dtype=np.int16).astype(np.int8)))
    assert run.constants.resident[1].content == bytes(range(256))


def test_too_many_channels_for_one_layer():
    with pytest.raises(UserError) as error:
        Run(layer(33))
    assert str(error.value) == (
        "pass 'layer0' has 34 channels with padding to whole lanes, 2 more than the 32 parameter channels of the "
        "configuration"
    )


@pytest.mark.parametrize(
    "channels, group, good",
    [
        # 16 lines of 2 channels: all of them fit.
        ((8, 8, 8, 8), 4, True),
        ((8, 8, 8, 10), 1, True),
        ((8, 8, 8, 10), 2, True),
        # A ring that begins anew between them leaves out some.
        ((16, 16, 2), 2, False),
        ((32, 2), 1, True),
        ((34, 2), 1, False),
    ],
)
def test_which_layers_agree_on_the_parameter_memory(channels, group, good):
    layers = [layer(count, index) for index, count in enumerate(channels)]
    assert agree(layers[:group], layers, CONFIG) == good


def test_layers_with_a_table_each_do_not_agree():
    layers = [layer(4, 0, result_table=result_table(0)), layer(4, 1), layer(4, 2, result_table=result_table(1))]
    assert agree(layers[:2], layers, CONFIG)
    assert not agree(layers, layers, CONFIG)


def test_constants_of_one_place_are_not_used_side_by_side():
    run = Run(layer(4, 0, result_table=result_table(0)), layer(4, 1), layer(4, 2, result_table=result_table(1)))
    run.constants.check([0, 1])
    with pytest.raises(UserError, match="of 3 layers computed side by side do not fit on the chip"):
        run.constants.check([0, 1, 2])
