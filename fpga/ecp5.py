"""The primitives of Lattice's ECP5: multipliers and block RAMs, with all registers that are built into them.

Sources: Lattice FPGA-TN-02205, sysDSP usage guide for ECP5; FPGA-TN-02204, memory usage guide for ECP5.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import (
    Array,
    Cat,
    ClockSignal,
    Const,
    Elaboratable,
    Instance,
    Module,
    Mux,
    Signal,
    Value,
    signed,
    unsigned,
)
from weft.rtl.config import Config
from weft.rtl.delay import delayed
from weft.rtl.memory import Memory1R1W

REGISTERED: Mapping[str, Any] = {"memory_latency": 2, "multiply_latency": 2, "pipelined": True}
"""Parameters of a configuration that uses all registers of the device's primitives, and those of the long paths."""

MULTIPLIER_BITS = 18

WIDEST, WIDEST_DEPTH = 36, 512
"""Of a PDPW16KD, which has one port for writing and one for reading."""

SHAPES = {18: 1024, 9: 2048, 4: 4096, 2: 8192, 1: 16384}
"""Widths of a DP16KD, and its words then."""

GROUPS_85K = (4, 13, 22, 31, 40, 49, 58, 69, 78, 87, 96, 105, 114)
"""Columns of an LFE5-85 in which a group of four multipliers begins."""

ADDRESS_BITS = 14
"""Of a block RAM's port: the address of a word fills the upper ones."""


@dataclass(frozen=True)
class Shape:
    """How a memory is made of block RAMs: `across` of them side by side, with `bits` bits of each used, in
    `deep` such rows."""

    width: int
    depth: int
    bits: int
    across: int
    deep: int

    @property
    def blocks(self) -> int:
        """Block RAMs."""
        return self.across * self.deep


def shape(width: int, depth: int, granularity: int) -> Shape | None:
    """The fewest block RAMs for a memory, and of equally many the fewest rows, since a row costs a multiplexer; None if
    it is written in units that do not fit into their bytes."""
    found = []
    for block, words in {WIDEST: WIDEST_DEPTH, **SHAPES}.items():
        if granularity == width:
            bits = block
        elif granularity % 8 == 0:
            bits = block // 9 * 8 if block >= 9 else block
        else:
            continue
        found.append(Shape(block, words, bits, -(-width // bits), -(-depth // words)))
    return min(found, key=lambda one: (one.blocks, one.deep), default=None)


def _multiplier(
    m: Module, name: str, a: Value, b: Value, *, latency: int, hold_b: Value | None = None, site: str | None = None
) -> Value:
    """A MULT18X18D: for a latency of 1 with registers at its inputs, of 2 at its output, too, of 0 with none.

    Operands lie at the upper end of its inputs, with zeros below them. Where a sign is extended, one wire goes to many
    pins of one block, which costs the router minutes and the design nanoseconds.

    Parameters
    ----------
    a, b
        Signed or unsigned numbers of at most 18 bits.
    hold_b
        b is loaded into its register only in cycles with this bit.
    site
        Where it must be placed.

    Returns
    -------
    Value
        The product, with as many bits as both operands have, `latency` cycles later.
    """
    product = Signal(2 * MULTIPLIER_BITS, name=f"{name}_product")
    operands: dict[str, Value] = {}
    below = 0
    for letter, operand in (("A", a), ("B", b)):
        zeros = MULTIPLIER_BITS - len(operand)
        aligned = Cat(Const(0, zeros), operand)
        operands |= {f"i_{letter}{bit}": aligned[bit] for bit in range(MULTIPLIER_BITS)}
        operands[f"i_SIGNED{letter}"] = Const(int(operand.shape().signed))
        below += zeros
    m.submodules[f"{name}_multiplier"] = Instance(
        "MULT18X18D",
        p_REG_INPUTA_CLK="CLK0" if latency else "NONE",
        p_REG_INPUTA_CE="CE0",
        p_REG_INPUTA_RST="RST0",
        p_REG_INPUTB_CLK="CLK0" if latency else "NONE",
        p_REG_INPUTB_CE="CE0" if hold_b is None else "CE1",
        p_REG_INPUTB_RST="RST0",
        p_REG_INPUTC_CLK="NONE",
        p_REG_PIPELINE_CLK="NONE",
        p_REG_OUTPUT_CLK="CLK0" if latency == 2 else "NONE",
        p_REG_OUTPUT_CE="CE0",
        p_REG_OUTPUT_RST="RST0",
        p_CLK0_DIV="ENABLED",
        p_GSR="DISABLED",
        p_SOURCEB_MODE="B_SHIFT",
        p_MULT_BYPASS="DISABLED",
        p_RESETMODE="SYNC",
        **operands,
        i_CLK0=ClockSignal(),
        i_CE0=Const(1),
        i_CE1=Const(1) if hold_b is None else hold_b,
        **{f"i_CE{index}": Const(1) for index in (2, 3)},
        **{f"i_CLK{index}": Const(0) for index in (1, 2, 3)},
        **{f"i_RST{index}": Const(0) for index in range(4)},
        i_SOURCEA=Const(0),
        i_SOURCEB=Const(0),
        **{f"o_P{bit}": product[bit] for bit in range(2 * MULTIPLIER_BITS)},
        **({"a_BEL": site} if site else {}),
    )
    return product[below:]


def _block_ram(
    m: Module, name: str, shape: Shape, granularity: int, memory: Memory1R1W, low: int, chosen: tuple[Value, Value]
) -> Value:
    """One block RAM of a memory, which holds its bits from `low` on. Returns its word.

    Parameters
    ----------
    chosen
        Whether a write, a read is of this row of blocks.
    """
    bits = min(shape.bits, memory.width - low)
    whole = granularity == memory.width
    # What a byte of the block is written with: 9 bits, of which 8 are used where there are enables.
    byte = min(shape.width, 9)
    used = byte if whole else min(byte, 8)
    written, word = Signal(WIDEST, name=f"{name}_written"), Signal(WIDEST, name=f"{name}_word")
    enables = []
    read = []
    for index in range(-(-bits // used)):
        start, stop = index * used, min(index * used + used, bits)
        m.d.comb += written[index * byte : index * byte + stop - start].eq(memory.write.data[low + start : low + stop])
        enables.append(memory.write.enable[(low + start) // granularity])
        read.append(word[index * byte : index * byte + stop - start])
    write_chosen, read_chosen = chosen
    enable = Signal(len(enables), name=f"{name}_enable")
    m.d.comb += enable.eq(Mux(write_chosen, Cat(enables), 0))
    written_any = enable.any()

    # Whether the output's register obeys the port's clock enable, too, is written nowhere: here it does not matter.
    # What the second cycle reads is never seen.
    reads = Signal(name=f"{name}_reads")
    m.d.comb += reads.eq(memory.read.enable & read_chosen)
    registered = memory.latency == 2
    follows = delayed(m, f"{name}_follows", reads, 1) if registered else Const(0)
    clock_enable, output_enable = reads | follows, follows if registered else Const(1)

    low_bits = ADDRESS_BITS - (shape.depth - 1).bit_length()
    row_bits = ADDRESS_BITS - low_bits
    write_address, read_address = (
        Cat(Const(0, low_bits), port.address[:row_bits], Const(0, max(0, row_bits - len(port.address))))
        for port in (memory.write, memory.read)
    )
    register = "OUTREG" if registered else "NOREG"
    if shape.width == WIDEST:
        m.submodules[name] = Instance(
            "PDPW16KD",
            p_DATA_WIDTH_W=WIDEST,
            p_DATA_WIDTH_R=WIDEST,
            p_REGMODE=register,
            p_RESETMODE="SYNC",
            p_GSR="DISABLED",
            p_CSDECODE_W="0b000",
            p_CSDECODE_R="0b000",
            i_CLKW=ClockSignal(),
            i_CEW=written_any,
            i_CLKR=ClockSignal(),
            i_CER=clock_enable,
            i_OCER=output_enable,
            i_RST=Const(0),
            **{f"i_CS{side}{bit}": Const(0) for side in "WR" for bit in range(3)},
            **{f"i_BE{bit}": enable[bit] if bit < len(enable) else Const(0) for bit in range(4)},
            **{f"i_ADW{bit}": write_address[low_bits + bit] for bit in range(row_bits)},
            **{f"i_ADR{bit}": read_address[bit] for bit in range(ADDRESS_BITS)},
            **{f"i_DI{bit}": written[bit] for bit in range(WIDEST)},
            **{f"o_DO{bit}": word[bit] for bit in range(WIDEST)},
        )
    else:
        if shape.width == 18:
            # The lowest address bits are the bytes' enables.
            write_address = Cat(enable, Const(0, low_bits - len(enable)), write_address[low_bits:])
        m.submodules[name] = Instance(
            "DP16KD",
            p_DATA_WIDTH_A=shape.width,
            p_DATA_WIDTH_B=shape.width,
            p_REGMODE_A="NOREG",
            p_REGMODE_B=register,
            p_RESETMODE="SYNC",
            p_WRITEMODE_A="NORMAL",
            p_WRITEMODE_B="NORMAL",
            p_GSR="DISABLED",
            p_CSDECODE_A="0b000",
            p_CSDECODE_B="0b000",
            i_CLKA=ClockSignal(),
            i_CEA=written_any,
            i_OCEA=Const(0),
            i_WEA=Const(1),
            i_RSTA=Const(0),
            i_CLKB=ClockSignal(),
            i_CEB=clock_enable,
            i_OCEB=output_enable,
            i_WEB=Const(0),
            i_RSTB=Const(0),
            **{f"i_CS{side}{bit}": Const(0) for side in "AB" for bit in range(3)},
            **{f"i_ADA{bit}": write_address[bit] for bit in range(ADDRESS_BITS)},
            **{f"i_ADB{bit}": read_address[bit] for bit in range(ADDRESS_BITS)},
            **{f"i_DIA{bit}": written[bit] for bit in range(18)},
            **{f"i_DIB{bit}": Const(0) for bit in range(18)},
            **{f"o_DOB{bit}": word[bit] for bit in range(18)},
        )
    return Cat(read)


SITES = {
    "85k": [[f"X{x + step}/Y{y}/MULT18_{step}" for x in GROUPS_85K for step in (0, 1, 4, 5)] for y in (10, 34, 58)]
}
"""The multipliers' places, row by row, of the devices whose arrays are laid out by hand."""


def array_sites(config: Config, size: str) -> dict[str, str]:
    """A place for each multiplier of the array by its name "row_column", or none where the array does not fit.

    nextpnr spreads them over the whole device, and a multiplier's neighbours must be near. Three columns, or two if the
    array is high, lie in one row of the device, taking turns, so that sums move by their number and activations by one;
    the next row of the device takes the next columns. Four multipliers share four clock enables: with two or three
    columns no more than three different ones and the constant meet.
    """
    rows = SITES.get(size, [])
    together = min(3, len(rows[0]) // config.rows) if rows else 0
    if together < 2 or -(-config.cols // together) > len(rows):
        return {}
    return {
        f"{row}_{col}": rows[col // together][row * together + col % together]
        for row in range(config.rows)
        for col in range(config.cols)
    }


class Ecp5:
    """What gen.verilog.to_verilog asks of a technology.

    Parameters
    ----------
    sites
        Of the array's multipliers, as array_sites gives them; the others are placed by nextpnr.
    """

    synthesis = ("-nodsp",)
    """Yosys infers multipliers of constants, too, without registers."""

    def __init__(self, sites: Mapping[str, str] | None = None) -> None:
        self.sites = sites or {}

    def multiply(
        self, m: Module, name: str, activation: Value, weight: Value, first: Value, latency: int
    ) -> tuple[Value, Value]:
        """See rtl/pe.py. The activation for the neighbour has a register of its own in the fabric."""
        east = Signal(signed(8), name=f"activation_{name}", reset_less=True)
        m.d.sync += east.eq(activation)
        product = _multiplier(
            m,
            f"multiply_{name}",
            activation,
            weight,
            latency=latency,
            hold_b=first,
            site=self.sites.get(name),
        )
        return east, product.as_signed()

    def partial_products(self, m: Module, x: Value, multiplier: Value) -> tuple[Value, ...]:
        """See rtl/requantize.py."""
        halves = {
            "high_high": (x[16:].as_signed(), multiplier[16:], signed(31)),
            "high_low": (x[16:].as_signed(), multiplier[:16], signed(32)),
            "low_high": (x[:16], multiplier[16:], unsigned(31)),
            "low_low": (x[:16], multiplier[:16], unsigned(32)),
        }
        products = []
        for name, (a, b, kind) in halves.items():
            product = Signal(kind, name=name)
            m.d.comb += product.eq(_multiplier(m, name, a, b, latency=2))
            products.append(product)
        return tuple(products)

    def product(self, m: Module, a: Value, b: Value, latency: int) -> Value:
        """See rtl/requantize.py."""
        return _multiplier(m, "product", a, b, latency=latency).as_signed()

    def memory_1r1w(self, memory: Memory1R1W) -> Elaboratable | None:
        """See rtl/memory.py; None leaves the memory to inference."""
        fit = shape(memory.width, memory.depth, memory.granularity)
        if fit is None:
            return None
        m = Module()
        bits = (fit.depth - 1).bit_length()
        rows = [memory.write.address[bits:], memory.read.address[bits:]]
        words = []
        for row in range(fit.deep):
            chosen = (rows[0] == row, rows[1] == row) if fit.deep > 1 else (Const(1), Const(1))
            words.append(
                Cat(
                    _block_ram(m, f"ram_{row}_{index}", fit, memory.granularity, memory, index * fit.bits, chosen)
                    for index in range(fit.across)
                )
            )
        if fit.deep == 1:
            m.d.comb += memory.read.data.eq(words[0])
        else:
            # The row that the word on the output is from, as long as it is there.
            last = Signal.like(rows[1], name="row_0")
            with m.If(memory.read.enable):
                m.d.sync += last.eq(rows[1])
            m.d.comb += memory.read.data.eq(Array(words)[delayed(m, "row", last, memory.latency - 1)])
        return m
