"""What is inside an NPU that has stopped, in words: from its registers, and from its program in memory."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from weft.rtl.isa import INSTRUCTION_BYTES, Instruction, Opcode, decode
from weft.rtl.registers import Activity, Feature, Unit

if TYPE_CHECKING:
    from .transport import Transport

OPCODES = {Unit.LOAD: Opcode.LOAD, Unit.ARRAY: Opcode.CONV, Unit.DRAIN: Opcode.DRAIN, Unit.STORE: Opcode.STORE}
"""What each unit executes."""

WORDS = {
    Activity.IDLE: "is idle",
    Activity.BUSY: "is busy",
    Activity.WAIT_LOAD: "waits for a token of the load unit",
    Activity.WAIT_ARRAY: "waits for a token or sums of the array",
    Activity.WAIT_DRAIN: "waits for a token of the drain or a free accumulator half",
    Activity.WAIT_STORE: "waits for a token of the store unit",
    Activity.WAIT_MEMORY: "waits for memory",
    Activity.WAIT_SCRATCHPAD: "waits for the scratchpad",
    Activity.WAIT_WEIGHTS: "waits for weights to arrive",
}


def unit_words(unit: Unit, units: int) -> str:
    """What the UNITS register says of one unit."""
    value = units >> 4 * unit & 15
    words = WORDS[Activity(value)] if value < len(Activity) else f"is in the undefined state {value}"
    return f"the {unit.name.lower()} unit {words}"


def units_text(units: int) -> str:
    """The UNITS register in words."""
    return ", ".join(unit_words(unit, units) for unit in Unit)


class Listing:
    """The instructions of the program that the device was started with, as far as they were dispatched."""

    def __init__(self, transport: "Transport"):
        self._transport = transport
        self._start = transport.read_register("PROGRAM")
        self._count = transport.read_register("INSTRUCTIONS") + 1

    def instructions(self) -> Iterator[tuple[int, Instruction]]:
        """Address and content of each, up to the first that is none."""
        for address in range(self._start, self._start + self._count * INSTRUCTION_BYTES, INSTRUCTION_BYTES):
            if address + INSTRUCTION_BYTES > self._transport.memory_bytes:
                return
            try:
                yield address, decode(self._transport.read(address, INSTRUCTION_BYTES).tobytes())
            except ValueError:
                return

    def find(self, unit: Unit, number: int) -> tuple[int, Instruction] | None:
        """The instruction with that number among those of a unit, from 0."""
        own = (found for found in self.instructions() if found[1].opcode is OPCODES[unit])
        return next((found for index, found in enumerate(own) if index == number), None)

    def behind(self, unit: Unit, number: int) -> list[str]:
        """Opcodes, addresses and tags of the instructions of a unit from that number on, as far as they were
        dispatched."""
        own = [found for found in self.instructions() if found[1].opcode is OPCODES[unit]]
        return [_name(found) for found in own[number:]]

    def name(self, unit: Unit, number: int) -> str:
        """Opcode, address and tag of that instruction, as far as it can be found."""
        found = self.find(unit, number)
        if found is None:
            return f"instruction {number} of the {unit.name.lower()} unit"
        return _name(found)


def _name(found: tuple[int, Instruction]) -> str:
    return f"the {found[1].opcode.name} at address {found[0]:#x} with tag {found[1].tag}"


def _plural(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _of_unit(unit: Unit, read: Callable[[str], int], listing: Listing) -> str:
    own, tag, tokens = (read(f"{unit.name}_{part}") for part in ("INSTRUCTION", "TAG", "TOKENS"))
    begun, flight, missing, queued = own & 0xFFFFFF, own >> 24, tag >> 16 & 15, tag >> 24
    parts = [unit_words(unit, read("UNITS"))]
    if flight:
        rest = f", {_plural(flight, 'instruction')} not complete" if flight > 1 else ""
        parts.append(f"it is at {listing.name(unit, begun - flight)}{rest}")
    if missing:
        givers = " and ".join(giver.name.lower() for giver in Unit if missing >> giver & 1)
        parts.append(f"{listing.name(unit, begun)} lacks a token of {givers}")
    if queued:
        words = _plural(queued, "word")
        parts.append(f"queued are {words}, of {', '.join(listing.behind(unit, begun)) or 'instructions not found'}")
    counts = {giver: tokens >> 8 * giver & 0xFF for giver in Unit}
    held = [f"{count} of {giver.name.lower()}" for giver, count in counts.items() if count]
    if held:
        parts.append(f"tokens not taken: {', '.join(held)}")
    return "; ".join(parts)


def autopsy(transport: "Transport") -> str:
    """A line per unit, and one each for the accumulator and the sequencer; one line on all units where the autopsy is
    not built."""
    read = transport.read_register
    if not read("FEATURES") >> Feature.AUTOPSY & 1:
        return units_text(read("UNITS"))
    listing = Listing(transport)
    halves, fetch = read("HALVES"), read("FETCH")
    free, full = halves & 3, halves >> 2 & 3
    state = "fetches" if fetch & 1 else "has thrown away what was behind the end" if not fetch & 2 else "ends the run"
    lines = [_of_unit(unit, read, listing) for unit in Unit]
    lines.append(f"of the accumulator's halves {free} are free and {full} wait for the drain or are drained")
    ahead = _plural(fetch >> 8 & 0xFF, "instruction")
    lines.append(f"the sequencer {state}, {ahead} on the way; next is address {read('NEXT'):#x}")
    return "".join(f"\n  {line}" for line in lines)
