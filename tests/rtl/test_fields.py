import pytest
from weft.gen.presets import NANO, SMALL
from weft.rtl import fields, isa
from weft.rtl.config import Config
from weft.rtl.isa import Opcode, instruction


@pytest.mark.parametrize("opcode", Opcode)
def test_everything_is_kept_without_compact(opcode):
    assert fields.layout(SMALL, opcode) is isa.LAYOUTS[opcode]
    assert fields.kept_bits(SMALL, opcode) == {}


@pytest.mark.parametrize("opcode", [Opcode.LOAD, Opcode.CONV, Opcode.DRAIN, Opcode.STORE])
def test_a_compact_layout_has_the_same_fields_and_signs(opcode):
    whole, kept = dict(isa.LAYOUTS[opcode]), dict(fields.layout(NANO, opcode))
    assert list(kept) == list(whole)
    for name, field in kept.items():
        assert field.width <= whole[name].width
        assert isa.Shape.cast(field.shape).signed == isa.Shape.cast(whole[name].shape).signed


def test_a_whole_counter_is_kept_whole():
    config = Config(compact=True, counter_bits=16)
    assert fields.kept_bits(config, Opcode.DRAIN)["rows"] == 16
    assert fields.kept_bits(config, Opcode.DRAIN)["y0"] == 8


@pytest.mark.parametrize(
    "opcode, values, sentence",
    [
        (Opcode.CONV, {"ox_count": 256}, "ox_count must be from 0 to 255 in this configuration, not 256"),
        (Opcode.CONV, {"y0": -257}, "y0 must be from -256 to 255 in this configuration, not -257"),
        (Opcode.DRAIN, {"window_width": 16}, "window_width must be from 0 to 15 in this configuration, not 16"),
        (Opcode.LOAD, {"bytes": 1 << 16}, "bytes must be from 0 to 65535 in this configuration, not 65536"),
        (Opcode.CONV, {"ox_count": 255, "y0": -256}, None),
        (Opcode.DRAIN, {"entry": 65535, "row_pitch": 1 << 20}, None),
    ],
)
def test_what_does_not_fit_is_said_unless_it_wraps(opcode, values, sentence):
    assert fields.misfit(NANO, instruction(opcode, **values)) == sentence
    assert fields.misfit(SMALL, instruction(opcode, **values)) is None
