"""The runs whose coverage is counted, on a small build; `make verify` has all of it."""

import numpy as np
import pytest
from weft.rtl.isa import Opcode, disassemble
from weft.rtl.registers import Unit
from weft.sim import covering
from weft.sim.fuzz import random_program

SMALL = covering.CONFIG.replace(rows=1, cols=1, weight_rows=1, lanes=1, depthwise=False, tables=False)


@pytest.fixture(scope="module")
def counts():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(covering, "CONFIG", SMALL)
        patch.setattr(covering, "_lenet", lambda npu: None)
        patch.setattr(covering, "FAR", 4)
        yield covering.collect(56), covering


def test_most_lines_run(counts, monkeypatch):
    coverage, _ = counts
    monkeypatch.setattr(covering, "CONFIG", SMALL)
    assert len(coverage.lines) > 1000
    assert coverage.share() > 97
    assert coverage.toggled() > 30
    table = covering.report(coverage).markdown()
    assert "| npu.core.sequencer |" in table
    assert f"| all | {len(coverage.lines):,} |" in table


@pytest.mark.parametrize("unit", Unit)
def test_programs_with_too_many_tokens(unit):
    program = disassemble(covering._overflow(unit, Unit((unit + 1) % 4)).tobytes())
    assert sum(one.signal == 1 << (unit + 1) % 4 for one in program if one.opcode is not Opcode.END) == 70


def test_programs_with_an_extreme_field():
    program = random_program(SMALL, 3).program
    for seed in range(20):
        changed = disassemble(covering._extreme(program, np.random.default_rng(seed)).tobytes())
        assert len(changed) == len(program)
        assert sum(one != other for one, other in zip(changed, program, strict=True)) <= 1
