"""The boards that are known: what is on each, and what is built for it unless the user says otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from weft.gen.presets import MEDIUM, NANO, TINY
from weft.rtl.config import Config
from weft.sw.errors import UserError

from .device import Device, ecp5, gowin, ice40
from .ecp5 import REGISTERED


@dataclass(frozen=True)
class Board:
    """A board and its standard design.

    Attributes
    ----------
    name, title : for the command line, and for people.
    platform : module and class of its definition in amaranth_boards.
    clock : the oscillator's name there. clock_hz : the frequency of the NPU.
    config : the NPU; without AXI. memory_bytes : of on-chip memory.
    lamps : names and numbers of the lamps for "busy" and "failed" there, none if the board has none.
    programmer : the name under which openFPGALoader knows the board.
    line : what the serial line is, in words.
    seed : of the placement that is tried first: one that reached the clock, where not every one does.
    """

    name: str
    title: str
    platform: tuple[str, str]
    device: Device
    clock: str
    clock_hz: int
    config: Config
    memory_bytes: int
    lamps: tuple[tuple[str, int], ...]
    programmer: str
    line: str
    seed: int = 1

    def definition(self) -> Any:
        """The board in amaranth_boards.

        Raises
        ------
        UserError
            If that package is not installed.
        """
        module, name = self.platform
        try:
            return getattr(import_module(f"amaranth_boards.{module}"), name)()
        except ImportError:
            raise UserError("boards need the Python package amaranth-boards: pip install 'weft[fpga]'") from None


def _serial(config: Config, **changes: Any) -> Config:
    """A configuration as boards with a serial line have it."""
    return config.replace(axi=False, axi_outstanding=1, **changes)


_ALL = (
    Board(
        name="ulx3s",
        title="ULX3S 85F",
        platform=("ulx3s", "ULX3S_85F_Platform"),
        device=ecp5("85k", "CABGA381", 6),
        clock="clk25",
        clock_hz=100_000_000,
        config=_serial(MEDIUM, **REGISTERED),
        memory_bytes=64 << 10,
        lamps=(("led", 0), ("led", 1)),
        programmer="ulx3s",
        line="the USB connector US1 (FT231X)",
        seed=4,
    ),
    Board(
        name="icebreaker",
        title="iCEBreaker",
        platform=("icebreaker", "ICEBreakerPlatform"),
        device=ice40("up5k", "sg48"),
        clock="clk12",
        clock_hz=24_000_000,
        config=_serial(NANO),
        memory_bytes=32 << 10,
        lamps=(("led", 1), ("led", 0)),
        programmer="ice40_generic",
        line="its USB connector, the second of two ports (FT2232H)",
        seed=4,
    ),
    Board(
        name="tang-primer-20k",
        title="Sipeed Tang Primer 20K",
        platform=("tang_primer_20k", "TangPrimer20kPlatform"),
        device=gowin("GW2A-LV18PG256C8/I7", "GW2A-18", "GW2A-18C"),
        clock="clk27",
        clock_hz=27_000_000,
        config=_serial(TINY, weight_tiles=3968, scratchpad_bytes=4096, accumulators=64, parameter_channels=256),
        memory_bytes=8 << 10,
        lamps=(),
        programmer="tangprimer20k",
        line="a USB-serial adapter at pins M11 (to the host) and T13 (from it), or the dock's USB connector",
    ),
)

BOARDS: Mapping[str, Board] = {board.name: board for board in _ALL}


def board_named(name: str) -> Board:
    """The board of a name.

    Raises
    ------
    UserError
        If there is none.
    """
    if name not in BOARDS:
        raise UserError(f"{name!r} is not a board; the boards are {', '.join(BOARDS)}")
    return BOARDS[name]
