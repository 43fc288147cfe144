"""Instructions in program order, and the fewest tokens that keep their dependencies.

Each unit completes its instructions in order, so waiting for one of them covers all before it, and what those had
waited for. Dependencies point backwards in the program; therefore no order of dispatch can deadlock.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from weft.rtl.isa import Instruction, Opcode, instruction
from weft.rtl.registers import Unit

from ..cycles.estimate import UNIT_OF
from ..errors import UserError

MOST_TOKENS = 63
"""Tokens of one unit for another that may wait at once, but with `Config.compact`."""

LONGEST_ROW = 64
"""Memory words of a row of a LOAD."""

Known = dict[Unit, int]
"""Per unit the last instruction known to be complete, -1 for none."""


class TokensError(UserError):
    """More tokens could be waiting than are counted."""


class Schedule:
    """A program under construction; instructions are numbered from 0.

    A `careful` one lets instructions wait until there is room for all tokens that those behind them may give. Most
    programs never have so many, and are faster without.
    """

    def __init__(self, most_tokens: int = MOST_TOKENS, careful: bool = False) -> None:
        self._most_tokens = most_tokens
        self._careful = careful
        self._opcodes: list[Opcode] = []
        self._fields: list[dict[str, int]] = []
        self._known: dict[Unit, Known] = {unit: dict.fromkeys(Unit, -1) for unit in Unit}
        self._at_start: list[Known] = []
        self._tokens: dict[tuple[Unit, Unit], list[tuple[int, int]]] = {}
        """Who gives and who takes each token, in the order of those who take."""
        self._places: list[int] = []
        """Of each instruction among those of its unit."""
        self._counts = dict.fromkeys(Unit, 0)

    def add(
        self, opcode: Opcode, where: str, after: Iterable[int] = (), implied: Iterable[int] = (), **values: object
    ) -> int:
        """Append an instruction that starts when those in `after` are complete; returns its number.

        `implied` instructions are complete by then without a token: a DRAIN starts when its half is committed.

        Raises
        ------
        UserError
            For a value that does not fit its field, with `where` in the sentence.
        """
        try:
            one = instruction(opcode, **values)
        except ValueError as error:
            raise UserError(f"{where} does not fit the instruction set: {error}") from None
        number = len(self._opcodes)
        unit = UNIT_OF[opcode]
        known = self._known[unit]
        for before in implied:
            self._learn(known, before)
        fields = dict(one.fields)
        latest: Known = {}
        for before in (*after, *self._crowding(unit)):
            giver = UNIT_OF[self._opcodes[before]]
            latest[giver] = max(latest.get(giver, -1), before)
        for giver, before in latest.items():
            covered = any(self._at_start[other][giver] >= before for other in latest.values())
            if giver is not unit and known[giver] < before and not covered:
                self._fields[before]["signal"] |= 1 << unit
                fields["wait"] |= 1 << giver
                self._tokens.setdefault((giver, unit), []).append((before, number))
        for before in latest.values():
            if UNIT_OF[self._opcodes[before]] is not unit:
                self._learn(known, before)
        self._opcodes.append(opcode)
        self._fields.append(fields)
        self._at_start.append(dict(known))
        self._places.append(self._counts[unit])
        self._counts[unit] += 1
        return number

    def _crowding(self, unit: Unit) -> Iterator[int]:
        """Who must have taken tokens of a unit before its next instruction can give one to each of the others, as all
        of its instructions behind the last giver still may."""
        for taker in Unit if self._careful else ():
            tokens = self._tokens.get((unit, taker), [])
            taken = bisect_right(tokens, self._known[unit][taker], key=itemgetter(1))
            if taken < len(tokens):
                behind = self._counts[unit] - 1 - self._places[tokens[-1][0]]
                if len(tokens) - taken + behind >= self._most_tokens:
                    yield tokens[(taken + len(tokens)) // 2][1]

    def _learn(self, known: Known, before: int) -> None:
        giver = UNIT_OF[self._opcodes[before]]
        known[giver] = max(known[giver], before)
        for unit, number in self._at_start[before].items():
            known[unit] = max(known[unit], number)

    def load(self, where: str, count: int, word: int, after: Iterable[int] = (), **values: Any) -> int:
        """LOADs of `count` contiguous bytes, for a memory port of `word` bytes; returns the last one's number.

        Long ones come as many rows: the fetch of instructions gets its turn between rows, and else would wait for all.
        """
        longest = LONGEST_ROW * word
        whole = count // longest * longest if count > 4 * longest else 0
        number = -1
        for start, row, rows in ((0, longest, whole // longest), (whole, count - whole, 1)):
            if row and rows:
                some = values | {"offset": values["offset"] + start, "local": values["local"] + start}
                some |= {"step": row, "local_step": row} if rows > 1 else {}
                number = self.add(Opcode.LOAD, where, after=after, bytes=row, rows=rows, **some)
        return number

    def finish(self) -> list[Instruction]:
        """The program with its END.

        Raises
        ------
        TokensError
            If more tokens could be waiting than are counted.
        """
        for (giver, taker), tokens in self._tokens.items():
            takers = [number for _, number in tokens]
            for given, (before, _) in enumerate(tokens, 1):
                # What the giver knows of the taker has taken its tokens.
                taken = bisect_right(takers, self._at_start[before][taker])
                if given - taken > self._most_tokens:
                    raise TokensError(
                        f"the program leaves more than {self._most_tokens} tokens of {giver.name} for {taker.name}"
                    )
        made = [Instruction(opcode, fields) for opcode, fields in zip(self._opcodes, self._fields, strict=True)]
        return [*made, instruction(Opcode.END)]


def thinned(numbers: Sequence[int]) -> set[int]:
    """Of the instructions that make a tensor piece by piece, those worth a token: some, and the last ones."""
    step = -(-len(numbers) // 8)
    return {*numbers[step - 1 :: step], *numbers[-3:]}
