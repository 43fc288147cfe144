"""What a configuration takes of a device: multipliers and block RAMs, counted from the shapes of its memories."""

from dataclasses import dataclass

from weft.rtl.config import Config
from weft.rtl.weights import GROUP


@dataclass(frozen=True)
class Family:
    """A device family: the bits of the block RAM that fits best, its widest word, and 8x8 products per multiplier."""

    name: str
    ram_width: int
    ram_depth: int
    products: int


FAMILIES = {
    # Lattice FPGA-TN-02204, ECP5 memory usage guide: PDPW16KD is 512 x 36.
    "ecp5": Family("ECP5", 36, 512, 1),
    # Lattice FPGA-TN-02002, memory usage guide for iCE40: SB_RAM256x16; SB_MAC16 does two 8x8 products.
    "ice40": Family("iCE40 UltraPlus", 16, 256, 2),
    # Gowin UG285, block SRAM user guide: SDPB is 512 x 36 at its widest.
    "gw2a": Family("Gowin GW2A", 36, 512, 1),
}


@dataclass(frozen=True)
class Resources:
    """Counts for one configuration on one family; wide multipliers of the lanes are not included."""

    multipliers: int
    scratchpad_rams: int
    weight_rams: int
    accumulator_rams: int
    parameter_rams: int

    @property
    def rams(self) -> int:
        """All block RAMs."""
        return self.scratchpad_rams + self.weight_rams + self.accumulator_rams + self.parameter_rams


def block_rams(family: Family, width: int, depth: int, granule: int) -> int:
    """Block RAMs of a memory of `depth` words of `width` bits that is written in units of `granule` bits.

    A block holds as many whole granules side by side as its word has room for.
    """
    usable = family.ram_width // granule * granule if granule <= family.ram_width else family.ram_width
    return -(-width // usable) * -(-depth // family.ram_depth)


def resources(config: Config, family: str) -> Resources:
    """Multipliers and block RAMs of a configuration.

    Raises
    ------
    ValueError
        For a family that is not known.
    """
    if family not in FAMILIES:
        raise ValueError(f"{family} is not a known device family; they are {', '.join(FAMILIES)}")
    chip = FAMILIES[family]
    word = config.word_bytes
    groups = [min(GROUP, config.cols - start) for start in range(0, config.cols, GROUP)]
    return Resources(
        multipliers=-(-config.macs_per_cycle // chip.products),
        scratchpad_rams=2 * block_rams(chip, 8 * word, config.scratchpad_bytes // (2 * word), 8),
        weight_rams=config.weight_rows
        * sum(block_rams(chip, 8 * columns, config.weight_lines, 8) for columns in groups),
        accumulator_rams=2 * config.cols * block_rams(chip, 32, config.accumulators, 32),
        parameter_rams=config.lanes * block_rams(chip, 32 + 31 + 6, config.parameter_lines, 1),
    )
