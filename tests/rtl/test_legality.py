"""Bits and fields of illegal instructions: the functional machine refuses all that the masks do."""

import pytest
from weft.rtl.config import Config
from weft.rtl.isa import INSTRUCTION_BITS, Instruction, Opcode, decode, encode, fields
from weft.rtl.legality import AT_LEAST_ONE, must_be_zero, parts_in_words, undefined_pairs
from weft.sim.fuzz import random_program
from weft.sim.machine import Machine, MachineError

from tests.configurations import CONFIGURATIONS


def judged(config: Config, raw: bytes) -> bool:
    """Whether masks, pairs and counts find an instruction legal."""
    word = int.from_bytes(raw, "little")
    opcode = Opcode(word & 0xF)
    if word & must_be_zero(config, opcode):
        return False
    if any(word >> bit & 3 == 3 for bit in undefined_pairs(config, opcode)):
        return False
    known = fields(opcode)
    return all(word >> known[name][0] & (1 << known[name][1].width) - 1 for name in AT_LEAST_ONE[opcode])


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_random_legal_programs_are_found_legal(name):
    config = CONFIGURATIONS[name]
    for seed in range(10):
        assert all(judged(config, encode(one)) for one in random_program(config, seed).program)


def on_machine(config, program, raw, index):
    """Whether the machine refuses a program whose instruction `index` is replaced."""
    memory = program.memory.copy()
    memory[64 * index : 64 * index + 64] = list(raw)
    try:
        Machine(config, memory).run(0, program.bases)
    except MachineError:
        return True
    return False


@pytest.mark.parametrize("opcode", list(Opcode), ids=lambda opcode: opcode.name)
@pytest.mark.parametrize("name", ["8x8", "5x3"])
def test_the_machine_refuses_what_the_masks_refuse(name, opcode):
    """Each forbidden bit alone, in an instruction that is legal otherwise; the bits behind the layout by samples."""
    config = CONFIGURATIONS[name]
    program = random_program(config, 1, tiles=2)
    index = next(number for number, one in enumerate(program.program) if one.opcode is opcode)
    raw = int.from_bytes(encode(program.program[index]), "little")
    mask = must_be_zero(config, opcode)
    end = max((bit + shape.width for bit, shape in fields(opcode).values()), default=32)
    bits = [bit for bit in range(INSTRUCTION_BITS) if mask >> bit & 1 and (bit < end or bit % 97 == 0)]
    assert bits
    for bit in bits:
        assert on_machine(config, program, (raw | 1 << bit).to_bytes(64, "little"), index), bit


@pytest.mark.parametrize("opcode", [opcode for opcode in Opcode if AT_LEAST_ONE[opcode]], ids=lambda one: one.name)
def test_the_machine_refuses_counts_of_zero(opcode):
    config = CONFIGURATIONS["8x8"]
    program = random_program(config, 1, tiles=2)
    index, one = next(found for found in enumerate(program.program) if found[1].opcode is opcode)
    for name in AT_LEAST_ONE[opcode]:
        raw = encode(Instruction(opcode, one.fields | {name: 0}))
        assert not judged(config, raw)
        assert on_machine(config, program, raw, index)


@pytest.mark.parametrize("width", [32, 64, 512])
def test_parts_cover_their_fields(width):
    """A field's parts are its bits, in order; at most one field goes on from a word into the next."""
    for opcode in Opcode:
        words = parts_in_words(opcode, width)
        bits = [
            number * width + bit for number, parts in enumerate(words) for part in parts for bit in range(*part[:2])
        ]
        known = fields(opcode)
        wanted = [
            bit for name in AT_LEAST_ONE[opcode] for bit in range(known[name][0], known[name][0] + known[name][1].width)
        ]
        assert sorted(bits) == sorted(wanted)
        assert all(sum(not part.ends for part in parts) <= 1 for parts in words)


def test_decoding_agrees_about_reserved_bits():
    config = CONFIGURATIONS["8x8"]
    for opcode in Opcode:
        known = fields(opcode)
        used = 0xF | sum(
            ((1 << shape.width) - 1) << bit for name, (bit, shape) in known.items() if not name.startswith("reserved")
        )
        for bit in range(INSTRUCTION_BITS):
            if used >> bit & 1:
                continue
            assert must_be_zero(config, opcode) >> bit & 1
            with pytest.raises(ValueError, match="reserved bits"):
                decode((opcode.value | 1 << bit).to_bytes(64, "little"))
