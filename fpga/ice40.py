"""iCE40 UltraPlus: the device's own multipliers and large memories.

Sources: Lattice FPGA-TN-02007, DSP function usage guide (SB_MAC16); FPGA-TN-02022, SPRAM usage guide (SB_SPRAM256KA).
Both also have models in Yosys, techlibs/ice40/cells_sim.v, against which the tests hold this file.
"""

from amaranth.hdl import Cat, ClockSignal, Const, Instance, Module, Mux, Signal, Value, signed
from weft.rtl.memory import Memory1RW

SPRAM_WIDTH, SPRAM_DEPTH = 16, 1 << 14
NIBBLE = 4
"""Bits that one bit of MASKWREN stands for."""
STEP_BITS = 14
"""No product of two int8 is farther from 0 than 2^14."""

DUAL_8X8 = {
    **{f"p_{name}": Const(1, 1) for name in ("MODE_8x8", "A_REG", "B_REG", "A_SIGNED", "B_SIGNED")},
    **{f"p_{name}": Const(0, 1) for name in ("C_REG", "D_REG", "NEG_TRIGGER")},
    **{f"p_{name}_8x8_MULT_REG": Const(0, 1) for name in ("TOP", "BOT")},
    **{f"p_PIPELINE_16x16_MULT_REG{number}": Const(0, 1) for number in (1, 2)},
    **{f"p_{name}OUTPUT_SELECT": Const(1, 2) for name in ("TOP", "BOT")},
    **{f"p_{name}ADDSUB_LOWERINPUT": Const(1, 2) for name in ("TOP", "BOT")},
    **{f"p_{name}ADDSUB_UPPERINPUT": Const(1, 1) for name in ("TOP", "BOT")},
    **{f"p_{name}ADDSUB_CARRYSELECT": Const(0, 2) for name in ("TOP", "BOT")},
}
"""Both 8x8 multipliers, signed, and behind each an adder: the product and C or D, into the output's register."""

UNUSED = {
    **{f"i_{name}": Const(0, 1) for name in ("BHOLD", "CHOLD", "DHOLD", "IRSTTOP", "IRSTBOT", "ORSTTOP", "ORSTBOT")},
    **{f"i_{name}": Const(0, 1) for name in ("OLOADTOP", "OLOADBOT", "ADDSUBTOP", "ADDSUBBOT", "OHOLDTOP", "OHOLDBOT")},
    **{f"i_{name}": Const(0, 1) for name in ("CI", "ACCUMCI", "SIGNEXTIN")},
}


class Ice40:
    """A technology for gen.verilog.to_verilog: one object per design.

    Elements are handed out in halves: two that have the same activation and take their weights in the same cycle share
    an SB_MAC16, as neighbours in a row do in a compact array. All registers of an element are inside, but for those of
    its sum's bits beyond 16.
    """

    def __init__(self) -> None:
        self._open: tuple[Value, Value, Signal, Signal, Signal] | None = None

    def multiply_add(
        self,
        m: Module,
        name: str,
        activation: Value,
        weight: Value,
        first: Value,
        psum: Value,
        psum_width: int,
        latency: int,
    ) -> tuple[Value, Value]:
        """rtl/pe.py: the registered activation, and the registered sum of `psum` and its product with the weight.

        The cell adds 16 bits. A product moves the sum by at most one step of 2^14, so that bit 15 of the sum and the
        bits of `psum` from 14 on say whether the bits beyond are those of `psum`, one more or one less.

        Raises
        ------
        ValueError
            For another latency than 1: the cell's product is left unregistered.
        """
        if latency != 1:
            raise ValueError(f"multiply_latency must be 1 on iCE40, not {latency}")
        east = Signal(signed(8), name=f"activation_{name}", reset_less=True)
        m.d.sync += east.eq(activation)
        weights, addends, sums = self._half(m, name, activation, first)
        m.d.comb += [weights.eq(weight), addends.eq(psum)]
        before = Signal(signed(psum_width - STEP_BITS), name=f"before_{name}", reset_less=True)
        m.d.sync += before.eq(psum >> STEP_BITS)
        upper = []
        more, less = before[:2].all() & ~sums[-1], ~before[:2].any() & sums[-1]
        for bit in before[2:]:
            upper.append(bit ^ (more | less))
            more, less = more & bit, less & ~bit
        south = Signal(signed(psum_width), name=f"psum_{name}")
        m.d.comb += south.eq(Cat(sums, *upper))
        return east, south

    def _half(self, m: Module, name: str, activation: Value, first: Value) -> tuple[Value, Value, Value]:
        """Weight, what is added, and sum of a multiplier that is free."""
        if self._open is not None:
            with_activation, with_first, weights, addends, sums = self._open
            if with_activation is activation and with_first is first:
                self._open = None
                return weights[8:], addends[16:], sums[16:]
        weights, addends, sums = (
            Signal(width, name=f"{what}_{name}") for what, width in (("weights", 16), ("addends", 32), ("sums", 32))
        )
        m.submodules[f"mac_{name}"] = Instance(
            "SB_MAC16",
            i_CLK=ClockSignal(),
            i_CE=Const(1, 1),
            i_A=weights,
            i_AHOLD=~first,
            i_B=Cat(activation, activation),
            i_C=addends[16:],
            i_D=addends[:16],
            o_O=sums,
            **DUAL_8X8,
            **UNUSED,
        )
        self._open = activation, first, weights, addends, sums
        return weights[:8], addends[:16], sums[:16]

    def memory_1rw(self, memory: Memory1RW) -> Module:
        """rtl/memory.py: SB_SPRAM256KA, as many as it takes; bytes or whole words are written."""
        m = Module()
        if memory.width == 8 and memory.depth > 1:
            return self._bytes(m, memory)
        rows = -(-memory.depth // SPRAM_DEPTH)
        columns = -(-memory.width // SPRAM_WIDTH)
        mask = Cat(bit.replicate(memory.granularity // NIBBLE) for bit in memory.write_enable)
        row = memory.address[14:] if rows > 1 else Const(0, 1)
        row_read = Signal.like(row, name="row_read") if rows > 1 else row
        if rows > 1:
            with m.If(memory.read_enable):
                m.d.sync += row_read.eq(row)
        words = []
        for index in range(rows):
            here = row == index
            outputs = Signal(columns * SPRAM_WIDTH, name=f"row_{index}")
            for column in range(columns):
                part = slice(column * SPRAM_WIDTH, (column + 1) * SPRAM_WIDTH)
                nibbles = slice(part.start // NIBBLE, part.stop // NIBBLE)
                m.submodules[f"spram_{index}_{column}"] = Instance(
                    "SB_SPRAM256KA",
                    i_CLOCK=ClockSignal(),
                    i_ADDRESS=Cat(memory.address[:14], Const(0, 14))[:14],
                    i_DATAIN=Cat(memory.write_data[part], Const(0, SPRAM_WIDTH))[:SPRAM_WIDTH],
                    i_MASKWREN=Cat(mask[nibbles], Const(0, 4))[:4],
                    i_WREN=memory.write_enable.any(),
                    i_CHIPSELECT=here & (memory.read_enable | memory.write_enable.any()),
                    i_STANDBY=Const(0, 1),
                    i_SLEEP=Const(0, 1),
                    i_POWEROFF=Const(1, 1),  # active low
                    o_DATAOUT=outputs[part],
                )
            words.append(outputs[: memory.width])
        data = words[0]
        for index, word in enumerate(words[1:], 1):
            data = Mux(row_read == index, word, data)
        m.d.comb += memory.read_data.eq(data)
        return m

    def _bytes(self, m: Module, memory: Memory1RW) -> Module:
        """Two bytes share a word."""
        m.submodules.pairs = pairs = Memory1RW(16, -(-memory.depth // 2), 8)
        upper, read_upper = memory.address[0], Signal()
        with m.If(memory.read_enable):
            m.d.sync += read_upper.eq(upper)
        m.d.comb += [
            pairs.address.eq(memory.address[1:]),
            pairs.write_data.eq(memory.write_data.replicate(2)),
            pairs.write_enable.eq(Cat(memory.write_enable & ~upper, memory.write_enable & upper)),
            pairs.read_enable.eq(memory.read_enable),
            memory.read_data.eq(Mux(read_upper, pairs.read_data[8:], pairs.read_data[:8])),
        ]
        return m
