import dataclasses

import pytest
from weft.rtl.config import LONGEST_VALUE, Config, power_of_two_at_least, shown


@pytest.mark.parametrize("value, expected", [(0, 1), (1, 1), (2, 2), (3, 4), (64, 64), (65, 128)])
def test_power_of_two_at_least(value, expected):
    assert power_of_two_at_least(value) == expected


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"rows": 0}, "rows must be a positive integer, not 0"),
        ({"rows": "x"}, "rows must be a positive integer, not 'x'"),
        ({"cols": True}, "cols must be a positive integer, not True"),
        ({"rows": 129}, "rows must be at most 128, not 129"),
        ({"weight_rows": 3}, r"weight_rows must be a divisor of rows \(4\), not 3"),
        ({"lanes": 3}, r"lanes must be a divisor of cols \(4\), not 3"),
        ({"memory_width": 48}, "memory_width must be a power of two from 8 to 512, not 48"),
        ({"memory_width": 64}, "axi_width must be a power of two from 64 to 1024, not 32"),
        ({"address_width": 33}, "address_width must be from 16 to 32, not 33"),
        ({"scratchpad_bytes": 1000}, "scratchpad_bytes must be a power of two from 16 to 16777216, not 1000"),
        ({"accumulators": 1}, "accumulators must be from 2 to 32768, not 1"),
        ({"parameter_channels": 7, "lanes": 2}, r"parameter_channels must be a multiple of lanes \(2\)"),
        ({"axi": 1}, "axi must be true or false, not 1"),
        ({"compact": True, "depthwise": True}, "depthwise must be false with compact, not True"),
        ({"compact": True, "cols": 4, "lanes": 2}, "lanes must be 1 with compact, not 2"),
        ({"counter_bits": 5}, "counter_bits must be from 6 to 16, not 5"),
        ({"axi_burst": 257}, "axi_burst must be from 1 to 256, not 257"),
        ({"rows": 1 << 20_000}, "rows must be at most 128, not a value that is too long to show"),
        ({"colour": 1}, "colour is not a parameter; the parameters are rows, cols"),
    ],
)
def test_a_bad_parameter_is_one_sentence(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        Config().replace(**changes)


@pytest.mark.parametrize("rows, cols, weight_rows", [(1, 1, 1), (5, 3, 5), (16, 8, 4), (64, 64, 16)])
def test_derived_sizes(rows, cols, weight_rows):
    config = Config(rows=rows, cols=cols, weight_rows=weight_rows, weight_tiles=16, scratchpad_bytes=1 << 16)
    assert config.weight_steps * config.weight_rows == rows
    assert config.word_bytes >= max(rows, cols, config.memory_bytes)
    assert config.weight_line_bytes >= weight_rows * config.weight_pitch >= weight_rows * cols
    assert config.weight_lines == 16 * config.weight_steps
    assert config.macs_per_cycle == rows * cols


def test_the_digest_depends_on_every_parameter():
    base = Config(rows=8, cols=8, weight_rows=4, lanes=2)
    other = {"weight_rows": 2, "lanes": 1, "scratchpad_bytes": 1 << 15, "axi_width": 64}
    other |= {"memory_latency": 2, "multiply_latency": 2}
    digests = {base.digest}
    for field in dataclasses.fields(Config):
        value = getattr(base, field.name)
        if isinstance(value, bool):
            changed = not value
        else:
            changed = other.get(field.name, value // 2 if field.name != "memory_width" else 64)
        changes = {field.name: changed} | ({"axi_width": 64} if field.name == "memory_width" else {})
        changes |= {"lanes": 1} if field.name == "compact" else {}
        digests.add(base.replace(**changes).digest)
    assert len(digests) == len(dataclasses.fields(Config)) + 1
    assert base.digest32 == int(base.digest[:8], 16)


def test_values_in_sentences_stay_short():
    assert shown("a\nb") == r"'a\nb'"
    assert shown([1] * 100) == f"{[1] * 100!r}"[:LONGEST_VALUE] + "..."
    deep = []
    for _ in range(100_000):
        deep = [deep]
    for value in (1 << 20_000, [1 << 20_000], deep):
        assert shown(value) == "a value that is too long to show"
