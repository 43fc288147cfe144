import numpy as np
import pytest
from weft.rtl import isa
from weft.rtl.isa import Opcode


def shapes(opcode):
    return {name: shape for name, (_, shape) in isa.fields(opcode).items() if not name.startswith("reserved")}


CHOICES = {"space": isa.Space, "mode": isa.Mode, "rounding": isa.Rounding, "combine": isa.Combine}


def random_instruction(opcode, random):
    values = {}
    for name, shape in shapes(opcode).items():
        low = -(1 << shape.width - 1) if shape.signed else 0
        values[name] = low + int(random.integers(1 << shape.width))
        if name in CHOICES:
            values[name] %= len(CHOICES[name])
    return isa.instruction(opcode, **values)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("opcode", list(Opcode))
def test_decoding_undoes_encoding(opcode, seed):
    one = random_instruction(opcode, np.random.default_rng(seed))
    assert isa.decode(isa.encode(one)) == one


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("opcode", list(Opcode))
def test_the_hardware_layout_reads_the_same_bits(opcode, seed):
    """The decoder's class and the assembler agree on every field."""
    one = random_instruction(opcode, np.random.default_rng(seed))
    layout = isa.LAYOUTS[opcode]
    view = layout.from_bits(int.from_bytes(isa.encode(one), "little") & ((1 << layout.size) - 1))
    for name, value in one.fields.items():
        part = view.header[name] if name in ("wait", "signal", "tag") else view[name]
        assert int(getattr(part, "value", part)) == value, name
    assert view.header.opcode == opcode


def test_layouts_fit_and_fields_do_not_overlap():
    for opcode, layout in isa.LAYOUTS.items():
        assert layout.size <= isa.INSTRUCTION_BITS
        used = [4, *(shape.width for _, shape in isa.fields(opcode).values())]
        assert sum(used) == layout.size


def test_values_are_checked():
    with pytest.raises(ValueError, match="CONV has no field colour; it has wait, signal, tag"):
        isa.instruction(Opcode.CONV, colour=1)
    with pytest.raises(ValueError, match=r"CONV\.height must be from 0 to 65535, not 65536"):
        isa.instruction(Opcode.CONV, height=65536)
    with pytest.raises(ValueError, match=r"CONV\.zero_point must be from -128 to 127, not -129"):
        isa.instruction(Opcode.CONV, zero_point=-129)
    with pytest.raises(AttributeError, match="END has no field height"):
        _ = isa.instruction(Opcode.END).height


def test_undefined_bits_are_refused():
    good = isa.encode(isa.instruction(Opcode.END))
    with pytest.raises(ValueError, match="an instruction has 64 bytes, not 63"):
        isa.decode(good[:-1])
    with pytest.raises(ValueError, match="0 is not an opcode"):
        isa.decode(bytes(64))
    with pytest.raises(ValueError, match="END has reserved bits set"):
        isa.decode(good[:-1] + b"\x80")


def test_programs():
    program = [isa.instruction(Opcode.LOAD, bytes=8, rows=1), isa.instruction(Opcode.END)]
    raw = isa.assemble(program)
    assert isa.disassemble(raw + bytes(64)) == program
    with pytest.raises(ValueError, match="the program of 64 bytes has no END"):
        isa.disassemble(raw[:64])
    with pytest.raises(ValueError, match="instruction at byte 64: 0 is not an opcode"):
        isa.disassemble(raw[:64] + bytes(64))
