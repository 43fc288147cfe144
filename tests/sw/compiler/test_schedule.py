"""Tokens: as few as keep the order."""

import numpy as np
import pytest
from weft.rtl.isa import Opcode, Space
from weft.rtl.registers import Unit
from weft.sw.compiler.schedule import MOST_TOKENS, Schedule, TokensError, thinned
from weft.sw.errors import UserError


def masks(program):
    return [(one.opcode.name, one.wait, one.signal) for one in program]


def test_a_dependency_is_a_token():
    schedule = Schedule()
    load = schedule.add(Opcode.LOAD, "a load")
    schedule.add(Opcode.CONV, "a conv", after=[load])
    assert masks(schedule.finish()) == [
        ("LOAD", 0, 1 << Unit.ARRAY),
        ("CONV", 1 << Unit.LOAD, 0),
        ("END", 0, 0),
    ]


def test_a_later_one_covers_the_earlier():
    schedule = Schedule()
    loads = [schedule.add(Opcode.LOAD, "a load") for _ in range(3)]
    schedule.add(Opcode.CONV, "a conv", after=[loads[1], loads[0]])
    schedule.add(Opcode.CONV, "a conv", after=[loads[0]])
    schedule.add(Opcode.CONV, "a conv", after=[loads[2], loads[1]])
    assert [(one.wait, one.signal) for one in schedule.finish()] == [
        (0, 0),
        (0, 2),
        (0, 2),
        (1, 0),
        (0, 0),
        (1, 0),
        (0, 0),
    ]


def test_what_another_unit_has_waited_for_is_known():
    schedule = Schedule()
    load = schedule.add(Opcode.LOAD, "a load")
    conv = schedule.add(Opcode.CONV, "a conv", after=[load])
    drain = schedule.add(Opcode.DRAIN, "a drain", after=[load], implied=[conv])
    schedule.add(Opcode.STORE, "a store", after=[drain, conv, load])
    assert [(one.wait, one.signal) for one in schedule.finish()] == [(0, 2), (1, 0), (0, 8), (4, 0), (0, 0)]


def test_order_inside_a_unit_is_free():
    schedule = Schedule()
    first = schedule.add(Opcode.CONV, "a conv")
    schedule.add(Opcode.CONV, "a conv", after=[first])
    assert [(one.wait, one.signal) for one in schedule.finish()] == [(0, 0)] * 3


def test_a_value_that_does_not_fit_is_a_sentence():
    with pytest.raises(UserError) as error:
        Schedule().add(Opcode.CONV, "conv 'c'", ky_count=256)
    assert str(error.value) == "conv 'c' does not fit the instruction set: CONV.ky_count must be from 0 to 255, not 256"


def test_too_many_tokens():
    schedule = Schedule()
    loads = [schedule.add(Opcode.LOAD, "a load", space=Space.SCRATCHPAD) for _ in range(MOST_TOKENS + 1)]
    for load in loads[:-1]:
        schedule.add(Opcode.CONV, "a conv", after=[load])
    schedule.finish()
    schedule.add(Opcode.CONV, "a conv", after=[loads[-1]])
    with pytest.raises(UserError, match="leaves more than 63 tokens of LOAD for ARRAY"):
        schedule.finish()


def test_tokens_that_are_taken_meanwhile_do_not_add_up():
    schedule = Schedule()
    for _ in range(3 * MOST_TOKENS):
        load = schedule.add(Opcode.LOAD, "a load")
        conv = schedule.add(Opcode.CONV, "a conv", after=[load])
        schedule.add(Opcode.LOAD, "a load", after=[conv])
    assert len(schedule.finish()) == 9 * MOST_TOKENS + 1


def test_a_careful_schedule_lets_tokens_be_taken_before_there_are_too_many():
    def filled(careful):
        schedule = Schedule(careful=careful)
        for _ in range(3 * MOST_TOKENS):
            schedule.add(Opcode.CONV, "a conv", after=[schedule.add(Opcode.LOAD, "a load")])
        return schedule

    with pytest.raises(TokensError, match="more than 63 tokens of LOAD for ARRAY"):
        filled(False).finish()
    program = filled(True).finish()
    assert len(program) == 6 * MOST_TOKENS + 1
    # Each wait makes room for about half of the tokens.
    assert 3 <= sum(one.opcode is Opcode.LOAD and one.wait == 1 << Unit.ARRAY for one in program) <= 8


@pytest.mark.parametrize("seed", range(10))
def test_every_dependency_holds_in_every_order(seed):
    """Units race each other at random; an instruction starts only when all that it depends on is complete."""
    random = np.random.default_rng(seed)
    opcodes = [Opcode.LOAD, Opcode.CONV, Opcode.DRAIN, Opcode.STORE]
    schedule, wanted = Schedule(), []
    for number in range(60):
        after = [int(n) for n in random.integers(0, number, random.integers(0, 3))] if number else []
        schedule.add(opcodes[random.integers(4)], "one", after=after)
        wanted.append(after)
    program = schedule.finish()[:-1]
    unit_of = dict(zip(opcodes, Unit, strict=True))
    for _ in range(20):
        queues = {unit: [n for n, one in enumerate(program) if unit_of[one.opcode] is unit] for unit in Unit}
        tokens = dict.fromkeys(((giver, taker) for giver in Unit for taker in Unit), 0)
        complete = set()
        while any(queues.values()):
            ready = [
                unit
                for unit, queue in queues.items()
                if queue and all(tokens[giver, unit] for giver in Unit if program[queue[0]].wait >> giver & 1)
            ]
            unit = ready[random.integers(len(ready))]
            number = queues[unit].pop(0)
            assert complete.issuperset(wanted[number])
            for giver in Unit:
                tokens[giver, unit] -= program[number].wait >> giver & 1
                tokens[unit, giver] += program[number].signal >> giver & 1
            complete.add(number)
        assert not any(tokens.values())


@pytest.mark.parametrize("count, wanted", [(1, {0}), (5, {0, 1, 2, 3, 4}), (20, {2, 5, 8, 11, 14, 17, 18, 19})])
def test_thinned(count, wanted):
    assert thinned(range(count)) == wanted
