"""The table of mutants: enough, all different, and each about an expression that is there."""

from weft.sim.mutants import MUTANTS

BAR = 40


def test_there_are_enough_in_every_part_of_the_data_path():
    assert len(MUTANTS) >= BAR
    assert len(MUTANTS) < 256, "the input that chooses has 8 bits"
    modules = {mutant.module for mutant in MUTANTS}
    assert modules >= {
        "feeder",
        "pe",
        "array",
        "accumulator",
        "drain",
        "drain_loops",
        "requantize",
        "dma",
        "axi",
        "tokens",
    }


def test_each_is_another_change():
    assert len({(mutant.module, mutant.place, mutant.right, mutant.wrong) for mutant in MUTANTS}) == len(MUTANTS)
    assert len({(mutant.module, mutant.what) for mutant in MUTANTS}) == len(MUTANTS)
    assert all(mutant.right != mutant.wrong for mutant in MUTANTS)
