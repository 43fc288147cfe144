"""Gowin: what synthesis has to be told. Multipliers and block RAMs it infers."""

from amaranth.hdl import Elaboratable
from weft.rtl.memory import Memory1R1W

SHALLOW = 64
"""Words up to which a memory is made of look-up tables: a block RAM would be nearly empty."""


class Gowin:
    """A technology for gen.verilog.to_verilog."""

    def memory_1r1w(self, memory: Memory1R1W) -> Elaboratable | None:
        """rtl/memory.py: shallow memories are distributed, the others left to inference."""
        return memory.portable(ram_style="distributed") if memory.depth <= SHALLOW else None
