# amaranth: UnusedElaboratable=no

"""The memory between three masters: the NPU's reads and writes, and the host."""

import re

import pytest
from weft.rtl.config import Config
from weft.rtl.port_memory import PortMemory, word_address_bits

from tests.rtl.memory_traffic import BYTES, check_a_word_per_cycle, check_abandon, check_three_masters


@pytest.mark.parametrize(
    "width, pattern, compact",
    [(8, "half", False), (32, "flowing", False), (64, "half", False), (128, "scarce", False), (8, "half", True)],
)
def test_three_masters(width, pattern, compact):
    config = Config(memory_width=width, axi_width=max(width, 32), compact=compact)
    check_three_masters(PortMemory(config, BYTES), width, pattern)


def test_a_request_takes_a_word_per_cycle():
    check_a_word_per_cycle(PortMemory(Config(), BYTES))


def test_abandon_forgets_what_is_under_way():
    check_abandon(PortMemory(Config(), BYTES))


@pytest.mark.parametrize(
    "memory_bytes, sentence",
    [
        (1000, "a board's memory must be a power of two from 16 bytes on, not 1000"),
        (8, "a board's memory must be a power of two from 16 bytes on, not 8"),
        (1 << 17, "a board's memory of 131072 bytes needs more than address_width (16) bits"),
    ],
)
def test_sizes_that_cannot_be(memory_bytes, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        PortMemory(Config(address_width=16), memory_bytes)


def test_word_address_bits():
    assert word_address_bits(1 << 16) == 14
