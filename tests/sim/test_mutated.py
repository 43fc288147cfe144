"""The RTL's sources with mutants in them."""

import sys

import pytest
from weft.sim.killing import CONFIG
from weft.sim.mutants import MUTANTS, Mutant
from weft.sim.mutated import PACKAGE, SOURCES, mutated_library, mutated_source, mutated_verilog, sources
from weft.sim.verilated import VerilatedNpu

SOURCE = "x = f(a + b)\ny = a - b\n"


def test_an_expression_becomes_a_choice():
    mutants = [Mutant("one", "m", "f(a + b)", "a + b", "a"), Mutant("other", "n", "a - b", "b", "0")]
    assert mutated_source("m", SOURCE, mutants) == (
        "from .mutation import mutated\nx = f(mutated(1, a + b, a))\ny = a - b\n"
    )
    assert mutated_source("n", SOURCE, mutants) == (
        "from .mutation import mutated\nx = f(a + b)\ny = a - mutated(2, b, 0)\n"
    )
    assert mutated_source("k", SOURCE, mutants) == SOURCE


def test_one_expression_may_have_several_and_hold_others():
    mutants = [Mutant(str(index), "m", "a + b", right, wrong) for index, (right, wrong) in enumerate(
        [("a + b", "a"), ("b", "1"), ("a + b", "b")]
    )]  # fmt: skip
    assert mutated_source("m", SOURCE, mutants).splitlines()[1] == (
        "x = f(mutated(3, mutated(1, a + mutated(2, b, 1), a), b))"
    )


@pytest.mark.parametrize(
    "mutants, sentence",
    [
        ([Mutant("lost", "m", "a * b", "a", "b")], "the mutant 'lost' needs rtl/m.py to hold 'a \\* b' once"),
        ([Mutant("twice", "m", "a", "a", "b")], "the mutant 'twice' needs"),
        (
            [Mutant("one", "m", "f(a + b)", "f(a", ""), Mutant("two", "m", "f(a + b)", "a + b", "")],
            "two mutants change parts of",
        ),
    ],
)
def test_a_place_that_is_not_there_is_told(mutants, sentence):
    with pytest.raises(ValueError, match=sentence):
        mutated_source("m", SOURCE, mutants)


def test_every_mutant_is_in_the_package():
    text = "".join(sources().values())
    assert all(f"mutated({number}, " in text for number in range(1, len(MUTANTS) + 1))
    assert set(sources()) >= {path.name for path in SOURCES.glob("*.py")}


def test_the_input_alone_decides():
    """Without a mutant the build is the NPU of its configuration; nothing of the package stays imported."""
    assert "mutant" in mutated_verilog(CONFIG)
    assert not [name for name in sys.modules if name.split(".")[0] == PACKAGE]
    npu = VerilatedNpu(CONFIG, 1 << 16, library=mutated_library(CONFIG))
    assert npu.read_register("DIGEST") == CONFIG.digest32
    npu.close()
