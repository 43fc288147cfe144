# amaranth: UnusedElaboratable=no

import re

import pytest
from weft.rtl.config import Config
from weft.rtl.registered_port_memory import RegisteredPortMemory

from tests.rtl.memory_traffic import BYTES, check_a_word_per_cycle, check_abandon, check_three_masters


@pytest.mark.parametrize(
    "latency, width, pattern", [(1, 64, "half"), (2, 32, "flowing"), (2, 64, "half"), (2, 128, "scarce")]
)
def test_three_masters(latency, width, pattern):
    config = Config(memory_latency=latency, memory_width=width, axi_width=width)
    check_three_masters(RegisteredPortMemory(config, BYTES), width, pattern)


@pytest.mark.parametrize("latency", [1, 2])
def test_a_request_takes_a_word_per_cycle(latency):
    check_a_word_per_cycle(RegisteredPortMemory(Config(memory_latency=latency), BYTES))


def test_abandon_forgets_what_is_under_way():
    check_abandon(RegisteredPortMemory(Config(memory_latency=2), BYTES))


def test_it_is_no_narrower_than_the_host():
    sentence = "memory_width must be at least 32 with a board's registered memory, not 16"
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        RegisteredPortMemory(Config(memory_width=16), BYTES)
