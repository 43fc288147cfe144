"""The program that is made illegal; tests/rtl/test_legality_rtl.py has what becomes of it."""

from weft.rtl.isa import Opcode
from weft.sim import illegal
from weft.sim.covering import CONFIG
from weft.sim.machine import Machine

from tests.configurations import TRUSTED


def test_the_program_is_legal_without_a_change():
    for config in (TRUSTED, CONFIG):
        machine = Machine(config, illegal.memory(config, illegal.program(config)))
        before = machine.memory.copy()
        assert machine.run(0, illegal.BASES) == illegal.END + 1
        changed = (machine.memory != before).nonzero()[0]
        assert illegal.BASES[2] <= changed.min() <= changed.max() < illegal.MEMORY_BYTES


def test_a_change_is_one_of_one_instruction():
    legal = illegal.program(CONFIG)
    assert [one.opcode for one in legal][illegal.END] is Opcode.END
    for place, fields in illegal.changes(CONFIG):
        changed = illegal.program(CONFIG, place, **fields)
        assert [index for index in range(len(legal)) if changed[index] != legal[index]] == [place]
