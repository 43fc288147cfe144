"""A sample of the flipped bits."""

import pytest
from weft.rtl.registers import FLAWS, ErrorCause, Feature
from weft.sim.campaigns.contents import CONFIG, LONGEST, UNSEEN, attempt, campaign, counts
from weft.sim.campaigns.faults import Bench
from weft.sw.transport import DeviceError

WORD = 9 * CONFIG.word_bytes
SHAPES = {
    "the scratchpad": (CONFIG.scratchpad_bytes // CONFIG.word_bytes // 2, WORD),
    "the weight store": (CONFIG.weight_lines, 36),
    "the parameter memory": (CONFIG.parameter_lines, 81 * CONFIG.lanes),
    "the accumulator": (CONFIG.accumulators, 36),
    "the tables": (256, 72),
}
"""Words and bits of the memories, of those of sums for the tables."""


def test_flipped_bits_are_reported_or_without_effect():
    row, *outcomes = campaign(first=100, count=20)
    assert row.reached, row.failures
    assert sum(outcome.count for outcome in outcomes) == 20


@pytest.mark.parametrize("name", SHAPES)
def test_each_memory_is_reported_and_counted(name):
    """A bit of the word in the middle of what is used changes later and later, until somebody reads it."""
    bench = Bench("residual" if name == "the tables" else "lenet", CONFIG)
    npu = bench.npu
    assert npu.read_register("FEATURES") >> Feature.PROTECTION & 1
    assert bench.right()
    memory, word = npu.memories().index(SHAPES[name]), 64 if name == "the tables" else 0
    before = counts(bench)
    for delay in range(0, LONGEST[bench.workload.name], 97):
        npu.flip(memory, word, 3, delay)
        try:
            assert bench.right()
        except DeviceError as error:
            said = str(error)
            break
    (unit,) = (unit for _, text, unit in FLAWS if text == name)
    assert f"stopped: contents of the {unit.name.lower()} unit" in said
    assert npu.read_register("ERROR") & 0xFF == ErrorCause.CONTENTS
    assert [text for text, count in counts(bench).items() if count != before[text]] == [name]
    assert bench.recover() == ""


def test_a_bit_beside_what_is_used_is_gone_after_the_report():
    """A word of the scratchpad is judged as a whole, and no network need ever write the byte: the driver does."""
    bench = Bench(config=CONFIG)
    assert bench.right()
    memory = bench.npu.memories().index(SHAPES["the scratchpad"])
    reports = 0
    for word in range(48, 136):
        bench.npu.flip(memory, word, 9 * (CONFIG.word_bytes - 1))
        try:
            assert bench.right()
        except DeviceError:
            reports += 1
            assert bench.recover() == ""
    assert reports


def test_seeds_repeat():
    bench = Bench(config=CONFIG)
    attempt(bench, 2)
    assert attempt(bench, 3) == attempt(Bench(config=CONFIG), 3)
    assert attempt(bench, 4)[0] in (*SHAPES, UNSEEN)
