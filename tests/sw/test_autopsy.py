"""The inside of a stopped device in words."""

import numpy as np
import pytest
from weft.rtl.isa import Opcode, assemble, instruction
from weft.rtl.registers import AUTOPSY, Activity, Feature, Unit
from weft.sw.autopsy import Listing, autopsy, units_text

PROGRAM = [
    instruction(Opcode.LOAD, tag=7),
    instruction(Opcode.CONV, tag=8),
    instruction(Opcode.LOAD, tag=9),
    instruction(Opcode.STORE, tag=10),
    instruction(Opcode.END),
]


class Stopped:
    """A device that was started at 0x40, with the registers given and zero in all others."""

    def __init__(self, **registers: int):
        names = [f"{unit.name}_{name}" for unit in Unit for name, _ in AUTOPSY] + ["UNITS", "HALVES", "FETCH", "NEXT"]
        self.registers = dict.fromkeys(names, 0) | {"PROGRAM": 0x40, "INSTRUCTIONS": 4} | registers
        self.memory = np.frombuffer(bytes(64) + assemble(PROGRAM), np.uint8)

    @property
    def memory_bytes(self):
        return len(self.memory)

    def read(self, address, count):
        return self.memory[address : address + count]

    def read_register(self, name):
        return self.registers[name]


def test_every_activity_has_words():
    for activity in Activity:
        text = units_text(activity << 4 * Unit.DRAIN)
        assert ("the drain unit is idle" in text) == (activity is Activity.IDLE)
        assert "undefined" not in text
    assert "the store unit is in the undefined state 15" in units_text(0xF000)


def test_without_the_option_it_is_what_the_units_do():
    assert autopsy(Stopped(FEATURES=0, UNITS=1)) == units_text(1)


@pytest.mark.parametrize(
    "unit, number, name",
    [
        (Unit.LOAD, 0, "the LOAD at address 0x40 with tag 7"),
        (Unit.LOAD, 1, "the LOAD at address 0xc0 with tag 9"),
        (Unit.STORE, 0, "the STORE at address 0x100 with tag 10"),
        (Unit.STORE, 1, "instruction 1 of the store unit"),
    ],
)
def test_instructions_are_found_by_their_number(unit, number, name):
    assert Listing(Stopped()).name(unit, number) == name


def test_what_is_queued_is_what_was_dispatched_and_not_begun():
    listing = Listing(Stopped())
    assert listing.behind(Unit.LOAD, 0) == [
        "the LOAD at address 0x40 with tag 7",
        "the LOAD at address 0xc0 with tag 9",
    ]
    assert listing.behind(Unit.LOAD, 1) == ["the LOAD at address 0xc0 with tag 9"]
    assert listing.behind(Unit.LOAD, 2) == []


@pytest.mark.parametrize("dispatched, found", [(0, 1), (2, 3), (4, 5), (9, 5)])
def test_a_listing_ends_where_dispatch_or_memory_does(dispatched, found):
    assert len(list(Listing(Stopped(INSTRUCTIONS=dispatched)).instructions())) == found


def test_a_line_per_unit_and_two_more():
    device = Stopped(
        FEATURES=1 << Feature.AUTOPSY,
        UNITS=Activity.WAIT_MEMORY << 4 * Unit.LOAD | Activity.WAIT_LOAD << 4 * Unit.ARRAY,
        LOAD_INSTRUCTION=2 << 24 | 2,
        ARRAY_TAG=1 << 16 + Unit.LOAD | 8,
        STORE_TAG=24 << 24,
        DRAIN_TOKENS=3 << 8 * Unit.STORE | 1 << 8 * Unit.ARRAY,
        HALVES=2,
        FETCH=1 | 3 << 8,
        NEXT=0x140,
    )
    assert autopsy(device).split("\n  ") == [
        "",
        "the load unit waits for memory; it is at the LOAD at address 0x40 with tag 7, 2 instructions not complete",
        "the array unit waits for a token of the load unit; the CONV at address 0x80 with tag 8 lacks a token of load",
        "the drain unit is idle; tokens not taken: 1 of array, 3 of store",
        "the store unit is idle; queued are 24 words, of the STORE at address 0x100 with tag 10",
        "of the accumulator's halves 2 are free and 0 wait for the drain or are drained",
        "the sequencer fetches, 3 instructions on the way; next is address 0x140",
    ]
