"""The array and STOREs at the paces that they leave each other."""

import heapq
from math import inf

import pytest
from weft.rtl.config import Config
from weft.rtl.isa import Mode, Opcode, instruction
from weft.rtl.scratchpad import Scratchpad
from weft.sw.cycles.estimate import Memory
from weft.sw.cycles.sharing import LEFT_OUT, PATIENCE, Gaps, Sharing, answered, gaps_of

CONFIG = Config(rows=8, cols=8, weight_rows=4, lanes=2, memory_width=64, axi_width=64)
DENSE = Gaps(LEFT_OUT / (PATIENCE + LEFT_OUT), True)


class Clock:
    """Time that goes from event to event, and when what was done."""

    def __init__(self):
        self.now = 0
        self.events = []
        self.times = {}

    def at(self, time, event):
        heapq.heappush(self.events, (time, len(self.events), event))

    def run(self):
        while self.events:
            self.now, _, event = heapq.heappop(self.events)
            event()
        return self.times

    def note(self, name):
        return lambda: self.times.__setitem__(name, self.now)


def test_each_alone_takes_a_cycle_per_pixel_and_per_word():
    clock = Clock()
    sharing = Sharing(clock)
    sharing.convolve(1000, DENSE, clock.note("array"))
    clock.at(1000, lambda: sharing.store(30, inf, clock.note("store")))
    assert clock.run() == {"array": 1000, "store": 1030}


def test_together_both_are_slower():
    clock = Clock()
    sharing = Sharing(clock)
    sharing.convolve(300, DENSE, clock.note("array"))
    sharing.store(20, inf, clock.note("store"))
    assert clock.run() == {"store": 10 * (PATIENCE + LEFT_OUT), "array": 320}


def test_a_store_that_memory_takes_no_words_of_costs_the_array_nothing():
    clock = Clock()
    sharing = Sharing(clock)
    sharing.take(0.0)
    sharing.convolve(300, DENSE, clock.note("array"))
    sharing.store(20, inf, clock.note("store"))
    clock.at(400, lambda: sharing.take(0.5))
    assert clock.run() == {"array": 300, "store": 440}


def test_the_array_is_patient_for_as_long_as_the_scratchpad():
    """A read is left out in the cycle behind the one in which the patience is at an end."""
    assert PATIENCE == Scratchpad.PATIENCE + 1


@pytest.mark.parametrize(
    "values, wanted",
    [
        ({"ox_count": 14, "oy_count": 14}, DENSE),
        ({"ox_count": 2, "oy_count": 1}, DENSE),
        # A pass waits for the second half of its weights.
        ({"ox_count": 1, "oy_count": 1}, Gaps(0.5, False)),
        # Down the columns only between rows.
        ({"ox_count": 20, "oy_count": 5, "mode": Mode.COLUMNS.value}, Gaps(2 / 22, True)),
        ({"ox_count": 6, "oy_count": 5, "mode": Mode.COLUMNS.value}, Gaps(2 / 20, True)),
    ],
)
def test_what_a_conv_leaves(values, wanted):
    assert gaps_of(CONFIG, instruction(Opcode.CONV, **values)) == wanted


def test_passes_of_one_pixel_leave_nothing():
    one = instruction(Opcode.CONV, ox_count=1, oy_count=1)
    assert gaps_of(CONFIG.replace(weight_rows=8), one) == Gaps(0.0, False)


def test_short_rows_wait_for_responses():
    """Four bursts are under way at once; each is answered 10 cycles behind its last word."""
    assert answered(CONFIG, 22, 44, Memory(10)) == 4 * 2 / (10 + 2 + 2)
    assert answered(CONFIG, 22, 44, Memory(40)) == 4 * 2 / (40 + 2 + 2)
    # Rows of several bursts, and few rows, do not wait.
    assert answered(CONFIG, 22, 22 * 200, Memory(40)) > 1
    assert answered(CONFIG, 4, 4, Memory(40)) == inf
