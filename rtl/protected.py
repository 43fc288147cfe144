"""Memories with a parity bit per byte, which tells of bits that changed by themselves."""

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import Component, In, Out
from amaranth.utils import ceil_log2

from .config import Config
from .memory import Memory1R1W

BYTE = 8


class ProtectedMemory(Component):
    """A Memory1R1W of bytes, with an even parity bit beside each: nine bits, as block RAMs have them.

    A flipped bit is found when it is read, and not corrected. A word that was never written is all zeros, and in order.

    Members
    -------
    write, read : as those of Memory1R1W with a granularity of 8; `read.data` comes as early.
    flaw : a byte of a word that was read is not in order, FLAW_LATENCY cycles after the read. What is read in the
        cycle in which the same word is written is not judged.
    """

    LATENCY = 1
    FLAW_LATENCY = LATENCY + 1

    def __init__(self, width: int, depth: int) -> None:
        self.width = width
        self.depth = depth
        address = Out(max(ceil_log2(depth), 1))
        write = {"address": address, "data": Out(width), "enable": Out(width // BYTE)}
        read = {"address": address, "enable": Out(1), "data": In(width)}
        super().__init__({"write": In(wiring.Signature(write)), "read": In(wiring.Signature(read)), "flaw": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        count = self.width // BYTE
        m.submodules.memory = memory = Memory1R1W(count * (BYTE + 1), self.depth, BYTE + 1)
        read_bytes = [memory.read.data.word_select(index, BYTE + 1) for index in range(count)]
        judged, odd = Signal(), Signal(count)
        m.d.comb += [
            memory.write.address.eq(self.write.address),
            memory.write.enable.eq(self.write.enable),
            memory.write.data.eq(Cat(_with_parity(self.write.data.word_select(index, BYTE)) for index in range(count))),
            memory.read.address.eq(self.read.address),
            memory.read.enable.eq(self.read.enable),
            self.read.data.eq(Cat(byte[:BYTE] for byte in read_bytes)),
            odd.eq(Cat(byte.xor() for byte in read_bytes)),
        ]
        collides = self.write.enable.any() & (self.write.address == self.read.address)
        m.d.sync += [judged.eq(self.read.enable & ~collides), self.flaw.eq(judged & odd.any())]
        return m


FLAWS_LATENCY = ProtectedMemory.FLAW_LATENCY + 1
"""Cycles from a read to what `flaws` tells of it."""


def _with_parity(byte: Value) -> Value:
    return Cat(byte, byte.xor())


def memory_of_bytes(config: Config, width: int, depth: int) -> Memory1R1W | ProtectedMemory:
    """A memory of the configuration, with or without protection."""
    if config.protection:
        return ProtectedMemory(width, depth)
    return Memory1R1W(width, depth, BYTE, config.memory_latency)


def memory_of_words(protection: bool, width: int, depth: int, latency: int = 1) -> Memory1R1W | ProtectedMemory:
    """A memory whose words are written as a whole, with or without protection."""
    return ProtectedMemory(width, depth) if protection else Memory1R1W(width, depth, latency=latency)


def enable(memory: Memory1R1W | ProtectedMemory, condition: Value) -> Value:
    """`write.enable` of a memory_of_words."""
    return condition.replicate(len(memory.write.enable))


def flaws(m: Module, config: Config, memories: Sequence[Component]) -> Value:
    """Whether one of some memories that were made so, or of units with a `flaw`, has found a flaw; a cycle late, since
    there may be many."""
    flaw = Signal(name="any_flaw")
    if config.protection:
        m.d.sync += flaw.eq(Cat(memory.flaw for memory in memories).any())
    return flaw
