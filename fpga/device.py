"""FPGAs that the open tools know, and what each tool has to be told of them."""

from dataclasses import dataclass, replace
from typing import Literal

Family = Literal["ecp5", "ice40", "gowin"]


@dataclass(frozen=True)
class Device:
    """One FPGA in its package.

    Attributes
    ----------
    name : what people call it.
    synthesis : Yosys' command for the family.
    place : nextpnr's arguments for the device.
    pack : the packer's arguments; a board may have more, of how its flash is read.
    """

    family: Family
    name: str
    synthesis: str
    place: tuple[str, ...]
    pack: tuple[str, ...] = ()

    @property
    def size(self) -> str:
        """Of an ECP5 or an iCE40, as nextpnr writes it: "85k"; the part of a Gowin."""
        return self.place[0].removeprefix("--") if self.family != "gowin" else self.place[1]

    def with_pack(self, *arguments: str) -> "Device":
        """The same device, packed with further arguments."""
        return replace(self, pack=(*self.pack, *arguments))


ECP5_SIZES = ("12k", "25k", "45k", "85k", "um-25k", "um-45k", "um-85k", "um5g-25k", "um5g-45k", "um5g-85k")


def ecp5(size: str, package: str, speed: int) -> Device:
    """A Lattice ECP5: `size` as nextpnr writes it, "85k"; `package` "CABGA381"; speed grade 6 (slowest) to 8.

    Raises
    ------
    ValueError
        For a size or speed grade that does not exist.
    """
    if size not in ECP5_SIZES:
        raise ValueError(f"an ECP5's size must be one of {', '.join(ECP5_SIZES)}, not {size!r}")
    if speed not in (6, 7, 8):
        raise ValueError(f"an ECP5's speed grade must be 6, 7 or 8, not {speed!r}")
    # With most of the multipliers in use this placer leaves a sixth less wire than the default one.
    place = (f"--{size}", "--package", package.upper(), "--speed", str(speed), "--placer", "static")
    return Device("ecp5", f"ECP5 {size} {package.upper()} speed grade {speed}", "synth_ecp5", place)


def ice40(size: str, package: str) -> Device:
    """A Lattice iCE40: `size` as nextpnr writes it, "up5k" or "hx8k"; `package` "sg48"."""
    # Without -dsp: that option rewrites explicit SB_MAC16 without a word.
    device = "-device u " if size.startswith("u") else "-device hx " if size.startswith("hx") else ""
    return Device(
        "ice40", f"iCE40 {size} {package}", f"synth_ice40 {device}".strip(), (f"--{size}", "--package", package)
    )


def gowin(part: str, family: str, chip: str) -> Device:
    """A Gowin FPGA: `part` is the order number, "GW2A-LV18PG256C8/I7"; `family` the die for nextpnr, "GW2A-18"; `chip`
    the die for the packer, "GW2A-18C"."""
    series = "gw1n" if family.startswith("GW1N") else family[:4].lower()
    place = ("--device", part, "--vopt", f"family={family}")
    return Device("gowin", f"Gowin {part}", f"synth_gowin -family {series}", place, ("-d", chip))
